//! Augmentation: an image of a digit, warped at random, is another image of that digit.
//!
//! A warp is a map from each pixel of the new image to a place in the old one: a random affine map, to which elastic
//! distortion (Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual
//! document analysis", 2003) adds a smooth random field of displacements. The old image is sampled once, bilinearly,
//! and is empty beyond its edges.
//!
//! Simard's field is white noise smoothed by a Gaussian. Here it is a cubic B-spline, a bell very near a Gaussian, with
//! random coefficients on a square lattice of random phase. Its spacing is √3 sigma, and so the standard deviation of
//! the bell, which is 1/√3 of that, is sigma. Two displacements d apart along an axis then correlate as the B-spline
//! of degree seven does, within 0.021 of the Gaussian's exp(-d² / 4 sigma²), for some sixty random numbers a field
//! instead of a convolution.

use std::array::from_fn;

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use crate::{Error, PIXELS, SIDE, data::random::symmetric};

/// How strongly images are warped: each strength is the end of the range, from its negative on, in which the amount
/// for an image is uniform. In this order a digit is scaled, sheared and rotated about the centre of the image, and
/// shifted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Degrees, 0 to 180.
    pub rotation: f32,
    /// By how much of itself the width changes, and by another amount the height: 0 to 0.9.
    pub scale: f32,
    /// Pixels to the side for each pixel of height, 0 to 1.
    pub shear: f32,
    /// Pixels along each axis, 0 to 28.
    pub shift: f32,
    /// Pixels by which strokes become wider or narrower at each edge, 0 to 1; for an image by an amount of its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stroke: f32,
    /// BatchSlice of itself by which the ink of each pixel becomes more or less, 0 to 1; the most for an image is an amount of
    /// its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: f32,
    /// Elastic distortion, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
}

fn is_zero(strength: &f32) -> bool {
    *strength == 0.0
}

/// How strong elastic distortion is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Root mean square of the displacement along each axis, in pixels, 0 to 28. Simard's normalize factor alpha, for
    /// noise uniform in -1 to 1, gives alpha / (sigma √(12 π)): his alpha of 34 with a sigma of 4 is 1.38.
    pub rms: f32,
    /// Standard deviation in pixels, 2 to 28, of the Gaussian that smooths the noise.
    pub sigma: f32,
}

/// Mild: what is written stays as easy to read.
impl Default for Augmentation {
    fn default() -> Self {
        let elastic = Elastic { rms: 0.6, sigma: 5.0 };
        Self {
            rotation: 10.0,
            scale: 0.12,
            shear: 0.12,
            shift: 1.5,
            stroke: 0.0,
            noise: 0.0,
            elastic: Some(elastic),
        }
    }
}

impl Augmentation {
    /// # Errors
    /// [`Error::Setting`] if a strength is not in its range.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let side = SIDE as f32;
        let Elastic { rms, sigma } = self.elastic.unwrap_or(Elastic { rms: 0.0, sigma: side });
        for (name, value, least, most) in [
            ("rotation", self.rotation, 0.0, 180.0),
            ("scale", self.scale, 0.0, 0.9),
            ("shear", self.shear, 0.0, 1.0),
            ("shift", self.shift, 0.0, side),
            ("stroke", self.stroke, 0.0, 1.0),
            ("noise", self.noise, 0.0, 1.0),
            ("elastic.rms", rms, 0.0, side),
            ("elastic.sigma", sigma, LEAST_SIGMA, side),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Error::Setting {
                    name: format!("augmentation.{name}"),
                    expected: format!("{least} to {most}"),
                    found: value.to_string(),
                });
            }
        }
        Ok(())
    }
}

const LEAST_SIGMA: f32 = 2.0;

/// Coefficients along each axis of the lattice: enough for [`LEAST_SIGMA`], with a spacing of 3.46 pixels. Pixels 0 to
/// 27 then lie in at most 9 cells, and each takes 4 coefficients.
const KNOTS: usize = 12;

/// Side of the copy of an image between empty edges; a power of two, so that its indices need no checks.
const BORDERED: usize = 32;

