//! The forward kernel: see [`direct`](super).

use fearless_simd::{Simd, f32x8};

use super::Geometry;
use crate::{
    Shape,
    activation_layout::Lanes,
    partition::even_chunk,
    simd::{MAX_TILE_SIDE, Vector, with_const},
};

/// Computes one block of the output, `y = bias + weight * x`.
///
/// - `weight`: `(out_channels, in_channels, kernel_size, kernel_size)`
/// - `x`: a block of the input with padding to the left and right
/// - `y`: `(out_channels, height, width)`
///
/// A tile has up to two output channels by four vectors of columns, or three by six where there are 32 registers.
#[inline(always)]
pub(super) fn forward<S: Simd, V: Vector<S>>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { channels, height, .. } = shape.output;
    let groups = channels.div_ceil(if V::WIDE { 3 } else { 2 });
    for i in 0..height {
        for group in 0..groups {
            let (first, channels) = even_chunk(channels, groups, group);
            let unrolled = if shape.dilation == 1 { shape.kernel_size } else { 0 };
            with_const!(K = unrolled, [5] else 0 => if V::WIDE {
                with_const!(O = channels, [1 2] else 3 => {
                    forward_row::<S, V, O, K>(simd, shape, weight, bias, x, y, (first, i));
                });
            } else {
                with_const!(O = channels, [1] else 2 => {
                    forward_row::<S, V, O, K>(simd, shape, weight, bias, x, y, (first, i));
                });
            });
        }
    }
}

/// Computes row `i` of `O` output channels from `first` on.
#[inline(always)]
fn forward_row<S: Simd, V: Vector<S>, const O: usize, const K: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i): (usize, usize),
) {
    let vectors = shape.vectors_per_row(V::ELEMENTS);
    // The compiler keeps all pixels of a tile in registers, because neighboring taps share them. Four vectors of columns
    // have eight sums, four pixels and two weights: fourteen of sixteen registers.
    let tiles = vectors.div_ceil(if V::WIDE { MAX_TILE_SIDE } else { 4 });
    for tile in 0..tiles {
        let (vector, count) = even_chunk(vectors, tiles, tile);
        let position = (first, i, vector * V::ELEMENTS);
        if V::WIDE {
            with_const!(P = count => forward_tile::<S, V, O, P, K>(simd, shape, weight, bias, x, y, position));
        } else {
            with_const!(P = count, [1 2 3] else 4 => {
                forward_tile::<S, V, O, P, K>(simd, shape, weight, bias, x, y, position);
            });
        }
    }
    for j in vectors * V::ELEMENTS..shape.output.width {
        forward_tile::<S, f32x8<S>, O, 1, K>(simd, shape, weight, bias, x, y, (first, i, j));
    }
}

/// Computes `O` output channels from `first` on by `P` vectors of columns from `j` on, in row `i`.
///
/// `K` is the kernel size of a convolution with dilation 1, which unrolls the loop over the kernel's columns, or 0 for any size
/// and dilation.
#[inline(always)]
fn forward_tile<S: Simd, V: Vector<S>, const O: usize, const P: usize, const K: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i, j): (usize, usize, usize),
) {
    let Geometry { input, output, stride, .. } = *shape;
    let (kernel_size, dilation) = if K == 0 { (shape.kernel_size, shape.dilation) } else { (K, 1) };
    let taps = input.channels * kernel_size * kernel_size;
    let columns = P * V::ELEMENTS;
    let mut sums = [[V::splat(simd, 0.0); P]; O];
    let mut kernels = [&weight[..0]; O];
    for o in 0..O {
        sums[o] = [V::splat(simd, bias[first + o]); P];
        kernels[o] = &weight[(first + o) * taps..][..taps];
    }
    for channel in 0..input.channels {
        for u in shape.overlapping_kernel_rows(i) {
            let start = shape.input_row_index(channel, i, u) * input.width + j * stride;
            let row = &x[start..][..(kernel_size - 1) * dilation + columns];
            let mut weights = [&weight[..0]; O];
            for o in 0..O {
                weights[o] = &kernels[o][(channel * kernel_size + u) * kernel_size..][..kernel_size];
            }
            for v in 0..kernel_size {
                let pixels = &row[v * dilation..][..columns];
                let mut broadcast = [V::splat(simd, 0.0); O];
                for o in 0..O {
                    broadcast[o] = V::splat(simd, weights[o][v]);
                }
                for p in 0..P {
                    let pixel = V::load(simd, &pixels[p * V::ELEMENTS..]);
                    for o in 0..O {
                        sums[o][p] = broadcast[o].mul_add(pixel, sums[o][p]);
                    }
                }
            }
        }
    }
    for o in 0..O {
        let row = &mut y[((first + o) * output.height + i) * output.width + j..][..columns];
        for p in 0..P {
            sums[o][p].store(&mut row[p * V::ELEMENTS..]);
        }
    }
}
