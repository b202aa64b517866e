//! Fully connected layer: `y[o] = b[o] + sum over i of w[o, i] * x[i]`.
//!
//! Weights lie in panels of a few inputs, `(panel, output, input of the panel)`: then each of the three products goes through
//! them, and the optimiser through them and its moments, from front to back, which processors fetch ahead by themselves; PyTorch's
//! rows of a wide layer are pages apart. In the layout of the engine a batch is almost what a matrix product packs its operands
//! into, so little else is packed:
//!
//! - forward, `Y = W X`: [`multiply`], vectors along the samples; for some inputs at a time those of a few blocks are laid side
//!   by side, so that a step of the loop counts in one place;
//! - input gradient, `dX = W' dY`: [`multiply_turned`], vectors along the inputs, as weights lie in memory; sums are turned
//!   when they are whole;
//! - weight gradient, `dW = dY X'`: [`multiply_weights`], vectors along the inputs of a panel, for which those of the batch are
//!   turned into rows `(sample, input)`; its sums are whole, with no lanes to add up.
//!
//! The weight gradient of a wide layer would fill the caches, so it is made for the whole batch, a panel at a time, and used up
//! while it is near: see `shards.rs`.

mod layer;
mod single_sample;

use std::{hint::black_box, ops::Range};

use fearless_simd::{Level, Select, Simd, SimdBase, SimdFloat, SimdMask, f32x8};
use serde::{Deserialize, Serialize};

pub(crate) use single_sample::SingleSampleLinear;

use crate::{
    lanes::{Buffer, LANES, Lanes, MAX_TILE, Vector, even_chunk, kernel, transpose, with_const, zeros},
    operator::{BatchSlices, DeferredWeightGradient, Operator, Pass},
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

/// Inputs of a panel, but for the last: three vectors of sixteen.
pub(crate) const PANEL: usize = 48;
/// Panels done at a time in [`multiply`]: as many vectors of a few blocks stay in the first-level cache.
const PANELS: usize = 3;
/// Inputs that a step of the loop in [`multiply`] takes where vectors are narrow: processors foresee the end of a panel of few
/// steps, not of many, and a step of wide ones is long enough as it is.
const STEPS: usize = 8;
/// Blocks done at a time in [`multiply`] at most.
const BLOCKS: usize = 7;

impl Linear {
    /// A layer from `in_features` to `out_features`.
    pub const fn new(in_features: usize, out_features: usize) -> Self {
        Self { in_features, out_features }
    }

    /// Weights from which on a layer is wide: half a megabyte, a good part of a core's own cache.
    const WIDE: usize = 1 << 17;

    fn is_wide(self) -> bool {
        self.weights() >= Self::WIDE
    }

    /// Returns the number of weights.
    pub(crate) fn weights(&self) -> usize {
        self.in_features * self.out_features
    }

    /// The panels: inputs and weights of each.
    fn panels(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        (0..self.in_features).step_by(PANEL).map(move |first| {
            let end = self.in_features.min(first + PANEL);
            (first..end, first * self.out_features..end * self.out_features)
        })
    }

    /// The places of weights that neighbour each other both in PyTorch's rows, `(output, input)`, and in panels.
    fn places(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        self.panels().flat_map(move |(inputs, weights)| {
            (0..self.out_features).map(move |output| {
                let (row, in_panel) = (output * self.in_features, weights.start + output * inputs.len());
                (row + inputs.start..row + inputs.end, in_panel..in_panel + inputs.len())
            })
        })
    }

    /// Weights in panels to PyTorch's rows.
    pub(crate) fn to_rows(self, panels: &[f32], rows: &mut [f32]) {
        for (row, panel) in self.places() {
            rows[row].copy_from_slice(&panels[panel]);
        }
    }

    /// Weights in PyTorch's rows to panels.
    pub(crate) fn to_panels(self, rows: &[f32], panels: &mut [f32]) {
        for (row, panel) in self.places() {
            panels[panel].copy_from_slice(&rows[row]);
        }
    }
}

/// `y (block, output) = bias (output) + sum over the inputs of weight (output, input) * x (block, input)`
#[inline(always)]
fn multiply<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    packed: &mut [Lanes],
    y: &mut [Lanes],
) {
    for y in y.chunks_exact_mut(layer.out_features) {
        for (y, bias) in y.iter_mut().zip(bias) {
            *y = Lanes([*bias; LANES]);
        }
    }
    let blocks = y.len() / layer.out_features;
    for first in (0..layer.in_features).step_by(PANELS * PANEL) {
        let depth = layer.in_features.min(first + PANELS * PANEL) - first;
        let tiles = blocks.div_ceil(if V::WIDE { BLOCKS } else { MAX_TILE });
        for tile in 0..tiles {
            let (block, count) = even_chunk(blocks, tiles, tile);
            let packed = &mut packed[..depth * count];
            let x = x[block * layer.in_features..].chunks_exact(layer.in_features).take(count);
            for (b, x) in x.enumerate() {
                for (to, x) in packed[b..].iter_mut().step_by(count).zip(&x[first..][..depth]) {
                    *to = *x;
                }
            }
            if V::WIDE {
                with_const!(B = count, [1 2 3 4 5 6] else BLOCKS => {
                    const R: usize = tile_rows(29, B);
                    multiply_packed::<S, V, R, B>(simd, layer, weight, packed, y, first, block);
                });
            } else {
                with_const!(B = count => {
                    const R: usize = tile_rows(15, B);
                    multiply_packed::<S, V, R, B>(simd, layer, weight, packed, y, first, block);
                });
            }
        }
    }
}

