//! Fully connected layer: `y[o] = b[o] + sum over i of w[o, i] * x[i]`.
//!
//! In the layout of the engine a batch is already what a matrix product packs its operands into, panels of
//! eight columns, so the three products of a linear layer need no packing:
//!
//! - forward, `Y = W X`: [`multiply`], vectors along the samples;
//! - input gradient, `dX = W' dY`: [`multiply_turned`], vectors along the inputs, as weights lie in memory; sums are turned
//!   when they are whole;
//! - weight gradient, `dW = dY X'`: [`multiply_weights`], vectors along the inputs, for which a few inputs of the batch at a
//!   time are turned into rows `(sample, input)`; its sums are whole, with no lanes to add up.
//!
//! Weights and gradients of wide layers lie beyond the nearer caches: of what a tile will read or write, a number of each vector
//! is read before, for no other use.

use std::{hint::black_box, ops::Range};

use fearless_simd::{Select, Simd, SimdBase, SimdFloat, SimdMask, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{Buffer, LANES, Lanes, TILE, Vector, kernel, piece, transpose, with_const, zeros},
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

/// `y (block, output) = bias (output) + sum over the inputs of weight (output, input) * x (block, input)`
#[inline(always)]
fn multiply<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    for y in y.chunks_exact_mut(layer.out_features) {
        for (y, bias) in y.iter_mut().zip(bias) {
            *y = Lanes([*bias; LANES]);
        }
    }
    let blocks = y.len() / layer.out_features;
    let steps = layer.in_features.div_ceil(DEPTH);
    for step in 0..steps {
        let inputs = piece(layer.in_features, steps, step);
        let tiles = blocks.div_ceil(if V::WIDE { 7 } else { TILE });
        for tile in 0..tiles {
            let (block, count) = piece(blocks, tiles, tile);
            if V::WIDE {
                with_const!(B = count, [1 2 3 4 5 6] else 7 => {
                    const R: usize = tile_rows(29, B);
                    multiply_panels::<S, V, R, B>(simd, layer, weight, x, y, inputs, block);
                });
            } else {
                with_const!(B = count => {
                    const R: usize = tile_rows(15, B);
                    multiply_panels::<S, V, R, B>(simd, layer, weight, x, y, inputs, block);
                });
            }
        }
    }
}

/// Vectors of outputs in a tile of so many blocks: their sums, and a weight for each, are in `registers`. Of 16 one is the
/// value's; of 32 two more are for weights that are blended of two outputs.
const fn tile_rows(registers: usize, blocks: usize) -> usize {
    let rows = registers / (blocks + 1);
    if rows < TILE { rows } else { TILE }
}

#[inline(always)]
fn multiply_panels<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    inputs: (usize, usize),
    block: usize,
) {
    let vectors = layer.out_features / V::ELEMENTS;
    let whole = vectors / R * R;
    for vector in (0..whole).step_by(R) {
        let at = (vector * V::ELEMENTS, block);
        multiply_tile::<S, V, R, B>(simd, layer, weight, x, y, inputs, at);
    }
    for vector in whole..vectors {
        let at = (vector * V::ELEMENTS, block);
        multiply_tile::<S, V, 1, B>(simd, layer, weight, x, y, inputs, at);
    }
    let rest = vectors * V::ELEMENTS;
    if V::WIDE && rest < layer.out_features {
        multiply_tile::<S, f32x8<S>, 1, B>(simd, layer, weight, x, y, inputs, (rest, block));
    }
}

