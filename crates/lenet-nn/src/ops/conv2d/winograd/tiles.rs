//! The transforms of all tiles of a map to the Winograd domain and back.
//!
//! The backward pass uses the transposed transforms, so two functions with a [`RowTransform`] parameter cover all four cases:
//!
//! | | to the domain, [`transform_tiles`] | from the domain, [`inverse_transform_tiles`] |
//! |---|---|---|
//! | [`InputTransform`](super::transform::InputTransform) | `v = B' d B` | `dd = B dv B'` |
//! | [`OutputTransform`](super::transform::OutputTransform) | `dm = A dY A'` | `Y = A' m A` |

use fearless_simd::{Simd, SimdBase, f32x8};

use super::{
    tiling::{Tiling, tile_index_at_point},
    transform::RowTransform,
};
use crate::{Shape, activation_layout::Lanes, simd::Vector};

/// Runs `$body` for `$i` from 0 to `$end - 1`, where `$end` is at most 9.
///
/// With wide vectors the body is compiled once per index: 32 registers hold a tile, but only if no index is computed at run
/// time.
macro_rules! unrolled {
    ($i:ident < $end:expr, $vector:ident => $body:expr) => {
        unrolled!(@ $i, $end, $vector, $body, 0 1 2 3 4 5 6 7 8)
    };
    (@ $i:ident, $end:expr, $vector:ident, $body:expr, $($number:literal)*) => {
        if $vector::WIDE {
            $(if $number < $end {
                let $i = $number;
                $body
            })*
        } else {
            for $i in 0..$end {
                $body
            }
        }
    };
}

/// Computes `domain (point, pair, channel, tile of the pair) = T tile T'` of each tile of `map`.
///
/// A tile is `I x I` pixels, and tiles are `M` pixels apart.
#[inline(always)]
pub(super) fn transform_tiles<
    S: Simd,
    V: Vector<S>,
    T: RowTransform<N, I>,
    const N: usize,
    const I: usize,
    const M: usize,
>(
    simd: S,
    tiling: &Tiling,
    shape: Shape,
    map: &[Lanes],
    domain: &mut [Lanes],
) {
    // Allocated once rather than per tile, because its initialization would take a tenth of a tile's time.
    let mut rows = [[V::splat(simd, 0.0); N]; I];
    for pair in 0..tiling.tile_pair_count() {
        for (channel, plane) in map.chunks_exact(shape.height * shape.width).enumerate() {
            for tile in tiling.tile_pair_range(pair).step_by(V::ELEMENTS) {
                let position = (channel, tile);
                if V::WIDE && tile + 1 == tiling.tile_count() {
                    let rows = &mut [[f32x8::splat(simd, 0.0); N]; I];
                    transform_tile_vector::<S, f32x8<S>, T, N, I, M>(
                        simd, tiling, shape, plane, domain, rows, position,
                    );
                } else {
                    transform_tile_vector::<S, V, T, N, I, M>(
                        simd, tiling, shape, plane, domain, &mut rows, position,
                    );
                }
            }
        }
    }
}

/// Transforms a vector of tiles of a channel; `rows` is scratch memory.
#[inline(always)]
fn transform_tile_vector<
    S: Simd,
    V: Vector<S>,
    T: RowTransform<N, I>,
    const N: usize,
    const I: usize,
    const M: usize,
>(
    simd: S,
    tiling: &Tiling,
    shape: Shape,
    plane: &[Lanes],
    domain: &mut [Lanes],
    rows: &mut [[V; N]; I],
    (channel, tile): (usize, usize),
) {
    let zero = V::splat(simd, 0.0);
    let starts = [0, V::ELEMENTS - 1].map(|i| tiling.first_pixel::<M>(shape.width, tile + i));
    unrolled!(u < I, V => {
        let pixels = starts.map(|start| &plane[start + u * shape.width..][..I]);
        let mut row = [zero; I];
        for v in 0..I {
            row[v] = V::from_f32x8s(
                #[inline(always)]
                |i| pixels[i][v].load(simd),
            );
        }
        rows[u] = T::apply(row);
    });
    let first = tile_index_at_point(shape.channels, channel, tile);
    let stride = tiling.point_stride(shape.channels);
    unrolled!(v < N, V => {
        let mut column = [zero; I];
        for u in 0..I {
            column[u] = rows[u][v];
        }
        let column = T::apply(column);
        let values = &mut domain[v * stride + first..][..(N - 1) * N * stride + V::ELEMENTS];
        for u in 0..N {
            column[u].store(&mut values[u * N * stride..]);
        }
    });
}