/// Vectors of outputs in a tile of so many blocks: their sums, and a weight for each, are in `registers`. Of 16 one is the
/// value's; of 32 two more are for weights that are blended of two outputs.
const fn tile_rows(registers: usize, blocks: usize) -> usize {
    let rows = registers / (blocks + 1);
    if rows < MAX_TILE { rows } else { MAX_TILE }
}

/// Adds the products of the inputs `packed` (input, block of the tile), from `first` on, to `y` of the blocks from `block` on.
#[inline(always)]
fn multiply_packed<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    packed: &[Lanes],
    y: &mut [Lanes],
    first: usize,
    block: usize,
) {
    let (x, _) = packed.as_chunks::<B>();
    let vectors = layer.out_features / V::ELEMENTS;
    let whole = vectors / R * R;
    for vector in (0..whole).step_by(R) {
        let at = (vector * V::ELEMENTS, block);
        multiply_tile::<S, V, R, B>(simd, layer, weight, x, y, first, at);
    }
    for vector in whole..vectors {
        let at = (vector * V::ELEMENTS, block);
        multiply_tile::<S, V, 1, B>(simd, layer, weight, x, y, first, at);
    }
    let rest = vectors * V::ELEMENTS;
    if V::WIDE && rest < layer.out_features {
        multiply_tile::<S, f32x8<S>, 1, B>(simd, layer, weight, x, y, first, (rest, block));
    }
}

