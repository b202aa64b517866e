//! 2-D convolution (cross-correlation, as PyTorch defines it).
//!
//! ```text
//! for each sample, output channel o, output row i, output column j:
//!     y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] * x[c, row, column],
//!     row = i * stride + u * dilation - padding, column = j * stride + v * dilation - padding
//! ```
//!
//! `x` is `(C, H, W)` and zero outside, `y` is `(O, H', W')`, the kernels `w` are `(O, C, K, K)`. Three algorithms compute
//! it; the layer's shape decides which one:
//!
//! 1. A kernel that covers its whole input makes the layer a fully connected one, which [`linear`](super::linear) runs.
//! 2. Kernels of 3x3 and 5x5 with stride 1 over four and more channels use [`winograd`], which multiplies less; with a dilation
//!    only if the map is large enough.
//! 3. All others use [`direct`], the formula with register tiles.

mod direct;
mod layer_spec;
mod single_sample;
mod winograd;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub(crate) use direct::Conv2dOp;

use crate::{
    Shape,
    activation_layout::{AlignedBuffer, Lanes, zeros},
    simd::MAX_TILE_SIDE,
};

/// 2-D convolution with square kernels.
///
/// - input: `(batch, in_channels, height, width)`
/// - output: `(batch, out_channels, (height + 2 * padding - extent) / stride + 1, ...)`, rounded down, where
///   `extent = dilation * (kernel_size - 1) + 1`
/// - weight: `(out_channels, in_channels, kernel_size, kernel_size)`
/// - bias: `(out_channels)`
///
/// ```
/// use lenet_nn::Conv2d;
///
/// let conv = Conv2d::new(1, 6, 5).padding(2);
/// assert_eq!((conv.stride, conv.padding, conv.dilation), (1, 2, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Number of input channels.
    pub in_channels: usize,
    /// Number of output channels. Each has a kernel per input channel.
    pub out_channels: usize,
    /// Height and width of a kernel, in pixels.
    pub kernel_size: usize,
    /// Distance between the windows of neighboring outputs, in input pixels.
    pub stride: usize,
    /// Width of the border of zeros around the input, in pixels; less than the extent of a kernel.
    pub padding: usize,
    /// Distance between the pixels of neighboring elements of a kernel, in pixels.
    #[serde(default = "default_dilation", skip_serializing_if = "is_default_dilation")]
    pub dilation: usize,
}

/// Returns the dilation of a kernel that covers neighboring pixels.
fn default_dilation() -> usize {
    1
}

fn is_default_dilation(dilation: &usize) -> bool {
    *dilation == 1
}

impl Conv2d {
    /// Returns a convolution with stride 1, no padding and dilation 1.
    pub const fn new(in_channels: usize, out_channels: usize, kernel_size: usize) -> Self {
        Self { in_channels, out_channels, kernel_size, stride: 1, padding: 0, dilation: 1 }
    }

    /// Sets the stride, in pixels.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the padding, in pixels.
    pub const fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Sets the dilation, in pixels.
    ///
    /// ```
    /// use lenet_nn::Conv2d;
    ///
    /// // Each output depends on 9 of 17x17 pixels, and there are as many outputs as pixels.
    /// let conv = Conv2d::new(24, 24, 3).dilation(8).padding(8);
    /// ```
    pub const fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// Returns the height and width of the input that a kernel covers, in pixels.
    const fn kernel_extent(&self) -> usize {
        self.dilation * (self.kernel_size - 1) + 1
    }

    /// Returns whether a kernel covers the whole `input`, which makes the layer equivalent to a fully connected one.
    pub fn kernel_covers_input(&self, input: Shape) -> bool {
        [input.height, input.width] == [self.kernel_size; 2] && self.padding == 0 && self.dilation == 1
    }
}

/// The shapes of a convolution and the index arithmetic of its padding.
///
/// Padding to the left and to the right is stored as zeros, so that all columns of a row are computed alike. Rows of padding
/// above and below are skipped instead ([`overlapping_kernel_rows`](Self::overlapping_kernel_rows)), which saves their
/// multiplications.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// The input with padding to the left and right, without padding above and below.
    pub input: Shape,
    /// The output.
    pub output: Shape,
    /// Height and width of a kernel.
    pub kernel_size: usize,
    /// Distance between the windows of neighboring outputs.
    pub stride: usize,
    /// Distance between the pixels of neighboring elements of a kernel.
    pub dilation: usize,
    padding: usize,
}

impl Geometry {
    /// Returns the geometry of `layer`. The shapes must be those that the layer accepts and produces.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let Conv2d { kernel_size, stride, padding, dilation, .. } = layer;
        let input = Shape { width: input.width + 2 * padding, ..input };
        Self { input, output, kernel_size, stride, dilation, padding }
    }

    /// Returns the width of the input without padding.
    #[inline(always)]
    fn unpadded_width(&self) -> usize {
        self.input.width - 2 * self.padding
    }

    /// Returns the number of elements of the input without padding.
    fn unpadded_len(&self) -> usize {
        self.input.channels * self.input.height * self.unpadded_width()
    }

    /// Returns the number of register tiles in a row of the output. With a stride other than 1 a tile is one column,
    /// because neighboring columns of a tile must read neighboring pixels.
    #[inline(always)]
    pub fn tiles_per_row(&self) -> usize {
        if self.stride == 1 { self.output.width.div_ceil(MAX_TILE_SIDE) } else { self.output.width }
    }

    /// Returns how many vectors of `elements` columns fit in a row of the output: none with a stride other than 1, because
    /// the columns of a vector must read neighboring pixels.
    #[inline(always)]
    fn vectors_per_row(&self, elements: usize) -> usize {
        if self.stride == 1 { self.output.width / elements } else { 0 }
    }

    /// Returns the rows `u` of a kernel that overlap the input, not its padding, in output row `i`.
    #[inline(always)]
    pub fn overlapping_kernel_rows(&self, i: usize) -> Range<usize> {
        let first = i * self.stride;
        let (start, end) =
            (self.padding.saturating_sub(first), (self.input.height + self.padding).saturating_sub(first));
        // Divisions would take as long as the multiplications of a small tile.
        let [start, end] = if self.dilation == 1 {
            [start, end]
        } else {
            [start, end].map(|row| row.div_ceil(self.dilation))
        };
        start..self.kernel_size.min(end)
    }

    /// Returns the input row under kernel row `u` in output row `i`, counted over all channels.
    #[inline(always)]
    pub fn input_row_index(&self, channel: usize, i: usize, u: usize) -> usize {
        channel * self.input.height + i * self.stride + u * self.dilation - self.padding
    }

    /// Returns a buffer for [`pad`] and one block; empty if there is no padding.
    fn padding_buffer(&self) -> AlignedBuffer {
        zeros(if self.padding > 0 { self.input.len() } else { 0 })
    }
}

/// Returns a block of the input with padding to the left and right: copied to `padded`, whose border must be zero, or `x`
/// itself if there is no padding.
pub(crate) fn pad<'a>(shape: &Geometry, x: &'a [Lanes], padded: &'a mut [Lanes]) -> &'a [Lanes] {
    if shape.padding == 0 {
        return x;
    }
    let rows = x.chunks_exact(shape.unpadded_width());
    for (row, padded_row) in rows.zip(padded.chunks_exact_mut(shape.input.width)) {
        padded_row[shape.padding..][..row.len()].copy_from_slice(row);
    }
    padded
}
