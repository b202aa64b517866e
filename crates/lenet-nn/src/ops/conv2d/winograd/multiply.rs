//! The products in the Winograd domain, of the forward pass and of the gradient of the input.
//!
//! At each point, the transformed weights are a matrix `(row, channel)` and the transformed tiles a matrix
//! `(channel, tile)`:
//!
//! ```text
//! for each point, row and tile:
//!     products[row, tile] = sum over channel of weights[row, channel] * values[channel, tile]
//! ```
//!
//! Forward, rows are output channels and channels are input channels; backward, the other way round.
//!
//! # Register tiles
//!
//! A register tile has [`MAX_TILE_ROWS`] rows by one pair of tiles, or by four pairs where registers are wide. With sixteen
//! registers it has 6x2 sums, two values and one weight: fifteen. With 32 registers it has 6x4 sums, four values and one
//! weight: 29; with two more the compiler moves sums to memory and back in every iteration.

use fearless_simd::{Level, Simd};

use super::tiling::{TILES_PER_PAIR, Tiling, pair_and_tile_of_column, point_stride_in_weights};
use crate::{
    activation_layout::Lanes,
    partition::even_chunk,
    simd::{MAX_TILE_SIDE, Vector, kernel, with_const},
};

/// Rows of a register tile at most.
pub(super) const MAX_TILE_ROWS: usize = MAX_TILE_SIDE;
/// Column vectors of a register tile: the tiles of a pair.
pub(super) const NARROW_TILE_COLUMNS: usize = TILES_PER_PAIR;
/// Column vectors of a register tile at most where vectors are wide: pairs of tiles.
pub(super) const MAX_WIDE_TILE_COLUMNS: usize = 4;

/// Returns the index of a weight among those at a point. The rows of a register tile are adjacent:
/// `(group of rows, channel, row of the group)`.
pub(super) fn weight_index(rows: usize, channels: usize, row: usize, channel: usize) -> usize {
    let groups = rows.div_ceil(MAX_TILE_ROWS);
    let group = row * groups / rows;
    let (first, count) = even_chunk(rows, groups, group);
    first * channels + channel * count + row - first
}

/// Computes the products at all points. `size` is the number of rows and of channels.
pub(super) fn multiply(
    level: Level,
    tiling: &Tiling,
    weights: &[f32],
    size: (usize, usize),
    values: &[Lanes],
    products: &mut [Lanes],
) {
    kernel!(level, multiply_points(tiling, weights, size, values, products));
}

#[inline(always)]
fn multiply_points<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    weights: &[f32],
    (rows, channels): (usize, usize),
    values: &[Lanes],
    products: &mut [Lanes],
) {
    let pairs = tiling.tile_pair_count();
    let column_groups = pairs.div_ceil(if V::WIDE { MAX_WIDE_TILE_COLUMNS } else { 1 });
    let row_groups = rows.div_ceil(MAX_TILE_ROWS);
    for point in 0..tiling.points {
        let weights = &weights[point * point_stride_in_weights(rows * channels)..][..rows * channels];
        let values = tiling.values_at_point(point, channels, values);
        let products = &mut products[point * tiling.point_stride(rows)..].as_chunks_mut().0[..pairs * rows];
        for column_group in 0..column_groups {
            let (pair, count) = even_chunk(pairs, column_groups, column_group);
            let values = &values[pair * channels..][..count * channels];
            for row_group in 0..row_groups {
                let (row, count) = even_chunk(rows, row_groups, row_group);
                let weights = &weights[row * channels..][..count * channels];
                let products = &mut products[pair * rows + row..];
                with_const!(R = count => if V::WIDE {
                    with_const!(C = values.len() / channels, [1 2 3] else MAX_WIDE_TILE_COLUMNS => {
                        multiply_tile::<S, V, R, C>(simd, weights, channels, values, products, rows)
                    })
                } else {
                    multiply_tile::<S, V, R, NARROW_TILE_COLUMNS>(simd, weights, channels, values, products, rows)
                });
            }
        }
    }
}

/// Computes `R` rows by `C` column vectors.
#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    weights: &[f32],
    channels: usize,
    values: &[[Lanes; TILES_PER_PAIR]],
    products: &mut [[Lanes; TILES_PER_PAIR]],
    rows: usize,
) {
    let mut columns = [&values[..0]; C];
    for c in 0..C {
        columns[c] = &values[pair_and_tile_of_column(V::ELEMENTS, c).0 * channels..][..channels];
    }
    let weights = &weights.as_chunks::<R>().0[..channels];
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    for channel in 0..channels {
        let mut values = [V::splat(simd, 0.0); C];
        for c in 0..C {
            values[c] = V::load(simd, &columns[c][channel][pair_and_tile_of_column(V::ELEMENTS, c).1..]);
        }
        for r in 0..R {
            let weight = V::splat(simd, weights[channel][r]);
            for c in 0..C {
                sums[r][c] = weight.mul_add(values[c], sums[r][c]);
            }
        }
    }
    for c in 0..C {
        let (pair, tile) = pair_and_tile_of_column(V::ELEMENTS, c);
        let products = &mut products[pair * rows..][..R];
        for r in 0..R {
            sums[r][c].store(&mut products[r][tile..]);
        }
    }
}
