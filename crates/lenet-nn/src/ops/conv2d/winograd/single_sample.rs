//! Winograd's minimal filtering of a single sample, with channels in the lanes: see `single_sample.rs` of the crate.
//!
//! The transforms work on whole [`Lanes`] and are the same as in a block: a map of `C` channels is one of `C / 8` groups of
//! channels. Only the product at each point differs, because it sums over the lanes of the input:
//!
//! ```text
//! for each point, tile and group of eight output channels:
//!     products[tile, group] = sum over in_channel of weights[in_channel, group] * values[tile, in_channel]
//! ```
//!
//! A value is broadcast and multiplied by the weights of two vectors of output channels. The sums of up to six tiles stay
//! in registers.

use fearless_simd::{Level, Simd, dispatch};

use super::{
    InputTransform, OutputTransform, PaddedMap, TILES_PER_PAIR, Tiling, WinogradOp, bands,
    inverse_transform_tiles, point_stride_in_lanes, tiling::pair_and_tile_of_column, transform_kernels,
    transform_tiles,
};
use crate::{
    Conv2d, Shape,
    activation_layout::{AlignedBuffer, LANES, Lanes, zeros},
    partition::even_chunk,
    simd::{Vector, kernel, with_const},
};

/// Number of tiles that a band has at least. Larger maps are divided into bands of rows of tiles, so that the Winograd
/// domain stays in the second-level cache: 48 tiles of 81 points take 750 KiB with 24 channels before and after the layer.
const BAND_TILES: usize = 48;

/// Pairs of tiles of a register tile at most.
const MAX_TILE_PAIRS: usize = 3;

/// A [`Conv2d`] with stride 1 and kernels of `R x R` on a single sample, by tiles of `M x M` outputs and `N x N` points.
pub(crate) struct SingleSampleWinograd<const N: usize, const M: usize, const R: usize> {
    /// The tiling of a band of maps whose channels are groups of eight.
    tiling: Tiling,
    dilation: usize,
    in_channels: usize,
    /// Transformed weights: `(point, pair of groups of out_channels, in_channel, group of the pair)`.
    u: AlignedBuffer,
    /// One element per group of output channels.
    bias: AlignedBuffer,
    x: PaddedMap,
    y: PaddedMap,
    /// `(point, pair, group of in_channels, tile of the pair)`
    v: AlignedBuffer,
    /// `(point, pair, group of out_channels, tile of the pair)`
    m: AlignedBuffer,
}

impl<const N: usize, const M: usize, const R: usize> SingleSampleWinograd<N, M, R> {
    /// Allocates memory and transforms the weights with the instructions of `level`.
    ///
    /// - `input`, `output`: shapes whose channels are groups of eight
    /// - `weights`: `(group of out_channels, in_channels, R, R)`
    /// - `bias`: `(group of out_channels)`
    pub fn new(
        level: Level,
        layer: Conv2d,
        (input, output): (Shape, Shape),
        weights: &[Lanes],
        bias: AlignedBuffer,
    ) -> Self {
        let phase = layer.phase_shape(output);
        let band_rows = BAND_TILES.div_ceil(phase.width.div_ceil(M)) * M;
        let tiling = Tiling::new::<N, M, R>(input, Shape { height: phase.height.min(band_rows), ..phase });
        let (inputs, pairs) = (layer.in_channels, output.channels.div_ceil(TILES_PER_PAIR));
        let stride = point_stride_in_lanes(pairs * TILES_PER_PAIR * inputs);
        let mut u = zeros(N * N * stride);
        let (rows, _) = weights.as_chunks::<R>();
        for (kernels, g) in rows.as_chunks::<R>().0.iter().enumerate() {
            let (group, channel) = (kernels / inputs, kernels % inputs);
            let index = (group / TILES_PER_PAIR * inputs + channel) * TILES_PER_PAIR + group % TILES_PER_PAIR;
            let values = dispatch!(level, simd => transform_kernels(simd, &WinogradOp::<N, M, R>::G, g));
            for (point, value) in values.as_flattened().iter().enumerate() {
                u[point * stride + index] = *value;
            }
        }
        Self {
            tiling,
            dilation: layer.dilation,
            in_channels: inputs,
            u,
            bias,
            x: PaddedMap::new(input, tiling.input, layer.padding, layer.dilation),
            y: PaddedMap::new(output, tiling.output, 0, layer.dilation),
            v: zeros(N * N * tiling.point_stride(input.channels)),
            m: zeros(N * N * tiling.point_stride(output.channels)),
        }
    }

    /// Computes `y` of `x`, both `(group of eight channels, height, width)`.
    pub fn forward(&mut self, level: Level, x: &[Lanes], y: &mut [Lanes]) {
        let Self { tiling, in_channels, u, v, m, .. } = self;
        let plane_len = tiling.output.height * tiling.output.width;
        for band in bands(self.y.inner.height, tiling.output.height, self.dilation) {
            let (input, output) = (self.x.pad(x, band), self.y.padded_mut(y));
            for (plane, bias) in output.chunks_exact_mut(plane_len).zip(self.bias.iter()) {
                plane.fill(*bias);
            }
            kernel!(level, transform_tiles[InputTransform, N, N, M](tiling, tiling.input, input, v));
            kernel!(level, multiply(tiling, *in_channels, u, v, m));
            kernel!(
                level,
                inverse_transform_tiles[OutputTransform, N, M, M](tiling, tiling.output, None, m, output)
            );
            self.y.crop(y, band);
        }
    }
}

