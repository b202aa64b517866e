//! Fully connected layer of one sample, whose features are contiguous numbers.
//!
//! ```text
//! for each group of up to six outputs:
//!     for each panel and vector of eight inputs:
//!         add x (input) * weight (output, input) to the vector of sums of each output
//!     y (output) = bias + sum of the lanes
//! ```
//!
//! The lanes are inputs, because the weights of neighboring inputs are adjacent in memory. Every weight is used once, so
//! several samples are faster as a block, which loads each weight once for all of them.

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch, f32x8};

use super::{Linear, panel::PANEL_INPUTS};
use crate::{
    Shape,
    activation_layout::{AlignedBuffer, LANES, Lanes, zeros},
    operator::SingleSampleOp,
    ops::flatten::flatten,
    partition::even_chunk,
    simd::{MAX_TILE_SIDE, with_const},
};

/// [`Linear`] on one sample, which is flattened first.
pub(crate) struct SingleSampleLinear {
    layer: Linear,
    input: Shape,
    /// The flattened input; empty if the input is flat.
    flat: AlignedBuffer,
}

impl SingleSampleLinear {
    /// Takes the shape of the input.
    pub fn new(layer: Linear, input: Shape) -> Self {
        let is_flat = input.height * input.width == 1;
        let flat = zeros(if is_flat { 0 } else { input.len().div_ceil(LANES) });
        Self { layer, input, flat }
    }
}

impl SingleSampleOp for SingleSampleLinear {
    fn forward(&mut self, level: Level, parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]) {
        let (weight, bias) = parameters.split_at(self.layer.weight_count());
        let x: &[Lanes] = if self.flat.is_empty() {
            x
        } else {
            flatten(self.input, x, &mut self.flat);
            &self.flat
        };
        dispatch!(level, simd => forward(simd, weight, bias, x, y));
    }
}

/// Computes `y (output) = bias (output) + sum over the inputs of weight (output, input) * x (input)`.
///
/// `weight` is in panels; `x` and `y` are rows of features, eight in a [`Lanes`].
#[inline(always)]
fn forward<S: Simd>(simd: S, weight: &[f32], bias: &[f32], x: &[Lanes], y: &mut [Lanes]) {
    let outputs = bias.len();
    let tiles = outputs.div_ceil(MAX_TILE_SIDE);
    for tile in 0..tiles {
        let (first, rows) = even_chunk(outputs, tiles, tile);
        with_const!(R = rows => forward_rows::<S, R>(simd, weight, bias, x, y, first));
    }
}

/// Computes `R` outputs from `first` on.
#[inline(always)]
fn forward_rows<S: Simd, const R: usize>(
    simd: S,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    first: usize,
) {
    let outputs = bias.len();
    let (mut sums, mut remainders) = ([f32x8::splat(simd, 0.0); R], [0.0; R]);
    for (weight, x) in weight.chunks(PANEL_INPUTS * outputs).zip(x.chunks(PANEL_INPUTS / LANES)) {
        match weight.len() / outputs {
            // A constant number of inputs lets the compiler unroll the loop over the vectors.
            PANEL_INPUTS => add_panel_products(
                simd,
                PANEL_INPUTS,
                &weight[first * PANEL_INPUTS..],
                x,
                &mut sums,
                &mut remainders,
            ),
            inputs => {
                add_panel_products(simd, inputs, &weight[first * inputs..], x, &mut sums, &mut remainders)
            }
        }
    }
    for r in 0..R {
        let sum = bias[first + r] + sums[r].reduce_sum() + remainders[r];
        y[(first + r) / LANES].0[(first + r) % LANES] = sum;
    }
}

/// Adds the products of a panel of `inputs` inputs: those of whole vectors to `sums`, the others to `remainders`.
#[inline(always)]
fn add_panel_products<S: Simd, const R: usize>(
    simd: S,
    inputs: usize,
    weight: &[f32],
    x: &[Lanes],
    sums: &mut [f32x8<S>; R],
    remainders: &mut [f32; R],
) {
    let (x, x_remainder) = x.split_at(inputs / LANES);
    let mut rows = [weight.as_chunks::<LANES>().0; R];
    for r in 0..R {
        let (row, remainder) = weight[r * inputs..][..inputs].as_chunks();
        rows[r] = row;
        for (weight, x) in remainder.iter().zip(x_remainder.iter().flat_map(|x| x.0)) {
            remainders[r] += weight * x;
        }
    }
    for k in 0..inputs / LANES {
        let x = x[k].load(simd);
        for r in 0..R {
            sums[r] = f32x8::load_array_ref(simd, &rows[r][k]).mul_add(x, sums[r]);
        }
    }
}
