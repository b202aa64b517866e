//! 2-D convolution (cross-correlation, as everywhere in deep learning):
//!
//! `y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] * x[c, i*stride + u - padding, j*stride + v - padding]`
//!
//! Three kernels, each with a tile of sums that stays in registers: [`correlate`] for the output,
//! [`correlate_weights`] for the gradient of the weights, [`scatter`] for the gradient of the input.

pub(crate) mod winograd;
mod layer;
mod single_sample;

use std::ops::Range;

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch, f32x8};
use serde::{Deserialize, Serialize};

use crate::{
    Shape,
    lanes::{Buffer, Lanes, MAX_TILE, Vector, even_chunk, kernel, with_const, zeros},
    operator::{Operator, Pass},
};

/// 2-D convolution with a square kernel; weights `(out_channels, in_channels, kernel_size, kernel_size)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output, one kernel each.
    pub out_channels: usize,
    /// Height and width of a kernel, in pixels.
    pub kernel_size: usize,
    /// Step between neighbouring outputs, in input pixels.
    pub stride: usize,
    /// Zeros put around the input, in pixels; less than `kernel_size`.
    pub padding: usize,
}

impl Conv2d {
    /// A convolution with stride 1 and no padding.
    pub const fn new(in_channels: usize, out_channels: usize, kernel_size: usize) -> Self {
        Self { in_channels, out_channels, kernel_size, stride: 1, padding: 0 }
    }

    /// The same with another stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with `padding` zeros around the input.
    pub const fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Whether a kernel covers the whole of `input`: a fully connected layer by another name.
    pub(crate) fn covers(&self, input: Shape) -> bool {
        [input.height, input.width] == [self.kernel_size; 2] && self.padding == 0
    }
}

/// The shapes of a convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// The input with its padding to the left and right, and without that above and below, which is never read.
    pub input: Shape,
    pub output: Shape,
    pub kernel_size: usize,
    pub stride: usize,
    padding: usize,
}

impl Geometry {
    /// For input and output shapes that have been checked.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let Conv2d { kernel_size, stride, padding, .. } = layer;
        let input = Shape { width: input.width + 2 * padding, ..input };
        Self { input, output, kernel_size, stride, padding }
    }

    /// Columns of the input without its padding.
    #[inline(always)]
    fn width(&self) -> usize {
        self.input.width - 2 * self.padding
    }

    /// Tiles of a row of the output: neighbouring columns of a tile read neighbouring pixels, so with a stride a tile
    /// is one column.
    #[inline(always)]
    pub fn tiles(&self) -> usize {
        if self.stride == 1 { self.output.width.div_ceil(MAX_TILE) } else { self.output.width }
    }

    /// Whole vectors of so many `elements` in a row of the output: neighbours must read neighbouring pixels.
    #[inline(always)]
    fn vectors(&self, elements: usize) -> usize {
        if self.stride == 1 { self.output.width / elements } else { 0 }
    }

    /// The rows `u` of the kernel that meet the input in output row `i`.
    #[inline(always)]
    pub fn kernel_rows(&self, i: usize) -> Range<usize> {
        let first = i * self.stride;
        let end = (self.input.height + self.padding).saturating_sub(first);
        self.padding.saturating_sub(first)..self.kernel_size.min(end)
    }

    /// The input row that row `u` of the kernel meets in output row `i`, counted over all channels.
    #[inline(always)]
    pub fn input_row(&self, channel: usize, i: usize, u: usize) -> usize {
        channel * self.input.height + i * self.stride + u - self.padding
    }
}

/// One block: `y (output) = bias + weight (out_channels, in_channels, kernel_size, kernel_size) * x (input)`.
///
/// A tile of up to two channels by four vectors of columns, three by six where registers are wide, stays in them while the
/// taps go by; a row of tiles reads few rows of `x`, which stay in the first-level cache.
#[inline(always)]
fn correlate<S: Simd, V: Vector<S>>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { channels, height, .. } = shape.output;
    // Twice the registers hold more channels, for which the pixels are loaded once.
    let groups = channels.div_ceil(if V::WIDE { 3 } else { 2 });
    for i in 0..height {
        for group in 0..groups {
            let (first, channels) = even_chunk(channels, groups, group);
            with_const!(K = shape.kernel_size, [5] else 0 => if V::WIDE {
                with_const!(C = channels, [1 2] else 3 => {
                    correlate_row::<S, V, C, K>(simd, shape, weight, bias, x, y, (first, i));
                });
            } else {
                with_const!(C = channels, [1] else 2 => {
                    correlate_row::<S, V, C, K>(simd, shape, weight, bias, x, y, (first, i));
                });
            });
        }
    }
}

