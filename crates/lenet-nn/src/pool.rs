//! Pooling over square windows: `y[c, i, j] = max or mean over u, v of x[c, i*stride + u, j*stride + v]`.

use std::ops::Range;

use fearless_simd::{Select, Simd, SimdBase, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    Shape,
    activation::{Derivative, Identity, Relu, Tanh},
    lanes::{Lanes, Vector, kernel},
    operator::{Activation, Operator, Pass},
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
pub(super) enum PoolKind {
    Max,
    Mean,
}

/// [`MaxPool2d`] or [`AvgPool2d`] at work.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolOp {
    pub kind: PoolKind,
    pub input: Shape,
    pub output: Shape,
    pub kernel_size: usize,
    pub stride: usize,
    /// What made its input, if backward goes through that too.
    pub fused: Option<Activation>,
}

impl PoolOp {
    /// Height and width of a window: `K`, so that its loops unroll, unless that is 0.
    #[inline(always)]
    fn size<const K: usize>(&self) -> usize {
        if K == 0 { self.kernel_size } else { K }
    }

    /// Step between windows: `T` unless that is 0.
    #[inline(always)]
    fn step<const T: usize>(&self) -> usize {
        if T == 0 { self.stride } else { T }
    }

    /// Where row `u` of the windows of `count` neighbouring outputs, from `(i, j)` on, lies in a plane.
    #[inline(always)]
    fn window_row<const K: usize, const T: usize>(
        &self,
        (i, j): (usize, usize),
        u: usize,
        count: usize,
    ) -> Range<usize> {
        let start = (i * self.step::<T>() + u) * self.input.width + j * self.step::<T>();
        start..start + self.size::<K>() + (count - 1) * self.step::<T>()
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

    /// What backward goes through plane by plane: `x`, `dy`, `dx`.
    fn planes<'a>(
        &self,
        x: &'a [Lanes],
        dy: &'a [Lanes],
        dx: &'a mut [Lanes],
    ) -> impl Iterator<Item = (&'a [Lanes], &'a [Lanes], &'a mut [Lanes])> {
        let [input, output] = [self.input, self.output].map(|shape| shape.height * shape.width);
        let planes = x.chunks_exact(input).zip(dy.chunks_exact(output)).zip(dx.chunks_exact_mut(input));
        planes.map(|((x, dy), dx)| (x, dy, dx))
    }

    /// Whether [`backward_overlapping`] does it.
    fn overlap(&self) -> bool {
        (self.kind, self.kernel_size, self.stride) == (PoolKind::Max, 2, 1)
    }

    /// Pixel `v` of `row`, and those a step after each other.
    #[inline(always)]
    fn pixels<S: Simd, V: Vector<S>, const T: usize>(&self, simd: S, row: &[Lanes], v: usize) -> V {
        if T == 1 {
            return V::load(simd, &row[v..]);
        }
        V::from_elements(
            #[inline(always)]
            |i| row[v + i * self.step::<T>()].load(simd),
        )
    }

    /// The largest pixel, or the sum, of the windows of output `at` and its neighbours.
    #[inline(always)]
    fn fold<S: Simd, V: Vector<S>, const K: usize, const T: usize>(
        &self,
        simd: S,
        plane: &[Lanes],
        at: (usize, usize),
    ) -> V {
        let is_max = self.kind == PoolKind::Max;
        let mut total = V::splat(simd, if is_max { f32::NEG_INFINITY } else { 0.0 });
        for u in 0..self.size::<K>() {
            let row = &plane[self.window_row::<K, T>(at, u, V::ELEMENTS)];
            for v in 0..self.size::<K>() {
                let x = self.pixels::<S, V, T>(simd, row, v);
                total = if is_max { x.max(total) } else { total + x };
            }
        }
        total
    }

    #[inline(always)]
    fn forward_some<S: Simd, V: Vector<S>, const K: usize, const T: usize>(
        &self,
        simd: S,
        plane: &[Lanes],
        at: (usize, usize),
    ) -> V {
        let total = self.fold::<S, V, K, T>(simd, plane, at);
        if self.kind == PoolKind::Max { total } else { total * self.share() }
    }

