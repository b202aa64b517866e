//! Fully connected layer: `y[o] = b[o] + sum over i of w[o, i] * x[i]`.
//!
//! In the layout of the engine a batch is already what a matrix product packs its operands into, panels of
//! eight columns, so the three products of a linear layer need no packing:
//!
//! - forward, `Y = W X`, and input gradient, `dX = W' dY`: [`multiply`], vectors along the samples;
//! - weight gradient, `dW = dY X'`: [`multiply_weights`], vectors along the inputs, for which the batch is turned
//!   once into rows `(sample, input)`; its sums are whole, with no lanes to add up and none lost to padding.

use fearless_simd::{Simd, SimdBase, SimdFloat, dispatch, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{LANES, Lanes, TILE, piece, with_const, zeros},
    layer::{Operator, Pass},
};

/// Fully connected layer; weights `(out_features, in_features)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Features of the input.
    pub in_features: usize,
    /// Features of the output.
    pub out_features: usize,
}

impl Linear {
    /// A layer from `in_features` to `out_features`.
    pub const fn new(in_features: usize, out_features: usize) -> Self {
        Self { in_features, out_features }
    }
}

/// Inner steps done at a time: six panels of as many vectors stay in the first-level cache.
const DEPTH: usize = 128;

/// A matrix of weights read as `(row, depth)`.
#[derive(Clone, Copy)]
struct Weights<'a> {
    values: &'a [f32],
    rows: usize,
    depth: usize,
    row_step: usize,
    depth_step: usize,
}

/// `y (block, row) = bias (row) + weights (row, depth) * x (block, depth)`.
#[inline(always)]
fn multiply<S: Simd>(simd: S, weights: &Weights, bias: &[f32], x: &[Lanes], y: &mut [Lanes]) {
    let Weights { rows, depth, .. } = *weights;
    let blocks = y.len() / rows;
    let tiles = blocks.div_ceil(TILE);
    let steps = depth.div_ceil(DEPTH);
    for y in y.chunks_exact_mut(rows) {
        for (row, y) in y.iter_mut().enumerate() {
            *y = Lanes([bias.get(row).copied().unwrap_or(0.0); LANES]);
        }
    }
    for step in 0..steps {
        let depths = piece(depth, steps, step);
        for tile in 0..tiles {
            let (block, count) = piece(blocks, tiles, tile);
            match count {
                1 => multiply_panels::<S, 6, 1>(simd, weights, x, y, block, depths),
                2 => multiply_panels::<S, 4, 2>(simd, weights, x, y, block, depths),
                3 => multiply_panels::<S, 3, 3>(simd, weights, x, y, block, depths),
                4 => multiply_panels::<S, 3, 4>(simd, weights, x, y, block, depths),
                5 => multiply_panels::<S, 2, 5>(simd, weights, x, y, block, depths),
                _ => multiply_panels::<S, 2, 6>(simd, weights, x, y, block, depths),
            }
        }
    }
}

#[inline(always)]
fn multiply_panels<S: Simd, const R: usize, const B: usize>(
    simd: S,
    weights: &Weights,
    x: &[Lanes],
    y: &mut [Lanes],
    block: usize,
    depths: (usize, usize),
) {
    let whole = weights.rows / R * R;
    for row in (0..whole).step_by(R) {
        multiply_tile::<S, R, B>(simd, weights, x, y, (row, block), depths);
    }
    for row in whole..weights.rows {
        multiply_tile::<S, 1, B>(simd, weights, x, y, (row, block), depths);
    }
}

#[inline(always)]
fn multiply_tile<S: Simd, const R: usize, const B: usize>(
    simd: S,
    weights: &Weights,
    x: &[Lanes],
    y: &mut [Lanes],
    (row, block): (usize, usize),
    (first, count): (usize, usize),
) {
    let Weights { values, rows, depth, row_step, depth_step } = *weights;
    let mut panels = [&x[..0]; B];
    for b in 0..B {
        panels[b] = &x[(block + b) * depth + first..][..count];
    }
    let mut starts = [&values[..0]; R];
    for r in 0..R {
        starts[r] = &values[(row + r) * row_step + first * depth_step..];
    }
    let mut sums = [[f32x8::splat(simd, 0.0); B]; R];
    for r in 0..R {
        for b in 0..B {
            sums[r][b] = y[(block + b) * rows + row + r].load(simd);
        }
    }
    for step in 0..count {
        let mut broadcast = [f32x8::splat(simd, 0.0); R];
        for r in 0..R {
            broadcast[r] = f32x8::splat(simd, starts[r][step * depth_step]);
        }
        for b in 0..B {
            let value = panels[b][step].load(simd);
            for r in 0..R {
                sums[r][b] = broadcast[r].mul_add(value, sums[r][b]);
            }
        }
    }
    for r in 0..R {
        for b in 0..B {
            y[(block + b) * rows + row + r].store(sums[r][b]);
        }
    }
}

