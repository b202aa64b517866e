//! Fully connected layer: `y[o] = b[o] + sum over i of w[o, i] * x[i]`.
//!
//! In the layout of the engine a batch is almost what a matrix product packs its operands into, panels of eight columns, so
//! the three products of a linear layer pack little:
//!
//! - forward, `Y = W X`: [`multiply`], vectors along the samples; for some inputs at a time those of a few blocks are laid side
//!   by side, so that a step of the loop counts in one place;
//! - input gradient, `dX = W' dY`: [`multiply_turned`], vectors along the inputs, as weights lie in memory; sums are turned
//!   when they are whole;
//! - weight gradient, `dW = dY X'`: [`multiply_weights`], vectors along the inputs, for which a few inputs of the batch at a
//!   time are turned into rows `(sample, input)`; its sums are whole, with no lanes to add up.
//!
//! Weights and gradients of wide layers lie beyond the nearer caches: what a tile will read or write is asked for a tile or
//! some steps before. In training on several threads a layer with far more outputs than the batch has samples is [`Split`]: each
//! thread has a [`Slice`] of its outputs, for the whole batch, so that its weights stay in that thread's cache and no gradients
//! are added up.

use std::{hint::black_box, ops::Range};

use fearless_simd::{Level, Select, Simd, SimdBase, SimdFloat, SimdMask, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{Buffer, LANES, Lanes, TILE, Vector, kernel, piece, transpose, with_const, zeros},
    layer::{Operator, Pass},
    prefetch::prefetch,
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

    /// Weights from which on a layer may be split: half a megabyte, a good part of a core's own cache.
    const WIDE: usize = 1 << 17;

    /// Whether it pays to split the outputs between threads, which must then wait for each other: each reads the inputs of
    /// all `samples` then, but only its part of the weights.
    pub(super) fn is_wide(self, samples: usize) -> bool {
        self.weights() >= Self::WIDE && self.out_features >= 2 * samples
    }

    fn weights(self) -> usize {
        self.in_features * self.out_features
    }
}

/// Inputs done at a time: as many vectors of a few blocks stay in the first-level cache.
const DEPTH: usize = 128;
/// Numbers in a cache line.
const LINE: usize = 16;
/// Blocks done at a time at most.
const BLOCKS: usize = 7;

