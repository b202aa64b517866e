//! Fully connected layer: `y[o] = b[o] + sum over i of w[o, i] * x[i]`.
//!
//! In the layout of the engine a batch is already what a matrix product packs its operands into, panels of
//! eight columns, so the three products of a linear layer need no packing:
//!
//! - forward, `Y = W X`, and input gradient, `dX = W' dY`: [`multiply`], vectors along the samples;
//! - weight gradient, `dW = dY X'`: [`multiply_weights`], vectors along the inputs, for which the batch is turned
//!   once into rows `(sample, input)`; its sums are whole, with no lanes to add up.

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

/// Inner steps and rows done at a time by [`multiply_turned`]: as many weights, and few cache lines of each row.
const TURNED_DEPTH: usize = 32;
const TURNED_ROWS: usize = 96;

/// A part of a matrix of weights.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// From the part's first row and depth on.
    weights: &'a [f32],
    row_step: usize,
    depth_step: usize,
    /// First row and number of rows.
    rows: (usize, usize),
    /// First depth and number of depths.
    depths: (usize, usize),
}

/// `y (block, row) = bias (row) + sum over depth of weights (row, depth) * x (block, depth)`; `size` is of `weights`.
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    weights: &[f32],
    size: (usize, usize),
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let (rows, depth) = size;
    for y in y.chunks_exact_mut(rows) {
        for (y, bias) in y.iter_mut().zip(bias) {
            *y = Lanes([*bias; LANES]);
        }
    }
    let steps = depth.div_ceil(DEPTH);
    for step in 0..steps {
        let depths = piece(depth, steps, step);
        let weights = &weights[depths.0..];
        let part = Part { weights, row_step: depth, depth_step: 1, rows: (0, rows), depths };
        multiply_part(simd, &part, size, x, y);
    }
}

/// `y (block, row) = sum over depth of weights (depth, row) * x (block, depth)`; `size` is (rows, depth).
///
/// Neighbouring depths are a whole row of `weights` apart, often on another page, so a part of it is first copied
/// together.
#[inline(always)]
fn multiply_turned<S: Simd>(simd: S, weights: &[f32], size: (usize, usize), x: &[Lanes], y: &mut [Lanes]) {
    let (rows, depth) = size;
    let mut near = [[0.0; TURNED_ROWS]; TURNED_DEPTH];
    for first in (0..rows).step_by(TURNED_ROWS) {
        let count = TURNED_ROWS.min(rows - first);
        for y in y.chunks_exact_mut(rows) {
            y[first..first + count].fill(Lanes::default());
        }
        let steps = depth.div_ceil(TURNED_DEPTH);
        for step in 0..steps {
            let depths = piece(depth, steps, step);
            for (d, near) in near.iter_mut().take(depths.1).enumerate() {
                let far = &weights[(depths.0 + d) * rows + first..];
                match far.first_chunk() {
                    // Past the rows' end this copies what nobody reads.
                    Some(far) => *near = *far,
                    None => near[..count].copy_from_slice(&far[..count]),
                }
            }
            let weights = near.as_flattened();
            let part = Part { weights, row_step: 1, depth_step: TURNED_ROWS, rows: (first, count), depths };
            multiply_part(simd, &part, size, x, y);
        }
    }
}

#[inline(always)]
fn multiply_part<S: Simd>(simd: S, part: &Part, size: (usize, usize), x: &[Lanes], y: &mut [Lanes]) {
    let blocks = y.len() / size.0;
    let tiles = blocks.div_ceil(TILE);
    for tile in 0..tiles {
        let (block, count) = piece(blocks, tiles, tile);
        match count {
            1 => multiply_panels::<S, 6, 1>(simd, part, size, block, x, y),
            2 => multiply_panels::<S, 4, 2>(simd, part, size, block, x, y),
            3 => multiply_panels::<S, 3, 3>(simd, part, size, block, x, y),
            4 => multiply_panels::<S, 3, 4>(simd, part, size, block, x, y),
            5 => multiply_panels::<S, 2, 5>(simd, part, size, block, x, y),
            _ => multiply_panels::<S, 2, 6>(simd, part, size, block, x, y),
        }
    }
}

#[inline(always)]
fn multiply_panels<S: Simd, const R: usize, const B: usize>(
    simd: S,
    part: &Part,
    size: (usize, usize),
    block: usize,
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let whole = part.rows.1 / R * R;
    for row in (0..whole).step_by(R) {
        multiply_tile::<S, R, B>(simd, part, size, (row, block), x, y);
    }
    for row in whole..part.rows.1 {
        multiply_tile::<S, 1, B>(simd, part, size, (row, block), x, y);
    }
}

