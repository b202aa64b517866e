//! The division of maps into tiles, and the layout of the Winograd domain.

use std::ops::Range;

use crate::{
    Shape,
    activation_layout::{LANES, Lanes},
};

/// Number of tiles that are adjacent in memory: two [`Lanes`] are a cache line.
pub(super) const TILES_PER_PAIR: usize = 2;

/// Returns the distance from one point to the next where each point has `count` elements, of which a cache line holds
/// `line_len`.
///
/// The distance is an odd number of cache lines: with a power of two the points would compete for few sets of the
/// first-level cache.
const fn point_stride(count: usize, line_len: usize) -> usize {
    (count.div_ceil(line_len) | 1) * line_len
}

/// Returns the distance from one point to the next, in [`Lanes`], where each point has `count` of them.
pub(super) const fn point_stride_in_lanes(count: usize) -> usize {
    point_stride(count, TILES_PER_PAIR)
}

/// Returns the distance from one point to the next, in numbers, of the transformed weights of `kernels` kernels.
pub(super) const fn point_stride_in_weights(kernels: usize) -> usize {
    point_stride(kernels, TILES_PER_PAIR * LANES)
}

/// The tiles of a convolution: `M x M` outputs each, which depend on `N x N` inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    /// The input with the padding of the convolution, extended to whole tiles.
    pub input: Shape,
    /// The output extended to whole tiles.
    pub output: Shape,
    rows: usize,
    columns: usize,
    /// Number of points of a tile, `N * N`.
    pub points: usize,
}

impl Tiling {
    /// Returns the tiling of a convolution with kernels of `R x R`. The shapes are those without padding.
    pub fn new<const N: usize, const M: usize, const R: usize>(input: Shape, output: Shape) -> Self {
        const { assert!(M + R == N + 1) };
        let (rows, columns) = (output.height.div_ceil(M), output.width.div_ceil(M));
        Self {
            input: Shape { height: rows * M + R - 1, width: columns * M + R - 1, ..input },
            output: Shape { height: rows * M, width: columns * M, ..output },
            rows,
            columns,
            points: N * N,
        }
    }

    /// Returns the number of tiles of a channel.
    #[inline(always)]
    pub fn tile_count(&self) -> usize {
        self.rows * self.columns
    }

    /// Returns the number of pairs of tiles. If the number of tiles is odd, the last pair has an unused place.
    #[inline(always)]
    pub fn tile_pair_count(&self) -> usize {
        self.tile_count().div_ceil(TILES_PER_PAIR)
    }

    /// Returns the tiles of pair `pair`.
    #[inline(always)]
    pub fn tile_pair_range(&self, pair: usize) -> Range<usize> {
        pair * TILES_PER_PAIR..self.tile_count().min((pair + 1) * TILES_PER_PAIR)
    }

    /// Returns the distance from one point to the next in a Winograd domain of `channels` channels.
    #[inline(always)]
    pub fn point_stride(&self, channels: usize) -> usize {
        point_stride_in_lanes(channels * self.tile_pair_count() * TILES_PER_PAIR)
    }

    /// Returns the values at `point` of a Winograd domain of `channels` channels: `(pair, channel)`.
    #[inline(always)]
    pub fn values_at_point<'a>(
        &self,
        point: usize,
        channels: usize,
        values: &'a [Lanes],
    ) -> &'a [[Lanes; TILES_PER_PAIR]] {
        &values[point * self.point_stride(channels)..].as_chunks().0[..self.tile_pair_count() * channels]
    }

    /// Returns the index of the first pixel of `tile` in a plane of `width` columns whose tiles are `M` pixels apart.
    #[inline(always)]
    pub fn first_pixel<const M: usize>(&self, width: usize, tile: usize) -> usize {
        (tile / self.columns * width + tile % self.columns) * M
    }
}

/// Returns the index of `tile` of `channel` among the values at a point.
#[inline(always)]
pub(super) fn tile_index_at_point(channels: usize, channel: usize, tile: usize) -> usize {
    (tile / TILES_PER_PAIR * channels + channel) * TILES_PER_PAIR + tile % TILES_PER_PAIR
}

/// Returns the pair of column vector `column` of a register tile and its first tile in that pair.
///
/// A wide vector is a pair of tiles; a narrow one is a tile of a pair.
#[inline(always)]
pub(super) const fn pair_and_tile_of_column(elements: usize, column: usize) -> (usize, usize) {
    (column * elements / TILES_PER_PAIR, column * elements % TILES_PER_PAIR)
}