/// Stages from a pixel to the next, to which a place is rounded.
const STEPS: u32 = 1 << 12;

/// What warps images, with the memory that it takes.
#[derive(Debug, Clone)]
pub struct Augmenter {
    augmentation: Augmentation,
    /// The old image from row and column 1 on, and zeros, also to the right of and below the last corner.
    old: [u8; BORDERED * (BORDERED + 1) + 1],
    /// Where in the old image the pixels of the new one come from: (x or y, row, column)
    map: [[[f32; SIDE]; SIDE]; 2],
}

impl Augmenter {
    /// # Errors
    /// [`Error::Setting`] if a strength is not in its range.
    pub fn new(augmentation: Augmentation) -> Result<Self, Error> {
        augmentation.validate()?;
        Ok(Self { augmentation, old: [0; BORDERED * (BORDERED + 1) + 1], map: [[[0.0; SIDE]; SIDE]; 2] })
    }

    /// Writes to `warped` what the warp number `key` makes of `image`, both (row, column).
    ///
    /// # Panics
    /// If either is not one image.
    pub fn warp(&mut self, image: &[u8], key: u64, warped: &mut [u8]) {
        assert_eq!((image.len(), warped.len()), (PIXELS, PIXELS), "one image");
        let mut random = Pcg64Mcg::seed_from_u64(key);
        self.map_affine(&mut random);
        if let Some(elastic) = self.augmentation.elastic {
            self.map_elastic(elastic, &mut random);
        }
        self.sample(image, warped);
        if self.augmentation.stroke > 0.0 {
            widen(warped, self.augmentation.stroke * symmetric(&mut random));
        }
        if self.augmentation.noise > 0.0 {
            let most = self.augmentation.noise * symmetric(&mut random);
            for value in warped.iter_mut().filter(|value| **value > 0) {
                *value = (f32::from(*value) * (1.0 + most * symmetric(&mut random))) as u8;
            }
        }
    }

    /// Sets the map to a random affine one.
    fn map_affine(&mut self, random: &mut impl Rng) {
        let Augmentation { rotation, scale, shear, shift, .. } = self.augmentation;
        let mut within = |strength: f32| strength * symmetric(random);
        let (sin, cos) = within(rotation.to_radians()).sin_cos();
        let (width, height) = (1.0 + within(scale), 1.0 + within(scale));
        let shear = within(shear);
        let (right, down) = (within(shift), within(shift));

        // From the new image to the old each part is undone, the last first.
        let middle = (SIDE - 1) as f32 / 2.0;
        let x_step = [(cos + shear * sin) / width, -sin / height];
        let y_step = [(sin - shear * cos) / width, cos / height];
        for axis in 0..2 {
            for (y, row) in self.map[axis].iter_mut().enumerate() {
                let y = y as f32 - middle - down;
                for (x, place) in row.iter_mut().enumerate() {
                    let x = x as f32 - middle - right;
                    *place = x * x_step[axis] + y * y_step[axis] + middle;
                }
            }
        }
    }

    /// Adds a random smooth field to the map.
    fn map_elastic(&mut self, elastic: Elastic, random: &mut impl Rng) {
        let spacing = 3_f32.sqrt() * elastic.sigma;
        // For each row or column its first knot and the weights of four.
        let mut cells = || {
            let phase = 0.5 + 0.5 * symmetric(random);
            from_fn(|pixel| {
                let place = phase + pixel as f32 / spacing;
                let knot = place as u32;
                (knot as usize, bells(place - knot as f32))
            })
        };
        let (columns, rows): ([_; SIDE], [_; SIDE]) = (cells(), cells());
        let used = |cells: [(usize, _); SIDE]| cells[SIDE - 1].0 + 4;
        // The weights of all: (knot, column)
        let mut across = [[0.0; SIDE]; KNOTS];
        for (x, (knot, weights)) in columns.into_iter().enumerate() {
            for (across, weight) in across[knot..].iter_mut().zip(weights) {
                across[x] = weight;
            }
        }

        // The mean of a bell's square over all places, 151 / 315, along both axes.
        let amplitude = elastic.rms * 315.0 / 151.0;
        for map in &mut self.map {
            // (knot, column)
            let mut field = [[0.0; SIDE]; KNOTS];
            for row in &mut field[..used(rows)] {
                for across in &across[..used(columns)] {
                    add(row, amplitude * normal(random), across);
                }
            }
            for (row, (knot, weights)) in map.iter_mut().zip(rows) {
                for (field, weight) in field[knot..].iter().zip(weights) {
                    add(row, weight, field);
                }
            }
        }
    }

