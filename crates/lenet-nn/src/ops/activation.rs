//! Activation functions: `y = max(x, 0)` (ReLU) and `y = tanh(x)`, element by element, `(B, C, H, W)` to `(B, C, H, W)`.
//!
//! Both work in place. Forward replaces `x` by `y`; backward replaces `dy` by `dx = dy * f'(x)`, and `f'(x)` is computed from
//! `y` alone: 1 where `y > 0` for ReLU, `1 - y^2` for tanh. So an input doesn't have to be kept.

use fearless_simd::{Level, Select, Simd};

use crate::{
    Shape,
    activation_layout::Lanes,
    error::LayerError,
    operator::{Activation, LayerContext, LayerSpec, Operator, SingleSampleOp},
    simd::{Vector, kernel},
};

/// `max(x, 0)`
pub(crate) struct ReLU;

/// Hyperbolic tangent: the odd rational function `x p(x^2) / q(x^2)` with the coefficients of Eigen's `ptanh_float`.
///
/// It is within a few units in the last place. Beyond the clamp tanh is 1 in single precision. For two vectors `a / q` and
/// `b / r` are computed as `a r / (q r)` and `b q / (q r)`, because a division takes as long as the polynomials.
pub(crate) struct Tanh;

impl LayerSpec for ReLU {
    fn type_name(&self) -> &'static str {
        "ReLU"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(input)
    }

    fn as_activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }

    fn operator(&self, _context: LayerContext) -> Option<Box<dyn Operator>> {
        None
    }

    fn single_sample_op(
        &self,
        _level: Level,
        _context: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        Some(Box::new(Activation::Relu))
    }
}

impl LayerSpec for Tanh {
    fn type_name(&self) -> &'static str {
        "Tanh"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(input)
    }

    fn as_activation(&self) -> Option<Activation> {
        Some(Activation::Tanh)
    }

    fn operator(&self, _context: LayerContext) -> Option<Box<dyn Operator>> {
        None
    }

    fn single_sample_op(
        &self,
        _level: Level,
        _context: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        Some(Box::new(Activation::Tanh))
    }
}

impl SingleSampleOp for Activation {
    fn forward(&mut self, level: Level, _parameters: &[f32], x: &mut [Lanes], _y: &mut [Lanes]) {
        Activation::forward(*self, level, x);
    }

    fn is_in_place(&self) -> bool {
        true
    }
}

impl Activation {
    /// Replaces `y` by the function of it.
    pub fn forward(self, level: Level, y: &mut [Lanes]) {
        match self {
            Self::Relu => kernel!(level, forward[ReLU](y)),
            Self::Tanh => kernel!(level, forward[Tanh](y)),
        }
    }

    /// Replaces the gradient `dy` of the output `y` by that of the input.
    pub fn backward(self, level: Level, y: &[Lanes], dy: &mut [Lanes]) {
        match self {
            Self::Relu => kernel!(level, backward[ReLU](y, dy)),
            Self::Tanh => kernel!(level, backward[Tanh](y, dy)),
        }
    }
}

/// The derivative of an element-wise function `f`.
pub(crate) trait Derivative {
    /// Returns `dy * f'(x)` for `y = f(x)`.
    fn gradient<S: Simd, V: Vector<S>>(simd: S, y: V, dy: V) -> V;
}

/// An element-wise function.
trait ActivationFunction: Derivative {
    /// Returns `f(x)`.
    fn apply<S: Simd, V: Vector<S>>(simd: S, x: V) -> V;

    /// Returns `f` of two vectors, which may share a slow operation.
    #[inline(always)]
    fn apply_pair<S: Simd, V: Vector<S>>(simd: S, one: V, other: V) -> (V, V) {
        (Self::apply(simd, one), Self::apply(simd, other))
    }
}

#[inline(always)]
fn forward<S: Simd, V: Vector<S>, F: ActivationFunction>(simd: S, y: &mut [Lanes]) {
    let mut pairs = y.chunks_exact_mut(2 * V::ELEMENTS);
    for pair in &mut pairs {
        let (one, other) = pair.split_at_mut(V::ELEMENTS);
        let (a, b) = F::apply_pair(simd, V::load(simd, one), V::load(simd, other));
        a.store(one);
        b.store(other);
    }
    for y in pairs.into_remainder() {
        y.store(F::apply(simd, y.load(simd)));
    }
}

#[inline(always)]
fn backward<S: Simd, V: Vector<S>, F: Derivative>(simd: S, y: &[Lanes], dy: &mut [Lanes]) {
    let (mut ys, mut dys) = (y.chunks_exact(V::ELEMENTS), dy.chunks_exact_mut(V::ELEMENTS));
    for (y, dy) in (&mut ys).zip(&mut dys) {
        F::gradient(simd, V::load(simd, y), V::load(simd, dy)).store(dy);
    }
    for (y, dy) in ys.remainder().iter().zip(dys.into_remainder()) {
        dy.store(F::gradient(simd, y.load(simd), dy.load(simd)));
    }
}

/// `f(x) = x`
pub(crate) struct NoActivation;

impl Derivative for NoActivation {
    #[inline(always)]
    fn gradient<S: Simd, V: Vector<S>>(_simd: S, _y: V, dy: V) -> V {
        dy
    }
}

impl ActivationFunction for ReLU {
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(simd: S, x: V) -> V {
        x.max(V::splat(simd, 0.0))
    }
}

impl Derivative for ReLU {
    /// `f' = 1` where `f > 0`, else 0.
    #[inline(always)]
    fn gradient<S: Simd, V: Vector<S>>(simd: S, y: V, dy: V) -> V {
        let zero = V::splat(simd, 0.0);
        y.simd_gt(zero).select(dy, zero)
    }
}

impl Tanh {
    /// Returns the numerator and the denominator of the fraction.
    #[inline(always)]
    fn rational_approximation<S: Simd, V: Vector<S>>(simd: S, x: V) -> (V, V) {
        const BOUND: f32 = 7.905_311;
        const P: [f32; 7] = [
            4.893_524_6e-3,
            6.372_619e-4,
            1.485_722_4e-5,
            5.122_297_1e-8,
            -8.604_672e-11,
            2.000_188e-13,
            -2.760_768_5e-16,
        ];
        const Q: [f32; 4] = [4.893_525e-3, 2.268_434_6e-3, 1.185_347_1e-4, 1.198_258_4e-6];
        let x = x.max(V::splat(simd, -BOUND)).min(V::splat(simd, BOUND));
        let square = x * x;
        let mut p = V::splat(simd, P[6]);
        for k in (0..6).rev() {
            p = p.mul_add(square, V::splat(simd, P[k]));
        }
        let mut q = V::splat(simd, Q[3]);
        for k in (0..3).rev() {
            q = q.mul_add(square, V::splat(simd, Q[k]));
        }
        (x * p, q)
    }
}

impl ActivationFunction for Tanh {
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(simd: S, x: V) -> V {
        let (p, q) = Self::rational_approximation(simd, x);
        p / q
    }

    #[inline(always)]
    fn apply_pair<S: Simd, V: Vector<S>>(simd: S, one: V, other: V) -> (V, V) {
        let ((a, q), (b, r)) =
            (Self::rational_approximation(simd, one), Self::rational_approximation(simd, other));
        let inverse = V::splat(simd, 1.0) / (q * r);
        (a * r * inverse, b * q * inverse)
    }
}

impl Derivative for Tanh {
    /// `f' = 1 - f^2`
    #[inline(always)]
    fn gradient<S: Simd, V: Vector<S>>(_simd: S, y: V, dy: V) -> V {
        dy - dy * (y * y)
    }
}
