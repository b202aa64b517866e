//! Fully connected layer of one sample, whose features are contiguous numbers.
//!
//! The lanes are inputs, so weights are read as they are in memory. A few outputs are computed together; the lanes of their sums
//! are added at the end. Every weight is used once, so several samples are faster as a block, which loads it once for all.

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch, f32x8};

use super::{Linear, panel::PANEL_INPUTS};
use crate::{
    Shape,
    layout::{Buffer, LANES, Lanes, zeros},
    operator::SingleSampleOp,
    ops::flatten::flatten,
    partition::even_chunk,
    simd::{MAX_TILE, with_const},
};

/// [`Linear`] on one sample, which is flattened first.
pub(crate) struct SingleSampleLinear {
    layer: Linear,
    input: Shape,
    /// The flattened input; empty if the input is flat.
    flat: Buffer,
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
        let (weight, bias) = parameters.split_at(self.layer.weights());
        let x: &[Lanes] = if self.flat.is_empty() {
            x
        } else {
            flatten(self.input, x, &mut self.flat);
            &self.flat
        };
        dispatch!(level, simd => forward(simd, weight, bias, x, y));
    }
}

/// `y[o] = bias[o] + sum over i of weight[o, i] * x[i]`, `x` and `y` rows of features.
///
/// Weights are in panels.
#[inline(always)]
fn forward<S: Simd>(simd: S, weight: &[f32], bias: &[f32], x: &[Lanes], y: &mut [Lanes]) {
    let outputs = bias.len();
    let tiles = outputs.div_ceil(MAX_TILE);
    for tile in 0..tiles {
        let (first, rows) = even_chunk(outputs, tiles, tile);
        with_const!(R = rows => forward_rows::<S, R>(simd, weight, bias, x, y, first));
    }
}

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
    let (mut sums, mut rests) = ([f32x8::splat(simd, 0.0); R], [0.0; R]);
    for (weight, x) in weight.chunks(PANEL_INPUTS * outputs).zip(x.chunks(PANEL_INPUTS / LANES)) {
        match weight.len() / outputs {
            // The compiler makes no loop of what it can count.
            PANEL_INPUTS => {
                add_panel(simd, PANEL_INPUTS, &weight[first * PANEL_INPUTS..], x, &mut sums, &mut rests)
            }
            inputs => add_panel(simd, inputs, &weight[first * inputs..], x, &mut sums, &mut rests),
        }
    }
    for r in 0..R {
        let sum = bias[first + r] + sums[r].reduce_sum() + rests[r];
        y[(first + r) / LANES].0[(first + r) % LANES] = sum;
    }
}

/// Adds the products of a panel's `inputs`: those of whole vectors to `sums`, the others to `rests`.
#[inline(always)]
fn add_panel<S: Simd, const R: usize>(
    simd: S,
    inputs: usize,
    weight: &[f32],
    x: &[Lanes],
    sums: &mut [f32x8<S>; R],
    rests: &mut [f32; R],
) {
    let (x, x_rest) = x.split_at(inputs / LANES);
    let mut rows = [weight.as_chunks::<LANES>().0; R];
    for r in 0..R {
        let (row, rest) = weight[r * inputs..][..inputs].as_chunks();
        rows[r] = row;
        for (weight, x) in rest.iter().zip(x_rest.iter().flat_map(|x| x.0)) {
            rests[r] += weight * x;
        }
    }
    for k in 0..inputs / LANES {
        let x = x[k].load(simd);
        for r in 0..R {
            sums[r] = f32x8::load_array_ref(simd, &rows[r][k]).mul_add(x, sums[r]);
        }
    }
}
