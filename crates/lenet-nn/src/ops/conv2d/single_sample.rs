//! Direct convolution of one sample, in the layout `(channel / 8, height, width, lane = channel % 8)`.
//!
//! ```text
//! for each output row, two groups of eight output channels and tile of up to six columns:
//!     for each in_channel and tap (u, v):
//!         add weight (group of channels) * x (pixel, broadcast) to the sums of each column
//! ```
//!
//! The lanes of the output are output channels, whose weights are interleaved once. The sums of a tile stay in registers, as in
//! the convolution of a block ([`direct`](super::direct)).

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch, f32x8};

use super::{Conv2d, Geometry, pad};
use crate::{
    Shape,
    activation_layout::{AlignedBuffer, LANES, Lanes, zeros},
    operator::{SingleSampleOp, channel_packed_shape},
    partition::even_chunk,
    simd::with_const,
};

/// [`Conv2d`] on one sample.
pub(crate) struct SingleSampleConv2d {
    shape: Geometry,
    /// The input with its padding, which stays zero; empty if there is none.
    padded: AlignedBuffer,
    /// `(group, in_channels, kernel_size, kernel_size)`, for groups of eight output channels.
    weight: AlignedBuffer,
    /// `(group)`
    bias: AlignedBuffer,
}

impl SingleSampleConv2d {
    /// Takes weights and bias in groups of eight output channels.
    pub fn new(
        layer: Conv2d,
        input: Shape,
        output: Shape,
        weight: AlignedBuffer,
        bias: AlignedBuffer,
    ) -> Self {
        let shape = Geometry::new(layer, input, output);
        let padded = zeros(if layer.padding > 0 { channel_packed_shape(shape.input).len() } else { 0 });
        Self { shape, padded, weight, bias }
    }
}

impl SingleSampleOp for SingleSampleConv2d {
    fn forward(&mut self, level: Level, _parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]) {
        let Self { shape, padded, weight, bias } = self;
        let x = pad(shape, x, padded);
        dispatch!(level, simd => forward(simd, shape, weight, bias, x, y));
    }
}

/// Computes `y = bias + weight * x`, with weights `(group, in_channels, kernel_size, kernel_size)` and biases `(group)` of
/// groups of eight output channels.
#[inline(always)]
fn forward<S: Simd>(
    simd: S,
    shape: &Geometry,
    weight: &[Lanes],
    bias: &[Lanes],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { height, width, .. } = shape.output;
    let tiles = shape.tiles_per_row();
    for i in 0..height {
        for group in (0..bias.len()).step_by(2) {
            for tile in 0..tiles {
                let (j, columns) = even_chunk(width, tiles, tile);
                let position = (group, i, j);
                if group + 1 < bias.len() {
                    with_const!(P = columns => forward_tile::<S, 2, P>(simd, shape, weight, bias, x, y, position));
                } else {
                    with_const!(P = columns => forward_tile::<S, 1, P>(simd, shape, weight, bias, x, y, position));
                }
            }
        }
    }
}

/// Computes `G` groups of output channels, from `first` on, by `P` columns, from `j` on in row `i`.
#[inline(always)]
fn forward_tile<S: Simd, const G: usize, const P: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[Lanes],
    bias: &[Lanes],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i, j): (usize, usize, usize),
) {
    let Geometry { input, output, kernel_size, stride, dilation, .. } = *shape;
    let taps = input.channels * kernel_size * kernel_size;
    let mut sums = [[f32x8::splat(simd, 0.0); P]; G];
    let mut kernels = [&weight[..0]; G];
    for g in 0..G {
        sums[g] = [bias[first + g].load(simd); P];
        kernels[g] = &weight[(first + g) * taps..][..taps];
    }
    for channel in 0..input.channels {
        for u in shape.overlapping_kernel_rows(i) {
            let start = shape.input_row_index(channel / LANES, i, u) * input.width + j * stride;
            let row = &x[start..][..(kernel_size - 1) * dilation + P];
            let mut weights = [&weight[..0]; G];
            for g in 0..G {
                weights[g] = &kernels[g][(channel * kernel_size + u) * kernel_size..][..kernel_size];
            }
            for v in 0..kernel_size {
                let pixels = &row[v * dilation..][..P];
                let mut vectors = [f32x8::splat(simd, 0.0); G];
                for g in 0..G {
                    vectors[g] = weights[g][v].load(simd);
                }
                for p in 0..P {
                    let pixel = f32x8::splat(simd, pixels[p].0[channel % LANES]);
                    for g in 0..G {
                        sums[g][p] = vectors[g].mul_add(pixel, sums[g][p]);
                    }
                }
            }
        }
    }
    for g in 0..G {
        let row = &mut y[((first + g) * output.height + i) * output.width + j..][..P];
        for p in 0..P {
            row[p].store(sums[g][p]);
        }
    }
}