    /// Looks up each pixel of `warped` in `image` where the map says.
    fn sample(&mut self, image: &[u8], warped: &mut [u8]) {
        for (old, row) in self.old[BORDERED..].chunks_exact_mut(BORDERED).zip(image.chunks_exact(SIDE)) {
            old[1..=SIDE].copy_from_slice(row);
        }
        // Three loops, because vectors can do the first and the last.
        for (warped, (xs, ys)) in warped.chunks_exact_mut(SIDE).zip(self.map[0].iter().zip(&self.map[1])) {
            let (mut corners, mut parts, mut pixels) = ([0; SIDE], [[0.0; SIDE]; 2], [0; SIDE]);
            for i in 0..SIDE {
                let (x, y) = (steps(xs[i]), steps(ys[i]));
                corners[i] = y / STEPS * BORDERED as u32 + x / STEPS;
                parts[0][i] = (x % STEPS) as i32 as f32 / STEPS as f32;
                parts[1][i] = (y % STEPS) as i32 as f32 / STEPS as f32;
            }
            for i in 0..SIDE {
                let corner = corners[i] as usize % (BORDERED * BORDERED);
                let old = |offset: usize| self.old[corner + offset];
                pixels[i] = u32::from_le_bytes([old(0), old(1), old(BORDERED), old(BORDERED + 1)]);
            }
            for i in 0..SIDE {
                let old = |byte: u32| (pixels[i] >> (8 * byte) & 0xff) as i32 as f32;
                let above = old(0) + (old(1) - old(0)) * parts[0][i];
                let below = old(2) + (old(3) - old(2)) * parts[0][i];
                let pixel = above + (below - above) * parts[1][i];
                // A float from 2^23 to 2^24 counts in ones.
                warped[i] = (pixel + (1 << 23) as f32).to_bits() as u8;
            }
        }
    }
}

/// Moves the edges of strokes in `image` outwards by so many pixels, -1 to 1: each pixel goes that part of the way to the
/// largest, or the least, of itself and its four neighbours.
fn widen(image: &mut [u8], amount: f32) {
    // With an empty row and column around: (row, column)
    let mut old = [[0; SIDE + 2]; SIDE + 2];
    for (old, row) in old[1..].iter_mut().zip(image.chunks_exact(SIDE)) {
        old[1..=SIDE].copy_from_slice(row);
    }
    let choose = if amount > 0.0 { u8::max } else { u8::min };
    let share = (256.0 * amount.abs()) as i32;
    for (y, row) in image.chunks_exact_mut(SIDE).enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            let near = [old[y][x + 1], old[y + 2][x + 1], old[y + 1][x], old[y + 1][x + 2]];
            let extreme = near.into_iter().fold(*value, choose);
            *value = (i32::from(*value) + ((share * (i32::from(extreme) - i32::from(*value))) >> 8)) as u8;
        }
    }
}

/// A place, no further out than the empty edges, in steps from the edge before the image on.
fn steps(place: f32) -> u32 {
    // A float from 2^11 to 2^12 counts in steps; a cast would cost more, since it looks for overflow.
    (place.clamp(-1.0, SIDE as f32) + 2049.0).to_bits() % (BORDERED as u32 * STEPS)
}

/// `to += factor * row`
#[inline(always)]
fn add(to: &mut [f32; SIDE], factor: f32, row: &[f32; SIDE]) {
    for (to, value) in to.iter_mut().zip(row) {
        *to += factor * value;
    }
}

/// The weights of the four coefficients around a place that is `t` of the way through its cell: the pieces of the
/// cubic B-spline.
fn bells(t: f32) -> [f32; 4] {
    let u = 1.0 - t;
    let near = |t: f32| 2.0 / 3.0 + t * t * (0.5 * t - 1.0);
    [u * u * u / 6.0, near(t), near(u), t * t * t / 6.0]
}