/// Adds the products of some inputs, (first, count), to `R` vectors of neighbouring outputs of `B` blocks.
#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    Linear { in_features, out_features }: Linear,
    weight: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, count): (usize, usize),
    (output, block): (usize, usize),
) {
    let mut panels = [&x[..0]; B];
    for b in 0..B {
        panels[b] = &x[(block + b) * in_features + first..][..count];
    }
    let mut rows = [[&weight[..0]; 2]; R];
    for r in 0..R {
        for i in 0..V::ELEMENTS {
            rows[r][i] = &weight[(output + r * V::ELEMENTS + i) * in_features + first..][..count];
        }
    }
    let place = |r: usize, b: usize| (block + b) * out_features + output + r * V::ELEMENTS;
    // The lanes of the second output. What the compiler knows of them it would turn into three shuffles a step.
    let second = V::Mask::from_bitmask(simd, black_box(0xff00));
    let mut sums = [[V::splat(simd, 0.0); B]; R];
    for r in 0..R {
        for b in 0..B {
            sums[r][b] = V::load(simd, &y[place(r, b)..]);
        }
    }
    for i in 0..count {
        let mut broadcast = [V::splat(simd, 0.0); R];
        for r in 0..R {
            broadcast[r] = V::splat(simd, rows[r][0][i]);
            if V::WIDE {
                broadcast[r] = second.select(V::splat(simd, rows[r][1][i]), broadcast[r]);
            }
        }
        for b in 0..B {
            let value = panels[b][i].load(simd);
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

/// `dx (block, input) = sum over the outputs of dy (block, output) * weight (output, input)`, for each lane.
///
/// Vectors are of neighbouring inputs, as they lie in `weight`, and turned when their sums are whole; a part of each row of
/// weights stays in the first-level cache while the blocks go by.
#[inline(always)]
fn multiply_turned<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let Linear { in_features, out_features } = layer;
    let vectors = in_features / V::LEN;
    // Eight sums for each vector: as many as the registers hold.
    let tiles = vectors.div_ceil(if V::WIDE { 3 } else { 1 });
    for tile in 0..tiles {
        let (vector, count) = piece(vectors, tiles, tile);
        let first = vector * V::LEN;
        let blocks = dy.chunks_exact(out_features).zip(dx.chunks_exact_mut(in_features));
        for (block, (dy, dx)) in blocks.enumerate() {
            // With each block one vector more of the next tile is near.
            let at = (first, first + (count + block.min(count)) * V::LEN);
            if V::WIDE {
                with_const!(C = count, [1 2] else 3 => turned_tile::<S, V, C>(simd, weight, dy, dx, at));
            } else {
                turned_tile::<S, V, 1>(simd, weight, dy, dx, at);
            }
        }
    }
    for (dy, dx) in dy.chunks_exact(out_features).zip(dx.chunks_exact_mut(in_features)) {
        for input in vectors * V::LEN..in_features {
            let mut sum = f32x8::splat(simd, 0.0);
            for (dy, row) in dy.iter().zip(weight.chunks_exact(in_features)) {
                sum = dy.load(simd).mul_add(f32x8::splat(simd, row[input]), sum);
            }
            dx[input].store(sum);
        }
    }
}

/// `C` vectors of inputs of a block, from `first` on; of each row of weights the number at `next` is read for later.
#[inline(always)]
fn turned_tile<S: Simd, V: Vector<S>, const C: usize>(
    simd: S,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
    (first, next): (usize, usize),
) {
    let mut sums = [[V::splat(simd, 0.0); LANES]; C];
    for (dy, row) in dy.iter().zip(weight.chunks_exact(dx.len())) {
        black_box(row.get(next).copied());
        let row = &row[first..][..C * V::LEN];
        let mut values = [V::splat(simd, 0.0); C];
        for c in 0..C {
            values[c] = V::from_slice(simd, &row[c * V::LEN..][..V::LEN]);
        }
        for lane in 0..LANES {
            let factor = V::splat(simd, dy.0[lane]);
            for c in 0..C {
                sums[c][lane] = factor.mul_add(values[c], sums[c][lane]);
            }
        }
    }
    for c in 0..C {
        for i in 0..V::ELEMENTS {
            let mut square = [f32x8::splat(simd, 0.0); LANES];
            for lane in 0..LANES {
                square[lane] = sums[c][lane].element(i);
            }
            let input = first + c * V::LEN + i * LANES;
            for (dx, value) in dx[input..][..LANES].iter_mut().zip(transpose(square)) {
                dx.store(value);
            }
        }
    }
}

/// Vectors of eight inputs that [`multiply_weights`] does at a time at most.
const PANEL: usize = 2 * TILE;

/// `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)`, `dy` and `x` in blocks; `rows`
/// is for a panel of `x`.
#[inline(always)]
fn multiply_weights<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    x: &[Lanes],
    dy: &[Lanes],
    rows: &mut [Lanes],
    gradient: &mut [f32],
) {
    let Linear { in_features, out_features } = layer;
    let vectors = in_features / V::LEN;
    let tiles = vectors.div_ceil(TILE);
    // Twice the registers hold twice the tile.
    let most_outputs = if V::WIDE { 4 } else { 2 };
    for tile in 0..tiles {
        let (vector, count) = piece(vectors, tiles, tile);
        let first = vector * V::LEN;
        turn(simd, x, in_features, first..first + count * V::LEN, rows);
        for output in (0..out_features).step_by(most_outputs) {
            let at = (output, first);
            let outputs = most_outputs.min(out_features - output);
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
    for (output, row) in gradient.chunks_exact_mut(in_features).enumerate() {
        for (input, gradient) in row.iter_mut().enumerate().skip(vectors * V::LEN) {
            let mut sums = f32x8::splat(simd, 0.0);
            for (x, dy) in x.chunks_exact(in_features).zip(dy.chunks_exact(out_features)) {
                sums = dy[output].load(simd).mul_add(x[input].load(simd), sums);
            }
            *gradient = sums.reduce_sum();
        }
    }
}

/// `C` vectors of inputs of `R` outputs.
#[inline(always)]
fn weights_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    Linear { in_features, out_features }: Linear,
    rows: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [f32],
    (output, first): (usize, usize),
) {
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    let mut vector = 0;
    for (dy, rows) in dy.chunks_exact(out_features).zip(rows.chunks_exact(LANES * PANEL)) {
        let dy = &dy[output..output + R];
        for (lane, row) in rows.chunks_exact(PANEL).enumerate() {
            // Stores that miss the caches wait for one another, so where they go is read before, a vector at a step.
            if vector < R * C {
                black_box(gradient[(output + vector / C) * in_features + first + vector % C * V::LEN]);
                vector += 1;
            }
            let row = &row[..C * V::ELEMENTS];
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
        let row = &mut gradient[(output + r) * in_features + first..][..C * V::LEN];
        for c in 0..C {
            sums[r][c].store_slice(&mut row[c * V::LEN..][..V::LEN]);
        }
    }
}

/// Turns some inputs of `x` (block, input) into `rows` (sample, vector of eight inputs).
#[inline(always)]
fn turn<S: Simd>(simd: S, x: &[Lanes], in_features: usize, inputs: Range<usize>, rows: &mut [Lanes]) {
    for (x, rows) in x.chunks_exact(in_features).zip(rows.chunks_exact_mut(LANES * PANEL)) {
        for (vector, inputs) in x[inputs.clone()].as_chunks::<LANES>().0.iter().enumerate() {
            let mut square = [f32x8::splat(simd, 0.0); LANES];
            for lane in 0..LANES {
                square[lane] = inputs[lane].load(simd);
            }
            for (row, value) in rows.chunks_exact_mut(PANEL).zip(transpose(square)) {
                row[vector].store(value);
            }
        }
    }
}

/// [`Linear`] at work on one thread.
pub(super) struct Product {
    layer: Linear,
    /// A panel of the batch by rows: (sample, vector of eight inputs).
    rows: Buffer,
}

impl Product {
    /// For batches of at most `blocks`.
    pub fn new(layer: Linear, blocks: usize) -> Self {
        Self { layer, rows: zeros(blocks * LANES * PANEL) }
    }
}

impl Operator for Product {
    /// The more samples share a pass over the weights, the better.
    fn takes_whole_batch(&self) -> bool {
        true
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let layer = self.layer;
        let (weight, bias) = parameters.split_at(layer.in_features * layer.out_features);
        kernel!(pass.level, multiply(layer, weight, bias, x, y));
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
        let (layer, rows) = (self.layer, &mut self.rows);
        let weights = layer.in_features * layer.out_features;
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weights);
        kernel!(pass.level, multiply_weights(layer, x, dy, rows, weight_gradient));
        for (output, gradient) in bias_gradient.iter_mut().enumerate() {
            *gradient = dy.iter().skip(output).step_by(layer.out_features).flat_map(|lanes| lanes.0).sum();
        }
        if let Some(dx) = dx {
            kernel!(pass.level, multiply_turned(layer, &parameters[..weights], dy, dx));
        }
    }
}