    /// Gives `dy` to the first largest pixel of its window, as PyTorch does, or a share to each: added to `dx` if
    /// windows overlap.
    #[inline(always)]
    fn backward_some<S: Simd, V: Vector<S>, F: Derivative, const K: usize, const T: usize>(
        &self,
        simd: S,
        plane: &[Lanes],
        dy: V,
        dx: &mut [Lanes],
        at: (usize, usize),
        tiles: bool,
    ) {
        let zero = V::splat(simd, 0.0);
        let (share, max) = match self.kind {
            PoolKind::Max => {
                let max = self.fold::<S, V, K, T>(simd, plane, at);
                (F::gradient(simd, max, dy), max)
            }
            PoolKind::Mean => (dy * self.share(), zero),
        };
        let mut open = share;
        for u in 0..self.size::<K>() {
            let row = self.window_row::<K, T>(at, u, V::ELEMENTS);
            let (x, dx) = (&plane[row.clone()], &mut dx[row]);
            for v in 0..self.size::<K>() {
                let (x, mut gradient) = (self.pixels::<S, V, T>(simd, x, v), share);
                if self.kind == PoolKind::Max {
                    let here = x.simd_eq(max);
                    gradient = here.select(open, zero);
                    open = here.select(zero, open);
                } else {
                    gradient = F::gradient(simd, x, gradient);
                }
                // One by one: a vector of what two stores have just written would come late.
                for i in 0..V::ELEMENTS {
                    let (dx, gradient) = (&mut dx[v + i * self.step::<T>()], gradient.element(i));
                    dx.store(if tiles { gradient } else { dx.load(simd) + gradient });
                }
            }
        }
    }
}

#[inline(always)]
fn forward<S: Simd, V: Vector<S>, const K: usize, const T: usize>(
    simd: S,
    pooling: &PoolOp,
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { height, width, .. } = pooling.output;
    let whole = width / V::ELEMENTS * V::ELEMENTS;
    let planes = x.chunks_exact(pooling.input.height * pooling.input.width);
    for (plane, y) in planes.zip(y.chunks_exact_mut(height * width)) {
        for (i, y) in y.chunks_exact_mut(width).enumerate() {
            for j in (0..whole).step_by(V::ELEMENTS) {
                pooling.forward_some::<S, V, K, T>(simd, plane, (i, j)).store(&mut y[j..]);
            }
            if V::WIDE && whole < width {
                y[whole].store(pooling.forward_some::<S, f32x8<S>, K, T>(simd, plane, (i, whole)));
            }
        }
    }
}

#[inline(always)]
fn backward<S: Simd, V: Vector<S>, F: Derivative, const K: usize, const T: usize>(
    simd: S,
    pooling: &PoolOp,
    x: &[Lanes],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let width = pooling.output.width;
    let whole = width / V::ELEMENTS * V::ELEMENTS;
    let tiles = pooling.tiles();
    if !tiles {
        dx.fill(Lanes::default());
    }
    for (plane, dy, dx) in pooling.planes(x, dy, dx) {
        for (i, dy) in dy.chunks_exact(width).enumerate() {
            for j in (0..whole).step_by(V::ELEMENTS) {
                let dy = V::load(simd, &dy[j..]);
                pooling.backward_some::<S, V, F, K, T>(simd, plane, dy, dx, (i, j), tiles);
            }
            if V::WIDE && whole < width {
                let last = dy[whole].load(simd);
                pooling.backward_some::<S, f32x8<S>, F, K, T>(simd, plane, last, dx, (i, whole), tiles);
            }
        }
    }
}