#[inline(always)]
fn correlate_row<S: Simd, V: Vector<S>, const C: usize, const K: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i): (usize, usize),
) {
    let vectors = shape.vectors(V::ELEMENTS);
    // Neighbouring taps share their pixels, so the compiler keeps all of them in registers: with eight sums and two weights they
    // are fourteen of sixteen.
    let tiles = vectors.div_ceil(if V::WIDE { MAX_TILE } else { 4 });
    for tile in 0..tiles {
        let (vector, columns) = even_chunk(vectors, tiles, tile);
        let at = (first, i, vector * V::ELEMENTS);
        if V::WIDE {
            with_const!(P = columns => correlate_tile::<S, V, C, P, K>(simd, shape, weight, bias, x, y, at));
        } else {
            with_const!(P = columns, [1 2 3] else 4 => {
                correlate_tile::<S, V, C, P, K>(simd, shape, weight, bias, x, y, at);
            });
        }
    }
    for j in vectors * V::ELEMENTS..shape.output.width {
        correlate_tile::<S, f32x8<S>, C, 1, K>(simd, shape, weight, bias, x, y, (first, i, j));
    }
}

/// `K` is the kernel's size, so that its columns unroll, or 0.
#[inline(always)]
fn correlate_tile<S: Simd, V: Vector<S>, const C: usize, const P: usize, const K: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i, j): (usize, usize, usize),
) {
    let Geometry { input, output, stride, .. } = *shape;
    let kernel_size = if K == 0 { shape.kernel_size } else { K };
    let taps = input.channels * kernel_size * kernel_size;
    let columns = P * V::ELEMENTS;
    let mut sums = [[V::splat(simd, 0.0); P]; C];
    let mut kernels = [&weight[..0]; C];
    for c in 0..C {
        sums[c] = [V::splat(simd, bias[first + c]); P];
        kernels[c] = &weight[(first + c) * taps..][..taps];
    }
    for channel in 0..input.channels {
        for u in shape.kernel_rows(i) {
            let start = shape.input_row(channel, i, u) * input.width + j * stride;
            let row = &x[start..][..kernel_size + columns - 1];
            let mut weights = [&weight[..0]; C];
            for c in 0..C {
                weights[c] = &kernels[c][(channel * kernel_size + u) * kernel_size..][..kernel_size];
            }
            for v in 0..kernel_size {
                let pixels = &row[v..][..columns];
                let mut broadcast = [V::splat(simd, 0.0); C];
                for c in 0..C {
                    broadcast[c] = V::splat(simd, weights[c][v]);
                }
                for p in 0..P {
                    let pixel = V::load(simd, &pixels[p * V::ELEMENTS..]);
                    for c in 0..C {
                        sums[c][p] = broadcast[c].mul_add(pixel, sums[c][p]);
                    }
                }
            }
        }
    }
    for c in 0..C {
        let row = &mut y[((first + c) * output.height + i) * output.width + j..][..columns];
        for p in 0..P {
            sums[c][p].store(&mut row[p * V::ELEMENTS..]);
        }
    }
}

