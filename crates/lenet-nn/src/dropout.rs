//! Dropout (Srivastava et al. 2014): in training each element is zeroed with probability `p` and else scaled by
//! `1 / (1 - p)`; in inference nothing happens.

use fearless_simd::{Select, Simd, SimdBase};
use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{Lanes, Vector, kernel},
    operator::{Operator, Pass},
};

/// Zeroes elements at random in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability that an element is zeroed, at least 0 and below 1.
    pub p: f32,
}

impl Dropout {
    /// Zeroes each element with probability `p`.
    pub const fn new(p: f32) -> Self {
        Self { p }
    }
}

/// [`Dropout`] at work. The mask is not kept: backward draws the same numbers again.
#[derive(Debug, Clone, Copy)]
pub(super) struct DropoutOp {
    pub p: f32,
    /// Elements of a sample.
    pub len: usize,
}

impl DropoutOp {
    /// `values = values * mask / (1 - p)`, block by block: of an output, and of its gradient.
    pub fn apply(&self, pass: Pass, values: &mut [Lanes]) {
        let Some(key) = pass.dropout_key else { return };
        for (block, values) in values.chunks_exact_mut(self.len).enumerate() {
            let seeds = seeds(key, pass.first_block + block);
            let p = self.p;
            kernel!(pass.level, drop_some(p, seeds, values));
        }
    }
}

/// Neighbouring elements that have generators of their own, so that no number waits for the one before it.
const GENERATORS: usize = 4;

/// A generator's state for each of the elements and each lane of a block, as bits: never zero, where xorshift would stay.
fn seeds(key: u64, block: usize) -> [Lanes; GENERATORS] {
    let mut random = Pcg64Mcg::seed_from_u64(key.wrapping_add(block as u64));
    std::array::from_fn(|_| Lanes(std::array::from_fn(|_| f32::from_bits(random.next_u32() | 1))))
}

#[inline(always)]
fn drop_some<S: Simd, V: Vector<S>>(simd: S, p: f32, seeds: [Lanes; GENERATORS], values: &mut [Lanes]) {
    let mut states = [V::splat(simd, 0.0).to_bits(); GENERATORS];
    for (seeds, state) in seeds.chunks_exact(V::ELEMENTS).zip(&mut states) {
        *state = V::load(simd, seeds).to_bits();
    }
    let (whole, rest) = values.as_chunks_mut();
    for values in whole {
        drop_each::<S, V>(simd, p, &mut states, values);
    }
    let mut last = [Lanes::default(); GENERATORS];
    last[..rest.len()].copy_from_slice(rest);
    drop_each::<S, V>(simd, p, &mut states, &mut last);
    rest.copy_from_slice(&last[..rest.len()]);
}

/// One element for each generator: xorshift (Marsaglia 2003), in each lane.
#[inline(always)]
fn drop_each<S: Simd, V: Vector<S>>(
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

/// On a copy, where what comes before needs its output.
impl Operator for DropoutOp {
    fn forward(&mut self, pass: Pass, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        y.copy_from_slice(x);
        self.apply(pass, y);
    }

    fn backward(
        &mut self,
        pass: Pass,
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
