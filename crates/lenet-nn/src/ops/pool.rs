//! Pooling over square windows, `(B, C, H, W)` to `(B, C, H', W')`, for windows of `K x K` pixels that are `T` pixels apart:
//!
//! `y[c, i, j] = max or mean over u, v < K of x[c, i*T + u, j*T + v]`, `H' = (H - K) / T + 1`
//!
//! The gradient of a maximum goes to the first largest pixel in row-major order, as in PyTorch. The backward pass is fused
//! with that of the activation function before it where this saves a pass over the larger map: see
//! [`PoolOp::fuse_activation_backward`].

use std::ops::Range;

use fearless_simd::{Select, Simd, SimdBase, f32x8};
use serde::{Deserialize, Serialize};

use super::{
    activation::{Derivative, NoActivation, ReLU, Tanh},
    window,
};
use crate::{
    Shape,
    activation_layout::Lanes,
    error::LayerError,
    operator::{Activation, LayerContext, LayerSpec, Operator, PassContext},
    simd::{Vector, kernel},
};

/// Maximum of each window.
///
/// ```
/// use lenet_nn::{Layer, MaxPool2d};
///
/// let overlapping = Layer::from(MaxPool2d::new(2).stride(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Height and width of a window, in pixels.
    pub kernel_size: usize,
    /// Distance between neighboring windows, in pixels. Windows overlap if it is less than `kernel_size`.
    pub stride: usize,
}

impl MaxPool2d {
    /// Returns a pooling with adjacent windows.
    pub const fn new(kernel_size: usize) -> Self {
        Self { kernel_size, stride: kernel_size }
    }

    /// Sets the stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

/// Mean of each window.
///
/// ```
/// use lenet_nn::{AvgPool2d, Layer};
///
/// let halves_height_and_width = Layer::from(AvgPool2d::new(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Height and width of a window, in pixels.
    pub kernel_size: usize,
    /// Distance between neighboring windows, in pixels. Windows overlap if it is less than `kernel_size`.
    pub stride: usize,
}

impl AvgPool2d {
    /// Returns a pooling with adjacent windows.
    pub const fn new(kernel_size: usize) -> Self {
        Self { kernel_size, stride: kernel_size }
    }

    /// Sets the stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

macro_rules! pool_spec {
    ($layer:ident, $kind:ident) => {
        impl LayerSpec for $layer {
            fn type_name(&self) -> &'static str {
                stringify!($layer)
            }

            fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
                window::check_dimension_range("kernel_size", self.kernel_size)?;
                window::output_shape(input, input.channels, self.kernel_size, self.stride, 0)
            }

            fn operator(
                &self,
                LayerContext { input, output, .. }: LayerContext,
            ) -> Option<Box<dyn Operator>> {
                let Self { kernel_size, stride } = *self;
                let kind = PoolKind::$kind;
                Some(Box::new(PoolOp { kind, input, output, kernel_size, stride, fused: None }))
            }
        }
    };
}
pool_spec!(MaxPool2d, Max);
pool_spec!(AvgPool2d, Mean);

/// The function of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PoolKind {
    Max,
    Mean,
}

/// [`MaxPool2d`] or [`AvgPool2d`] on one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolOp {
    kind: PoolKind,
    input: Shape,
    output: Shape,
    kernel_size: usize,
    stride: usize,
    /// Activation function that made the input, if backward applies its derivative.
    fused: Option<Activation>,
}

impl PoolOp {
    /// Returns height and width of a window: the constant `K`, so that loops unroll, or the setting if `K` is 0.
    #[inline(always)]
    fn window_side<const K: usize>(&self) -> usize {
        if K == 0 { self.kernel_size } else { K }
    }

    /// Returns the distance between windows: the constant `T`, or the setting if `T` is 0.
    #[inline(always)]
    fn window_stride<const T: usize>(&self) -> usize {
        if T == 0 { self.stride } else { T }
    }

