//! The points at which Winograd's filtering multiplies, and the ways there and back.

use fearless_simd::{Simd, SimdBase, SimdFloat, f32x8};

use crate::lanes::{Lanes, Vector};

/// The positive ones of `N` points along a side. With more of them more is rounded off: 6e-7 of the output's deviation with
/// six, 4e-6 with nine. Of such pairs and fours these round least; the customary 1 and 2 give 1e-6, and 1/4, 1/2, 1 and 2
/// 7e-6.
const fn positive_points<const N: usize>() -> &'static [f64] {
    match N {
        6 => &[2.0 / 3.0, 3.0 / 2.0],
        9 => &[1.0 / 4.0, 2.0 / 3.0, 11.0 / 10.0, 2.0],
        _ => panic!("no points were chosen"),
    }
}

/// Whether 0 is a point: its row is the first of each matrix, as that of infinity is the last.
const fn has_zero<const N: usize>() -> bool {
    N.is_multiple_of(2)
}

/// The row of a positive point; that of its negative comes next, with the signs of odd powers changed.
const fn pair_row<const N: usize>(pair: usize) -> usize {
    has_zero::<N>() as usize + 2 * pair
}

/// Positive points.
const fn pairs<const N: usize>() -> usize {
    (N - 1) / 2
}

/// `A[point][power]`: the powers of each point, to which an output at infinity is the last coefficient.
const fn powers<const N: usize, const M: usize>() -> [[f64; M]; N] {
    let mut a = [[0.0; M]; N];
    a[0][0] = 1.0;
    let mut pair = 0;
    while pair < pairs::<N>() {
        let (row, point) = (pair_row::<N>(pair), positive_points::<N>()[pair]);
        (a[row][0], a[row + 1][0]) = (1.0, 1.0);
        let mut power = 1;
        while power < M {
            a[row][power] = a[row][power - 1] * point;
            a[row + 1][power] = a[row + 1][power - 1] * -point;
            power += 1;
        }
        pair += 1;
    }
    a[N - 1][M - 1] = 1.0;
    a
}

/// `B'[point][power]`: the coefficients of a polynomial that is 0 at all other finite points.
const fn zeros_elsewhere<const N: usize>() -> [[f64; N]; N] {
    let zero = has_zero::<N>() as usize;
    let mut b = [[0.0; N]; N];
    b[0] = squares::<N>(0, N);
    let mut pair = 0;
    while pair < pairs::<N>() {
        let (row, point) = (pair_row::<N>(pair), positive_points::<N>()[pair]);
        let others = squares::<N>(zero, pair);
        let mut power = 0;
        while power < N {
            // Times x + point.
            let coefficient = others[power] * point + if power > 0 { others[power - 1] } else { 0.0 };
            b[row][power] = coefficient;
            b[row + 1][power] = if power.is_multiple_of(2) { coefficient } else { -coefficient };
            power += 1;
        }
        pair += 1;
    }
    b[N - 1] = squares::<N>(zero, N);
    b
}

/// The coefficients of `x^lowest`, times `x^2 - point^2` for each positive point but one.
const fn squares<const N: usize>(lowest: usize, but: usize) -> [f64; N] {
    let mut product = [0.0; N];
    product[lowest] = 1.0;
    let mut pair = 0;
    while pair < pairs::<N>() {
        if pair != but {
            let point = positive_points::<N>()[pair];
            let mut power = N;
            while power > 0 {
                power -= 1;
                let lower = if power < 2 { 0.0 } else { product[power - 2] };
                product[power] = lower - product[power] * point * point;
            }
        }
        pair += 1;
    }
    product
}

/// `G[point][tap]`: the powers of each point over the value there of its polynomial in `B'`.
pub const fn kernel_matrix<const N: usize, const R: usize>() -> [[f32; R]; N] {
    let (b, mut g) = (zeros_elsewhere::<N>(), powers::<N, R>());
    if has_zero::<N>() {
        g[0] = over(g[0], b[0][0]);
    }
    let mut pair = 0;
    while pair < pairs::<N>() {
        let row = pair_row::<N>(pair);
        let value = polynomial(b[row], positive_points::<N>()[pair]);
        (g[row], g[row + 1]) = (over(g[row], value), over(g[row + 1], value));
        pair += 1;
    }
    single(g)
}

const fn polynomial<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    let (mut value, mut power) = (0.0, N);
    while power > 0 {
        power -= 1;
        value = value * x + coefficients[power];
    }
    value
}

const fn over<const R: usize>(mut row: [f64; R], divisor: f64) -> [f64; R] {
    let mut tap = 0;
    while tap < R {
        row[tap] /= divisor;
        tap += 1;
    }
    row
}

