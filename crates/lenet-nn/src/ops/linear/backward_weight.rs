//! The gradient of the weights, `dW = dY X'`, a panel at a time.
//!
//! ```text
//! transpose the inputs of the panel from (block, input) to (sample, input)
//! for each group of outputs and vectors of inputs:
//!     sum dy (sample, output) * x (sample, input) over the samples
//! ```
//!
//! With inputs in the lanes a sum is complete at the end; with samples in the lanes it would need a reduction.

use fearless_simd::{Simd, SimdBase, SimdFloat, f32x8};

use super::{Linear, panel::PANEL_INPUTS};
use crate::{
    activation_layout::{LANES, Lanes},
    operator::BatchSlices,
    partition::even_chunk,
    simd::{MAX_TILE_SIDE, Vector, transpose, with_const},
};

/// Computes `gradient (output, input) = sum over the samples of dy (sample, output) * x (sample, input)` of the panel that
/// begins with input `first`.
///
/// `x_transposed` is scratch memory for the inputs of the panel: `(sample, vector of eight inputs)`.
#[inline(always)]
pub(super) fn backward_weight<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    first: usize,
    batch: BatchSlices,
    x_transposed: &mut [Lanes],
    gradient: &mut [f32],
) {
    let Linear { in_features, out_features } = layer;
    let width = gradient.len() / out_features;
    let blocks = || {
        (0..).map_while(batch).flat_map(move |(x, dy)| {
            x.chunks_exact(in_features).map(move |x| &x[first..][..width]).zip(dy.chunks_exact(out_features))
        })
    };
    for ((x, _), rows) in blocks().zip(x_transposed.chunks_exact_mut(PANEL_INPUTS)) {
        transpose_block(simd, x, rows);
    }
    // The compiler loads all vectors of an iteration before it uses them: twelve sums, two vectors and two factors fill
    // sixteen registers. Twice the registers hold twice the tile.
    let (max_outputs, max_vectors) = if V::WIDE { (8, 3) } else { (MAX_TILE_SIDE, 2) };
    let vectors = width / V::LEN;
    let tiles = vectors.div_ceil(max_vectors);
    for output in (0..out_features).step_by(max_outputs) {
        let outputs = max_outputs.min(out_features - output);
        for tile in 0..tiles {
            let (vector, count) = even_chunk(vectors, tiles, tile);
            let position = (output, vector * V::LEN);
            if V::WIDE {
                with_const!(C = count, [1 2] else 3 =>
                    with_const!(R = outputs, [1 2 3 4 5 6 7] else 8 => {
                        backward_weight_tile::<S, V, R, C>(simd, layer, x_transposed, batch, gradient, position)
                    })
                )
            } else {
                with_const!(C = count, [1] else 2 =>
                    with_const!(R = outputs => {
                        backward_weight_tile::<S, V, R, C>(simd, layer, x_transposed, batch, gradient, position)
                    })
                )
            }
        }
    }
    let mut done = vectors * V::LEN;
    if V::WIDE && done + LANES <= width {
        for output in 0..out_features {
            let position = (output, done);
            backward_weight_tile::<S, f32x8<S>, 1, 1>(simd, layer, x_transposed, batch, gradient, position);
        }
        done += LANES;
    }
    for (output, row) in gradient.chunks_exact_mut(width).enumerate() {
        for (input, gradient) in row.iter_mut().enumerate().skip(done) {
            let mut sums = f32x8::splat(simd, 0.0);
            for (x, dy) in blocks() {
                sums = dy[output].load(simd).mul_add(x[input].load(simd), sums);
            }
            *gradient = sums.reduce_sum();
        }
    }
}

/// Computes `R` outputs, from `output` on, by `C` vectors of inputs, from `input` of the panel on.
#[inline(always)]
fn backward_weight_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    Linear { out_features, .. }: Linear,
    x_transposed: &[Lanes],
    batch: BatchSlices,
    gradient: &mut [f32],
    (output, input): (usize, usize),
) {
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    let mut blocks = x_transposed.as_chunks::<{ PANEL_INPUTS / LANES }>().0.as_chunks::<LANES>().0.iter();
    for (_, dy) in (0..).map_while(batch) {
        for (dy, rows) in dy.chunks_exact(out_features).zip(&mut blocks) {
            let dy = &dy[output..output + R];
            for sample in 0..LANES {
                let row = &rows[sample][input / LANES..][..C * V::ELEMENTS];
                let mut values = [V::splat(simd, 0.0); C];
                for c in 0..C {
                    values[c] = V::load(simd, &row[c * V::ELEMENTS..]);
                }
                for r in 0..R {
                    let factor = V::splat(simd, dy[r].0[sample]);
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

/// Transposes the inputs of a panel of one block to `rows` `(sample, vector of eight inputs)`. Inputs after the last whole
/// vector are left out.
#[inline(always)]
fn transpose_block<S: Simd>(simd: S, x: &[Lanes], rows: &mut [Lanes]) {
    for (vector, inputs) in x.as_chunks::<LANES>().0.iter().enumerate() {
        let mut matrix = [f32x8::splat(simd, 0.0); LANES];
        for lane in 0..LANES {
            matrix[lane] = inputs[lane].load(simd);
        }
        for (row, value) in rows.chunks_exact_mut(PANEL_INPUTS / LANES).zip(transpose(matrix)) {
            row[vector].store(value);
        }
    }
}
