//! Convolution by its formula, with register tiles.
//!
//! The three kernels compute, for one block of samples:
//!
//! ```text
//! forward:          y[o, i, j]                   = b[o] + sum over c, u, v of w[o, c, u, v] * x[c, i + u, j + v]
//! backward_input:   dx[c, i + u, j + v]         += sum over o of w[o, c, u, v] * dy[o, i, j]
//! backward_weight:  dw[o, c, u, v]              += sum over i, j of dy[o, i, j] * x[c, i + u, j + v]
//! ```
//!
//! (stride 1, no padding and dilation 1 here). They depart from plain loops as follows:
//!
//! 1. Each multiply-add works on a vector of eight samples, or of eight samples of two columns.
//! 2. A *tile* of sums stays in registers while the inner loops run, so a multiply-add does not load or store its sum. The
//!    tile has as many vectors as registers allow, because each loaded value is then used more often.
//! 3. Tiles have constant sizes, and [`even_chunk`](crate::partition::even_chunk) divides a row into tiles of nearly equal
//!    size: seven columns are tiles of four and three rather than six and one.
//! 4. A tile reads few rows of `x`, which stay in the first-level cache.

mod backward;
mod forward;

use fearless_simd::{Level, dispatch};

use self::{
    backward::{backward_input, backward_weight},
    forward::forward,
};
pub(super) use backward::backward_bias;

use super::{Conv2d, Geometry, pad};
use crate::{
    Shape,
    activation_layout::{AlignedBuffer, Lanes, zeros},
    operator::{Operator, PassContext},
    simd::kernel,
};

/// [`Conv2d`] on one thread, by the formula.
pub(crate) struct Conv2dOp {
    shape: Geometry,
    /// One block of the input with padding; see [`pad`].
    padded: AlignedBuffer,
    /// Gradient of weight and bias, summed over the blocks but not over the lanes:
    /// `(out_channels, in_channels, kernel_size, kernel_size)`, then `(out_channels)`.
    gradient: AlignedBuffer,
}

impl Conv2dOp {
    /// Allocates memory for a step. The shapes must be those that the layer accepts and produces.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let Conv2d { in_channels, out_channels, kernel_size, .. } = layer;
        let shape = Geometry::new(layer, input, output);
        Self {
            shape,
            padded: shape.padding_buffer(),
            gradient: zeros(out_channels * (in_channels * kernel_size * kernel_size + 1)),
        }
    }
}

impl Operator for Conv2dOp {
    fn forward(&mut self, pass: PassContext, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let (weight, bias) = parameters.split_at(parameters.len() - self.shape.output.channels);
        let xs = x.chunks_exact(self.shape.unpadded_len());
        let shape = &self.shape;
        for (x, y) in xs.zip(y.chunks_exact_mut(shape.output.len())) {
            let x = pad(shape, x, &mut self.padded);
            kernel!(pass.level, forward(shape, weight, bias, x, y));
        }
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
        parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        mut dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let shape = &self.shape;
        let input_len = shape.unpadded_len();
        let weight_count = parameters.len() - shape.output.channels;
        let (weight_gradient, bias_gradient) = self.gradient.split_at_mut(weight_count);
        let blocks = x.chunks_exact(input_len).zip(dy.chunks_exact(shape.output.len()));
        for (block, (x, dy)) in blocks.enumerate() {
            let x = pad(shape, x, &mut self.padded);
            kernel!(pass.level, backward_weight(shape, x, dy, weight_gradient));
            kernel!(pass.level, backward_bias(shape.output, dy, bias_gradient));
            if let Some(dx) = &mut dx {
                let dx = &mut dx[block * input_len..][..input_len];
                let weight = &parameters[..weight_count];
                dispatch!(pass.level, simd => backward_input(simd, shape, weight, dy, dx));
            }
        }
    }

    #[cfg(feature = "training")]
    fn write_accumulated_gradient(&mut self, _level: Level, gradient: &mut [f32]) {
        for (total, lanes) in gradient.iter_mut().zip(self.gradient.iter_mut()) {
            *total = lanes.0.iter().sum();
            *lanes = Lanes::default();
        }
    }
}
