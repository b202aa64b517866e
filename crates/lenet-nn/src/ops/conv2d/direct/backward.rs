//! The backward kernels: see [`direct`](super).

use fearless_simd::{Simd, SimdBase, SimdFloat, f32x8};

use super::Geometry;
use crate::{
    Shape,
    activation_layout::Lanes,
    partition::even_chunk,
    simd::{MAX_TILE_SIDE, Vector, with_const},
};

/// Computes one block of the gradient of the input, without padding:
/// `dx[c, i*stride + u*dilation - padding, j*stride + v*dilation - padding] += sum over o of w[o, c, u, v] * dy[o, i, j]`.
///
/// A tile holds the sums over the output channels of two taps by up to six columns. When they are complete, they are added
/// to the pixels that they belong to. This order has exactly the multiplications of the forward pass; a loop over pixels
/// would need separate code for the edges and for each stride.
#[inline(always)]
pub(super) fn backward_input<S: Simd>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let tiles = shape.output.width.div_ceil(MAX_TILE_SIDE);
    dx.fill(Lanes::default());
    for i in 0..shape.output.height {
        for channel in 0..shape.input.channels {
            let rows = shape.overlapping_kernel_rows(i);
            let (start, end) = (rows.start * shape.kernel_size, rows.end * shape.kernel_size);
            for tap in (start..end).step_by(2) {
                let (u, v) = (tap / shape.kernel_size, tap % shape.kernel_size);
                for tile in 0..tiles {
                    let (j, columns) = even_chunk(shape.output.width, tiles, tile);
                    let position = (channel, i, j, u, v);
                    if tap + 1 < end {
                        with_const!(P = columns => {
                            backward_input_tile::<S, 2, P>(simd, shape, weight, dy, dx, position);
                        });
                    } else {
                        with_const!(P = columns => {
                            backward_input_tile::<S, 1, P>(simd, shape, weight, dy, dx, position);
                        });
                    }
                }
            }
        }
    }
}

/// Adds the contributions of `T` taps, from `(u, v)` on, by `P` columns of the output, from `j` on in row `i`.
#[inline(always)]
fn backward_input_tile<S: Simd, const T: usize, const P: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
    (channel, i, j, mut u, mut v): (usize, usize, usize, usize, usize),
) {
    let Geometry { input, output, kernel_size, stride, dilation, padding } = *shape;
    let taps = input.channels * kernel_size * kernel_size;
    let tap = (channel * kernel_size + u) * kernel_size + v;
    let mut sums = [[f32x8::splat(simd, 0.0); P]; T];
    for (o, kernel) in weight.chunks_exact(taps).enumerate() {
        let kernel = &kernel[tap..tap + T];
        let gradients = &dy[(o * output.height + i) * output.width + j..][..P];
        let mut broadcast = [f32x8::splat(simd, 0.0); T];
        for t in 0..T {
            broadcast[t] = f32x8::splat(simd, kernel[t]);
        }
        for p in 0..P {
            let gradient = gradients[p].load(simd);
            for t in 0..T {
                sums[t][p] = broadcast[t].mul_add(gradient, sums[t][p]);
            }
        }
    }
    let width = shape.unpadded_width();
    for t in 0..T {
        let row = &mut dx[shape.input_row_index(channel, i, u) * width..][..width];
        for p in 0..P {
            // Columns of the left padding wrap to huge indices, so `get_mut` skips them like those of the right padding.
            if let Some(pixel) = row.get_mut(((j + p) * stride + v * dilation).wrapping_sub(padding)) {
                pixel.store(pixel.load(simd) + sums[t][p]);
            }
        }
        (u, v) = if v + 1 == kernel_size { (u + 1, 0) } else { (u, v + 1) };
    }
}

/// Adds one block's contribution to the gradient of the weights, lane by lane: `gradient[o, c, u, v] += sum over i, j of
/// dy[o, i, j] * x[c, i*stride + u*dilation - padding, j*stride + v*dilation - padding]`.
///
/// A tile has some output channels by up to six columns of the kernel; the loop over the pixels is the innermost.
#[inline(always)]
pub(super) fn backward_weight<S: Simd, V: Vector<S>>(
    simd: S,
    shape: &Geometry,
    x: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [Lanes],
) {
    let Geometry { input, output, kernel_size, .. } = *shape;
    let tiles = kernel_size.div_ceil(MAX_TILE_SIDE);
    // Where the kernel is narrow, the tile takes more channels, because six sums do not hide the latency of a multiply-add.
    // With 32 registers a tile of twice the size loads less.
    let max_channels = if V::WIDE {
        4
    } else if kernel_size <= 3 {
        3
    } else {
        2
    };
    let groups = output.channels.div_ceil(max_channels);
    for group in 0..groups {
        let (first, channels) = even_chunk(output.channels, groups, group);
        for channel in 0..input.channels {
            for u in 0..kernel_size {
                for tile in 0..tiles {
                    let (v, taps) = even_chunk(kernel_size, tiles, tile);
                    let position = (first, channel, u, v);
                    with_const!(T = taps => if V::WIDE {
                        with_const!(O = channels, [1 2 3] else 4 => {
                            backward_weight_tile::<S, V, O, T>(simd, shape, x, dy, gradient, position)
                        })
                    } else {
                        with_const!(O = channels, [1 2] else 3 => {
                            backward_weight_tile::<S, V, O, T>(simd, shape, x, dy, gradient, position)
                        })
                    });
                }
            }
        }
    }
}