    /// Returns the range in a plane of row `u` of the windows of `count` neighboring outputs, of which `(i, j)` is the first.
    #[inline(always)]
    fn window_row<const K: usize, const T: usize>(
        &self,
        (i, j): (usize, usize),
        u: usize,
        count: usize,
    ) -> Range<usize> {
        let start = (i * self.window_stride::<T>() + u) * self.input.width + j * self.window_stride::<T>();
        start..start + self.window_side::<K>() + (count - 1) * self.window_stride::<T>()
    }

    /// Returns the weight of one pixel in the mean of its window.
    fn pixel_weight(&self) -> f32 {
        1.0 / (self.kernel_size * self.kernel_size) as f32
    }

    /// Returns whether each pixel is in exactly one window.
    fn windows_partition_input(&self) -> bool {
        let Shape { height, width, .. } = self.output;
        self.stride == self.kernel_size
            && [height * self.stride, width * self.stride] == [self.input.height, self.input.width]
    }

    /// Returns `(x, dy, dx)` of each plane.
    fn zip_planes<'a>(
        &self,
        x: &'a [Lanes],
        dy: &'a [Lanes],
        dx: &'a mut [Lanes],
    ) -> impl Iterator<Item = (&'a [Lanes], &'a [Lanes], &'a mut [Lanes])> {
        let [input, output] = [self.input, self.output].map(|shape| shape.height * shape.width);
        let planes = x.chunks_exact(input).zip(dy.chunks_exact(output)).zip(dx.chunks_exact_mut(input));
        planes.map(|((x, dy), dx)| (x, dy, dx))
    }

    /// Returns whether [`backward_overlapping`] applies.
    fn is_max_2x2_stride_1(&self) -> bool {
        (self.kind, self.kernel_size, self.stride) == (PoolKind::Max, 2, 1)
    }

    /// Returns pixel `v` of `row` and the pixels at distances of the stride after it.
    #[inline(always)]
    fn load_strided_pixels<S: Simd, V: Vector<S>, const T: usize>(
        &self,
        simd: S,
        row: &[Lanes],
        v: usize,
    ) -> V {
        if T == 1 {
            return V::load(simd, &row[v..]);
        }
        V::from_f32x8s(
            #[inline(always)]
            |i| row[v + i * self.window_stride::<T>()].load(simd),
        )
    }

    /// Returns the maximum, or the sum, of the windows of output `at` and its neighbors.
    #[inline(always)]
    fn max_or_sum<S: Simd, V: Vector<S>, const K: usize, const T: usize>(
        &self,
        simd: S,
        plane: &[Lanes],
        at: (usize, usize),
    ) -> V {
        let is_max = self.kind == PoolKind::Max;
        let mut total = V::splat(simd, if is_max { f32::NEG_INFINITY } else { 0.0 });
        for u in 0..self.window_side::<K>() {
            let row = &plane[self.window_row::<K, T>(at, u, V::ELEMENTS)];
            for v in 0..self.window_side::<K>() {
                let x = self.load_strided_pixels::<S, V, T>(simd, row, v);
                total = if is_max { x.max(total) } else { total + x };
            }
        }
        total
    }

    /// Returns output `at` and its neighbors.
    #[inline(always)]
    fn forward_outputs<S: Simd, V: Vector<S>, const K: usize, const T: usize>(
        &self,
        simd: S,
        plane: &[Lanes],
        at: (usize, usize),
    ) -> V {
        let total = self.max_or_sum::<S, V, K, T>(simd, plane, at);
        if self.kind == PoolKind::Max { total } else { total * self.pixel_weight() }
    }

    /// Distributes the gradient `dy` of neighboring outputs to the pixels of their windows: to the first largest pixel, or
    /// evenly. It is added to `dx` unless each pixel is in exactly one window.
    #[inline(always)]
    fn backward_windows<S: Simd, V: Vector<S>, F: Derivative, const K: usize, const T: usize>(
        &self,
        simd: S,
        plane: &[Lanes],
        dy: V,
        dx: &mut [Lanes],
        at: (usize, usize),
        is_partition: bool,
    ) {
        let zero = V::splat(simd, 0.0);
        let (gradient_each, max) = match self.kind {
            PoolKind::Max => {
                let max = self.max_or_sum::<S, V, K, T>(simd, plane, at);
                (F::gradient(simd, max, dy), max)
            }
            PoolKind::Mean => (dy * self.pixel_weight(), zero),
        };
        let mut unassigned = gradient_each;
        for u in 0..self.window_side::<K>() {
            let row = self.window_row::<K, T>(at, u, V::ELEMENTS);
            let (x, dx) = (&plane[row.clone()], &mut dx[row]);
            for v in 0..self.window_side::<K>() {
                let (x, mut gradient) = (self.load_strided_pixels::<S, V, T>(simd, x, v), gradient_each);
                if self.kind == PoolKind::Max {
                    let is_max = x.simd_eq(max);
                    gradient = is_max.select(unassigned, zero);
                    unassigned = is_max.select(zero, unassigned);
                } else {
                    gradient = F::gradient(simd, x, gradient);
                }
                // Element by element, because a vector load of two recent stores could not be forwarded.
                for i in 0..V::ELEMENTS {
                    let (dx, gradient) =
                        (&mut dx[v + i * self.window_stride::<T>()], gradient.extract_f32x8(i));
                    dx.store(if is_partition { gradient } else { dx.load(simd) + gradient });
                }
            }
        }
    }
}