/// One block of the input's gradient: `dx[c, i*stride + u - padding, j*stride + v - padding] += sum over o of
/// w[o, c, u, v] * dy[o, i, j]`, for `dx` without padding.
///
/// The sums over the output channels of two taps by up to six columns stay in registers, and are then added where
/// they belong: exactly the multiplications that the forward pass has, whatever the edges.
#[inline(always)]
fn scatter<S: Simd>(simd: S, shape: &Geometry, weight: &[f32], dy: &[Lanes], dx: &mut [Lanes]) {
    let tiles = shape.output.width.div_ceil(MAX_TILE);
    dx.fill(Lanes::default());
    for i in 0..shape.output.height {
        for channel in 0..shape.input.channels {
            let rows = shape.kernel_rows(i);
            let (start, end) = (rows.start * shape.kernel_size, rows.end * shape.kernel_size);
            for tap in (start..end).step_by(2) {
                let (u, v) = (tap / shape.kernel_size, tap % shape.kernel_size);
                for tile in 0..tiles {
                    let (j, columns) = even_chunk(shape.output.width, tiles, tile);
                    let at = (channel, i, j, u, v);
                    if tap + 1 < end {
                        with_const!(P = columns => scatter_tile::<S, 2, P>(simd, shape, weight, dy, dx, at));
                    } else {
                        with_const!(P = columns => scatter_tile::<S, 1, P>(simd, shape, weight, dy, dx, at));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn scatter_tile<S: Simd, const T: usize, const P: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[f32],
    dy: &[Lanes],
    dx: &mut [Lanes],
    (channel, i, j, mut u, mut v): (usize, usize, usize, usize, usize),
) {
    let Geometry { input, output, kernel_size, stride, padding } = *shape;
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
    for t in 0..T {
        let row = &mut dx[shape.input_row(channel, i, u) * shape.width()..][..shape.width()];
        for p in 0..P {
            // Left of the input wraps to a huge number: outside as well.
            if let Some(pixel) = row.get_mut(((j + p) * stride + v).wrapping_sub(padding)) {
                pixel.store(pixel.load(simd) + sums[t][p]);
            }
        }
        (u, v) = if v + 1 == kernel_size { (u + 1, 0) } else { (u, v + 1) };
    }
}

/// One block of the weights' gradient, each lane apart: `gradient[o, c, u, v] += sum over i, j of
/// dy[o, i, j] * x[c, i*stride + u - padding, j*stride + v - padding]`.
///
/// A tile of output channels by columns of the kernel stays in registers while the pixels go by.
#[inline(always)]
fn correlate_weights<S: Simd, V: Vector<S>>(
    simd: S,
    shape: &Geometry,
    x: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [Lanes],
) {
    let Geometry { input, output, kernel_size, .. } = *shape;
    let tiles = kernel_size.div_ceil(MAX_TILE);
    // Six sums hide too little latency, so where the kernel is narrow the tile takes more channels; and twice the
    // registers hold twice the tile, which then loads less.
    let most_channels = if V::WIDE {
        4
    } else if kernel_size <= 3 {
        3
    } else {
        2
    };
    let groups = output.channels.div_ceil(most_channels);
    for group in 0..groups {
        let (first, channels) = even_chunk(output.channels, groups, group);
        for channel in 0..input.channels {
            for u in 0..kernel_size {
                for tile in 0..tiles {
                    let (v, columns) = even_chunk(kernel_size, tiles, tile);
                    let at = (first, channel, u, v);
                    with_const!(T = columns => if V::WIDE {
                        with_const!(C = channels, [1 2 3] else 4 => {
                            weights_tile::<S, V, C, T>(simd, shape, x, dy, gradient, at)
                        })
                    } else {
                        with_const!(C = channels, [1 2] else 3 => {
                            weights_tile::<S, V, C, T>(simd, shape, x, dy, gradient, at)
                        })
                    });
                }
            }
        }
    }
}

#[inline(always)]
fn weights_tile<S: Simd, V: Vector<S>, const C: usize, const T: usize>(
    simd: S,
    shape: &Geometry,
    x: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [Lanes],
    (first, channel, u, v): (usize, usize, usize, usize),
) {
    let Geometry { input, output, kernel_size, stride, .. } = *shape;
    let mut sums = [[V::splat(simd, 0.0); T]; C];
    for i in 0..output.height {
        if !shape.kernel_rows(i).contains(&u) {
            continue;
        }
        let row = &x[shape.input_row(channel, i, u) * input.width + v..][..(output.width - 1) * stride + T];
        let mut gradients = [&dy[..0]; C];
        for c in 0..C {
            gradients[c] = &dy[((first + c) * output.height + i) * output.width..][..output.width];
        }
        // Slices of one length, so that a step of the loop checks no other.
        let vectors = shape.vectors(V::ELEMENTS);
        if V::WIDE {
            let mut pairs = [&gradients[0].as_chunks::<2>().0[..0]; C];
            for c in 0..C {
                pairs[c] = &gradients[c].as_chunks().0[..vectors];
            }
            let mut pixels = [&row.as_chunks::<2>().0[..0]; T];
            for t in 0..T {
                pixels[t] = &row[t..].as_chunks().0[..vectors];
            }
            for j in 0..vectors {
                let mut dys = [V::splat(simd, 0.0); C];
                for c in 0..C {
                    dys[c] = V::load(simd, &pairs[c][j]);
                }
                for t in 0..T {
                    let pixel = V::load(simd, &pixels[t][j]);
                    for c in 0..C {
                        sums[c][t] = dys[c].mul_add(pixel, sums[c][t]);
                    }
                }
            }
        } else {
            let mut pixels = [&row[..0]; T];
            for t in 0..T {
                pixels[t] = &row[t..][..vectors];
            }
            let gradients = gradients.map(|gradients| &gradients[..vectors]);
            for j in 0..vectors {
                let mut dys = [V::splat(simd, 0.0); C];
                for c in 0..C {
                    dys[c] = V::load_first(simd, &gradients[c][j]);
                }
                for t in 0..T {
                    let pixel = V::load_first(simd, &pixels[t][j]);
                    for c in 0..C {
                        sums[c][t] = dys[c].mul_add(pixel, sums[c][t]);
                    }
                }
            }
        }
        for j in vectors * V::ELEMENTS..output.width {
            for t in 0..T {
                let pixel = V::load_first(simd, &row[j * stride + t]);
                for c in 0..C {
                    sums[c][t] = V::load_first(simd, &gradients[c][j]).mul_add(pixel, sums[c][t]);
                }
            }
        }
    }
    for c in 0..C {
        let start = (((first + c) * input.channels + channel) * kernel_size + u) * kernel_size + v;
        for t in 0..T {
            let total = &mut gradient[start + t];
            total.store(total.load(simd) + sums[c][t].sum_elements());
        }
    }
}

/// [`Conv2d`] at work on one thread.
pub(crate) struct Conv2dOp {
    shape: Geometry,
    /// A block of the input with its padding, which stays zero; empty if there is none.
    padded: Buffer,
    /// Sums of a step, each lane apart: (out_channels, in_channels, kernel_size, kernel_size), then (out_channels).
    gradient: Buffer,
}

impl Conv2dOp {
    /// For input and output shapes that have been checked.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let Conv2d { in_channels, out_channels, kernel_size, padding, .. } = layer;
        let shape = Geometry::new(layer, input, output);
        Self {
            shape,
            padded: zeros(if padding > 0 { shape.input.len() } else { 0 }),
            gradient: zeros(out_channels * (in_channels * kernel_size * kernel_size + 1)),
        }
    }

    /// Elements of a block of the input, without padding.
    fn input_len(&self) -> usize {
        self.shape.input.channels * self.shape.input.height * self.shape.width()
    }
}

/// A block of the input with its padding, in `padded` unless there is none.
pub(crate) fn pad<'a>(shape: &Geometry, x: &'a [Lanes], padded: &'a mut [Lanes]) -> &'a [Lanes] {
    if shape.padding == 0 {
        return x;
    }
    for (row, wide) in x.chunks_exact(shape.width()).zip(padded.chunks_exact_mut(shape.input.width)) {
        wide[shape.padding..][..row.len()].copy_from_slice(row);
    }
    padded
}

impl Operator for Conv2dOp {
    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let (weight, bias) = parameters.split_at(parameters.len() - self.shape.output.channels);
        let xs = x.chunks_exact(self.input_len());
        let shape = &self.shape;
        for (x, y) in xs.zip(y.chunks_exact_mut(shape.output.len())) {
            let x = pad(shape, x, &mut self.padded);
            kernel!(pass.level, correlate(shape, weight, bias, x, y));
        }
    }

    fn backward(
        &mut self,
        pass: Pass,
        parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        mut dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let len = self.input_len();
        let shape = &self.shape;
        let weights = parameters.len() - shape.output.channels;
        let (weight_gradient, bias_gradient) = self.gradient.split_at_mut(weights);
        let blocks = x.chunks_exact(len).zip(dy.chunks_exact(shape.output.len()));
        for (block, (x, dy)) in blocks.enumerate() {
            let x = pad(shape, x, &mut self.padded);
            kernel!(pass.level, correlate_weights(shape, x, dy, weight_gradient));
            kernel!(pass.level, add_planes(shape.output, dy, bias_gradient));
            if let Some(dx) = &mut dx {
                let dx = &mut dx[block * len..][..len];
                dispatch!(pass.level, simd => scatter(simd, shape, &parameters[..weights], dy, dx));
            }
        }
    }

    fn reduce_gradient(&mut self, _level: Level, gradient: &mut [f32]) {
        for (total, lanes) in gradient.iter_mut().zip(self.gradient.iter_mut()) {
            *total = lanes.0.iter().sum();
            *lanes = Lanes::default();
        }
    }
}

/// Adds the pixels of each channel of `dy` to `sums`: the gradient of the bias.
#[inline(always)]
pub(crate) fn add_planes<S: Simd, V: Vector<S>>(simd: S, shape: Shape, dy: &[Lanes], sums: &mut [Lanes]) {
    for (plane, sum) in dy.chunks_exact(shape.height * shape.width).zip(sums) {
        // Several sums, so that no addition waits for the one before it.
        let mut parts = [V::splat(simd, 0.0); MAX_TILE];
        let rows = plane.chunks_exact(MAX_TILE * V::ELEMENTS);
        let rest = rows.remainder();
        for row in rows {
            for p in 0..MAX_TILE {
                parts[p] += V::load(simd, &row[p * V::ELEMENTS..]);
            }
        }
        let mut total = sum.load(simd);
        for part in parts {
            total += part.sum_elements();
        }
        for pixel in rest {
            total += pixel.load(simd);
        }
        sum.store(total);
    }
}
