//! Convolution with fewer multiplications: Winograd's minimal filtering (Winograd 1980, *Arithmetic Complexity of
//! Computations*) as Lavin & Gray 2016 apply it to convolutional layers (<https://arxiv.org/abs/1509.09308>), for stride 1
//! and kernels of 3x3 or 5x5.
//!
//! F(M x M, R x R) computes a tile `Y` of `M x M` outputs from a tile `d` of `N x N` inputs, where `N = M + R - 1`, and
//! kernels `g` of `R x R`, with `*` element by element:
//!
//! ```text
//! Y = A' [ sum over in_channels of (G g G') * (B' d B) ] A
//! ```
//!
//! The three matrices evaluate and interpolate polynomials at `N` points (see [`matrices`]). A tile takes `N^2`
//! multiplications for each pair of channels instead of `M^2 R^2`: F(5x5, 5x5) takes 81 instead of 625.
//!
//! All three passes work in the same *Winograd domain*. The backward passes use the transposes of the same matrices:
//!
//! ```text
//! input transform    v[c] = B' d[c] B              kernel transform  u[o, c] = G g[o, c] G'
//! forward            m[o] = sum over c of u[o, c] * v[c],             Y[o] = A' m[o] A
//! backward_input     dm[o] = A dY[o] A',  dv[c] = sum over o of u[o, c] * dm[o],  dd[c] = B dv[c] B'
//! backward_weight    du[o, c] = sum over tiles of dm[o] * v[c],                   dg[o, c] = G' du[o, c] G
//! ```
//!
//! Departures for speed:
//!
//! 1. At one point, the element-wise products summed over channels are a matrix product of `(O, C)` by `(C, tiles)`. In
//!    memory the points therefore come first, then pairs of tiles, `(point, pair, channel, tile of the pair)`: a register
//!    tile of the product reads the columns of a pair from one end to the other ([`multiply()`]).
//! 2. A pair of tiles is a cache line, and a vector where registers hold sixteen numbers. Points are an odd number of cache
//!    lines apart ([`tiling`]).
//! 3. Kernels are transformed once a step, and their gradients once a step, eight kernels side by side.
//!
//! A convolution with a dilation is run on each [phase](dilation_phases) of the map as if it had none. The transformed
//! kernels are those of all phases.
//!
//! # Tile sizes
//!
//! Larger tiles multiply less but transform more and round off more ([`matrices`]). Maps of these networks are 28, 14 or 10
//! pixels wide, which F(7x7, 3x3) and F(5x5, 5x5) divide without a remainder; small maps waste less in F(4x4, 3x3). Both
//! tile sizes for 3x3 kernels are compiled, and [`Conv2d::winograd_tile`] picks the one with fewer multiplications.

mod backward_weight;
mod matrices;
mod multiply;
mod padded_map;
mod single_sample;
mod tiles;
mod tiling;
mod transform;

use fearless_simd::{Level, Simd, dispatch};

pub(crate) use self::single_sample::SingleSampleWinograd;
use self::{
    backward_weight::backward_weight,
    matrices::{kernel_matrix, transposed},
    multiply::{multiply, weight_index},
    padded_map::{PaddedMap, bands, dilation_phases},
    tiles::{inverse_transform_tiles, transform_tiles},
    tiling::{TILES_PER_PAIR, Tiling, point_stride_in_lanes, point_stride_in_weights},
    transform::{InputTransform, OutputTransform, transform_kernels},
};
use super::{Conv2d, direct::backward_bias};
use crate::{
    Shape,
    activation_layout::{AlignedBuffer, LANES, Lanes, zeros},
    operator::{Operator, PassContext},
    simd::kernel,
};

/// The tile sizes F(M x M, R x R) that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WinogradTile {
    /// 4x4 outputs of 3x3 kernels, at 6x6 points.
    F4x3,
    /// 7x7 outputs of 3x3 kernels, at 9x9 points.
    F7x3,
    /// 5x5 outputs of 5x5 kernels, at 9x9 points.
    F5x5,
}