#[inline(always)]
fn forward<S: Simd, V: Vector<S>, const K: usize, const T: usize>(
    simd: S,
    pool: &PoolOp,
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { height, width, .. } = pool.output;
    let whole = width / V::ELEMENTS * V::ELEMENTS;
    let planes = x.chunks_exact(pool.input.height * pool.input.width);
    for (plane, y) in planes.zip(y.chunks_exact_mut(height * width)) {
        for (i, y) in y.chunks_exact_mut(width).enumerate() {
            for j in (0..whole).step_by(V::ELEMENTS) {
                pool.forward_outputs::<S, V, K, T>(simd, plane, (i, j)).store(&mut y[j..]);
            }
            if V::WIDE && whole < width {
                y[whole].store(pool.forward_outputs::<S, f32x8<S>, K, T>(simd, plane, (i, whole)));
            }
        }
    }
}

#[inline(always)]
fn backward<S: Simd, V: Vector<S>, F: Derivative, const K: usize, const T: usize>(
    simd: S,
    pool: &PoolOp,
    x: &[Lanes],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let width = pool.output.width;
    let whole = width / V::ELEMENTS * V::ELEMENTS;
    let is_partition = pool.windows_partition_input();
    if !is_partition {
        dx.fill(Lanes::default());
    }
    for (plane, dy, dx) in pool.zip_planes(x, dy, dx) {
        for (i, dy) in dy.chunks_exact(width).enumerate() {
            for j in (0..whole).step_by(V::ELEMENTS) {
                let dy = V::load(simd, &dy[j..]);
                pool.backward_windows::<S, V, F, K, T>(simd, plane, dy, dx, (i, j), is_partition);
            }
            if V::WIDE && whole < width {
                let last = dy[whole].load(simd);
                pool.backward_windows::<S, f32x8<S>, F, K, T>(
                    simd,
                    plane,
                    last,
                    dx,
                    (i, whole),
                    is_partition,
                );
            }
        }
    }
}

