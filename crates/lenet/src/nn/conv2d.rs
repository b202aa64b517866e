//! 2-D convolution (cross-correlation, as everywhere in deep learning):
//!
//! `y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] * x[c, i*stride + u - padding, j*stride + v - padding]`
//!
//! Forward and input gradient are one kernel, [`correlate`]: the gradient of the input is the output's gradient
//! correlated with the weights turned by 180 degrees, input and output channels swapped.

use fearless_simd::{Simd, SimdBase, SimdFloat, dispatch, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    Shape,
    lanes::{Lanes, TILE, piece, with_const, zeros},
    layer::{Operator, Pass},
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
}

/// A correlation of `input` rows, which carry their padding to the left and right; rows above and below the
/// input count as zeros and are skipped.
#[derive(Debug, Clone, Copy)]
struct Correlation {
    /// Shape of the input; its width counts the padding.
    input: Shape,
    /// Columns of the input that are padding: this many on the left; `filled` ones follow that are not.
    left: usize,
    filled: usize,
    /// Rows of zeros above the input.
    top: usize,
    output: Shape,
    kernel_size: usize,
    stride: usize,
}

impl Correlation {
    /// The rows `u` of the kernel that meet the input in output row `i`.
    #[inline(always)]
    fn kernel_rows(&self, i: usize) -> (usize, usize) {
        let first = i * self.stride;
        (
            self.top.saturating_sub(first),
            self.kernel_size.min((self.input.height + self.top).saturating_sub(first)),
        )
    }

    /// The columns `v` of the kernel that meet more than padding in the output columns `j..j + columns`.
    #[inline(always)]
    fn kernel_columns(&self, j: usize, columns: usize) -> (usize, usize) {
        let last = (j + columns - 1) * self.stride;
        let end = (self.left + self.filled).saturating_sub(j * self.stride);
        (self.left.saturating_sub(last), self.kernel_size.min(end))
    }

    /// Start of the input row that row `u` of the kernel meets in output row `i`, from output column `j` on.
    #[inline(always)]
    fn input_row(&self, channel: usize, i: usize, u: usize, j: usize) -> usize {
        (channel * self.input.height + i * self.stride + u - self.top) * self.input.width + j * self.stride
    }
}

/// One block: `y (output) = bias + weight (output channel, input channel, u, v) * x (input)`.
///
/// A tile of two channels by up to six columns stays in registers while the taps go by; a row of tiles reads
/// few rows of `x`, which stay in the first-level cache.
#[inline(always)]
fn correlate<S: Simd>(
    simd: S,
    shape: &Correlation,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { channels, height, width } = shape.output;
    let tiles = width.div_ceil(TILE);
    for i in 0..height {
        for first in (0..channels).step_by(2) {
            for tile in 0..tiles {
                let (j, columns) = piece(width, tiles, tile);
                if first + 1 < channels {
                    with_const!(P = columns => correlate_tile::<S, 2, P>(simd, shape, weight, bias, x, y, (first, i, j)));
                } else {
                    with_const!(P = columns => correlate_tile::<S, 1, P>(simd, shape, weight, bias, x, y, (first, i, j)));
                }
            }
        }
    }
}

#[inline(always)]
fn correlate_tile<S: Simd, const C: usize, const P: usize>(
    simd: S,
    shape: &Correlation,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i, j): (usize, usize, usize),
) {
    let Correlation { input, output, kernel_size, stride, .. } = *shape;
    let (top, bottom) = shape.kernel_rows(i);
    let (left, right) = shape.kernel_columns(j, P);
    let mut sums = [[f32x8::splat(simd, 0.0); P]; C];
    for c in 0..C {
        sums[c] = [f32x8::splat(simd, bias.get(first + c).copied().unwrap_or(0.0)); P];
    }
    let taps = kernel_size * kernel_size;
    for channel in 0..input.channels {
        for u in top..bottom {
            let row = &x[shape.input_row(channel, i, u, j)..];
            let mut weights = [&weight[..0]; C];
            for c in 0..C {
                let start = ((first + c) * input.channels + channel) * taps + u * kernel_size;
                weights[c] = &weight[start..start + right];
            }
            for v in left..right {
                let mut broadcast = [f32x8::splat(simd, 0.0); C];
                for c in 0..C {
                    broadcast[c] = f32x8::splat(simd, weights[c][v]);
                }
                for p in 0..P {
                    let pixel = row[v + p * stride].load(simd);
                    for c in 0..C {
                        sums[c][p] = broadcast[c].mul_add(pixel, sums[c][p]);
                    }
                }
            }
        }
    }
    for c in 0..C {
        let row = &mut y[((first + c) * output.height + i) * output.width + j..][..P];
        for p in 0..P {
            row[p].store(sums[c][p]);
        }
    }
}