impl Conv2d {
    /// Returns the tile size to use for the layer, or `None` if the direct convolution is faster: with few channels to sum
    /// over, the transforms take longer than the multiplications that they save.
    pub(crate) fn winograd_tile(&self, output: Shape) -> Option<WinogradTile> {
        let phase = self.phase_shape(output);
        // Multiplications per pair of channels in a phase. Unused places of the last pair of tiles count.
        let multiplications = |n: usize, m: usize| {
            let tiles = phase.height.div_ceil(m) * phase.width.div_ceil(m);
            n * n * tiles.next_multiple_of(TILES_PER_PAIR)
        };
        let (tile, multiplications) = match (self.stride, self.in_channels, self.kernel_size) {
            (1, 4.., 3) if multiplications(9, 7) < multiplications(6, 4) => {
                (WinogradTile::F7x3, multiplications(9, 7))
            }
            (1, 4.., 3) => (WinogradTile::F4x3, multiplications(6, 4)),
            (1, 4.., 5) => (WinogradTile::F5x5, multiplications(9, 5)),
            _ => return None,
        };
        // Large dilations have small phases, whose tiles are mostly border.
        let direct = self.kernel_size * self.kernel_size * output.height * output.width;
        let is_worth_it =
            self.dilation == 1 || 2 * multiplications.saturating_mul(self.dilation * self.dilation) <= direct;
        is_worth_it.then_some(tile)
    }

    /// Returns the shape of the largest phase of a map: see [`dilation_phases`].
    fn phase_shape(&self, map: Shape) -> Shape {
        let [height, width] = [map.height, map.width].map(|len| len.div_ceil(self.dilation));
        Shape { height, width, ..map }
    }
}

/// A [`Conv2d`] with stride 1 and kernels of `R x R` on one thread, by tiles of `M x M` outputs and `N x N` points.
pub(crate) struct WinogradOp<const N: usize, const M: usize, const R: usize> {
    tiling: Tiling,
    dilation: usize,
    /// `u` for the forward pass, in the order of [`weight_index`] with output channels as rows.
    u: Vec<f32>,
    /// `u` for the gradient of the input, with input channels as rows.
    u_transposed: Vec<f32>,
    x: PaddedMap,
    y: PaddedMap,
    dx: PaddedMap,
    dy: PaddedMap,
    /// `v` or its gradient: `(point, pair, in_channel, tile of the pair)`.
    v: AlignedBuffer,
    /// `m` or its gradient: `(point, pair, out_channel, tile of the pair)`.
    m: AlignedBuffer,
    /// Scratch memory: `dm` of a point, transposed to `(tile, sample, group of eight out_channels)`.
    dm_transposed: AlignedBuffer,
    /// Sums of a step: `(point, in_channel, group of eight out_channels)`.
    du: AlignedBuffer,
    /// Gradient of the bias, summed over the blocks of a step but not over the lanes: `(out_channels)`.
    bias_gradient: AlignedBuffer,
}

impl<const N: usize, const M: usize, const R: usize> WinogradOp<N, M, R> {
    const G: [[f32; R]; N] = kernel_matrix();