/// [`backward`] for the largest of windows of 2x2 that are a pixel apart.
///
/// A row of windows at a time, whose gradient goes to two rows of pixels: the upper one has what it got from the row of windows
/// before. A window's right pixels are the next one's left ones, which adds for both.
#[inline(always)]
fn backward_overlapping<S: Simd, V: Vector<S>, F: Derivative>(
    simd: S,
    pooling: &PoolOp,
    x: &[Lanes],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let (width, row) = (pooling.output.width, pooling.input.width);
    let whole = width / V::ELEMENTS * V::ELEMENTS;
    for (plane, dy, dx) in pooling.planes(x, dy, dx) {
        dx[..row].fill(Lanes::default());
        for (i, dy) in dy.chunks_exact(width).enumerate() {
            let (x, dx) = (&plane[i * row..][..2 * row], &mut dx[i * row..][..2 * row]);
            let mut right = [f32x8::splat(simd, 0.0); 2];
            for j in (0..whole).step_by(V::ELEMENTS) {
                right = windows_backward::<S, V, F>(simd, x, &dy[j..], dx, j, right);
            }
            if V::WIDE && whole < width {
                right = windows_backward::<S, f32x8<S>, F>(simd, x, &dy[whole..], dx, whole, right);
            }
            dx[width].store(dx[width].load(simd) + right[0]);
            dx[row + width].store(right[1]);
        }
    }
}

/// Gives the gradient `dy` of neighbouring windows, from column `j` on, to two rows of pixels, with what the window before them
/// gives to its `right` pixels; what the last one gives to its own.
#[inline(always)]
fn windows_backward<S: Simd, V: Vector<S>, F: Derivative>(
    simd: S,
    x: &[Lanes],
    dy: &[Lanes],
    dx: &mut [Lanes],
    j: usize,
    right: [f32x8<S>; 2],
) -> [f32x8<S>; 2] {
    let zero = V::splat(simd, 0.0);
    let (upper, lower) = x.split_at(x.len() / 2);
    let [a, b, c, d] = [&upper[j..], &upper[j + 1..], &lower[j..], &lower[j + 1..]].map(
        #[inline(always)]
        |pixels| V::load(simd, pixels),
    );
    let max = a.max(b).max(c.max(d));
    let mut open = F::gradient(simd, max, V::load(simd, dy));
    // To the first largest, as PyTorch does.
    let [a, b, c] = [a, b, c].map(
        #[inline(always)]
        |x| {
            let here = x.simd_eq(max);
            let gradient = here.select(open, zero);
            open = here.select(zero, open);
            gradient
        },
    );
    let d = open;
    let after = |right: f32x8<S>, gradient: V| {
        V::from_elements(
            #[inline(always)]
            |i| if i == 0 { right } else { gradient.element(i - 1) },
        )
    };
    let (upper, lower) = dx.split_at_mut(x.len() / 2);
    (V::load(simd, &upper[j..]) + (a + after(right[0], b))).store(&mut upper[j..]);
    (c + after(right[1], d)).store(&mut lower[j..]);
    [b, d].map(
        #[inline(always)]
        |gradient| gradient.element(V::ELEMENTS - 1),
    )
}

impl Operator for PoolOp {
    fn forward(&mut self, pass: Pass, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        match (self.kernel_size, self.stride) {
            (2, 1) => kernel!(pass.level, forward[2, 1](self, x, y)),
            (2, 2) => kernel!(pass.level, forward[2, 2](self, x, y)),
            _ => kernel!(pass.level, forward[0, 0](self, x, y)),
        }
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
        let Some(dx) = dx else { return };
        match (self.overlap(), self.kernel_size, self.stride, self.fused) {
            (true, .., None) => kernel!(pass.level, backward_overlapping[Identity](self, x, dy, dx)),
            (true, .., Some(_)) => kernel!(pass.level, backward_overlapping[Relu](self, x, dy, dx)),
            (_, 2, 2, None) => kernel!(pass.level, backward[Identity, 2, 2](self, x, dy, dx)),
            (_, 2, 2, Some(Activation::Relu)) => kernel!(pass.level, backward[Relu, 2, 2](self, x, dy, dx)),
            (_, 2, 2, Some(Activation::Tanh)) => kernel!(pass.level, backward[Tanh, 2, 2](self, x, dy, dx)),
            _ => kernel!(pass.level, backward[Identity, 0, 0](self, x, dy, dx)),
        }
    }

    /// Where each pixel is written once, or what many windows give it is all kept or all dropped: that spares a pass over the
    /// larger map.
    fn fuse_activation(&mut self, activation: Activation) -> bool {
        let fuses = match activation {
            Activation::Relu if self.overlap() => true,
            _ => self.kernel_size == 2 && self.tiles(),
        };
        self.fused = fuses.then_some(activation);
        fuses
    }
}
