//! The forward product, `Y = W X + b`.
//!
//! ```text
//! for each group of three panels:
//!     for each group of up to seven blocks:
//!         pack the inputs of these panels and blocks to (input, block)
//!         for each group of outputs:
//!             add the products to a register tile (vectors of outputs, blocks)
//! ```
//!
//! # Tile size
//!
//! A narrow vector is the eight samples of a block for one output. A wide vector is those for two neighboring outputs: the
//! inputs are duplicated, and the weights of two outputs are blended. `R` vectors of outputs by `B` blocks have `R * B` sums
//! and `R` weights; of sixteen registers one more is for the input, and of 32 three more are for the input and the blend.
//!
//! Packing makes the inputs of all blocks of a tile adjacent, so the inner loop advances one pointer instead of `B`.

use std::hint::black_box;

use fearless_simd::{Select, Simd, SimdMask, f32x8};

use super::{Linear, panel::PANEL_INPUTS};
use crate::{
    activation_layout::{LANES, Lanes},
    partition::even_chunk,
    simd::{MAX_TILE_SIDE, Vector, with_const},
};

/// Number of panels whose inputs are packed at a time: those of a few blocks fit the first-level cache.
const PACKED_PANELS: usize = 3;

/// Number of inputs that an iteration of the inner loop takes where vectors are narrow. Branch predictors foresee the end of
/// a loop with few iterations but not of one with 48. With wide vectors an iteration is long enough as it is.
const UNROLLED_INPUTS: usize = 8;

/// Number of blocks of a register tile at most. Narrow tiles have [`MAX_TILE_SIDE`] blocks at most.
const MAX_WIDE_TILE_BLOCKS: usize = 7;

/// Returns the length of the scratch memory of [`forward`] for a batch of at most `blocks` blocks.
pub(super) fn packed_inputs_len(blocks: usize) -> usize {
    PACKED_PANELS * PANEL_INPUTS * blocks.min(MAX_WIDE_TILE_BLOCKS)
}

/// Computes `y (block, output) = bias (output) + sum over the inputs of weight (output, input) * x (block, input)`.
///
/// `packed` is scratch memory of [`packed_inputs_len`].
#[inline(always)]
pub(super) fn forward<S: Simd, V: Vector<S>>(
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
    for first in (0..layer.in_features).step_by(PACKED_PANELS * PANEL_INPUTS) {
        let depth = layer.in_features.min(first + PACKED_PANELS * PANEL_INPUTS) - first;
        let tiles = blocks.div_ceil(if V::WIDE { MAX_WIDE_TILE_BLOCKS } else { MAX_TILE_SIDE });
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
                with_const!(B = count, [1 2 3 4 5 6] else MAX_WIDE_TILE_BLOCKS => {
                    const R: usize = tile_row_count(29, B);
                    forward_packed_inputs::<S, V, R, B>(simd, layer, weight, packed, y, first, block);
                });
            } else {
                with_const!(B = count => {
                    const R: usize = tile_row_count(15, B);
                    forward_packed_inputs::<S, V, R, B>(simd, layer, weight, packed, y, first, block);
                });
            }
        }
    }
}

/// Returns the number of vectors of outputs of a tile with `blocks` blocks whose sums and weights fill `registers`.
const fn tile_row_count(registers: usize, blocks: usize) -> usize {
    let rows = registers / (blocks + 1);
    if rows < MAX_TILE_SIDE { rows } else { MAX_TILE_SIDE }
}

/// Adds the products of the inputs `packed` `(input, block of the tile)`, which begin with input `first`, to all outputs of
/// `B` blocks from `block` on.
#[inline(always)]
fn forward_packed_inputs<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
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
    let in_full_tiles = vectors / R * R;
    for vector in (0..in_full_tiles).step_by(R) {
        let position = (vector * V::ELEMENTS, block);
        forward_tile::<S, V, R, B>(simd, layer, weight, x, y, first, position);
    }
    for vector in in_full_tiles..vectors {
        let position = (vector * V::ELEMENTS, block);
        forward_tile::<S, V, 1, B>(simd, layer, weight, x, y, first, position);
    }
    let last = vectors * V::ELEMENTS;
    if V::WIDE && last < layer.out_features {
        forward_tile::<S, f32x8<S>, 1, B>(simd, layer, weight, x, y, first, (last, block));
    }
}

/// Adds the products of the inputs `x` `(input, block of the tile)`, which begin with input `first`, to `R` vectors of
/// outputs, from `output` on, of `B` blocks, from `block` on.
#[inline(always)]
fn forward_tile<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    layer: Linear,
    weight: &[f32],
    x: &[[Lanes; B]],
    y: &mut [Lanes],
    first: usize,
    (output, block): (usize, usize),
) {
    let out_features = layer.out_features;
    let index = |r: usize, b: usize| (block + b) * out_features + output + r * V::ELEMENTS;
    // The lanes of the second output of a wide vector. `black_box`, because the compiler would turn a select by a constant
    // mask into three shuffles per iteration.
    let second = V::Mask::from_bitmask(simd, black_box(0xff00));
    let mut sums = [[V::splat(simd, 0.0); B]; R];
    for r in 0..R {
        for b in 0..B {
            sums[r][b] = V::load(simd, &y[index(r, b)..]);
        }
    }
    let panels =
        weight[first * out_features..].chunks(PANEL_INPUTS * out_features).zip(x.chunks(PANEL_INPUTS));
    for (weight, x) in panels {
        let mut rows = [[&weight[..0]; 2]; R];
        for r in 0..R {
            for i in 0..V::ELEMENTS {
                // `black_box`, because the compiler would replace pointers to evenly spaced rows by additions to one pointer in
                // each iteration, which depend on each other.
                let start = black_box((output + r * V::ELEMENTS + i) * x.len());
                rows[r][i] = &weight[start..][..x.len()];
            }
        }
        let (chunks, remainder) = if V::WIDE { (&[][..], x) } else { x.as_chunks::<UNROLLED_INPUTS>() };
        for x in chunks {
            accumulate(simd, second, &mut rows, x, &mut sums);
        }
        accumulate(simd, second, &mut rows, remainder, &mut sums);
    }
    for r in 0..R {
        for b in 0..B {
            sums[r][b].store(&mut y[index(r, b)..]);
        }
    }
}

/// Adds the products of the inputs `x` to the sums, with the first `x.len()` weights of each of the `rows`, and advances the
/// rows by that number. `second` selects the lanes of the second output of a wide vector.
#[inline(always)]
fn accumulate<S: Simd, V: Vector<S>, const R: usize, const B: usize>(
    simd: S,
    second: V::Mask,
    rows: &mut [[&[f32]; 2]; R],
    x: &[[Lanes; B]],
    sums: &mut [[V; B]; R],
) {
    let mut weights = [[&rows[0][0][..0]; 2]; R];
    for r in 0..R {
        for i in 0..V::ELEMENTS {
            (weights[r][i], rows[r][i]) = rows[r][i].split_at(x.len());
        }
    }
    for i in 0..x.len() {
        let mut broadcast = [V::splat(simd, 0.0); R];
        for r in 0..R {
            broadcast[r] = V::splat(simd, weights[r][0][i]);
            if V::WIDE {
                broadcast[r] = second.select(V::splat(simd, weights[r][1][i]), broadcast[r]);
            }
        }
        for b in 0..B {
            let value = x[i][b].load(simd);
            let value = V::from_f32x8s(
                #[inline(always)]
                |_| value,
            );
            for r in 0..R {
                sums[r][b] = broadcast[r].mul_add(value, sums[r][b]);
            }
        }
    }
}
