//! Augmentation: random transformations of an image that keep its label.
//!
//! A transformation maps each pixel of the new image to a position in the original: a random affine map, to which elastic
//! distortion adds a smooth random field of displacements ([`Elastic`] has the source). The original is sampled once, bilinearly,
//! and is 0 outside its edges. Then the width of strokes and the strength of ink are changed.

mod bilinear;
mod elastic;

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use self::{
    bilinear::{BilinearSampler, SourceMap},
    elastic::{MIN_SIGMA_PX, add_elastic_displacement},
};
use crate::{Error, PIXELS, SIDE, data::random::uniform_symmetric, error::ensure_setting};

pub use elastic::Elastic;

/// Strengths of the random transformations. The amount for an image is uniform between the negative strength and the strength.
///
/// An image is scaled, sheared and rotated about its center, in this order, and then shifted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Rotation in degrees, 0 to 180.
    pub rotation: f32,
    /// Relative change of the width and, independently, of the height, 0 to 0.9.
    pub scale: f32,
    /// Horizontal displacement per pixel of height, 0 to 1.
    pub shear: f32,
    /// Shift along each axis in pixels, 0 to 28.
    pub shift: f32,
    /// Distance in pixels by which the edges of strokes move outward or inward, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stroke: f32,
    /// Relative change of each inked pixel, 0 to 1. The amount for an image is the maximum for its pixels.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: f32,
    /// Elastic distortion; `None` disables it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
}

fn is_zero(strength: &f32) -> bool {
    *strength == 0.0
}

/// Mild transformations, after which digits are as legible as before.
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
    /// Checks that all strengths are in their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for the first strength that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let side = SIDE as f32;
        let Elastic { rms, sigma } = self.elastic.unwrap_or(Elastic { rms: 0.0, sigma: side });
        for (name, value, min, max) in [
            ("augmentation.rotation", self.rotation, 0.0, 180.0),
            ("augmentation.scale", self.scale, 0.0, 0.9),
            ("augmentation.shear", self.shear, 0.0, 1.0),
            ("augmentation.shift", self.shift, 0.0, side),
            ("augmentation.stroke", self.stroke, 0.0, 1.0),
            ("augmentation.noise", self.noise, 0.0, 1.0),
            ("augmentation.elastic.rms", rms, 0.0, side),
            ("augmentation.elastic.sigma", sigma, MIN_SIGMA_PX, side),
        ] {
            ensure_setting(name, (min..=max).contains(&value), format!("{min} to {max}"), value)?;
        }
        Ok(())
    }
}

/// Transforms images; holds the memory that this needs.
#[derive(Debug, Clone)]
pub struct Augmenter {
    augmentation: Augmentation,
    sampler: BilinearSampler,
    map: SourceMap,
}

impl Augmenter {
    /// Returns an augmenter of these strengths.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if a strength is out of its range.
    pub fn new(augmentation: Augmentation) -> Result<Self, Error> {
        augmentation.validate()?;
        Ok(Self { augmentation, sampler: BilinearSampler::new(), map: [[[0.0; SIDE]; SIDE]; 2] })
    }

    /// Transforms `image` `(row, column)` and writes the result to `output` `(row, column)`. The random numbers follow from
    /// `key`.
    ///
    /// # Panics
    /// If either is not one image.
    pub fn augment(&mut self, image: &[u8], key: u64, output: &mut [u8]) {
        assert_eq!((image.len(), output.len()), (PIXELS, PIXELS), "one image");
        let Augmentation { stroke, noise, elastic, .. } = self.augmentation;
        let mut random = Pcg64Mcg::seed_from_u64(key);
        set_random_affine(&mut self.map, &self.augmentation, &mut random);
        if let Some(elastic) = elastic {
            add_elastic_displacement(&mut self.map, elastic, &mut random);
        }
        self.sampler.remap(image, &self.map, output);
        if stroke > 0.0 {
            change_stroke_width(output, stroke * uniform_symmetric(&mut random));
        }
        if noise > 0.0 {
            let max = noise * uniform_symmetric(&mut random);
            for value in output.iter_mut().filter(|value| **value > 0) {
                *value = (f32::from(*value) * (1.0 + max * uniform_symmetric(&mut random))) as u8;
            }
        }
    }
}

