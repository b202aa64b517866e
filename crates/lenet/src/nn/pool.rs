//! Pooling over square windows: `y[c, i, j] = max or mean over u, v of x[c, i*stride + u, j*stride + v]`.

use std::ops::Range;

use fearless_simd::{Select, Simd, SimdBase, SimdMask, dispatch, f32x8, mask32x8};
use serde::{Deserialize, Serialize};

use super::{
    Shape,
    lanes::{Lanes, with_const},
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
    /// Height and width of a window: `K`, so that its loops unroll, unless that is 0.
    #[inline(always)]
    fn size<const K: usize>(&self) -> usize {
        if K == 0 { self.kernel_size } else { K }
    }

    /// Where row `u` of the window of output `(i, j)` lies in a plane.
    #[inline(always)]
    fn window_row<const K: usize>(&self, i: usize, j: usize, u: usize) -> Range<usize> {
        let start = (i * self.stride + u) * self.input.width + j * self.stride;
        start..start + self.size::<K>()
    }

    /// The share of one pixel in the mean of its window.
    fn share(&self) -> f32 {
        1.0 / (self.kernel_size * self.kernel_size) as f32
    }

    /// Whether each pixel is in exactly one window.
    fn tiles(&self) -> bool {
        let Shape { height, width, .. } = self.output;
        self.stride == self.kernel_size
            && [height * self.stride, width * self.stride] == [self.input.height, self.input.width]
    }

    #[inline(always)]
    fn max<S: Simd, const K: usize>(&self, simd: S, plane: &[Lanes], i: usize, j: usize) -> f32x8<S> {
        let mut max = f32x8::splat(simd, f32::NEG_INFINITY);
        for u in 0..self.size::<K>() {
            for x in &plane[self.window_row::<K>(i, j, u)] {
                max = x.load(simd).max(max);
            }
        }
        max
    }

    #[inline(always)]
    fn mean<S: Simd, const K: usize>(&self, simd: S, plane: &[Lanes], i: usize, j: usize) -> f32x8<S> {
        let mut sum = f32x8::splat(simd, 0.0);
        for u in 0..self.size::<K>() {
            for x in &plane[self.window_row::<K>(i, j, u)] {
                sum += x.load(simd);
            }
        }
        sum * self.share()
    }

    #[inline(always)]
    fn forward_planes<S: Simd, const K: usize>(&self, simd: S, x: &[Lanes], y: &mut [Lanes]) {
        let Shape { height, width, .. } = self.output;
        let planes = x.chunks_exact(self.input.height * self.input.width);
        for (plane, y) in planes.zip(y.chunks_exact_mut(height * width)) {
            for i in 0..height {
                for (j, y) in y[i * width..][..width].iter_mut().enumerate() {
                    y.store(match self.pooled {
                        Pooled::Max => self.max::<S, K>(simd, plane, i, j),
                        Pooled::Mean => self.mean::<S, K>(simd, plane, i, j),
                    });
                }
            }
        }
    }

    /// Gives `dy` to the first largest pixel of its window, as PyTorch does, or a share to each.
    #[inline(always)]
    fn backward_planes<S: Simd, const K: usize>(&self, simd: S, x: &[Lanes], dy: &[Lanes], dx: &mut [Lanes]) {
        let Shape { height, width, .. } = self.output;
        let size = self.input.height * self.input.width;
        let tiles = self.tiles();
        if !tiles {
            dx.fill(Lanes::default());
        }
        let zero = f32x8::splat(simd, 0.0);
        let planes = x.chunks_exact(size).zip(dx.chunks_exact_mut(size));
        for ((plane, dx), dy) in planes.zip(dy.chunks_exact(height * width)) {
            for i in 0..height {
                for (j, dy) in dy[i * width..][..width].iter().enumerate() {
                    let dy = dy.load(simd);
                    let (share, max) = match self.pooled {
                        Pooled::Max => (dy, self.max::<S, K>(simd, plane, i, j)),
                        Pooled::Mean => (dy * self.share(), zero),
                    };
                    let mut open = mask32x8::splat(simd, true);
                    for u in 0..self.size::<K>() {
                        let row = self.window_row::<K>(i, j, u);
                        for (x, dx) in plane[row.clone()].iter().zip(&mut dx[row]) {
                            let mut gradient = share;
                            if self.pooled == Pooled::Max {
                                let here = x.load(simd).simd_eq(max) & open;
                                gradient = here.select(share, zero);
                                open &= !here;
                            }
                            dx.store(if tiles { gradient } else { dx.load(simd) + gradient });
                        }
                    }
                }
            }
        }
    }
}

impl Operator for Pooling {
    fn forward(&mut self, pass: Pass, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        with_const!(K = self.kernel_size, [2 3] else 0 => {
            dispatch!(pass.level, simd => self.forward_planes::<_, K>(simd, x, y))
        });
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
            with_const!(K = self.kernel_size, [2 3] else 0 => {
                dispatch!(pass.level, simd => self.backward_planes::<_, K>(simd, x, dy, dx))
            });
        }
    }
}
