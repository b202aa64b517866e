//! Element-wise functions, done in place: forward turns `y` into `f(y)`, backward turns `dy` into `dy * f'`, and
//! `f'` follows from `f(y)`, which is all that is kept.

use fearless_simd::{Level, Select, Simd};

use super::{
    lanes::{Lanes, Vector, kernel},
    operator::Activation,
};

impl Activation {
    pub fn forward(self, level: Level, y: &mut [Lanes]) {
        match self {
            Self::Relu => kernel!(level, forward[Relu](y)),
            Self::Tanh => kernel!(level, forward[Tanh](y)),
        }
    }

    pub fn backward(self, level: Level, y: &[Lanes], dy: &mut [Lanes]) {
        match self {
            Self::Relu => kernel!(level, backward[Relu](y, dy)),
            Self::Tanh => kernel!(level, backward[Tanh](y, dy)),
        }
    }
}

/// How a gradient goes back through an element-wise function `f`.
pub(super) trait Derivative {
    /// `dy * f'`, for `y = f(x)`.
    fn gradient<S: Simd, V: Vector<S>>(simd: S, y: V, dy: V) -> V;
}

/// An element-wise function.
trait Function: Derivative {
    /// `f(x)`
    fn of<S: Simd, V: Vector<S>>(simd: S, x: V) -> V;

    /// Of two vectors, which may share what is slow.
    #[inline(always)]
    fn of_two<S: Simd, V: Vector<S>>(simd: S, one: V, other: V) -> (V, V) {
        (Self::of(simd, one), Self::of(simd, other))
    }
}

#[inline(always)]
fn forward<S: Simd, V: Vector<S>, F: Function>(simd: S, y: &mut [Lanes]) {
    let mut pairs = y.chunks_exact_mut(2 * V::ELEMENTS);
    for pair in &mut pairs {
        let (one, other) = pair.split_at_mut(V::ELEMENTS);
        let (a, b) = F::of_two(simd, V::load(simd, one), V::load(simd, other));
        a.store(one);
        b.store(other);
    }
    for y in pairs.into_remainder() {
        y.store(F::of(simd, y.load(simd)));
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

/// Through what changes nothing.
pub(super) struct Identity;

impl Derivative for Identity {
    #[inline(always)]
    fn gradient<S: Simd, V: Vector<S>>(_simd: S, _y: V, dy: V) -> V {
        dy
    }
}

pub(super) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn of<S: Simd, V: Vector<S>>(simd: S, x: V) -> V {
        x.max(V::splat(simd, 0.0))
    }
}

impl Derivative for Relu {
    /// `f' = 1 where f > 0, else 0`
    #[inline(always)]
    fn gradient<S: Simd, V: Vector<S>>(simd: S, y: V, dy: V) -> V {
        let zero = V::splat(simd, 0.0);
        y.simd_gt(zero).select(dy, zero)
    }
}

/// Odd rational function `x p(x^2) / q(x^2)` that is within a few units in the last place of tanh; beyond the
/// clamp tanh is 1 in single precision. The coefficients are those of Eigen's `ptanh_float`.
///
/// Of two vectors `a / q` and `b / r` are `a r / (q r)` and `b q / (q r)`: a division takes as long as the polynomials.
pub(super) struct Tanh;

impl Tanh {
    /// Numerator and denominator.
    #[inline(always)]
    fn fraction<S: Simd, V: Vector<S>>(simd: S, x: V) -> (V, V) {
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

impl Function for Tanh {
    #[inline(always)]
    fn of<S: Simd, V: Vector<S>>(simd: S, x: V) -> V {
        let (p, q) = Self::fraction(simd, x);
        p / q
    }

    #[inline(always)]
    fn of_two<S: Simd, V: Vector<S>>(simd: S, one: V, other: V) -> (V, V) {
        let ((a, q), (b, r)) = (Self::fraction(simd, one), Self::fraction(simd, other));
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
