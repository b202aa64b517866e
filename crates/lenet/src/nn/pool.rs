//! Pooling over square windows: `y[c, i, j] = max or mean over u, v of x[c, i*stride + u, j*stride + v]`.

use fearless_simd::{Select, Simd, SimdBase, SimdMask, dispatch, f32x8, mask32x8};
use serde::{Deserialize, Serialize};

use super::{
    Shape,
    lanes::Lanes,
    layer::{Operator, Pass},
};

/// The largest of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Height and width of a window, in pixels.
    pub kernel_size: usize,
    /// Step between neighbouring windows, in pixels; windows overlap where it is less than `kernel_size`.
    pub stride: usize,
}

impl MaxPool2d {
    /// Windows that touch, none overlapping.
    pub const fn new(kernel_size: usize) -> Self {
        Self { kernel_size, stride: kernel_size }
    }

    /// The same with another stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

/// The mean of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Height and width of a window, in pixels.
    pub kernel_size: usize,
    /// Step between neighbouring windows, in pixels; windows overlap where it is less than `kernel_size`.
    pub stride: usize,
}

impl AvgPool2d {
    /// Windows that touch, none overlapping.
    pub const fn new(kernel_size: usize) -> Self {
        Self { kernel_size, stride: kernel_size }
    }

    /// The same with another stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

/// What is taken of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooled {
    Max,
    Mean,
}

/// [`MaxPool2d`] or [`AvgPool2d`] at work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pooling {
    pub pooled: Pooled,
    pub input: Shape,
    pub output: Shape,
    pub kernel_size: usize,
    pub stride: usize,
}

impl Pooling {
    /// Start of row `u` of the window of output `(i, j)`, in a plane.
    #[inline(always)]
    fn window_row(&self, i: usize, j: usize, u: usize) -> usize {
        (i * self.stride + u) * self.input.width + j * self.stride
    }

    #[inline(always)]
    fn max<S: Simd>(&self, simd: S, plane: &[Lanes], i: usize, j: usize) -> f32x8<S> {
        let mut max = f32x8::splat(simd, f32::NEG_INFINITY);
        for u in 0..self.kernel_size {
            for x in &plane[self.window_row(i, j, u)..][..self.kernel_size] {
                max = x.load(simd).max(max);
            }
        }
        max
    }

    #[inline(always)]
    fn mean<S: Simd>(&self, simd: S, plane: &[Lanes], i: usize, j: usize) -> f32x8<S> {
        let mut sum = f32x8::splat(simd, 0.0);
        for u in 0..self.kernel_size {
            for x in &plane[self.window_row(i, j, u)..][..self.kernel_size] {
                sum += x.load(simd);
            }
        }
        sum * self.share()
    }

    /// The share of one pixel in the mean of its window.
    #[inline(always)]
    fn share(&self) -> f32 {
        1.0 / (self.kernel_size * self.kernel_size) as f32
    }

    /// Adds `dy` to the gradient of the first largest pixel of the window, as PyTorch does.
    #[inline(always)]
    fn max_backward<S: Simd>(
        &self,
        simd: S,
        plane: &[Lanes],
        dy: f32x8<S>,
        gradient: &mut [Lanes],
        (i, j): (usize, usize),
    ) {
        let max = self.max(simd, plane, i, j);
        let zero = f32x8::splat(simd, 0.0);
        let mut open = mask32x8::splat(simd, true);
        for u in 0..self.kernel_size {
            let start = self.window_row(i, j, u);
            let row = &plane[start..][..self.kernel_size];
            for (x, dx) in row.iter().zip(&mut gradient[start..][..self.kernel_size]) {
                let here = x.load(simd).simd_eq(max) & open;
                dx.store(dx.load(simd) + here.select(dy, zero));
                open &= !here;
            }
        }
    }

    /// Gives each pixel of the window its share of `dy`.
    #[inline(always)]
    fn mean_backward<S: Simd>(&self, simd: S, dy: f32x8<S>, gradient: &mut [Lanes], (i, j): (usize, usize)) {
        let share = dy * self.share();
        for u in 0..self.kernel_size {
            for dx in &mut gradient[self.window_row(i, j, u)..][..self.kernel_size] {
                dx.store(dx.load(simd) + share);
            }
        }
    }

    #[inline(always)]
    fn forward_planes<S: Simd>(&self, simd: S, x: &[Lanes], y: &mut [Lanes]) {
        let Shape { height, width, .. } = self.output;
        let planes = x.chunks_exact(self.input.height * self.input.width);
        for (plane, y) in planes.zip(y.chunks_exact_mut(height * width)) {
            for i in 0..height {
                for j in 0..width {
                    y[i * width + j].store(match self.pooled {
                        Pooled::Max => self.max(simd, plane, i, j),
                        Pooled::Mean => self.mean(simd, plane, i, j),
                    });
                }
            }
        }
    }

    #[inline(always)]
    fn backward_planes<S: Simd>(&self, simd: S, x: &[Lanes], dy: &[Lanes], dx: &mut [Lanes]) {
        let Shape { height, width, .. } = self.output;
        let size = self.input.height * self.input.width;
        dx.fill(Lanes::default());
        let planes = x.chunks_exact(size).zip(dx.chunks_exact_mut(size));
        for ((plane, dx), dy) in planes.zip(dy.chunks_exact(height * width)) {
            for i in 0..height {
                for j in 0..width {
                    let dy = dy[i * width + j].load(simd);
                    match self.pooled {
                        Pooled::Max => self.max_backward(simd, plane, dy, dx, (i, j)),
                        Pooled::Mean => self.mean_backward(simd, dy, dx, (i, j)),
                    }
                }
            }
        }
    }
}

impl Operator for Pooling {
    fn forward(&mut self, pass: Pass, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        dispatch!(pass.level, simd => self.forward_planes(simd, x, y));
    }

    fn backward(
        &mut self,
        pass: Pass,
        _parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        if let Some(dx) = dx {
            dispatch!(pass.level, simd => self.backward_planes(simd, x, dy, dx));
        }
    }
}