    /// Allocates memory for a step. The shapes must be those that the layer accepts and produces.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let tiling = Tiling::new::<N, M, R>(input, layer.phase_shape(output));
        let (kernels, groups) = (input.channels * output.channels, output.channels.div_ceil(LANES));
        let input_map = || PaddedMap::new(input, tiling.input, layer.padding, layer.dilation);
        let output_map = || PaddedMap::new(output, tiling.output, 0, layer.dilation);
        Self {
            tiling,
            dilation: layer.dilation,
            u: vec![0.0; N * N * point_stride_in_weights(kernels)],
            u_transposed: vec![0.0; N * N * point_stride_in_weights(kernels)],
            x: input_map(),
            y: output_map(),
            dx: input_map(),
            dy: output_map(),
            v: zeros(N * N * tiling.point_stride(input.channels)),
            m: zeros(N * N * tiling.point_stride(output.channels)),
            dm_transposed: zeros(tiling.tile_pair_count() * TILES_PER_PAIR * LANES * groups),
            du: zeros(N * N * point_stride_in_lanes(input.channels * groups)),
            bias_gradient: zeros(output.channels),
        }
    }

    /// Returns the numbers of output and input channels.
    fn channels(&self) -> (usize, usize) {
        (self.tiling.output.channels, self.tiling.input.channels)
    }

    /// Computes `u = G g G'` of all kernels, once a step.
    #[inline(always)]
    fn transform_weight<S: Simd>(&mut self, simd: S, parameters: &[f32]) {
        let (outputs, inputs) = self.channels();
        let stride = point_stride_in_weights(outputs * inputs);
        let (rows, _) = parameters.as_chunks::<R>();
        let kernels = &rows.as_chunks::<R>().0[..outputs * inputs];
        // All outputs of eight inputs at a time, because then the stores to a cache line follow each other closely.
        for first in (0..inputs).step_by(LANES) {
            for (output, kernels) in kernels.chunks_exact(inputs).enumerate() {
                let kernels = &kernels[first..inputs.min(first + LANES)];
                let mut g = [[Lanes::default(); R]; R];
                for (lane, kernel) in kernels.iter().enumerate() {
                    for (g, value) in g.as_flattened_mut().iter_mut().zip(kernel.as_flattened()) {
                        g.0[lane] = *value;
                    }
                }
                let u = transform_kernels(simd, &Self::G, &g);
                for lane in 0..kernels.len() {
                    let input = first + lane;
                    let index = weight_index(outputs, inputs, output, input);
                    let transposed_index = weight_index(inputs, outputs, input, output);
                    for (point, u) in u.as_flattened().iter().enumerate() {
                        self.u[point * stride + index] = u.0[lane];
                        self.u_transposed[point * stride + transposed_index] = u.0[lane];
                    }
                }
            }
        }
    }

    /// Writes the gradient of a step, `dg = G' du G` and that of the bias, and resets the sums.
    #[inline(always)]
    fn write_gradient<S: Simd>(&mut self, simd: S, gradient: &mut [f32]) {
        let (outputs, inputs) = self.channels();
        let groups = outputs.div_ceil(LANES);
        let stride = point_stride_in_lanes(inputs * groups);
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(outputs * inputs * R * R);
        let g_transposed = const { transposed(&Self::G) };
        for index in 0..inputs * groups {
            let (input, first) = (index / groups, index % groups * LANES);
            let mut du = [[Lanes::default(); N]; N];
            for (point, du) in du.as_flattened_mut().iter_mut().enumerate() {
                *du = self.du[point * stride + index];
            }
            let dg = transform_kernels(simd, &g_transposed, &du);
            for output in first..outputs.min(first + LANES) {
                let kernel = &mut weight_gradient[(output * inputs + input) * R * R..][..R * R];
                for (gradient, dg) in kernel.iter_mut().zip(dg.as_flattened()) {
                    *gradient = dg.0[output - first];
                }
            }
        }
        for (total, lanes) in bias_gradient.iter_mut().zip(self.bias_gradient.iter()) {
            *total = lanes.sum();
        }
        self.du.fill(Lanes::default());
        self.bias_gradient.fill(Lanes::default());
    }
}

impl<const N: usize, const M: usize, const R: usize> Operator for WinogradOp<N, M, R> {
    fn prepare_parameters(&mut self, level: Level, parameters: &[f32]) {
        dispatch!(level, simd => self.transform_weight(simd, parameters));
    }

