//! The product in the Winograd domain that is the gradient of the transformed weights:
//!
//! ```text
//! for each point, in_channel c and out_channel o:
//!     du[c, o] += sum over tiles and samples of v[c] * dm[o]
//! ```
//!
//! With samples in lanes, the sums would need a reduction over the lanes for each weight. Instead the values of `dm` at a
//! point are transposed, so that lanes are output channels; then each lane holds a complete sum.

use fearless_simd::{Simd, f32x8};

use super::{
    multiply::{MAX_TILE_ROWS, MAX_WIDE_TILE_COLUMNS, NARROW_TILE_COLUMNS},
    tiling::{TILES_PER_PAIR, Tiling, point_stride_in_lanes},
};
use crate::{
    activation_layout::{LANES, Lanes},
    partition::even_chunk,
    simd::{Vector, transpose, with_const},
};

/// Adds one block's contribution to `du` `(point, in_channel, group of eight out_channels)`.
///
/// - `v`: the transformed input, `(point, pair, in_channel, tile of the pair)`
/// - `dm`: the transformed gradient of the output, `(point, pair, out_channel, tile of the pair)`
/// - `dm_transposed`: scratch memory for the gradients of a point, `(tile, sample, group of eight out_channels)`
#[inline(always)]
pub(super) fn backward_weight<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    v: &[Lanes],
    dm: &[Lanes],
    dm_transposed: &mut [Lanes],
    du: &mut [Lanes],
) {
    let (outputs, inputs) = (tiling.output.channels, tiling.input.channels);
    let groups = outputs.div_ceil(LANES);
    let max_columns = if V::WIDE { MAX_WIDE_TILE_COLUMNS } else { NARROW_TILE_COLUMNS };
    let (row_groups, vectors) = (inputs.div_ceil(MAX_TILE_ROWS), groups / V::ELEMENTS);
    let column_groups = vectors.div_ceil(max_columns);
    for point in 0..tiling.points {
        let (v, dm) = (tiling.values_at_point(point, inputs, v), tiling.values_at_point(point, outputs, dm));
        let du = &mut du[point * point_stride_in_lanes(inputs * groups)..][..inputs * groups];
        transpose_point::<S, V>(simd, outputs, dm, dm_transposed);
        for row_group in 0..row_groups {
            let (row, count) = even_chunk(inputs, row_groups, row_group);
            with_const!(R = count => {
                for column_group in 0..column_groups {
                    let (vector, columns) = even_chunk(vectors, column_groups, column_group);
                    let position = (row, vector * V::ELEMENTS);
                    if V::WIDE {
                        with_const!(C = columns, [1 2 3] else MAX_WIDE_TILE_COLUMNS => {
                            backward_weight_tile::<S, V, R, C>(simd, tiling, v, dm_transposed, du, position)
                        })
                    } else {
                        with_const!(C = columns, [1] else NARROW_TILE_COLUMNS => {
                            backward_weight_tile::<S, V, R, C>(simd, tiling, v, dm_transposed, du, position)
                        })
                    }
                }
                if V::WIDE && vectors * V::ELEMENTS < groups {
                    let position = (row, groups - 1);
                    backward_weight_tile::<S, f32x8<S>, R, 1>(simd, tiling, v, dm_transposed, du, position);
                }
            });
        }
    }
}

/// Transposes the values at a point from `(pair, channel, tile of the pair)` with samples in lanes to
/// `(tile, sample, group of eight channels)` with channels in lanes.
#[inline(always)]
fn transpose_point<S: Simd, V: Vector<S>>(
    simd: S,
    channels: usize,
    values: &[[Lanes; TILES_PER_PAIR]],
    transposed: &mut [Lanes],
) {
    let groups = channels.div_ceil(LANES);
    let pairs =
        values.chunks_exact(channels).zip(transposed.chunks_exact_mut(TILES_PER_PAIR * LANES * groups));
    for (values, transposed) in pairs {
        for (group, values) in values.chunks(LANES).enumerate() {
            for tile in (0..TILES_PER_PAIR).step_by(V::ELEMENTS) {
                let mut matrix = [V::splat(simd, 0.0); LANES];
                if let Some(values) = values.first_chunk::<LANES>() {
                    for channel in 0..LANES {
                        matrix[channel] = V::load(simd, &values[channel][tile..]);
                    }
                } else {
                    for (row, values) in matrix.iter_mut().zip(values) {
                        *row = V::load(simd, &values[tile..]);
                    }
                }
                let matrix = transpose(matrix);
                for lane in 0..LANES {
                    for i in 0..V::ELEMENTS {
                        let row = (tile * LANES + lane * V::ELEMENTS + i) * groups;
                        transposed[row + group].store(matrix[lane].extract_f32x8(i));
                    }
                }
            }
        }
    }
}

/// Adds the products of `R` input channels, from `row` on, and `C` vectors of groups of output channels, from `group` on.
#[inline(always)]
fn backward_weight_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    tiling: &Tiling,
    v: &[[Lanes; TILES_PER_PAIR]],
    dm_transposed: &[Lanes],
    du: &mut [Lanes],
    (row, group): (usize, usize),
) {
    let inputs = tiling.input.channels;
    let groups = du.len() / inputs;
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    for r in 0..R {
        let du = &du[(row + r) * groups + group..][..C * V::ELEMENTS];
        for c in 0..C {
            sums[r][c] = V::load(simd, &du[c * V::ELEMENTS..]);
        }
    }
    for (tile, samples) in dm_transposed.chunks_exact(LANES * groups).take(tiling.tile_count()).enumerate() {
        let v = &v[tile / TILES_PER_PAIR * inputs + row..][..R];
        for sample in 0..LANES {
            let gradients = &samples[sample * groups + group..][..C * V::ELEMENTS];
            let mut vectors = [V::splat(simd, 0.0); C];
            for c in 0..C {
                vectors[c] = V::load(simd, &gradients[c * V::ELEMENTS..]);
            }
            for r in 0..R {
                let value = V::splat(simd, v[r][tile % TILES_PER_PAIR].0[sample]);
                for c in 0..C {
                    sums[r][c] = value.mul_add(vectors[c], sums[r][c]);
                }
            }
        }
    }
    for r in 0..R {
        let du = &mut du[(row + r) * groups + group..][..C * V::ELEMENTS];
        for c in 0..C {
            sums[r][c].store(&mut du[c * V::ELEMENTS..]);
        }
    }
}