/// Nearly normal, with mean 0 and deviation 1: a sum of four uniform numbers.
fn normal(random: &mut impl Rng) -> f32 {
    let bits = random.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    (sum as f32 - 2.0 * 65_535.0) * (3_f32.sqrt() / 65_536.0)
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, time::Instant};

    use super::*;

    const STILL: Augmentation = Augmentation {
        rotation: 0.0,
        scale: 0.0,
        shear: 0.0,
        shift: 0.0,
        stroke: 0.0,
        noise: 0.0,
        elastic: None,
    };
    const ALL: Augmentation = Augmentation {
        rotation: 180.0,
        scale: 0.5,
        shear: 0.5,
        shift: 5.0,
        stroke: 0.0,
        noise: 0.0,
        elastic: Some(Elastic { rms: 1.5, sigma: 4.0 }),
    };

    /// Pixels without any order.
    fn noise() -> Vec<u8> {
        let mut random = Pcg64Mcg::seed_from_u64(0);
        (0..PIXELS).map(|_| random.next_u32() as u8).collect()
    }

    /// A ring, as soft and as large as a handwritten zero.
    fn ring() -> Vec<u8> {
        let ink = |i: usize| {
            let (y, x) = ((i / SIDE) as f64 - 13.5, (i % SIDE) as f64 - 13.5);
            255.0 * (2.0 - (x.hypot(1.2 * y) - 6.0).abs()).clamp(0.0, 1.0)
        };
        (0..PIXELS).map(|i| ink(i) as u8).collect()
    }

    fn warp(augmentation: Augmentation, image: &[u8], key: u64) -> Vec<u8> {
        let mut warped = vec![77; PIXELS];
        Augmenter::new(augmentation).unwrap().warp(image, key, &mut warped);
        warped
    }

    /// What the new image's pixel (y, x) is, if `map` says which places x, y of the old it comes from.
    fn sampled(image: &[u8], map: impl Fn(usize, usize) -> [f32; 2]) -> Vec<u8> {
        let mut augmenter = Augmenter::new(STILL).unwrap();
        augmenter.map = from_fn(|axis| from_fn(|y| from_fn(|x| map(y, x)[axis])));
        let mut warped = vec![77; PIXELS];
        augmenter.sample(image, &mut warped);
        warped
    }

    #[test]
    fn no_strength_changes_nothing() {
        let image = noise();
        for key in 0..9 {
            assert!(warp(STILL, &image, key) == image);
            let elastic = Some(Elastic { rms: 0.0, sigma: 4.0 });
            assert!(warp(Augmentation { elastic, ..STILL }, &image, key) == image);
        }
    }

    #[test]
    fn strokes_become_wider_and_narrower_by_what_is_asked() {
        let bar = |columns: std::ops::Range<usize>| -> Vec<u8> {
            (0..PIXELS).map(|i| if columns.contains(&(i % SIDE)) { 255 } else { 0 }).collect()
        };
        for (amount, left, edge) in
            [(1.0, 9, 255), (0.5, 9, 127), (-0.5, 10, 127), (-1.0, 10, 0), (0.0, 9, 0)]
        {
            let mut image = bar(10..14);
            widen(&mut image, amount);
            let row = &image[14 * SIDE..][..SIDE];
            assert_eq!((row[left], row[23 - left], row[11]), (edge, edge, 255), "{amount}");
            assert_eq!((row[left - 1], row[left + 2]), (0, 255), "{amount}");
        }
    }

    #[test]
    fn noise_changes_ink_and_not_paper() {
        let (image, noisy) = (ring(), Augmentation { noise: 0.5, ..STILL });
        let changed = (0..20).map(|key| warp(noisy, &image, key));
        for (new, old) in changed.flat_map(|image| image.into_iter().zip(ring())) {
            let (new, old) = (f32::from(new), f32::from(old));
            assert!(new >= 0.5 * old - 1.0 && new <= (1.5 * old).min(255.0), "{old} to {new}");
        }
        assert_ne!(warp(noisy, &image, 0), image);
    }

    #[test]
    fn whole_pixels_stay_whole() {
        let image = noise();
        for (right, down) in [(1, 0), (0, -1), (3, 5), (-27, 27), (-28, 0), (100, -1000)] {
            let shifted = sampled(&image, |y, x| [(x as i32 - right) as f32, (y as i32 - down) as f32]);
            for (i, &pixel) in shifted.iter().enumerate() {
                let (x, y) = ((i % SIDE) as i32 - right, (i / SIDE) as i32 - down);
                let inside = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
                assert_eq!(pixel, if inside { image[(y * SIDE as i32 + x) as usize] } else { 0 });
            }
        }
        let turned = sampled(&image, |y, x| [y as f32, (SIDE - 1 - x) as f32]);
        assert!((0..PIXELS).all(|i| turned[i] == image[(SIDE - 1 - i % SIDE) * SIDE + i / SIDE]));
    }

    #[test]
    fn sampling_is_bilinear() {
        let image = noise();
        let old = |y: f64, x: f64| {
            let inside = [x, y].iter().all(|place| (0.0..SIDE as f64).contains(place));
            if inside { f64::from(image[y as usize * SIDE + x as usize]) } else { 0.0 }
        };
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut place = || 14.0 + 20.0 * symmetric(&mut random);
        let places: Vec<[f32; 2]> = (0..PIXELS).map(|_| [place(), place()]).collect();
        let warped = sampled(&image, |y, x| places[y * SIDE + x]);
        for (pixel, [x, y]) in warped.into_iter().zip(places) {
            let (x, y) = (f64::from(x), f64::from(y));
            let (left, top) = (x.floor(), y.floor());
            let row = |y| old(y, left) * (left + 1.0 - x) + old(y, left + 1.0) * (x - left);
            let expected = row(top) * (top + 1.0 - y) + row(top + 1.0) * (y - top);
            assert!((f64::from(pixel) - expected).abs() < 0.65, "({x}, {y}): {pixel}, {expected}");
        }
    }

    #[test]
    fn an_affine_map_undoes_scale_shear_rotation_and_shift() {
        let mut augmenter = Augmenter::new(ALL).unwrap();
        for key in 0..100 {
            augmenter.map_affine(&mut Pcg64Mcg::seed_from_u64(key));
            let random = &mut Pcg64Mcg::seed_from_u64(key);
            let mut within = |strength: f64| strength * f64::from(symmetric(random));
            let angle = within(180.0_f64.to_radians());
            let (width, height) = (1.0 + within(0.5), 1.0 + within(0.5));
            let (shear, right, down) = (within(0.5), within(5.0), within(5.0));
            for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
                let old = augmenter.map.map(|axis| f64::from(axis[y][x]) - 13.5);
                let (u, v) = (width * old[0], height * old[1]);
                let u = u + shear * v;
                let (u, v) = (u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos());
                let error = (u + 13.5 + right - x as f64).hypot(v + 13.5 + down - y as f64);
                assert!(error < 1e-4, "key {key}, ({x}, {y}): {error}");
            }
        }
    }

    #[test]
    fn a_key_says_all() {
        let mut augmenter = Augmenter::new(ALL).unwrap();
        let mut seen = Vec::new();
        for key in 0..50 {
            for image in [noise(), ring()] {
                let mut warped = vec![0; PIXELS];
                augmenter.warp(&image, key, &mut warped);
                assert!(warped == warp(ALL, &image, key));
                seen.push(warped);
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn ink_is_kept() {
        let ink = |image: &[u8]| image.iter().map(|&pixel| f64::from(pixel)).sum::<f64>();
        let image = ring();
        for (augmentation, each, all) in [
            (Augmentation { rotation: 180.0, shear: 0.3, shift: 2.0, ..STILL }, 0.02, 0.005),
            (Augmentation { elastic: Some(Elastic { rms: 1.0, sigma: 5.0 }), ..STILL }, 0.4, 0.03),
            (Augmentation::default(), 0.4, 0.03),
        ] {
            let ratios: Vec<_> =
                (0..500).map(|key| ink(&warp(augmentation, &image, key)) / ink(&image)).collect();
            let worst = ratios.iter().map(|ratio| (ratio - 1.0).abs()).fold(0.0, f64::max);
            let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
            assert!(worst < each && (mean - 1.0).abs() < all, "{augmentation:?}: {worst}, {mean}");
        }
    }

    /// The root mean square of the field along x, along y, and what displacements `distance` apart have in common.
    fn field(elastic: Elastic, distance: usize) -> [f64; 3] {
        let mut augmenter = Augmenter::new(STILL).unwrap();
        let (mut squares, mut products) = ([0.0; 2], 0.0);
        const KEYS: u64 = 4000;
        for key in 0..KEYS {
            augmenter.map = [[[0.0; SIDE]; SIDE]; 2];
            augmenter.map_elastic(elastic, &mut Pcg64Mcg::seed_from_u64(key));
            for (sum, axis) in squares.iter_mut().zip(&augmenter.map) {
                *sum += axis.as_flattened().iter().map(|value| f64::from(value * value)).sum::<f64>();
            }
            for row in augmenter.map[0] {
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
    fn the_elastic_field_is_as_strong_and_as_smooth_as_it_says() {
        for (rms, sigma) in [(1.0, 2.0_f32), (1.38, 4.0), (0.6, 6.0), (3.0, 28.0)] {
            let distance = (1.5 * sigma).min(20.0);
            let [x, y, correlation] = field(Elastic { rms, sigma }, distance as usize);
            for found in [x, y] {
                assert!((found / f64::from(rms) - 1.0).abs() < 0.03, "sigma {sigma}: {found} of {rms}");
            }
            let gaussian = f64::from((-distance * distance / (4.0 * sigma * sigma)).exp());
            assert!((correlation - gaussian).abs() < 0.04, "sigma {sigma}: {correlation}, {gaussian}");
        }
    }

    #[test]
    fn impossible_strengths_are_refused() {
        let elastic = |rms, sigma| Augmentation { elastic: Some(Elastic { rms, sigma }), ..STILL };
        for (augmentation, error) in [
            (Augmentation { rotation: -1.0, ..STILL }, "augmentation.rotation: expected 0 to 180, found -1"),
            (Augmentation { scale: 1.0, ..STILL }, "augmentation.scale: expected 0 to 0.9, found 1"),
            (Augmentation { shear: f32::NAN, ..STILL }, "augmentation.shear: expected 0 to 1, found NaN"),
            (
                Augmentation { shift: f32::INFINITY, ..STILL },
                "augmentation.shift: expected 0 to 28, found inf",
            ),
            (elastic(29.0, 4.0), "augmentation.elastic.rms: expected 0 to 28, found 29"),
            (elastic(1.0, 1.9), "augmentation.elastic.sigma: expected 2 to 28, found 1.9"),
        ] {
            assert_eq!(Augmenter::new(augmentation).unwrap_err().to_string(), error);
        }
    }

    /// `cargo test --release -p lenet augment -- --ignored --nocapture`
    #[test]
    #[ignore = "measures; asserts nothing"]
    fn time_of_an_image() {
        let (image, mut warped) = (ring(), vec![0; PIXELS]);
        let elastic = |sigma| Augmentation { elastic: Some(Elastic { rms: 1.0, sigma }), ..ALL };
        let affine = Augmentation { elastic: None, ..ALL };
        let table = [("affine", affine), ("sigma 2", elastic(2.0)), ("4", elastic(4.0)), ("8", elastic(8.0))];
        for (name, augmentation) in table {
            let mut augmenter = Augmenter::new(black_box(augmentation)).unwrap();
            let mut run = |_| {
                let start = Instant::now();
                (0..1000).for_each(|key| augmenter.warp(&image, key, black_box(&mut warped)));
                start.elapsed().as_secs_f64()
            };
            let seconds = (0..50).map(&mut run).fold(f64::INFINITY, f64::min);
            println!("{name:>8}: {:.2} us", 1e3 * seconds);
        }
    }
}