/// Computes the products at all points.
#[inline(always)]
fn multiply<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    channels: usize,
    weights: &[Lanes],
    values: &[Lanes],
    products: &mut [Lanes],
) {
    let (inputs, outputs) = (tiling.input.channels, tiling.output.channels);
    let (pairs, group_pairs) = (tiling.tile_pair_count(), outputs.div_ceil(TILES_PER_PAIR));
    let register_tiles = pairs.div_ceil(MAX_TILE_PAIRS);
    let stride = point_stride_in_lanes(group_pairs * TILES_PER_PAIR * channels);
    for (point, weights) in weights.chunks_exact(stride).enumerate() {
        let weights = &weights.as_chunks().0[..group_pairs * channels];
        let values = tiling.values_at_point(point, inputs, values);
        let products =
            &mut products[point * tiling.point_stride(outputs)..].as_chunks_mut().0[..pairs * outputs];
        for (index, weights) in weights.chunks(V::ELEMENTS * channels).enumerate() {
            let first = index * V::ELEMENTS * TILES_PER_PAIR;
            for tile in 0..register_tiles {
                let (pair, count) = even_chunk(pairs, register_tiles, tile);
                let values = &values[pair * inputs..][..count * inputs];
                let products = &mut products[pair * outputs..][..count * outputs];
                with_const!(P = count, [1 2] else MAX_TILE_PAIRS => if V::WIDE && weights.len() == channels {
                    multiply_tile::<S, V, P, 1>(simd, channels, weights, values, products, first)
                } else {
                    multiply_tile::<S, V, P, 2>(simd, channels, weights, values, products, first)
                });
            }
        }
    }
}

/// Computes `P` pairs of tiles by `G` vectors of groups of output channels, from group `first` on.
#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const P: usize, const G: usize>(
    simd: S,
    channels: usize,
    weights: &[[Lanes; TILES_PER_PAIR]],
    values: &[[Lanes; TILES_PER_PAIR]],
    products: &mut [[Lanes; TILES_PER_PAIR]],
    first: usize,
) {
    let (inputs, outputs) = (values.len() / P, products.len() / P);
    let (mut kernels, mut pairs) = ([&weights[..0]; G], [&values[..0]; P]);
    for g in 0..G {
        kernels[g] = &weights[pair_and_tile_of_column(V::ELEMENTS, g).0 * channels..][..channels];
    }
    for p in 0..P {
        pairs[p] = &values[p * inputs..][..inputs];
    }
    let mut sums = [[[V::splat(simd, 0.0); TILES_PER_PAIR]; P]; G];
    for group in 0..inputs {
        for lane in 0..LANES.min(channels - group * LANES) {
            let channel = group * LANES + lane;
            let mut vectors = [V::splat(simd, 0.0); G];
            for g in 0..G {
                vectors[g] = V::load(simd, &kernels[g][channel][pair_and_tile_of_column(V::ELEMENTS, g).1..]);
            }
            for p in 0..P {
                for tile in 0..TILES_PER_PAIR {
                    let value = V::splat(simd, pairs[p][group][tile].0[lane]);
                    for g in 0..G {
                        sums[g][p][tile] = vectors[g].mul_add(value, sums[g][p][tile]);
                    }
                }
            }
        }
    }
    for g in 0..G {
        for i in 0..V::ELEMENTS {
            let group = first + g * V::ELEMENTS + i;
            if group < outputs {
                for p in 0..P {
                    for tile in 0..TILES_PER_PAIR {
                        products[p * outputs + group][tile].store(sums[g][p][tile].extract_f32x8(i));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{operator::Operator, ops::conv2d::winograd::point_stride_in_weights};

    /// A single sample and a block have the same transformed weights, those of the requested SIMD level.
    #[test]
    fn transforms_kernels_with_the_requested_simd_level() {
        let layer = Conv2d::new(4, 3, 3);
        let (input, output) =
            (Shape { channels: 4, height: 6, width: 6 }, Shape { channels: 3, height: 4, width: 4 });
        let parameters: Vec<f32> = (0..4 * 3 * 9 + 3).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut weights = zeros(4 * 9);
        for (output, kernels) in parameters[..4 * 3 * 9].chunks_exact(4 * 9).enumerate() {
            for (lanes, &value) in weights.iter_mut().zip(kernels) {
                lanes.0[output] = value;
            }
        }
        let grouped = (Shape { channels: 1, ..input }, Shape { channels: 1, ..output });
        for level in [Level::fallback(), Level::new()] {
            let mut block = WinogradOp::<6, 4, 3>::new(layer, input, output);
            block.prepare_parameters(level, &parameters);
            let single = SingleSampleWinograd::<6, 4, 3>::new(level, layer, grouped, &weights, zeros(1));
            for point in 0..36 {
                for (output, input) in [(0, 0), (1, 3), (2, 2)] {
                    let expected = block.u[point * point_stride_in_weights(12) + input * 3 + output];
                    let found = single.u[point * point_stride_in_lanes(8) + input * TILES_PER_PAIR].0[output];
                    assert_eq!(found, expected, "{level:?}, point {point}, kernel ({output}, {input})");
                }
            }
        }
    }
}
