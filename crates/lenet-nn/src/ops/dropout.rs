//! Dropout (Srivastava et al. 2014), `(B, C, H, W)` to `(B, C, H, W)`.
//!
//! In training `y = x * mask`, where the elements of the mask are independent: 0 with probability `p`, else `1 / (1 - p)`. The
//! backward pass is `dx = dy * mask`. In inference `y = x`.
//!
//! The mask is not kept, because the backward pass generates the same random numbers. They follow from the key of the step, the
//! layer and the index of the block in the batch, so they don't depend on the number of threads.

use fearless_simd::{Level, Select, Simd, SimdBase};
use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use crate::{
    Shape,
    activation_layout::Lanes,
    error::LayerError,
    operator::{LayerContext, LayerSpec, Operator, PassContext, SingleSampleOp},
    simd::{Vector, kernel},
};

/// Zeroes random elements in training and scales the others by `1 / (1 - p)`.
///
/// ```
/// use lenet_nn::{Dropout, Layer};
///
/// let layer = Layer::from(Dropout::new(0.2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability that an element is zeroed, at least 0 and below 1.
    pub p: f32,
}

impl Dropout {
    /// Returns a layer that zeroes each element with probability `p`.
    pub const fn new(p: f32) -> Self {
        Self { p }
    }
}

impl LayerSpec for Dropout {
    fn type_name(&self) -> &'static str {
        "Dropout"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        if (0.0..1.0).contains(&self.p) { Ok(input) } else { Err(LayerError::Probability { p: self.p }) }
    }

    fn operator(&self, context: LayerContext) -> Option<Box<dyn Operator>> {
        Some(Box::new(DropoutOp::new(*self, context)))
    }

    fn single_sample_op(
        &self,
        _level: Level,
        _context: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        None
    }
}

/// [`Dropout`] on one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropoutOp {
    p: f32,
    /// Elements of a sample.
    len: usize,
    /// Number of the layer among the dropout layers of the network.
    stream: u64,
}

impl DropoutOp {
    pub fn new(Dropout { p }: Dropout, context: LayerContext) -> Self {
        Self { p, len: context.input.len(), stream: context.random_stream }
    }

    /// Multiplies activations, or their gradients, by the mask, in place.
    pub fn apply(&self, pass: PassContext, values: &mut [Lanes]) {
        let Some(key) = pass.dropout_key else { return };
        // Layers have different masks. The first one uses the key as it is.
        let key = key ^ self.stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (block, values) in values.chunks_exact_mut(self.len).enumerate() {
            let seeds = seeds(key, pass.first_block + block);
            let p = self.p;
            kernel!(pass.level, dropout_block(p, seeds, values));
        }
    }
}

/// Number of generators for neighboring elements. Several ones are independent, so that their latencies overlap.
const GENERATORS: usize = 4;

/// Returns the initial state of each generator in each lane, as bits. It is never 0, which xorshift would not leave.
fn seeds(key: u64, block: usize) -> [Lanes; GENERATORS] {
    let mut random = Pcg64Mcg::seed_from_u64(key.wrapping_add(block as u64));
    std::array::from_fn(|_| Lanes(std::array::from_fn(|_| f32::from_bits(random.next_u32() | 1))))
}

/// Applies dropout to one block.
#[inline(always)]
fn dropout_block<S: Simd, V: Vector<S>>(simd: S, p: f32, seeds: [Lanes; GENERATORS], values: &mut [Lanes]) {
    let mut states = [V::splat(simd, 0.0).to_bits(); GENERATORS];
    for (seeds, state) in seeds.chunks_exact(V::ELEMENTS).zip(&mut states) {
        *state = V::load(simd, seeds).to_bits();
    }
    let (whole, rest) = values.as_chunks_mut();
    for values in whole {
        dropout_elements::<S, V>(simd, p, &mut states, values);
    }
    let mut last = [Lanes::default(); GENERATORS];
    last[..rest.len()].copy_from_slice(rest);
    dropout_elements::<S, V>(simd, p, &mut states, &mut last);
    rest.copy_from_slice(&last[..rest.len()]);
}

/// Applies dropout to an element for each generator. The generators are xorshift32 (Marsaglia 2003), one for each lane.
#[inline(always)]
fn dropout_elements<S: Simd, V: Vector<S>>(
    simd: S,
    p: f32,
    states: &mut [V::Bits; GENERATORS],
    values: &mut [Lanes; GENERATORS],
) {
    let zero = V::splat(simd, 0.0);
    let threshold = V::Bits::splat(simd, (f64::from(p) * 2f64.powi(32)) as u32);
    for i in 0..GENERATORS / V::ELEMENTS {
        let mut state = states[i];
        state = state ^ (state << 13u32);
        state = state ^ (state >> 17u32);
        state = state ^ (state << 5u32);
        states[i] = state;
        let values = &mut values[i * V::ELEMENTS..];
        let scaled = V::load(simd, values) * (1.0 / (1.0 - p));
        state.simd_ge(threshold).select(scaled, zero).store(values);
    }
}

/// Dropout that can't work in place on the output of the operator before it, because that one's backward pass needs it.
impl Operator for DropoutOp {
    fn forward(&mut self, pass: PassContext, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        y.copy_from_slice(x);
        self.apply(pass, y);
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
        _parameters: &[f32],
        _x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        if let Some(dx) = dx {
            dx.copy_from_slice(dy);
            self.apply(pass, dx);
        }
    }
}
