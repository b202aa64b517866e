//! Fully connected layer: `y[o] = b[o] + sum over i of w[o, i] * x[i]`.
//!
//! In the layout of the engine a batch is already what a matrix product packs its operands into, panels of
//! eight columns, so the three products of a linear layer need no packing:
//!
//! - forward, `Y = W X`, and input gradient, `dX = W' dY`: [`multiply`], vectors along the samples;
//! - weight gradient, `dW = dY X'`: [`multiply_weights`], vectors along the inputs, for which the batch is turned
//!   once into rows `(sample, input)`; its sums are whole, with no lanes to add up.

use std::hint::black_box;

use fearless_simd::{Select, Simd, SimdBase, SimdMask, dispatch, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{Buffer, LANES, Lanes, TILE, Vector, kernel, piece, with_const, zeros},
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
fn multiply<S: Simd, V: Vector<S>>(
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
        multiply_part::<S, V>(simd, &part, size, x, y);
    }
}

/// `y (block, row) = sum over depth of weights (depth, row) * x (block, depth)`; `size` is (rows, depth).
///
/// Neighbouring depths are a whole row of `weights` apart, often on another page, so a part of it is first copied
/// together.
#[inline(always)]
fn multiply_turned<S: Simd, V: Vector<S>>(
    simd: S,
    weights: &[f32],
    size: (usize, usize),
    x: &[Lanes],
    y: &mut [Lanes],
) {
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
            multiply_part::<S, V>(simd, &part, size, x, y);
        }
    }
}

#[inline(always)]
fn multiply_part<S: Simd, V: Vector<S>>(
    simd: S,
    part: &Part,
    size: (usize, usize),
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let blocks = y.len() / size.0;
    let tiles = blocks.div_ceil(if V::WIDE { 7 } else { TILE });
    for tile in 0..tiles {
        let (block, count) = piece(blocks, tiles, tile);
        // As many sums as the registers hold beside their operands.
        if V::WIDE {
            match count {
                1 => multiply_panels::<S, V, 6, 1>(simd, part, size, block, x, y),
                2 => multiply_panels::<S, V, 6, 2>(simd, part, size, block, x, y),
                3 => multiply_panels::<S, V, 6, 3>(simd, part, size, block, x, y),
                4 => multiply_panels::<S, V, 5, 4>(simd, part, size, block, x, y),
                5 => multiply_panels::<S, V, 4, 5>(simd, part, size, block, x, y),
                6 => multiply_panels::<S, V, 4, 6>(simd, part, size, block, x, y),
                _ => multiply_panels::<S, V, 3, 7>(simd, part, size, block, x, y),
            }
        } else {
            match count {
                1 => multiply_panels::<S, V, 6, 1>(simd, part, size, block, x, y),
                2 => multiply_panels::<S, V, 4, 2>(simd, part, size, block, x, y),
                3 => multiply_panels::<S, V, 3, 3>(simd, part, size, block, x, y),
                4 => multiply_panels::<S, V, 3, 4>(simd, part, size, block, x, y),
                5 => multiply_panels::<S, V, 2, 5>(simd, part, size, block, x, y),
                _ => multiply_panels::<S, V, 2, 6>(simd, part, size, block, x, y),
            }
        }
    }
}

#[inline(always)]
fn multiply_panels<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    part: &Part,
    size: (usize, usize),
    block: usize,
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let vectors = part.rows.1 / V::ELEMENTS;
    let whole = vectors / R * R;
    for vector in (0..whole).step_by(R) {
        multiply_tile::<S, V, R, B>(simd, part, size, (vector * V::ELEMENTS, block), x, y);
    }
    for vector in whole..vectors {
        multiply_tile::<S, V, 1, B>(simd, part, size, (vector * V::ELEMENTS, block), x, y);
    }
    let rest = vectors * V::ELEMENTS;
    if V::WIDE && rest < part.rows.1 {
        multiply_tile::<S, f32x8<S>, 1, B>(simd, part, size, (rest, block), x, y);
    }
}