/// Sets `map` to a random affine map.
fn set_random_affine(map: &mut SourceMap, augmentation: &Augmentation, random: &mut impl Rng) {
    let Augmentation { rotation, scale, shear, shift, .. } = *augmentation;
    let mut amount = |strength: f32| strength * uniform_symmetric(random);
    let (sin, cos) = amount(rotation.to_radians()).sin_cos();
    let (width, height) = (1.0 + amount(scale), 1.0 + amount(scale));
    let shear = amount(shear);
    let (right, down) = (amount(shift), amount(shift));

    // The map from the new image to the original inverts each transformation, the last one first.
    let center = (SIDE - 1) as f32 / 2.0;
    let x_step = [(cos + shear * sin) / width, -sin / height];
    let y_step = [(sin - shear * cos) / width, cos / height];
    for axis in 0..2 {
        for (y, row) in map[axis].iter_mut().enumerate() {
            let y = y as f32 - center - down;
            for (x, position) in row.iter_mut().enumerate() {
                let x = x as f32 - center - right;
                *position = x * x_step[axis] + y * y_step[axis] + center;
            }
        }
    }
}

/// Moves the edges of strokes in `image` outward by `amount` pixels, -1 to 1. Each pixel is interpolated by |amount| between
/// itself and the maximum, or for a negative amount the minimum, of itself and its four neighbors.
fn change_stroke_width(image: &mut [u8], amount: f32) {
    // (row, column), with a border of zeros
    let mut padded = [[0; SIDE + 2]; SIDE + 2];
    for (padded, row) in padded[1..].iter_mut().zip(image.chunks_exact(SIDE)) {
        padded[1..=SIDE].copy_from_slice(row);
    }
    let choose = if amount > 0.0 { u8::max } else { u8::min };
    let fraction = (256.0 * amount.abs()) as i32;
    for (y, row) in image.chunks_exact_mut(SIDE).enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            let neighbors = [padded[y][x + 1], padded[y + 2][x + 1], padded[y + 1][x], padded[y + 1][x + 2]];
            let extreme = neighbors.into_iter().fold(*value, choose);
            *value = (i32::from(*value) + ((fraction * (i32::from(extreme) - i32::from(*value))) >> 8)) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Augmentation = Augmentation {
        rotation: 0.0,
        scale: 0.0,
        shear: 0.0,
        shift: 0.0,
        stroke: 0.0,
        noise: 0.0,
        elastic: None,
    };
    const STRONG: Augmentation = Augmentation {
        rotation: 180.0,
        scale: 0.5,
        shear: 0.5,
        shift: 5.0,
        stroke: 0.0,
        noise: 0.0,
        elastic: Some(Elastic { rms: 1.5, sigma: 4.0 }),
    };

    /// Returns an image of independent random pixels.
    fn noise() -> Vec<u8> {
        let mut random = Pcg64Mcg::seed_from_u64(0);
        (0..PIXELS).map(|_| random.next_u32() as u8).collect()
    }

    /// Returns a ring with the soft edges and the size of a handwritten zero.
    fn ring() -> Vec<u8> {
        let ink = |i: usize| {
            let (y, x) = ((i / SIDE) as f64 - 13.5, (i % SIDE) as f64 - 13.5);
            255.0 * (2.0 - (x.hypot(1.2 * y) - 6.0).abs()).clamp(0.0, 1.0)
        };
        (0..PIXELS).map(|i| ink(i) as u8).collect()
    }

    fn warp(augmentation: Augmentation, image: &[u8], key: u64) -> Vec<u8> {
        let mut warped = vec![77; PIXELS];
        Augmenter::new(augmentation).unwrap().augment(image, key, &mut warped);
        warped
    }

    #[test]
    fn zero_strength_changes_nothing() {
        let image = noise();
        for key in 0..9 {
            assert!(warp(NONE, &image, key) == image);
            let elastic = Some(Elastic { rms: 0.0, sigma: 4.0 });
            assert!(warp(Augmentation { elastic, ..NONE }, &image, key) == image);
        }
    }

    #[test]
    fn stroke_width_changes_by_the_amount() {
        let bar = |columns: std::ops::Range<usize>| -> Vec<u8> {
            (0..PIXELS).map(|i| if columns.contains(&(i % SIDE)) { 255 } else { 0 }).collect()
        };
        for (amount, left, edge) in
            [(1.0, 9, 255), (0.5, 9, 127), (-0.5, 10, 127), (-1.0, 10, 0), (0.0, 9, 0)]
        {
            let mut image = bar(10..14);
            change_stroke_width(&mut image, amount);
            let row = &image[14 * SIDE..][..SIDE];
            assert_eq!((row[left], row[23 - left], row[11]), (edge, edge, 255), "{amount}");
            assert_eq!((row[left - 1], row[left + 2]), (0, 255), "{amount}");
        }
    }

    #[test]
    fn noise_changes_only_ink() {
        let (image, noisy) = (ring(), Augmentation { noise: 0.5, ..NONE });
        let changed = (0..20).map(|key| warp(noisy, &image, key));
        for (new, old) in changed.flat_map(|image| image.into_iter().zip(ring())) {
            let (new, old) = (f32::from(new), f32::from(old));
            assert!(new >= 0.5 * old - 1.0 && new <= (1.5 * old).min(255.0), "{old} to {new}");
        }
        assert_ne!(warp(noisy, &image, 0), image);
    }

    #[test]
    fn affine_map_inverts_scale_shear_rotation_and_shift() {
        let mut map = [[[0.0; SIDE]; SIDE]; 2];
        for key in 0..100 {
            set_random_affine(&mut map, &STRONG, &mut Pcg64Mcg::seed_from_u64(key));
            let random = &mut Pcg64Mcg::seed_from_u64(key);
            let mut amount = |strength: f64| strength * f64::from(uniform_symmetric(random));
            let angle = amount(180.0_f64.to_radians());
            let (width, height) = (1.0 + amount(0.5), 1.0 + amount(0.5));
            let (shear, right, down) = (amount(0.5), amount(5.0), amount(5.0));
            for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
                let old = map.map(|axis| f64::from(axis[y][x]) - 13.5);
                let (u, v) = (width * old[0], height * old[1]);
                let u = u + shear * v;
                let (u, v) = (u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos());
                let error = (u + 13.5 + right - x as f64).hypot(v + 13.5 + down - y as f64);
                assert!(error < 1e-4, "key {key}, ({x}, {y}): {error}");
            }
        }
    }

    #[test]
    fn result_depends_on_key_and_image_only() {
        let mut augmenter = Augmenter::new(STRONG).unwrap();
        let mut seen = Vec::new();
        for key in 0..50 {
            for image in [noise(), ring()] {
                let mut warped = vec![0; PIXELS];
                augmenter.augment(&image, key, &mut warped);
                assert!(warped == warp(STRONG, &image, key));
                seen.push(warped);
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn transformations_keep_the_amount_of_ink() {
        let ink = |image: &[u8]| image.iter().map(|&pixel| f64::from(pixel)).sum::<f64>();
        let image = ring();
        for (augmentation, each, all) in [
            (Augmentation { rotation: 180.0, shear: 0.3, shift: 2.0, ..NONE }, 0.02, 0.005),
            (Augmentation { elastic: Some(Elastic { rms: 1.0, sigma: 5.0 }), ..NONE }, 0.4, 0.03),
            (Augmentation::default(), 0.4, 0.03),
        ] {
            let ratios: Vec<_> =
                (0..500).map(|key| ink(&warp(augmentation, &image, key)) / ink(&image)).collect();
            let worst = ratios.iter().map(|ratio| (ratio - 1.0).abs()).fold(0.0, f64::max);
            let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
            assert!(worst < each && (mean - 1.0).abs() < all, "{augmentation:?}: {worst}, {mean}");
        }
    }

    #[test]
    fn rejects_strengths_out_of_range() {
        let elastic = |rms, sigma| Augmentation { elastic: Some(Elastic { rms, sigma }), ..NONE };
        for (augmentation, error) in [
            (Augmentation { rotation: -1.0, ..NONE }, "augmentation.rotation: expected 0 to 180, found -1"),
            (Augmentation { scale: 1.0, ..NONE }, "augmentation.scale: expected 0 to 0.9, found 1"),
            (Augmentation { shear: f32::NAN, ..NONE }, "augmentation.shear: expected 0 to 1, found NaN"),
            (
                Augmentation { shift: f32::INFINITY, ..NONE },
                "augmentation.shift: expected 0 to 28, found inf",
            ),
            (elastic(29.0, 4.0), "augmentation.elastic.rms: expected 0 to 28, found 29"),
            (elastic(1.0, 1.9), "augmentation.elastic.sigma: expected 2 to 28, found 1.9"),
        ] {
            assert_eq!(Augmenter::new(augmentation).unwrap_err().to_string(), error);
        }
    }
}