/// `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)`, `dy` in blocks,
/// `rows` as `(sample, vector)` with the inputs of a sample in vectors of eight, zeros after the last.
#[inline(always)]
fn multiply_weights<S: Simd>(simd: S, layer: Linear, rows: &[Lanes], dy: &[Lanes], gradient: &mut [f32]) {
    let vectors = layer.in_features.div_ceil(LANES);
    let tiles = vectors.div_ceil(TILE);
    for tile in 0..tiles {
        let (vector, count) = piece(vectors, tiles, tile);
        for output in (0..layer.out_features).step_by(2) {
            let at = (output, vector);
            if output + 1 < layer.out_features {
                with_const!(V = count => weights_tile::<S, 2, V>(simd, layer, rows, dy, gradient, at));
            } else {
                with_const!(V = count => weights_tile::<S, 1, V>(simd, layer, rows, dy, gradient, at));
            }
        }
    }
}

#[inline(always)]
fn weights_tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    Linear { in_features, out_features }: Linear,
    rows: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [f32],
    (output, vector): (usize, usize),
) {
    let vectors = in_features.div_ceil(LANES);
    let mut sums = [[f32x8::splat(simd, 0.0); V]; R];
    for (dy, rows) in dy.chunks_exact(out_features).zip(rows.chunks_exact(LANES * vectors)) {
        let dy = &dy[output..output + R];
        for (lane, row) in rows.chunks_exact(vectors).enumerate() {
            let row = &row[vector..vector + V];
            let mut broadcast = [f32x8::splat(simd, 0.0); R];
            for r in 0..R {
                broadcast[r] = f32x8::splat(simd, dy[r].0[lane]);
            }
            for v in 0..V {
                let value = row[v].load(simd);
                for r in 0..R {
                    sums[r][v] = broadcast[r].mul_add(value, sums[r][v]);
                }
            }
        }
    }
    for r in 0..R {
        let row = &mut gradient[(output + r) * in_features..][..in_features];
        for v in 0..V {
            let mut sum = Lanes::default();
            sum.store(sums[r][v]);
            let inputs = &mut row[(vector + v) * LANES..];
            let count = inputs.len().min(LANES);
            inputs[..count].copy_from_slice(&sum.0[..count]);
        }
    }
}

/// [`Linear`] at work on one thread.
pub(super) struct Product {
    layer: Linear,
    /// The batch by rows: (sample, vector of eight inputs).
    rows: Vec<Lanes>,
}

impl Product {
    /// For batches of at most `blocks`.
    pub fn new(layer: Linear, blocks: usize) -> Self {
        Self { layer, rows: zeros(blocks * LANES * layer.in_features.div_ceil(LANES)) }
    }
}

/// Turns `x` (block, input) into rows (sample, vector of eight inputs).
#[inline(always)]
fn turn(x: &[Lanes], in_features: usize, rows: &mut [Lanes]) {
    let vectors = in_features.div_ceil(LANES);
    for (x, rows) in x.chunks_exact(in_features).zip(rows.chunks_exact_mut(LANES * vectors)) {
        for (vector, inputs) in x.chunks(LANES).enumerate() {
            for (input, values) in inputs.iter().enumerate() {
                for lane in 0..LANES {
                    rows[lane * vectors + vector].0[input] = values.0[lane];
                }
            }
        }
    }
}

impl Operator for Product {
    /// The more samples share a pass over the weights, the better.
    fn takes_whole_batch(&self) -> bool {
        true
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let Linear { in_features, out_features } = self.layer;
        let (values, bias) = parameters.split_at(in_features * out_features);
        let weights =
            Weights { values, rows: out_features, depth: in_features, row_step: in_features, depth_step: 1 };
        dispatch!(pass.level, simd => multiply(simd, &weights, bias, x, y));
    }

    fn backward(
        &mut self,
        pass: Pass,
        parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        gradient: &mut [f32],
    ) {
        let Linear { in_features, out_features } = self.layer;
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(in_features * out_features);
        let rows = &mut self.rows[..x.len() / in_features * LANES * in_features.div_ceil(LANES)];
        let layer = self.layer;
        turn(x, in_features, rows);
        dispatch!(pass.level, simd => multiply_weights(simd, layer, rows, dy, weight_gradient));
        for (output, gradient) in bias_gradient.iter_mut().enumerate() {
            *gradient = dy.iter().skip(output).step_by(out_features).flat_map(|lanes| lanes.0).sum();
        }
        if let Some(dx) = dx {
            let values = &parameters[..in_features * out_features];
            let weights = Weights {
                values,
                rows: in_features,
                depth: out_features,
                row_step: 1,
                depth_step: in_features,
            };
            dispatch!(pass.level, simd => multiply(simd, &weights, &[], dy, dx));
        }
    }
}
