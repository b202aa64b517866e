//! Element-wise functions, done in place: forward turns `y` into `f(y)`, backward turns `dy` into `dy * f'`, and
//! `f'` follows from `f(y)`, which is all that is kept.

use fearless_simd::{Level, Select, Simd, SimdBase, SimdFloat, dispatch, f32x8};

use super::lanes::Lanes;

/// An element-wise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// `max(x, 0)`
    Relu,
    /// Hyperbolic tangent
    Tanh,
}

impl Activation {
    pub fn forward(self, level: Level, y: &mut [Lanes]) {
        match self {
            Self::Relu => dispatch!(level, simd => relu(simd, y)),
            Self::Tanh => dispatch!(level, simd => tanh(simd, y)),
        }
    }

    pub fn backward(self, level: Level, y: &[Lanes], dy: &mut [Lanes]) {
        match self {
            Self::Relu => dispatch!(level, simd => relu_backward(simd, y, dy)),
            Self::Tanh => dispatch!(level, simd => tanh_backward(simd, y, dy)),
        }
    }
}

#[inline(always)]
fn relu<S: Simd>(simd: S, y: &mut [Lanes]) {
    let zero = f32x8::splat(simd, 0.0);
    for y in y {
        y.store(y.load(simd).max(zero));
    }
}

/// `f' = 1 where f > 0, else 0`
#[inline(always)]
fn relu_backward<S: Simd>(simd: S, y: &[Lanes], dy: &mut [Lanes]) {
    let zero = f32x8::splat(simd, 0.0);
    for (y, dy) in y.iter().zip(dy) {
        dy.store(y.load(simd).simd_gt(zero).select(dy.load(simd), zero));
    }
}

#[inline(always)]
fn tanh<S: Simd>(simd: S, y: &mut [Lanes]) {
    for y in y {
        y.store(tanh_of(simd, y.load(simd)));
    }
}

/// `f' = 1 - f^2`
#[inline(always)]
fn tanh_backward<S: Simd>(simd: S, y: &[Lanes], dy: &mut [Lanes]) {
    for (y, dy) in y.iter().zip(dy) {
        let (y, gradient) = (y.load(simd), dy.load(simd));
        dy.store(gradient - gradient * (y * y));
    }
}

/// Odd rational function `x p(x^2) / q(x^2)` that is within a few units in the last place of tanh; beyond the
/// clamp tanh is 1 in single precision. The coefficients are those of Eigen's `ptanh_float`.
#[inline(always)]
fn tanh_of<S: Simd>(simd: S, x: f32x8<S>) -> f32x8<S> {
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
    let x = x.max(f32x8::splat(simd, -BOUND)).min(f32x8::splat(simd, BOUND));
    let square = x * x;
    let mut p = f32x8::splat(simd, P[6]);
    for k in (0..6).rev() {
        p = p.mul_add(square, f32x8::splat(simd, P[k]));
    }
    let mut q = f32x8::splat(simd, Q[3]);
    for k in (0..3).rev() {
        q = q.mul_add(square, f32x8::splat(simd, Q[k]));
    }
    x * p / q
}