/// Adds to `R` vectors of neighbouring rows, from `row` of the part on, of `B` blocks.
#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
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
    let mut starts = [[&weights[..0]; 2]; R];
    for r in 0..R {
        for i in 0..V::ELEMENTS {
            starts[r][i] = &weights[(row + r * V::ELEMENTS + i) * row_step..];
        }
    }
    let place = |r: usize, b: usize| (block + b) * rows + part.rows.0 + row + r * V::ELEMENTS;
    // The lanes of the second row. What the compiler knows of them it would turn into three shuffles a step.
    let second = V::Mask::from_bitmask(simd, black_box(0xff00));
    let mut sums = [[V::splat(simd, 0.0); B]; R];
    for r in 0..R {
        for b in 0..B {
            sums[r][b] = V::load(simd, &y[place(r, b)..]);
        }
    }
    for step in 0..count {
        let mut broadcast = [V::splat(simd, 0.0); R];
        for r in 0..R {
            let at = step * depth_step;
            broadcast[r] = V::splat(simd, starts[r][0][at]);
            if V::WIDE {
                broadcast[r] = second.select(V::splat(simd, starts[r][1][at]), broadcast[r]);
            }
        }
        for b in 0..B {
            let value = panels[b][step].load(simd);
            let value = V::from_elements(
                #[inline(always)]
                |_| value,
            );
            for r in 0..R {
                sums[r][b] = broadcast[r].mul_add(value, sums[r][b]);
            }
        }
    }
    for r in 0..R {
        for b in 0..B {
            sums[r][b].store(&mut y[place(r, b)..]);
        }
    }
}

/// Tiles of [`multiply_weights`] done side by side.
const GROUP: usize = 2;

/// `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)`, `dy` in blocks,
/// `rows` as [`turn`] makes them.
#[inline(always)]
fn multiply_weights<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    rows: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [f32],
) {
    let vectors = layer.in_features.div_ceil(LANES * V::ELEMENTS);
    let tiles = vectors.div_ceil(TILE);
    // Twice the registers hold twice the tile.
    let most_outputs = if V::WIDE { 4 } else { 2 };
    // A few tiles side by side: their inputs still fit the first-level cache, and the gradient is written in longer
    // pieces.
    for group in (0..tiles).step_by(GROUP) {
        for output in (0..layer.out_features).step_by(most_outputs) {
            for tile in group..tiles.min(group + GROUP) {
                let (vector, count) = piece(vectors, tiles, tile);
                let at = (output, vector * V::ELEMENTS);
                let outputs = most_outputs.min(layer.out_features - output);
                with_const!(C = count => if V::WIDE {
                    with_const!(R = outputs, [1 2 3] else 4 => {
                        weights_tile::<S, V, R, C>(simd, layer, rows, dy, gradient, at)
                    })
                } else {
                    with_const!(R = outputs, [1] else 2 => {
                        weights_tile::<S, V, R, C>(simd, layer, rows, dy, gradient, at)
                    })
                });
            }
        }
    }
}

#[inline(always)]
fn weights_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    Linear { in_features, out_features }: Linear,
    rows: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [f32],
    (output, first): (usize, usize),
) {
    let pitch = pitch(in_features);
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    for (dy, rows) in dy.chunks_exact(out_features).zip(rows.chunks_exact(LANES * pitch)) {
        let dy = &dy[output..output + R];
        for (lane, row) in rows.chunks_exact(pitch).enumerate() {
            let row = &row[first..][..C * V::ELEMENTS];
            let mut broadcast = [V::splat(simd, 0.0); R];
            for r in 0..R {
                broadcast[r] = V::splat(simd, dy[r].0[lane]);
            }
            for c in 0..C {
                let value = V::load(simd, &row[c * V::ELEMENTS..]);
                for r in 0..R {
                    sums[r][c] = broadcast[r].mul_add(value, sums[r][c]);
                }
            }
        }
    }
    for r in 0..R {
        let row = &mut gradient[(output + r) * in_features..][..in_features];
        for c in 0..C {
            // A copy, for what is referred to doesn't stay in registers.
            let sum = sums[r][c];
            let inputs = &mut row[(first + c * V::ELEMENTS) * LANES..];
            if let Some(inputs) = inputs.get_mut(..V::LEN) {
                sum.store_slice(inputs);
            } else {
                inputs.copy_from_slice(&sum.as_slice()[..inputs.len()]);
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
    rows: Buffer,
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
        kernel!(pass.level, multiply(values, size, bias, x, y));
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
        dispatch!(pass.level, simd => turn(simd, x, in_features, rows));
        kernel!(pass.level, multiply_weights(layer, rows, dy, weight_gradient));
        for (output, gradient) in bias_gradient.iter_mut().enumerate() {
            *gradient = dy.iter().skip(output).step_by(out_features).flat_map(|lanes| lanes.0).sum();
        }
        if let Some(dx) = dx {
            let values = &parameters[..in_features * out_features];
            let size = (in_features, out_features);
            kernel!(pass.level, multiply_turned(values, size, dy, dx));
        }
    }
}
