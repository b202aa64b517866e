//! Elastic distortion: a smooth random field of displacements.
//!
//! The field of P. Y. Simard, D. Steinkraus and J. C. Platt, "Best practices for convolutional neural networks applied to visual
//! document analysis" (ICDAR 2003), is white noise that is smoothed by a Gaussian. Here it is a cubic B-spline, whose bell is
//! close to a Gaussian, with random coefficients on a square lattice of random phase. The spacing of the lattice is
//! √3 sigma, so that the standard deviation of the bell, which is 1/√3 of the spacing, is sigma. The correlation of two
//! displacements at a distance of d along an axis is then a B-spline of degree seven, within 0.021 of the Gaussian's
//! exp(-d² / 4 sigma²). This needs about sixty random numbers per field instead of a convolution.

use std::array::from_fn;

use rand_pcg::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::bilinear::SourceMap;
use crate::{SIDE, data::random::uniform_symmetric};

/// Strength of elastic distortion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Root mean square of the displacement along each axis, in pixels, 0 to 28. Simard's scaling factor alpha, for noise
    /// uniform in -1 to 1, corresponds to an `rms` of alpha / (sigma √(12 π)): his alpha of 34 with a sigma of 4 is
    /// 1.38.
    pub rms: f32,
    /// Standard deviation of the smoothing Gaussian, in pixels, 2 to 28.
    pub sigma: f32,
}

/// Minimum of [`Elastic::sigma`], in pixels: it bounds the number of [`KNOTS`].
pub(super) const MIN_SIGMA_PX: f32 = 2.0;

/// Coefficients along each axis of the lattice. At [`MIN_SIGMA_PX`] the spacing is 3.46 pixels, so that pixels 0 to 27 lie in at
/// most 9 cells, and each pixel uses 4 coefficients.
const KNOTS: usize = 12;

/// Adds a random smooth field to `map`.
pub(super) fn add_elastic_displacement(map: &mut SourceMap, elastic: Elastic, random: &mut impl Rng) {
    let spacing = 3_f32.sqrt() * elastic.sigma;
    // For each row or column: its first knot, and the weights of four knots.
    let mut cells = || {
        let phase = 0.5 + 0.5 * uniform_symmetric(random);
        from_fn(|pixel| {
            let position = phase + pixel as f32 / spacing;
            let knot = position as u32;
            (knot as usize, bspline_weights(position - knot as f32))
        })
    };
    let (columns, rows): ([_; SIDE], [_; SIDE]) = (cells(), cells());
    let used_knots = |cells: [(usize, _); SIDE]| cells[SIDE - 1].0 + 4;
    // (knot, column)
    let mut column_weights = [[0.0; SIDE]; KNOTS];
    for (x, (knot, weights)) in columns.into_iter().enumerate() {
        for (column_weights, weight) in column_weights[knot..].iter_mut().zip(weights) {
            column_weights[x] = weight;
        }
    }

    // 151 / 315 is the mean of the bell's square over all positions; here for both axes.
    let amplitude = elastic.rms * 315.0 / 151.0;
    for map in map {
        // (knot, column)
        let mut field = [[0.0; SIDE]; KNOTS];
        for row in &mut field[..used_knots(rows)] {
            for column_weights in &column_weights[..used_knots(columns)] {
                add_scaled(row, amplitude * approximate_normal(random), column_weights);
            }
        }
        for (row, (knot, weights)) in map.iter_mut().zip(rows) {
            for (field, weight) in field[knot..].iter().zip(weights) {
                add_scaled(row, weight, field);
            }
        }
    }
}

/// Computes `sum += factor * row`.
#[inline(always)]
fn add_scaled(sum: &mut [f32; SIDE], factor: f32, row: &[f32; SIDE]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += factor * value;
    }
}

/// Returns the weights of the four coefficients around a position, which is the fraction `t` of the way through its cell: the
/// pieces of the cubic B-spline.
fn bspline_weights(t: f32) -> [f32; 4] {
    let u = 1.0 - t;
    let inner = |t: f32| 2.0 / 3.0 + t * t * (0.5 * t - 1.0);
    [u * u * u / 6.0, inner(t), inner(u), t * t * t / 6.0]
}

/// Returns a sum of four uniform numbers, which is nearly normal, with mean 0 and standard deviation 1.
fn approximate_normal(random: &mut impl Rng) -> f32 {
    let bits = random.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    (sum as f32 - 2.0 * 65_535.0) * (3_f32.sqrt() / 65_536.0)
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::*;
    use crate::PIXELS;

    /// Returns the root mean square of the field along x and along y, and the correlation of displacements `distance` apart.
    fn field_statistics(elastic: Elastic, distance: usize) -> [f64; 3] {
        let (mut squares, mut products) = ([0.0; 2], 0.0);
        const KEYS: u64 = 4000;
        for key in 0..KEYS {
            let mut map = [[[0.0; SIDE]; SIDE]; 2];
            add_elastic_displacement(&mut map, elastic, &mut Pcg64Mcg::seed_from_u64(key));
            for (sum, axis) in squares.iter_mut().zip(&map) {
                *sum += axis.as_flattened().iter().map(|value| f64::from(value * value)).sum::<f64>();
            }
            for row in map[0] {
                let pairs = row.iter().zip(&row[distance..]);
                products += pairs.map(|(a, b)| f64::from(a * b)).sum::<f64>();
            }
        }
        let count = KEYS as f64 * PIXELS as f64;
        let variance = squares[0] / count;
        let pairs = KEYS as f64 * (SIDE * (SIDE - distance)) as f64;
        [variance.sqrt(), (squares[1] / count).sqrt(), products / pairs / variance]
    }

    #[test]
    fn field_has_the_rms_and_correlation_of_the_settings() {
        for (rms, sigma) in [(1.0, 2.0_f32), (1.38, 4.0), (0.6, 6.0), (3.0, 28.0)] {
            let distance = (1.5 * sigma).min(20.0);
            let [x, y, correlation] = field_statistics(Elastic { rms, sigma }, distance as usize);
            for found in [x, y] {
                assert!((found / f64::from(rms) - 1.0).abs() < 0.03, "sigma {sigma}: {found} of {rms}");
            }
            let gaussian = f64::from((-distance * distance / (4.0 * sigma * sigma)).exp());
            assert!((correlation - gaussian).abs() < 0.04, "sigma {sigma}: {correlation}, {gaussian}");
        }
    }
}