/// Adds the products of the inputs `x` (input, block of the tile), from `first` on, to `R` vectors of neighbouring outputs of
/// `B` blocks.
#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    x: &[[Lanes; B]],
    y: &mut [Lanes],
    first: usize,
    (output, block): (usize, usize),
) {
    let out_features = layer.out_features;
    let place = |r: usize, b: usize| (block + b) * out_features + output + r * V::ELEMENTS;
    // The lanes of the second output. What the compiler knows of them it would turn into three shuffles a step.
    let second = V::Mask::from_bitmask(simd, black_box(0xff00));
    let mut sums = [[V::splat(simd, 0.0); B]; R];
    for r in 0..R {
        for b in 0..B {
            sums[r][b] = V::load(simd, &y[place(r, b)..]);
        }
    }
    let panels = weight[first * out_features..].chunks(layer.panel_len()).zip(x.chunks(PANEL));
    for (weight, x) in panels {
        let mut rows = [[&weight[..0]; 2]; R];
        for r in 0..R {
            for i in 0..V::ELEMENTS {
                // Where the compiler knows that the rows are evenly apart it adds that up in each step, one row after the other.
                let start = black_box((output + r * V::ELEMENTS + i) * x.len());
                rows[r][i] = &weight[start..][..x.len()];
            }
        }
        let (steps, rest) = if V::WIDE { (&[][..], x) } else { x.as_chunks::<STEPS>() };
        for x in steps {
            multiply_steps(simd, second, &mut rows, x, &mut sums);
        }
        multiply_steps(simd, second, &mut rows, rest, &mut sums);
    }
    for r in 0..R {
        for b in 0..B {
            sums[r][b].store(&mut y[place(r, b)..]);
        }
    }
}

/// Adds the products of some inputs `x` to the sums, by the weights with which the `rows` of `R` vectors of outputs begin, and
/// goes on in them; `second` are the lanes of the second output of a vector.
#[inline(always)]
fn multiply_steps<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    second: V::Mask,
    rows: &mut [[&[f32]; 2]; R],
    x: &[[Lanes; B]],
    sums: &mut [[V; B]; R],
) {
    let mut now = [[&rows[0][0][..0]; 2]; R];
    for r in 0..R {
        for i in 0..V::ELEMENTS {
            (now[r][i], rows[r][i]) = rows[r][i].split_at(x.len());
        }
    }
    for i in 0..x.len() {
        let mut broadcast = [V::splat(simd, 0.0); R];
        for r in 0..R {
            broadcast[r] = V::splat(simd, now[r][0][i]);
            if V::WIDE {
                broadcast[r] = second.select(V::splat(simd, now[r][1][i]), broadcast[r]);
            }
        }
        for b in 0..B {
            let value = x[i][b].load(simd);
            let value = V::from_elements(
                #[inline(always)]
                |_| value,
            );
            for r in 0..R {
                sums[r][b] = broadcast[r].mul_add(value, sums[r][b]);
            }
        }
    }
}

/// `dx (block, input) = sum over the outputs of dy (block, output) * weight (output, input)`, for each lane.
///
/// Vectors are of neighbouring inputs, as they lie in `weight`, and turned when their sums are whole; a panel of weights stays
/// in the first-level cache while the blocks go by.
#[inline(always)]
fn multiply_turned<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let Linear { in_features, out_features } = layer;
    for (inputs, weights) in layer.panels() {
        let weight = &weight[weights];
        for (dy, dx) in dy.chunks_exact(out_features).zip(dx.chunks_exact_mut(in_features)) {
            let dx = &mut dx[inputs.clone()];
            let vectors = dx.len() / V::LEN;
            // Three vectors by eight lanes, or by four at a time where registers are fewer: seven loads for twelve multiply-adds,
            // whose sums and operands are sixteen registers, all that there are.
            let tiles = vectors.div_ceil(3);
            for tile in 0..tiles {
                let (vector, count) = even_chunk(vectors, tiles, tile);
                let first = vector * V::LEN;
                with_const!(C = count, [1 2] else 3 => if V::WIDE {
                    turned_tile::<S, V, C, LANES>(simd, weight, dy, dx, first);
                } else {
                    turned_tile::<S, V, C, { LANES / 2 }>(simd, weight, dy, dx, first);
                });
            }
            let mut rest = vectors * V::LEN;
            if V::WIDE && rest + LANES <= dx.len() {
                turned_tile::<S, f32x8<S>, 1, LANES>(simd, weight, dy, dx, rest);
                rest += LANES;
            }
            for input in rest..dx.len() {
                let mut sum = f32x8::splat(simd, 0.0);
                for (dy, row) in dy.iter().zip(weight.chunks_exact(dx.len())) {
                    sum = dy.load(simd).mul_add(f32x8::splat(simd, row[input]), sum);
                }
                dx[input].store(sum);
            }
        }
    }
}