/// Adds to the gradient of `O` output channels, from `first` on, by `T` columns of kernel row `u`, from `v` on.
#[inline(always)]
fn backward_weight_tile<S: Simd, V: Vector<S>, const O: usize, const T: usize>(
    simd: S,
    shape: &Geometry,
    x: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [Lanes],
    (first, channel, u, v): (usize, usize, usize, usize),
) {
    let Geometry { input, output, kernel_size, stride, dilation, .. } = *shape;
    let mut sums = [[V::splat(simd, 0.0); T]; O];
    for i in 0..output.height {
        if !shape.overlapping_kernel_rows(i).contains(&u) {
            continue;
        }
        let row = &x[shape.input_row_index(channel, i, u) * input.width + v * dilation..]
            [..(output.width - 1) * stride + (T - 1) * dilation + 1];
        let mut gradients = [&dy[..0]; O];
        for o in 0..O {
            gradients[o] = &dy[((first + o) * output.height + i) * output.width..][..output.width];
        }
        // All slices have the length of the loop, so that the compiler removes their bounds checks. The wide branch indexes
        // arrays of two elements rather than slices for the same reason.
        let vectors = shape.vectors_per_row(V::ELEMENTS);
        if V::WIDE {
            let mut pairs = [&gradients[0].as_chunks::<2>().0[..0]; O];
            for o in 0..O {
                pairs[o] = &gradients[o].as_chunks().0[..vectors];
            }
            let mut pixels = [&row.as_chunks::<2>().0[..0]; T];
            for t in 0..T {
                pixels[t] = &row[t * dilation..].as_chunks().0[..vectors];
            }
            for j in 0..vectors {
                let mut dys = [V::splat(simd, 0.0); O];
                for o in 0..O {
                    dys[o] = V::load(simd, &pairs[o][j]);
                }
                for t in 0..T {
                    let pixel = V::load(simd, &pixels[t][j]);
                    for o in 0..O {
                        sums[o][t] = dys[o].mul_add(pixel, sums[o][t]);
                    }
                }
            }
        } else {
            let mut pixels = [&row[..0]; T];
            for t in 0..T {
                pixels[t] = &row[t * dilation..][..vectors];
            }
            let gradients = gradients.map(|gradients| &gradients[..vectors]);
            for j in 0..vectors {
                let mut dys = [V::splat(simd, 0.0); O];
                for o in 0..O {
                    dys[o] = V::load_zero_padded(simd, &gradients[o][j]);
                }
                for t in 0..T {
                    let pixel = V::load_zero_padded(simd, &pixels[t][j]);
                    for o in 0..O {
                        sums[o][t] = dys[o].mul_add(pixel, sums[o][t]);
                    }
                }
            }
        }
        for j in vectors * V::ELEMENTS..output.width {
            for t in 0..T {
                let pixel = V::load_zero_padded(simd, &row[j * stride + t * dilation]);
                for o in 0..O {
                    sums[o][t] = V::load_zero_padded(simd, &gradients[o][j]).mul_add(pixel, sums[o][t]);
                }
            }
        }
    }
    for o in 0..O {
        let start = (((first + o) * input.channels + channel) * kernel_size + u) * kernel_size + v;
        for t in 0..T {
            let total = &mut gradient[start + t];
            total.store(total.load(simd) + sums[o][t].sum_to_f32x8());
        }
    }
}

/// Adds the pixels of each channel of `dy` `(channels, height, width)` to `gradient` `(channels)`, the gradient of the
/// bias, lane by lane.
#[inline(always)]
pub(in crate::ops::conv2d) fn backward_bias<S: Simd, V: Vector<S>>(
    simd: S,
    shape: Shape,
    dy: &[Lanes],
    gradient: &mut [Lanes],
) {
    for (plane, total) in dy.chunks_exact(shape.height * shape.width).zip(gradient) {
        // Several sums, because an addition would otherwise wait for the one before it.
        let mut partial_sums = [V::splat(simd, 0.0); MAX_TILE_SIDE];
        let chunks = plane.chunks_exact(MAX_TILE_SIDE * V::ELEMENTS);
        let remainder = chunks.remainder();
        for pixels in chunks {
            for p in 0..MAX_TILE_SIDE {
                partial_sums[p] += V::load(simd, &pixels[p * V::ELEMENTS..]);
            }
        }
        let mut sum = total.load(simd);
        for partial_sum in partial_sums {
            sum += partial_sum.sum_to_f32x8();
        }
        for pixel in remainder {
            sum += pixel.load(simd);
        }
        total.store(sum);
    }
}