/// Adds to `R` rows, from `row` of the part on, of `B` blocks.
#[inline(always)]
fn multiply_tile<S: Simd, const R: usize, const B: usize>(
    simd: S,
    part: &Part,
    (rows, depth): (usize, usize),
    (row, block): (usize, usize),
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Part { weights, row_step, depth_step, .. } = *part;
    let (first, count) = part.depths;
    let mut panels = [&x[..0]; B];
    for b in 0..B {
        panels[b] = &x[(block + b) * depth + first..][..count];
    }
    let mut starts = [&weights[..0]; R];
    for r in 0..R {
        starts[r] = &weights[(row + r) * row_step..];
    }
    let place = |r: usize, b: usize| (block + b) * rows + part.rows.0 + row + r;
    let mut sums = [[f32x8::splat(simd, 0.0); B]; R];
    for r in 0..R {
        for b in 0..B {
            sums[r][b] = y[place(r, b)].load(simd);
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
            y[place(r, b)].store(sums[r][b]);
        }
    }
}

/// Tiles of [`multiply_weights`] done side by side.
const GROUP: usize = 2;

/// `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)`, `dy` in blocks,
/// `rows` as [`turn`] makes them.
#[inline(always)]
fn multiply_weights<S: Simd>(simd: S, layer: Linear, rows: &[Lanes], dy: &[Lanes], gradient: &mut [f32]) {
    let vectors = layer.in_features.div_ceil(LANES);
    let tiles = vectors.div_ceil(TILE);
    // A few tiles side by side: their inputs still fit the first-level cache, and the gradient is written in longer
    // pieces.
    for group in (0..tiles).step_by(GROUP) {
        for output in (0..layer.out_features).step_by(2) {
            for tile in group..tiles.min(group + GROUP) {
                let (vector, count) = piece(vectors, tiles, tile);
                let at = (output, vector);
                if output + 1 < layer.out_features {
                    with_const!(V = count => weights_tile::<S, 2, V>(simd, layer, rows, dy, gradient, at));
                } else {
                    with_const!(V = count => weights_tile::<S, 1, V>(simd, layer, rows, dy, gradient, at));
                }
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
    let pitch = pitch(in_features);
    let mut sums = [[f32x8::splat(simd, 0.0); V]; R];
    for (dy, rows) in dy.chunks_exact(out_features).zip(rows.chunks_exact(LANES * pitch)) {
        let dy = &dy[output..output + R];
        for (lane, row) in rows.chunks_exact(pitch).enumerate() {
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
            let inputs = &mut row[(vector + v) * LANES..];
            if let Some(inputs) = inputs.first_chunk_mut() {
                sums[r][v].store_array(inputs);
            } else {
                let mut last = Lanes::default();
                last.store(sums[r][v]);
                inputs.copy_from_slice(&last.0[..inputs.len()]);
            }
        }
    }
}

/// Vectors from one row of the turned batch to the next: enough for the inputs, and an odd number of cache lines, for
/// otherwise many rows would share few sets of the first-level cache.
fn pitch(in_features: usize) -> usize {
    in_features.div_ceil(LANES).next_multiple_of(4) + 2
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
        Self { layer, rows: zeros(blocks * LANES * pitch(layer.in_features)) }
    }
}

/// Turns `x` (block, input) into rows (sample, vector of eight inputs), zeros after the last input.
#[inline(always)]
fn turn<S: Simd>(simd: S, x: &[Lanes], in_features: usize, rows: &mut [Lanes]) {
    let pitch = pitch(in_features);
    for (x, rows) in x.chunks_exact(in_features).zip(rows.chunks_exact_mut(LANES * pitch)) {
        for (vector, inputs) in x.chunks(LANES).enumerate() {
            let mut square = [f32x8::splat(simd, 0.0); LANES];
            for (row, input) in square.iter_mut().zip(inputs) {
                *row = input.load(simd);
            }
            // Interleaving the first half of the rows with the second, three times, exchanges rows and columns.
            for _ in 0..3 {
                let [a, b, c, d, e, f, g, h] = square;
                let [(a, b), (c, d), (e, f), (g, h)] =
                    [a.interleave(e), b.interleave(f), c.interleave(g), d.interleave(h)];
                square = [a, b, c, d, e, f, g, h];
            }
            for lane in 0..LANES {
                rows[lane * pitch + vector].store(square[lane]);
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
        let size = (out_features, in_features);
        dispatch!(pass.level, simd => multiply(simd, values, size, bias, x, y));
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
        let rows = &mut self.rows[..x.len() / in_features * LANES * pitch(in_features)];
        let layer = self.layer;
        dispatch!(pass.level, simd => {
            turn(simd, x, in_features, rows);
            multiply_weights(simd, layer, rows, dy, weight_gradient);
        });
        for (output, gradient) in bias_gradient.iter_mut().enumerate() {
            *gradient = dy.iter().skip(output).step_by(out_features).flat_map(|lanes| lanes.0).sum();
        }
        if let Some(dx) = dx {
            let values = &parameters[..in_features * out_features];
            let size = (in_features, out_features);
            dispatch!(pass.level, simd => multiply_turned(simd, values, size, dy, dx));
        }
    }
}