/// `y (block, output) = bias (output) + sum over the inputs of weight (output, input) * x (block, input)`
#[inline(always)]
fn multiply<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    panel: &mut [Lanes],
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
        let (first, depth) = piece(layer.in_features, steps, step);
        let tiles = blocks.div_ceil(if V::WIDE { BLOCKS } else { TILE });
        for tile in 0..tiles {
            let (block, count) = piece(blocks, tiles, tile);
            let panel = &mut panel[..depth * count];
            let x = x[block * layer.in_features..].chunks_exact(layer.in_features).take(count);
            for (b, x) in x.enumerate() {
                for (to, x) in panel[b..].iter_mut().step_by(count).zip(&x[first..][..depth]) {
                    *to = *x;
                }
            }
            if V::WIDE {
                with_const!(B = count, [1 2 3 4 5 6] else BLOCKS => {
                    const R: usize = tile_rows(29, B);
                    multiply_panel::<S, V, R, B>(simd, layer, weight, panel, y, first, block);
                });
            } else {
                with_const!(B = count => {
                    const R: usize = tile_rows(15, B);
                    multiply_panel::<S, V, R, B>(simd, layer, weight, panel, y, first, block);
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
fn multiply_panel<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    panel: &[Lanes],
    y: &mut [Lanes],
    first: usize,
    block: usize,
) {
    let (panel, _) = panel.as_chunks::<B>();
    let vectors = layer.out_features / V::ELEMENTS;
    let whole = vectors / R * R;
    for vector in (0..whole).step_by(R) {
        let at = (vector * V::ELEMENTS, block);
        multiply_tile::<S, V, R, B>(simd, layer, weight, panel, y, first, at);
    }
    for vector in whole..vectors {
        let at = (vector * V::ELEMENTS, block);
        multiply_tile::<S, V, 1, B>(simd, layer, weight, panel, y, first, at);
    }
    let rest = vectors * V::ELEMENTS;
    if V::WIDE && rest < layer.out_features {
        multiply_tile::<S, f32x8<S>, 1, B>(simd, layer, weight, panel, y, first, (rest, block));
    }
}

/// Adds the products of the inputs in `panel` (input, block of the tile), from `first` on, to `R` vectors of neighbouring
/// outputs of `B` blocks.
#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    Linear { in_features, out_features }: Linear,
    weight: &[f32],
    panel: &[[Lanes; B]],
    y: &mut [Lanes],
    first: usize,
    (output, block): (usize, usize),
) {
    let mut rows = [[&weight[..0]; 2]; R];
    for r in 0..R {
        for i in 0..V::ELEMENTS {
            // Where the compiler knows that the rows are evenly apart it adds that up in each step, one row after the other.
            let start = black_box((output + r * V::ELEMENTS + i) * in_features + first);
            rows[r][i] = &weight[start..][..panel.len()];
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
    for i in 0..panel.len() {
        // Of the next tile a row's line at a step, as far as there are steps.
        let (row, line) = (i % (R * V::ELEMENTS), i / (R * V::ELEMENTS) * LINE);
        if line < panel.len() {
            prefetch(weight, (output + R * V::ELEMENTS + row) * in_features + first + line);
        }
        let mut broadcast = [V::splat(simd, 0.0); R];
        for r in 0..R {
            broadcast[r] = V::splat(simd, rows[r][0][i]);
            if V::WIDE {
                broadcast[r] = second.select(V::splat(simd, rows[r][1][i]), broadcast[r]);
            }
        }
        for b in 0..B {
            let value = panel[i][b].load(simd);
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
    let mut rest = vectors * V::LEN;
    if V::WIDE && rest + LANES <= in_features {
        for (dy, dx) in dy.chunks_exact(out_features).zip(dx.chunks_exact_mut(in_features)) {
            turned_tile::<S, f32x8<S>, 1>(simd, weight, dy, dx, (rest, rest));
        }
        rest += LANES;
    }
    for (dy, dx) in dy.chunks_exact(out_features).zip(dx.chunks_exact_mut(in_features)) {
        for input in rest..in_features {
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
        prefetch(row, next);
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

/// The inputs of a batch in several parts, one after the other: (block, input).
type Parts<'a> = &'a dyn Fn(usize) -> Option<&'a [Lanes]>;

/// `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)`, `dy` and `x` in blocks; `rows`
/// is for a panel of `x`.
#[inline(always)]
fn multiply_weights<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    x: Parts,
    dy: &[Lanes],
    rows: &mut [Lanes],
    gradient: &mut [f32],
) {
    let Linear { in_features, out_features } = layer;
    let blocks = || (0..).map_while(x).flat_map(|x| x.chunks_exact(in_features));
    let vectors = in_features / V::LEN;
    let tiles = vectors.div_ceil(TILE);
    // Twice the registers hold twice the tile.
    let most_outputs = if V::WIDE { 4 } else { 2 };
    for tile in 0..tiles {
        let (vector, count) = piece(vectors, tiles, tile);
        let first = vector * V::LEN;
        for (x, rows) in blocks().zip(rows.chunks_exact_mut(LANES * PANEL)) {
            turn(simd, &x[first..][..count * V::LEN], rows);
        }
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
    let mut rest = vectors * V::LEN;
    if V::WIDE && rest + LANES <= in_features {
        for (x, rows) in blocks().zip(rows.chunks_exact_mut(LANES * PANEL)) {
            turn(simd, &x[rest..][..LANES], rows);
        }
        for output in 0..out_features {
            weights_tile::<S, f32x8<S>, 1, 1>(simd, layer, rows, dy, gradient, (output, rest));
        }
        rest += LANES;
    }
    for (output, row) in gradient.chunks_exact_mut(in_features).enumerate() {
        for (input, gradient) in row.iter_mut().enumerate().skip(rest) {
            let mut sums = f32x8::splat(simd, 0.0);
            for (x, dy) in blocks().zip(dy.chunks_exact(out_features)) {
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
            // Stores that miss the caches wait for one another, so where they go is asked for before, a vector at a step.
            if vector < R * C {
                prefetch(gradient, (output + vector / C) * in_features + first + vector % C * V::LEN);
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

/// Turns some inputs of a block into `rows` (sample, vector of eight inputs).
#[inline(always)]
fn turn<S: Simd>(simd: S, x: &[Lanes], rows: &mut [Lanes]) {
    for (vector, inputs) in x.as_chunks::<LANES>().0.iter().enumerate() {
        let mut square = [f32x8::splat(simd, 0.0); LANES];
        for lane in 0..LANES {
            square[lane] = inputs[lane].load(simd);
        }
        for (row, value) in rows.chunks_exact_mut(PANEL).zip(transpose(square)) {
            row[vector].store(value);
        }
    }
}

/// `gradient (output) = sum over the samples of dy (sample, output)`
fn bias_gradient(dy: &[Lanes], gradient: &mut [f32]) {
    let outputs = gradient.len();
    for (output, gradient) in gradient.iter_mut().enumerate() {
        let mut sums = Lanes::default();
        for dy in dy.chunks_exact(outputs) {
            for (sum, value) in sums.0.iter_mut().zip(dy[output].0) {
                *sum += value;
            }
        }
        *gradient = sums.sum();
    }
}

/// [`Linear`] at work on one thread.
pub(super) struct Product {
    layer: Linear,
    /// See [`panel`].
    panel: Buffer,
}

impl Product {
    /// For batches of at most `blocks`.
    pub fn new(layer: Linear, blocks: usize) -> Self {
        Self { layer, panel: panel(blocks) }
    }
}

/// Room for what is laid otherwise of a batch of at most `blocks`: some inputs of a few blocks (input, block), or of all by
/// rows (sample, vector of eight inputs).
fn panel(blocks: usize) -> Buffer {
    zeros((blocks * LANES * PANEL).max(DEPTH * blocks.min(BLOCKS)))
}

impl Operator for Product {
    /// The more samples share a pass over the weights, the better.
    fn takes_whole_batch(&self) -> bool {
        true
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let layer = self.layer;
        let (weight, bias) = parameters.split_at(layer.weights());
        kernel!(pass.level, multiply(layer, weight, bias, x, &mut self.panel, y));
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
        let (layer, rows) = (self.layer, &mut self.panel);
        let (weights, bias) = gradient.split_at_mut(layer.weights());
        let parts = |part| (part == 0).then_some(x);
        kernel!(pass.level, multiply_weights(layer, &parts, dy, rows, weights));
        bias_gradient(dy, bias);
        if let Some(dx) = dx {
            kernel!(pass.level, multiply_turned(layer, &parameters[..layer.weights()], dy, dx));
        }
    }
}

/// What a thread does for its own samples in a layer that is split: everything but the outputs and the gradient of the
/// weights.
pub(super) struct Split(pub Linear);

impl Operator for Split {
    fn split(&self) -> Option<Linear> {
        Some(self.0)
    }

    fn takes_whole_batch(&self) -> bool {
        true
    }

    /// The outputs were collected from all threads.
    fn forward(&mut self, _pass: Pass, _parameters: &[f32], _x: &[Lanes], _y: &mut [Lanes]) {}

    fn backward(
        &mut self,
        pass: Pass,
        parameters: &[f32],
        _x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        gradient: &mut [f32],
    ) {
        let weights = self.0.weights();
        bias_gradient(dy, &mut gradient[weights..]);
        if let Some(dx) = dx {
            kernel!(pass.level, multiply_turned(self.0, &parameters[..weights], dy, dx));
        }
    }
}

/// Some outputs of a layer that is split, for the whole batch, on one thread.
pub(super) struct Slice {
    layer: Linear,
    outputs: Range<usize>,
    /// The outputs or their gradient: (block, output of the slice).
    y: Buffer,
    /// See [`panel`].
    panel: Buffer,
    /// That of the weights: (output of the slice, input).
    gradient: Vec<f32>,
}

impl Slice {
    /// Slice `index` of `count`, for batches of at most `blocks`.
    pub fn new(layer: Linear, (index, count): (usize, usize), blocks: usize) -> Self {
        let (first, len) = piece(layer.out_features, count, index);
        Self {
            layer,
            outputs: first..first + len,
            y: zeros(blocks * len),
            panel: panel(blocks),
            gradient: vec![0.0; len * layer.in_features],
        }
    }

    /// The layer of these outputs alone.
    fn narrow(&self) -> Linear {
        Linear::new(self.layer.in_features, self.outputs.len())
    }

    /// The weights' place among those of the layer.
    pub fn weights(&self) -> Range<usize> {
        let Range { start, end } = self.outputs;
        start * self.layer.in_features..end * self.layer.in_features
    }

    /// The gradient of the [`weights`](Self::weights) that the last step left.
    pub fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// The outputs of all parts of a batch, `x` (block, input), one after the other, with the layer's parameters.
    pub fn forward<'a>(&mut self, level: Level, parameters: &[f32], x: impl Iterator<Item = &'a [Lanes]>) {
        let (narrow, weights, outputs) = (self.narrow(), self.weights(), self.outputs.clone());
        let (weight, bias) = parameters.split_at(self.layer.weights());
        let mut rest = &mut self.y[..];
        for x in x {
            let blocks = x.len() / narrow.in_features;
            let (y, others) = rest.split_at_mut(blocks * narrow.out_features);
            let (weight, bias) = (&weight[weights.clone()], &bias[outputs.clone()]);
            kernel!(level, multiply(narrow, weight, bias, x, &mut self.panel, y));
            rest = others;
        }
    }

    /// Copies the outputs of the blocks from `first_block` on to their places in `y` (block, output of the layer).
    pub fn copy_to(&self, first_block: usize, y: &mut [Lanes]) {
        let blocks = self.y.chunks_exact(self.outputs.len()).skip(first_block);
        for (y, from) in y.chunks_exact_mut(self.layer.out_features).zip(blocks) {
            y[self.outputs.clone()].copy_from_slice(from);
        }
    }

    /// The gradient of the weights, from all parts of a batch, `x` (block, input) and `dy` (block, output of the layer).
    pub fn backward<'a>(&mut self, level: Level, x: Parts, dy: impl Iterator<Item = &'a [Lanes]>) {
        let narrow = self.narrow();
        let mut blocks = 0;
        let dys = dy.flat_map(|dy| dy.chunks_exact(self.layer.out_features));
        for (own, dy) in self.y.chunks_exact_mut(narrow.out_features).zip(dys) {
            own.copy_from_slice(&dy[self.outputs.clone()]);
            blocks += 1;
        }
        let dy = &self.y[..blocks * narrow.out_features];
        kernel!(level, multiply_weights(narrow, x, dy, &mut self.panel, &mut self.gradient));
    }
}
