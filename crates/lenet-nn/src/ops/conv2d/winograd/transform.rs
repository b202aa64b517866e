//! The transforms between tiles and the Winograd domain, one row or kernel at a time.

use fearless_simd::{Simd, SimdBase, SimdFloat, f32x8};

use super::matrices::{has_zero_point, input_matrix, output_matrix, pair_row_index, point_pair_count};
use crate::{activation_layout::Lanes, simd::Vector};

/// A linear map from a row of `I` values to `N` points, and its transpose.
///
/// Both directions compute the terms of a pair of points `p, -p` once: with `even` and `odd` the sums over the even and
/// over the odd powers, the value at `p` is `even + odd` and that at `-p` is `even - odd`. All coefficients are
/// compile-time constants, so multiplications by 0 and 1 generate no code.
pub(super) trait RowTransform<const N: usize, const I: usize> {
    const MATRIX: [[f32; I]; N];

    /// Returns `MATRIX * row`.
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(row: [V; I]) -> [V; N] {
        let dot = |point: usize, parity: usize| dot_every_second(&Self::MATRIX[point], &row, parity);
        let mut values = [row[0]; N];
        if has_zero_point::<N>() {
            values[0] = dot(0, 0);
        }
        for pair in 0..point_pair_count::<N>() {
            let point = pair_row_index::<N>(pair);
            let (even, odd) = (dot(point, 0), dot(point, 1));
            values[point] = even + odd;
            values[point + 1] = even - odd;
        }
        values[N - 1] = dot(N - 1, (I - 1) % 2);
        values
    }

    /// Returns `MATRIX' * values`.
    #[inline(always)]
    fn apply_transposed<S: Simd, V: Vector<S>>(values: [V; N]) -> [V; I] {
        let mut halves = [[values[0]; N]; 2];
        for pair in 0..point_pair_count::<N>() {
            let point = pair_row_index::<N>(pair);
            halves[0][pair] = values[point] + values[point + 1];
            halves[1][pair] = values[point] - values[point + 1];
        }
        let mut row = [values[0]; I];
        for power in 0..I {
            let mut sum = None;
            for pair in 0..point_pair_count::<N>() {
                sum =
                    add_product(sum, Self::MATRIX[pair_row_index::<N>(pair)][power], halves[power % 2][pair]);
            }
            if has_zero_point::<N>() {
                sum = add_product(sum, Self::MATRIX[0][power], values[0]);
            }
            sum = add_product(sum, Self::MATRIX[N - 1][power], values[N - 1]);
            row[power] = sum.unwrap_or(values[0]);
        }
        row
    }
}

/// Returns the dot product of the elements with even (`parity` 0) or odd (1) index.
#[inline(always)]
fn dot_every_second<S: Simd, V: Vector<S>, const I: usize>(
    factors: &[f32; I],
    values: &[V; I],
    parity: usize,
) -> V {
    let mut sum = None;
    for i in 0..I {
        if i % 2 == parity {
            sum = add_product(sum, factors[i], values[i]);
        }
    }
    sum.unwrap_or(values[0])
}

/// Returns `sum + factor * value`, where `None` is a sum without terms and `factor` is known at compile time.
#[inline(always)]
fn add_product<S: Simd, V: Vector<S>>(sum: Option<V>, factor: f32, value: V) -> Option<V> {
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

/// `B'`, the transform of tiles of the input.
pub(super) struct InputTransform;

impl<const N: usize> RowTransform<N, N> for InputTransform {
    const MATRIX: [[f32; N]; N] = input_matrix();
}

/// `A`, whose transpose yields tiles of the output.
pub(super) struct OutputTransform;

impl<const N: usize, const M: usize> RowTransform<N, M> for OutputTransform {
    const MATRIX: [[f32; M]; N] = output_matrix();
}

/// Returns `matrix * values * matrix'` of eight kernels, one per lane: the kernel transform `G g G'`, or, with the
/// transpose of `G`, the gradient `G' du G`.
#[inline(always)]
pub(super) fn transform_kernels<S: Simd, const I: usize, const O: usize>(
    simd: S,
    matrix: &[[f32; I]; O],
    values: &[[Lanes; I]; I],
) -> [[Lanes; O]; O] {
    let zero = f32x8::splat(simd, 0.0);
    let mut transformed = [[Lanes::default(); O]; O];
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
            transformed[o][p].store(sum);
        }
    }
    transformed
}