/// Computes `tile = T' domain T` of each tile of `map`: adds it to the pixels of the map, or, if there is a `bias`, writes
/// its sum with the bias of the channel.
///
/// A tile is `O x O` pixels, and tiles are `M` pixels apart: tiles with `O > M` overlap.
#[inline(always)]
pub(super) fn inverse_transform_tiles<
    S: Simd,
    V: Vector<S>,
    T: RowTransform<N, O>,
    const N: usize,
    const O: usize,
    const M: usize,
>(
    simd: S,
    tiling: &Tiling,
    shape: Shape,
    bias: Option<&[f32]>,
    domain: &[Lanes],
    map: &mut [Lanes],
) {
    let mut rows = [[V::splat(simd, 0.0); O]; N];
    for pair in 0..tiling.tile_pair_count() {
        for (channel, plane) in map.chunks_exact_mut(shape.height * shape.width).enumerate() {
            let bias = bias.map(|bias| bias[channel]);
            for tile in tiling.tile_pair_range(pair).step_by(V::ELEMENTS) {
                let position = (channel, tile);
                if V::WIDE && tile + 1 == tiling.tile_count() {
                    let rows = &mut [[f32x8::splat(simd, 0.0); O]; N];
                    inverse_transform_tile_vector::<S, f32x8<S>, T, N, O, M>(
                        simd, tiling, shape, bias, domain, plane, rows, position,
                    );
                } else {
                    inverse_transform_tile_vector::<S, V, T, N, O, M>(
                        simd, tiling, shape, bias, domain, plane, &mut rows, position,
                    );
                }
            }
        }
    }
}

/// Transforms a vector of tiles of a channel; `rows` is scratch memory.
#[allow(clippy::too_many_arguments, reason = "the caller allocates the scratch memory")]
#[inline(always)]
fn inverse_transform_tile_vector<
    S: Simd,
    V: Vector<S>,
    T: RowTransform<N, O>,
    const N: usize,
    const O: usize,
    const M: usize,
>(
    simd: S,
    tiling: &Tiling,
    shape: Shape,
    bias: Option<f32>,
    domain: &[Lanes],
    plane: &mut [Lanes],
    rows: &mut [[V; O]; N],
    (channel, tile): (usize, usize),
) {
    let zero = V::splat(simd, 0.0);
    let first = tile_index_at_point(shape.channels, channel, tile);
    let stride = tiling.point_stride(shape.channels);
    unrolled!(u < N, V => {
        let mut row = [zero; N];
        let values = &domain[u * N * stride + first..][..(N - 1) * stride + V::ELEMENTS];
        for v in 0..N {
            row[v] = V::load(simd, &values[v * stride..]);
        }
        rows[u] = T::apply_transposed(row);
    });
    let starts = [0, V::ELEMENTS - 1].map(|i| tiling.first_pixel::<M>(shape.width, tile + i));
    unrolled!(v < O, V => {
        let mut column = [zero; N];
        for u in 0..N {
            column[u] = rows[u][v];
        }
        let column = T::apply_transposed(column);
        for i in 0..V::ELEMENTS {
            for u in 0..O {
                let pixel = &mut plane[starts[i] + u * shape.width + v];
                let base = match bias {
                    None => pixel.load(simd),
                    Some(bias) => f32x8::splat(simd, bias),
                };
                pixel.store(base + column[u].extract_f32x8(i));
            }
        }
    });
}
