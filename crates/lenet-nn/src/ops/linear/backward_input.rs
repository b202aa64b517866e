//! The gradient of the input, `dX = W' dY`.
//!
//! ```text
//! for each panel:
//!     for each block:
//!         for each group of vectors of inputs:
//!             sum dy (block, output) * weight (output, input) over the outputs
//!             transpose the sums from (sample, input) to (input, sample)
//! ```
//!
//! Vectors are neighboring inputs, because their weights are adjacent. A panel of weights stays in the first-level cache
//! during the loop over the blocks.

use fearless_simd::{Simd, SimdBase, SimdFloat, f32x8};

use super::Linear;
use crate::{
    activation_layout::{LANES, Lanes},
    partition::even_chunk,
    simd::{Vector, transpose, with_const},
};

/// Vectors of inputs of a register tile at most.
const MAX_TILE_VECTORS: usize = 3;

/// Computes `dx (block, input) = sum over the outputs of dy (block, output) * weight (output, input)`.
#[inline(always)]
pub(super) fn backward_input<S: Simd, V: Vector<S>>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let Linear { in_features, out_features } = layer;
    for (inputs, weights) in layer.panel_ranges() {
        let weight = &weight[weights];
        for (dy, dx) in dy.chunks_exact(out_features).zip(dx.chunks_exact_mut(in_features)) {
            let dx = &mut dx[inputs.clone()];
            let vectors = dx.len() / V::LEN;
            // Three vectors by all eight lanes where there are 32 registers. With sixteen, four lanes at a time: twelve sums,
            // three vectors of weights and one broadcast value fill all of them.
            let tiles = vectors.div_ceil(MAX_TILE_VECTORS);
            for tile in 0..tiles {
                let (vector, count) = even_chunk(vectors, tiles, tile);
                let first = vector * V::LEN;
                with_const!(C = count, [1 2] else MAX_TILE_VECTORS => if V::WIDE {
                    backward_input_tile::<S, V, C, LANES>(simd, weight, dy, dx, first);
                } else {
                    backward_input_tile::<S, V, C, { LANES / 2 }>(simd, weight, dy, dx, first);
                });
            }
            let mut done = vectors * V::LEN;
            if V::WIDE && done + LANES <= dx.len() {
                backward_input_tile::<S, f32x8<S>, 1, LANES>(simd, weight, dy, dx, done);
                done += LANES;
            }
            for input in done..dx.len() {
                let mut sum = f32x8::splat(simd, 0.0);
                for (dy, row) in dy.iter().zip(weight.chunks_exact(dx.len())) {
                    sum = dy.load(simd).mul_add(f32x8::splat(simd, row[input]), sum);
                }
                dx[input].store(sum);
            }
        }
    }
}

/// Computes `C` vectors of inputs of a block, from input `first` of the panel on. Registers hold the sums of `L` lanes at a
/// time.
#[inline(always)]
fn backward_input_tile<S: Simd, V: Vector<S>, const C: usize, const L: usize>(
    simd: S,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
    first: usize,
) {
    let mut sums = [[V::splat(simd, 0.0); LANES]; C];
    for first_lane in (0..LANES).step_by(L) {
        let mut partial_sums = [[V::splat(simd, 0.0); L]; C];
        for (dy, row) in dy.iter().zip(weight.chunks_exact(dx.len())) {
            let row = &row[first..][..C * V::LEN];
            let mut weights = [V::splat(simd, 0.0); C];
            for c in 0..C {
                weights[c] = V::from_slice(simd, &row[c * V::LEN..][..V::LEN]);
            }
            for lane in 0..L {
                let gradient = V::splat(simd, dy.0[first_lane + lane]);
                for c in 0..C {
                    partial_sums[c][lane] = gradient.mul_add(weights[c], partial_sums[c][lane]);
                }
            }
        }
        for c in 0..C {
            for lane in 0..L {
                sums[c][first_lane + lane] = partial_sums[c][lane];
            }
        }
    }
    for c in 0..C {
        for i in 0..V::ELEMENTS {
            let mut matrix = [f32x8::splat(simd, 0.0); LANES];
            for lane in 0..LANES {
                matrix[lane] = sums[c][lane].extract_f32x8(i);
            }
            let input = first + c * V::LEN + i * LANES;
            for (dx, value) in dx[input..][..LANES].iter_mut().zip(transpose(matrix)) {
                dx.store(value);
            }
        }
    }
}