/// `C` vectors of inputs of a block, from `first` on; registers hold the sums of `L` lanes at a time.
#[inline(always)]
fn turned_tile<S: Simd, V: Vector<S>, const C: usize, const L: usize>(
    simd: S,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
    first: usize,
) {
    let mut sums = [[V::splat(simd, 0.0); LANES]; C];
    for lanes in (0..LANES).step_by(L) {
        let mut some = [[V::splat(simd, 0.0); L]; C];
        for (dy, row) in dy.iter().zip(weight.chunks_exact(dx.len())) {
            let row = &row[first..][..C * V::LEN];
            let mut values = [V::splat(simd, 0.0); C];
            for c in 0..C {
                values[c] = V::from_slice(simd, &row[c * V::LEN..][..V::LEN]);
            }
            for lane in 0..L {
                let factor = V::splat(simd, dy.0[lanes + lane]);
                for c in 0..C {
                    some[c][lane] = factor.mul_add(values[c], some[c][lane]);
                }
            }
        }
        for c in 0..C {
            for lane in 0..L {
                sums[c][lanes + lane] = some[c][lane];
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

/// `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)`, `dy` and `x` in blocks, for
/// the panel that begins with input `first`; `rows` is for its inputs turned.
#[inline(always)]
fn multiply_weights<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    first: usize,
    batch: BatchSlices,
    rows: &mut [Lanes],
    gradient: &mut [f32],
) {
    let Linear { in_features, out_features } = layer;
    let width = gradient.len() / out_features;
    let blocks = || {
        (0..).map_while(batch).flat_map(move |(x, dy)| {
            x.chunks_exact(in_features).map(move |x| &x[first..][..width]).zip(dy.chunks_exact(out_features))
        })
    };
    for ((x, _), rows) in blocks().zip(rows.chunks_exact_mut(PANEL)) {
        turn(simd, x, rows);
    }
    // The compiler loads the vectors of a step ahead, all of them: beside twelve sums sixteen registers hold two, and a factor
    // after the other. Twice the registers hold twice the tile.
    let (most_outputs, most_vectors) = if V::WIDE { (8, 3) } else { (6, 2) };
    let vectors = width / V::LEN;
    let tiles = vectors.div_ceil(most_vectors);
    for output in (0..out_features).step_by(most_outputs) {
        let outputs = most_outputs.min(out_features - output);
        for tile in 0..tiles {
            let (vector, count) = even_chunk(vectors, tiles, tile);
            let at = (output, vector * V::LEN);
            if V::WIDE {
                with_const!(C = count, [1 2] else 3 =>
                    with_const!(R = outputs, [1 2 3 4 5 6 7] else 8 => {
                        weights_tile::<S, V, R, C>(simd, layer, rows, batch, gradient, at)
                    })
                )
            } else {
                with_const!(C = count, [1] else 2 =>
                    with_const!(R = outputs => {
                        weights_tile::<S, V, R, C>(simd, layer, rows, batch, gradient, at)
                    })
                )
            }
        }
    }
    let mut rest = vectors * V::LEN;
    if V::WIDE && rest + LANES <= width {
        for output in 0..out_features {
            weights_tile::<S, f32x8<S>, 1, 1>(simd, layer, rows, batch, gradient, (output, rest));
        }
        rest += LANES;
    }
    for (output, row) in gradient.chunks_exact_mut(width).enumerate() {
        for (input, gradient) in row.iter_mut().enumerate().skip(rest) {
            let mut sums = f32x8::splat(simd, 0.0);
            for (x, dy) in blocks() {
                sums = dy[output].load(simd).mul_add(x[input].load(simd), sums);
            }
            *gradient = sums.reduce_sum();
        }
    }
}

/// `C` vectors of inputs, from one of the panel on, of `R` outputs.
#[inline(always)]
fn weights_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    Linear { out_features, .. }: Linear,
    rows: &[Lanes],
    batch: BatchSlices,
    gradient: &mut [f32],
    (output, input): (usize, usize),
) {
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    let mut rows = rows.as_chunks::<{ PANEL / LANES }>().0.as_chunks::<LANES>().0.iter();
    for (_, dy) in (0..).map_while(batch) {
        for (dy, rows) in dy.chunks_exact(out_features).zip(&mut rows) {
            let dy = &dy[output..output + R];
            for lane in 0..LANES {
                let row = &rows[lane][input / LANES..][..C * V::ELEMENTS];
                let mut values = [V::splat(simd, 0.0); C];
                for c in 0..C {
                    values[c] = V::load(simd, &row[c * V::ELEMENTS..]);
                }
                for r in 0..R {
                    let factor = V::splat(simd, dy[r].0[lane]);
                    for c in 0..C {
                        sums[r][c] = factor.mul_add(values[c], sums[r][c]);
                    }
                }
            }
        }
    }
    let width = gradient.len() / out_features;
    for r in 0..R {
        let row = &mut gradient[(output + r) * width + input..][..C * V::LEN];
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
        for (row, value) in rows.chunks_exact_mut(PANEL / LANES).zip(transpose(square)) {
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

/// [`Linear`] on one thread.
pub(crate) struct LinearOp {
    layer: Linear,
    /// Inputs of some panels, of a few blocks: (input, block).
    packed: Buffer,
    /// Scratch memory of the weight gradient; empty for a wide layer.
    rows: Buffer,
}

impl LinearOp {
    /// Allocates memory for batches of at most `blocks`.
    pub fn new(layer: Linear, blocks: usize) -> Self {
        let rows = if layer.is_wide() { 0 } else { layer.scratch_len(blocks) };
        Self { layer, packed: zeros(PANELS * PANEL * blocks.min(BLOCKS)), rows: zeros(rows) }
    }
}

impl Operator for LinearOp {
    /// More samples share a pass over the weights.
    fn takes_whole_batch(&self) -> bool {
        true
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let layer = self.layer;
        let (weight, bias) = parameters.split_at(layer.weights());
        kernel!(pass.level, multiply(layer, weight, bias, x, &mut self.packed, y));
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
        let layer = self.layer;
        let (weight, bias) = gradient.split_at_mut(layer.weights());
        bias_gradient(dy, bias);
        if !layer.is_wide() {
            let batch = |slice| (slice == 0).then_some((x, dy));
            for (_, weights) in layer.panels() {
                let start = weights.start;
                layer.write_panel(pass.level, start, &batch, &mut self.rows, &mut weight[weights]);
            }
        }
        if let Some(dx) = dx {
            kernel!(pass.level, multiply_turned(layer, &parameters[..layer.weights()], dy, dx));
        }
    }

    fn deferred_weight_gradient(&self) -> Option<&dyn DeferredWeightGradient> {
        if self.layer.is_wide() { Some(&self.layer) } else { None }
    }
}

impl DeferredWeightGradient for Linear {
    fn weights(&self) -> usize {
        self.weights()
    }

    fn panel_len(&self) -> usize {
        PANEL * self.out_features
    }

    /// Rows `(sample, vector of eight inputs)` of the inputs of a panel.
    fn scratch_len(&self, blocks: usize) -> usize {
        blocks * PANEL
    }

    fn write_panel(
        &self,
        level: Level,
        start: usize,
        batch: BatchSlices,
        scratch: &mut [Lanes],
        gradient: &mut [f32],
    ) {
        let (layer, first) = (*self, start / self.out_features);
        kernel!(level, multiply_weights(layer, first, batch, scratch, gradient));
    }
}