    fn forward(&mut self, pass: PassContext, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let channels = self.channels();
        let bias = Some(&parameters[parameters.len() - channels.0..]);
        let Self { tiling, u, v, m, .. } = self;
        for (x, y) in x.chunks_exact(self.x.inner.len()).zip(y.chunks_exact_mut(self.y.inner.len())) {
            for phase in dilation_phases(self.dilation) {
                let (input, output) = (self.x.pad(x, phase), self.y.padded_mut(y));
                kernel!(pass.level, transform_tiles[InputTransform, N, N, M](tiling, tiling.input, input, v));
                multiply(pass.level, tiling, u, channels, v, m);
                kernel!(
                    pass.level,
                    inverse_transform_tiles[OutputTransform, N, M, M](tiling, tiling.output, bias, m, output)
                );
                self.y.crop(y, phase);
            }
        }
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
        _parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        mut dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let (outputs, inputs) = self.channels();
        let Self { tiling, u_transposed, v, m, dm_transposed, du, bias_gradient, .. } = self;
        let len = self.x.inner.len();
        for (block, (x, dy)) in x.chunks_exact(len).zip(dy.chunks_exact(self.dy.inner.len())).enumerate() {
            for phase in dilation_phases(self.dilation) {
                let (x, dy) = (self.x.pad(x, phase), self.dy.pad(dy, phase));
                kernel!(pass.level, transform_tiles[InputTransform, N, N, M](tiling, tiling.input, x, v));
                kernel!(pass.level, transform_tiles[OutputTransform, N, M, M](tiling, tiling.output, dy, m));
                kernel!(pass.level, backward_bias(tiling.output, dy, bias_gradient));
                kernel!(pass.level, backward_weight(tiling, v, m, dm_transposed, du));
                if let Some(dx) = &mut dx {
                    let dx = &mut dx[block * len..][..len];
                    let padded_dx = self.dx.padded_mut(dx);
                    padded_dx.fill(Lanes::default());
                    multiply(pass.level, tiling, u_transposed, (inputs, outputs), m, v);
                    kernel!(
                        pass.level,
                        inverse_transform_tiles[InputTransform, N, N, M](tiling, tiling.input, None, v, padded_dx)
                    );
                    self.dx.crop(dx, phase);
                }
            }
        }
    }

    #[cfg(feature = "training")]
    fn write_accumulated_gradient(&mut self, level: Level, gradient: &mut [f32]) {
        dispatch!(level, simd => self.write_gradient(simd, gradient));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `matrix * values * matrix'` in the order of [`transform_kernels`]. Products are rounded, as by the multiply-adds
    /// of SIMD levels without fused ones.
    fn transform_unfused<const I: usize, const O: usize>(
        matrix: &[[f32; I]; O],
        values: [[f32; I]; I],
    ) -> [[f32; O]; O] {
        matrix.map(|factors| {
            let row: [f32; I] =
                std::array::from_fn(|k| (0..I).fold(0.0, |sum, i| values[i][k] * factors[i] + sum));
            matrix.map(|factors| (0..I).fold(0.0, |sum, k| row[k] * factors[k] + sum))
        })
    }

    /// On a machine with fused multiply-adds the results would differ if the best level were used instead.
    #[test]
    fn transforms_kernels_with_the_requested_simd_level() {
        let (level, layer) = (Level::fallback(), Conv2d::new(4, 3, 5));
        let input = Shape { channels: 4, height: 9, width: 9 };
        let output = Shape { channels: 3, height: 5, width: 5 };
        let parameters: Vec<f32> = (0..4 * 3 * 25 + 3).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut operator = WinogradOp::<9, 5, 5>::new(layer, input, output);
        operator.prepare_parameters(level, &parameters);
        // (out_channel, in_channel) of the kernel and its sums in the gradient.
        for (kernel, (output, input)) in [(0, (0, 0)), (7, (1, 3)), (11, (2, 3))] {
            let g = std::array::from_fn(|u| std::array::from_fn(|v| parameters[kernel * 25 + u * 5 + v]));
            let expected = transform_unfused(&WinogradOp::<9, 5, 5>::G, g);
            let index = weight_index(3, 4, output, input);
            let stride = point_stride_in_weights(12);
            let found: Vec<f32> = (0..81).map(|point| operator.u[point * stride + index]).collect();
            assert_eq!(found, expected.as_flattened(), "kernel {kernel}");

            let stride = point_stride_in_lanes(4);
            let du: [[f32; 9]; 9] =
                std::array::from_fn(|u| std::array::from_fn(|v| ((u * 9 + v + kernel) as f32 * 0.9).cos()));
            for (point, value) in du.as_flattened().iter().enumerate() {
                operator.du[point * stride + input].0[output] = *value;
            }
            let mut gradient = vec![0.0; parameters.len()];
            operator.write_accumulated_gradient(level, &mut gradient);
            let expected = transform_unfused(&transposed(&WinogradOp::<9, 5, 5>::G), du);
            assert_eq!(
                gradient[kernel * 25..][..25],
                *expected.as_flattened(),
                "gradient of kernel {kernel}"
            );
        }
    }
}