/// [`backward`] of maxima of windows of 2x2 pixels that are one pixel apart.
///
/// The gradient of a row of windows goes to two rows of pixels. The upper one already has the gradient of the row of windows
/// above. The right pixels of a window are the left ones of the next window, which adds the gradients of both.
#[inline(always)]
fn backward_overlapping<S: Simd, V: Vector<S>, F: Derivative>(
    simd: S,
    pool: &PoolOp,
    x: &[Lanes],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let (width, row) = (pool.output.width, pool.input.width);
    let whole = width / V::ELEMENTS * V::ELEMENTS;
    for (plane, dy, dx) in pool.zip_planes(x, dy, dx) {
        dx[..row].fill(Lanes::default());
        for (i, dy) in dy.chunks_exact(width).enumerate() {
            let (x, dx) = (&plane[i * row..][..2 * row], &mut dx[i * row..][..2 * row]);
            let mut right = [f32x8::splat(simd, 0.0); 2];
            for j in (0..whole).step_by(V::ELEMENTS) {
                right = backward_overlapping_windows::<S, V, F>(simd, x, &dy[j..], dx, j, right);
            }
            if V::WIDE && whole < width {
                right =
                    backward_overlapping_windows::<S, f32x8<S>, F>(simd, x, &dy[whole..], dx, whole, right);
            }
            dx[width].store(dx[width].load(simd) + right[0]);
            dx[row + width].store(right[1]);
        }
    }
}

/// Distributes the gradient `dy` of neighboring windows, the first of which is in column `j`, to two rows of pixels. `right` is
/// the gradient that the window before them assigned to its upper and lower right pixels. Returns that of the last window.
#[inline(always)]
fn backward_overlapping_windows<S: Simd, V: Vector<S>, F: Derivative>(
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
    let mut unassigned = F::gradient(simd, max, V::load(simd, dy));
    let [a, b, c] = [a, b, c].map(
        #[inline(always)]
        |x| {
            let is_max = x.simd_eq(max);
            let gradient = is_max.select(unassigned, zero);
            unassigned = is_max.select(zero, unassigned);
            gradient
        },
    );
    let d = unassigned;
    let shifted = |right: f32x8<S>, gradient: V| {
        V::from_f32x8s(
            #[inline(always)]
            |i| if i == 0 { right } else { gradient.extract_f32x8(i - 1) },
        )
    };
    let (upper, lower) = dx.split_at_mut(x.len() / 2);
    (V::load(simd, &upper[j..]) + (a + shifted(right[0], b))).store(&mut upper[j..]);
    (c + shifted(right[1], d)).store(&mut lower[j..]);
    [b, d].map(
        #[inline(always)]
        |gradient| gradient.extract_f32x8(V::ELEMENTS - 1),
    )
}

impl Operator for PoolOp {
    fn forward(&mut self, pass: PassContext, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        match (self.kernel_size, self.stride) {
            (2, 1) => kernel!(pass.level, forward[2, 1](self, x, y)),
            (2, 2) => kernel!(pass.level, forward[2, 2](self, x, y)),
            _ => kernel!(pass.level, forward[0, 0](self, x, y)),
        }
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
        _parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let Some(dx) = dx else { return };
        match (self.is_max_2x2_stride_1(), self.kernel_size, self.stride, self.fused) {
            (true, .., None) => kernel!(pass.level, backward_overlapping[NoActivation](self, x, dy, dx)),
            (true, .., Some(_)) => kernel!(pass.level, backward_overlapping[ReLU](self, x, dy, dx)),
            (_, 2, 2, None) => kernel!(pass.level, backward[NoActivation, 2, 2](self, x, dy, dx)),
            (_, 2, 2, Some(Activation::Relu)) => kernel!(pass.level, backward[ReLU, 2, 2](self, x, dy, dx)),
            (_, 2, 2, Some(Activation::Tanh)) => kernel!(pass.level, backward[Tanh, 2, 2](self, x, dy, dx)),
            _ => kernel!(pass.level, backward[NoActivation, 0, 0](self, x, dy, dx)),
        }
    }

    /// The derivative is applied to each gradient before it is written. This is right if each pixel is written once, or if the
    /// derivative is 0 or 1 for all gradients of a pixel, as that of ReLU.
    fn fuse_activation_backward(&mut self, activation: Activation) -> bool {
        let fuses = match activation {
            Activation::Relu if self.is_max_2x2_stride_1() => true,
            _ => self.kernel_size == 2 && self.windows_partition_input(),
        };
        self.fused = fuses.then_some(activation);
        fuses
    }
}