const fn single<const I: usize, const O: usize>(matrix: [[f64; I]; O]) -> [[f32; I]; O] {
    let mut rounded = [[0.0; I]; O];
    let mut at = 0;
    while at < I * O {
        rounded[at / I][at % I] = matrix[at / I][at % I] as f32;
        at += 1;
    }
    rounded
}

/// The way of a row of a tile to the points, and the transposed way back.
pub trait Transform<const N: usize, const I: usize> {
    const MATRIX: [[f32; I]; N];

    /// `MATRIX row`
    #[inline(always)]
    fn to_points<S: Simd, V: Vector<S>>(row: [V; I]) -> [V; N] {
        let dot = |point: usize, first: usize| dot(&Self::MATRIX[point], &row, first);
        let mut values = [row[0]; N];
        if has_zero::<N>() {
            values[0] = dot(0, 0);
        }
        for pair in 0..pairs::<N>() {
            let point = pair_row::<N>(pair);
            let (even, odd) = (dot(point, 0), dot(point, 1));
            values[point] = even + odd;
            values[point + 1] = even - odd;
        }
        values[N - 1] = dot(N - 1, (I - 1) % 2);
        values
    }

    /// `MATRIX' values`
    #[inline(always)]
    fn from_points<S: Simd, V: Vector<S>>(values: [V; N]) -> [V; I] {
        let mut halves = [[values[0]; N]; 2];
        for pair in 0..pairs::<N>() {
            let point = pair_row::<N>(pair);
            halves[0][pair] = values[point] + values[point + 1];
            halves[1][pair] = values[point] - values[point + 1];
        }
        let mut row = [values[0]; I];
        for power in 0..I {
            let mut sum = None;
            for pair in 0..pairs::<N>() {
                sum = add_times(sum, Self::MATRIX[pair_row::<N>(pair)][power], halves[power % 2][pair]);
            }
            if has_zero::<N>() {
                sum = add_times(sum, Self::MATRIX[0][power], values[0]);
            }
            sum = add_times(sum, Self::MATRIX[N - 1][power], values[N - 1]);
            row[power] = sum.unwrap_or(values[0]);
        }
        row
    }
}

/// The sum of the products of every second one, from `first` on.
#[inline(always)]
fn dot<S: Simd, V: Vector<S>, const I: usize>(factors: &[f32; I], values: &[V; I], first: usize) -> V {
    let mut sum = None;
    for i in 0..I {
        if i % 2 == first {
            sum = add_times(sum, factors[i], values[i]);
        }
    }
    sum.unwrap_or(values[0])
}

/// Adds a product of which the factor is known to the compiler.
#[inline(always)]
fn add_times<S: Simd, V: Vector<S>>(sum: Option<V>, factor: f32, value: V) -> Option<V> {
    if factor == 0.0 {
        return sum;
    }
    Some(match sum {
        None if factor == 1.0 => value,
        None => value * factor,
        Some(sum) if factor == 1.0 => sum + value,
        Some(sum) => value.mul_add(factor, sum),
    })
}

/// `B'`, of tiles of the input.
pub struct OfInput;

impl<const N: usize> Transform<N, N> for OfInput {
    const MATRIX: [[f32; N]; N] = single(zeros_elsewhere());
}

/// `A`, of tiles of the output.
pub struct OfOutput;

impl<const N: usize, const M: usize> Transform<N, M> for OfOutput {
    const MATRIX: [[f32; M]; N] = single(powers());
}

/// `matrix values matrix'`, of eight kernels side by side: `G g G'`, or for the transpose of `G`, `G' du G`.
#[inline(always)]
pub fn scale<S: Simd, const I: usize, const O: usize>(
    simd: S,
    matrix: &[[f32; I]; O],
    values: &[[Lanes; I]; I],
) -> [[Lanes; O]; O] {
    let zero = f32x8::splat(simd, 0.0);
    let mut scaled = [[Lanes::default(); O]; O];
    for o in 0..O {
        let mut row = [zero; I];
        for i in 0..I {
            for k in 0..I {
                row[k] = values[i][k].load(simd).mul_add(matrix[o][i], row[k]);
            }
        }
        for p in 0..O {
            let mut sum = zero;
            for k in 0..I {
                sum = row[k].mul_add(matrix[p][k], sum);
            }
            scaled[o][p].store(sum);
        }
    }
    scaled
}

/// Rows and columns exchanged.
pub const fn transpose_matrix<const I: usize, const O: usize>(matrix: &[[f32; I]; O]) -> [[f32; O]; I] {
    let mut turned = [[0.0; O]; I];
    let mut o = 0;
    while o < O {
        let mut i = 0;
        while i < I {
            turned[i][o] = matrix[o][i];
            i += 1;
        }
        o += 1;
    }
    turned
}