/// One block of the weights' gradient, each lane apart: `gradient[o, c, u, v] += sum over i, j of
/// dy[o, i, j] * x[c, i*stride + u - padding, j*stride + v - padding]`.
///
/// A tile of output channels by columns of the kernel stays in registers while the pixels go by.
#[inline(always)]
fn correlate_weights<S: Simd>(
    simd: S,
    shape: &Correlation,
    x: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [Lanes],
) {
    let Correlation { input, output, kernel_size, .. } = *shape;
    let tiles = kernel_size.div_ceil(TILE);
    // Six sums hide too little latency: where the kernel is narrow the tile takes three channels.
    let most_channels = if kernel_size <= 3 { 3 } else { 2 };
    let groups = output.channels.div_ceil(most_channels);
    for group in 0..groups {
        let (first, channels) = piece(output.channels, groups, group);
        for channel in 0..input.channels {
            for u in 0..kernel_size {
                for tile in 0..tiles {
                    let (v, columns) = piece(kernel_size, tiles, tile);
                    let at = (first, channel, u, v);
                    match channels {
                        1 => {
                            with_const!(T = columns => weights_tile::<S, 1, T>(simd, shape, x, dy, gradient, at))
                        }
                        2 => {
                            with_const!(T = columns => weights_tile::<S, 2, T>(simd, shape, x, dy, gradient, at))
                        }
                        _ => {
                            with_const!(T = columns => weights_tile::<S, 3, T>(simd, shape, x, dy, gradient, at))
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn weights_tile<S: Simd, const C: usize, const T: usize>(
    simd: S,
    shape: &Correlation,
    x: &[Lanes],
    dy: &[Lanes],
    gradient: &mut [Lanes],
    (first, channel, u, v): (usize, usize, usize, usize),
) {
    let Correlation { input, output, kernel_size, stride, .. } = *shape;
    let mut sums = [[f32x8::splat(simd, 0.0); T]; C];
    for i in 0..output.height {
        let (top, bottom) = shape.kernel_rows(i);
        if u < top || u >= bottom {
            continue;
        }
        let row = &x[shape.input_row(channel, i, u, 0) + v..][..(output.width - 1) * stride + T];
        let mut gradients = [&dy[..0]; C];
        for c in 0..C {
            gradients[c] = &dy[((first + c) * output.height + i) * output.width..][..output.width];
        }
        for j in 0..output.width {
            let mut dys = [f32x8::splat(simd, 0.0); C];
            for c in 0..C {
                dys[c] = gradients[c][j].load(simd);
            }
            for t in 0..T {
                let pixel = row[j * stride + t].load(simd);
                for c in 0..C {
                    sums[c][t] = dys[c].mul_add(pixel, sums[c][t]);
                }
            }
        }
    }
    for c in 0..C {
        let start = (((first + c) * input.channels + channel) * kernel_size + u) * kernel_size + v;
        for t in 0..T {
            let total = &mut gradient[start + t];
            total.store(total.load(simd) + sums[c][t]);
        }
    }
}

/// [`Conv2d`] at work on one thread.
pub(super) struct Convolution {
    /// Padded input to output.
    forward: Correlation,
    /// Spread-out gradient of the output to gradient of the input.
    backward: Correlation,
    /// (in_channels, height, padding + width + padding); the padding stays zero.
    padded: Vec<Lanes>,
    /// Gradient of the output, `stride` apart, between zeros: (out_channels, height, width).
    spread: Vec<Lanes>,
    /// Weights turned by 180 degrees: (in_channels, out_channels, kernel_size, kernel_size).
    turned: Vec<f32>,
    /// Sums of a step: (out_channels, in_channels, kernel_size, kernel_size), then (out_channels).
    gradient: Vec<Lanes>,
}

impl Convolution {
    /// For input and output shapes that have been checked.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let Conv2d { in_channels, out_channels, kernel_size, stride, padding } = layer;
        let weights = out_channels * in_channels * kernel_size * kernel_size;
        let forward = Correlation {
            input: Shape { width: input.width + 2 * padding, ..input },
            left: padding,
            filled: input.width,
            top: padding,
            output,
            kernel_size,
            stride,
        };
        let border = kernel_size - 1 - padding;
        let backward = Correlation {
            input: Shape {
                channels: out_channels,
                height: (output.height - 1) * stride + 1,
                width: input.width + kernel_size - 1,
            },
            left: border,
            filled: (output.width - 1) * stride + 1,
            top: border,
            output: input,
            kernel_size,
            stride: 1,
        };
        Self {
            forward,
            backward,
            padded: zeros(if padding > 0 { forward.input.len() } else { 0 }),
            spread: zeros(backward.input.len()),
            turned: vec![0.0; weights],
            gradient: zeros(weights + out_channels),
        }
    }

    fn weights(&self) -> usize {
        self.turned.len()
    }
}

/// `x` (in_channels, height, width) with its padding, in `padded` unless there is none.
fn pad<'a>(shape: &Correlation, x: &'a [Lanes], padded: &'a mut [Lanes]) -> &'a [Lanes] {
    if shape.left == 0 {
        return x;
    }
    spread(x, Shape { width: shape.filled, ..shape.input }, padded, shape, 1);
    padded
}

/// Copies `from` into the input of a correlation: pixels and rows `step` apart, padding left as it is.
fn spread(from: &[Lanes], shape: Shape, to: &mut [Lanes], correlation: &Correlation, step: usize) {
    let Shape { height, width, .. } = correlation.input;
    for channel in 0..shape.channels {
        for row in 0..shape.height {
            let source = &from[(channel * shape.height + row) * shape.width..][..shape.width];
            let target = &mut to[(channel * height + row * step) * width + correlation.left..];
            for (target, source) in target.iter_mut().step_by(step).zip(source) {
                *target = *source;
            }
        }
    }
}

impl Operator for Convolution {
    fn prepare(&mut self, parameters: &[f32]) {
        let (inputs, outputs) = (self.forward.input.channels, self.forward.output.channels);
        let taps = self.forward.kernel_size * self.forward.kernel_size;
        for output in 0..outputs {
            for input in 0..inputs {
                let kernel = &parameters[(output * inputs + input) * taps..][..taps];
                let turned = &mut self.turned[(input * outputs + output) * taps..][..taps];
                for (turned, weight) in turned.iter_mut().zip(kernel.iter().rev()) {
                    *turned = *weight;
                }
            }
        }
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let (weight, bias) = parameters.split_at(self.weights());
        let shape = &self.forward;
        let xs = x.chunks_exact(self.backward.output.len());
        for (x, y) in xs.zip(y.chunks_exact_mut(shape.output.len())) {
            let x = pad(shape, x, &mut self.padded);
            dispatch!(pass.level, simd => correlate(simd, shape, weight, bias, x, y));
        }
    }

    fn backward(
        &mut self,
        pass: Pass,
        _parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        mut dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let (forward, backward) = (&self.forward, &self.backward);
        let (input, output) = (backward.output, forward.output);
        let (weight, bias) = self.gradient.split_at_mut(self.turned.len());
        let xs = x.chunks_exact(input.len());
        for (block, (x, dy)) in xs.zip(dy.chunks_exact(output.len())).enumerate() {
            let x = pad(forward, x, &mut self.padded);
            dispatch!(pass.level, simd => {
                correlate_weights(simd, forward, x, dy, weight);
                add_planes(simd, output, dy, bias);
            });
            if let Some(dx) = &mut dx {
                let dx = &mut dx[block * input.len()..][..input.len()];
                spread(dy, output, &mut self.spread, backward, forward.stride);
                let (turned, wide) = (&self.turned, &self.spread);
                dispatch!(pass.level, simd => correlate(simd, backward, turned, &[], wide, dx));
            }
        }
    }

    fn finish(&mut self, gradient: &mut [f32]) {
        for (total, lanes) in gradient.iter_mut().zip(&mut self.gradient) {
            *total = lanes.0.iter().sum();
            *lanes = Lanes::default();
        }
    }
}

/// Adds the pixels of each channel of `dy` to `sums`: the gradient of the bias.
#[inline(always)]
fn add_planes<S: Simd>(simd: S, shape: Shape, dy: &[Lanes], sums: &mut [Lanes]) {
    for (plane, sum) in dy.chunks_exact(shape.height * shape.width).zip(sums) {
        let mut total = sum.load(simd);
        for pixel in plane {
            total += pixel.load(simd);
        }
        sum.store(total);
    }
}
