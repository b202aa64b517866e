//! Synthetic samples that replace training images, so that the network recognizes handwriting unlike MNIST's, and those of the
//! networks for ink ([`page`]) and for marks ([`MarkSample`]).
//!
//! Glyphs, which are drawn with a pen, and line crops, which contain a bit of the neighboring digits, have a label. Outliers have
//! none: their target is a probability of 0 for each class, which trains the outlier class (after D. Hendrycks, M. Mazeika and
//! T. Dietterich, "Deep anomaly detection with outlier exposure", ICLR 2019). Samples of each kind may be rendered as
//! low-resolution bitmaps, as in some other collections of digits. All samples pass through the same normalization as the
//! digits in a picture.

mod canvas;
mod glyph_paths;
mod glyphs;
mod digit_triple;
mod low_res;
mod mark_sample;
mod outliers;
pub mod page;

use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};

pub(crate) use mark_sample::MARK_SAMPLE_PIXELS;
pub use mark_sample::MarkSample;

use self::{canvas::centered_digit_canvas, digit_triple::DigitTriple, glyphs::DigitGlyph};
use crate::{
    CLASSES, Dataset, Error, PIXELS,
    data::random::{uniform, uniform_below},
    error::ensure_setting,
    image::{self, ComponentParams, DigitNormalizationParams, Stages, TextParams},
    nn::Targets,
};

/// Fractions of the training images that are replaced by synthetic samples.
///
/// [`glyphs`](Self::glyphs), [`line_crops`](Self::line_crops) and [`outliers`](Self::outliers) are at least 0, and their sum is
/// below 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticFractions {
    /// Fraction of glyphs: digits drawn with a pen in shapes that are rare in MNIST.
    #[serde(alias = "drawn")]
    pub glyphs: f32,
    /// Fraction of line crops: digits cropped from a line, with a bit of their neighbors or without a bit of themselves.
    #[serde(alias = "cut")]
    pub line_crops: f32,
    /// Fraction of outliers: images that are not a digit, such as letters, parts of digits and scribbles.
    pub outliers: f32,
    /// Fraction of all samples, synthetic or not, that are rendered as low-resolution bitmaps, 0 to 1. Half of the bitmaps are
    /// stretched to a square.
    #[serde(default, alias = "bitmaps")]
    pub low_res: f32,
}

impl SyntheticFractions {
    /// Checks that all fractions are in their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for the first fraction that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { glyphs, line_crops, outliers, low_res } = *self;
        for (name, fraction) in [
            ("glyphs", glyphs),
            ("line_crops", line_crops),
            ("outliers", outliers),
            ("outliers", glyphs + line_crops + outliers),
        ] {
            let valid = (0.0..1.0).contains(&fraction);
            ensure_setting(name, valid, "at least 0, and a sum below 1", fraction)?;
        }
        ensure_setting("low_res", (0.0..=1.0).contains(&low_res), "0 to 1", low_res)
    }

    /// Returns the replacement of a sample, if it is replaced. The random numbers follow from `key`; `digits` are the training
    /// images.
    pub(crate) fn replacement(&self, key: u64, digits: &Dataset) -> Option<SyntheticSample> {
        // The augmentation of the sample seeds its generator by the key itself.
        let mut random = Pcg64Mcg::seed_from_u64(!key);
        let at = uniform(0.0, 1.0, &mut random);
        let kind = if at < self.glyphs {
            SyntheticKind::Glyph(DigitGlyph::random(&mut random))
        } else if at < self.glyphs + self.line_crops {
            SyntheticKind::LineCrop(uniform_below(digits.len(), &mut random))
        } else if at < self.glyphs + self.line_crops + self.outliers {
            SyntheticKind::Outlier
        } else {
            SyntheticKind::Original(uniform_below(digits.len(), &mut random))
        };
        let low_res = uniform(0.0, 1.0, &mut random) < self.low_res;
        let unchanged = matches!(kind, SyntheticKind::Original(_)) && !low_res;
        (!unchanged).then_some(SyntheticSample { kind, low_res, random })
    }
}

/// A synthetic sample in place of a training image: one random draw determines both its target and its image.
#[derive(Clone)]
pub(crate) struct SyntheticSample {
    kind: SyntheticKind,
    low_res: bool,
    /// The generator for the image.
    random: Pcg64Mcg,
}

#[derive(Clone, Copy)]
enum SyntheticKind {
    Glyph(DigitGlyph),
    /// A digit cropped from a line, by its index.
    LineCrop(usize),
    Outlier,
    /// A training image by its index; replaced only as a low-resolution bitmap.
    Original(usize),
}

impl SyntheticSample {
    /// Returns the probabilities of the classes. `targets` are those of the training images.
    pub fn target(&self, targets: Targets) -> [f32; CLASSES] {
        let mut row = [0.0; CLASSES];
        match self.kind {
            SyntheticKind::Glyph(glyph) => Targets::Labels(&[glyph.digit]).write_row(0, &mut row),
            SyntheticKind::LineCrop(index) | SyntheticKind::Original(index) => {
                targets.write_row(index, &mut row)
            }
            SyntheticKind::Outlier => {}
        }
        row
    }

    /// Draws and normalizes the image `(row, column)`. `digits` are the training images.
    pub fn render(&self, digits: &Dataset) -> [u8; PIXELS] {
        let mut random = self.random.clone();
        loop {
            let mut canvas = match self.kind {
                SyntheticKind::Glyph(glyph) => glyph.draw(&mut random),
                SyntheticKind::LineCrop(index) => {
                    DigitTriple::random(digits, index, &mut random).crop_middle(&mut random)
                }
                SyntheticKind::Outlier => outliers::draw(digits, &mut random),
                SyntheticKind::Original(index) => centered_digit_canvas(digits, index),
            };
            if self.low_res {
                // Outliers are not stretched, because that may turn them into digits: half of a 0, as wide as high, is a fat 1.
                let max_stretch =
                    if matches!(self.kind, SyntheticKind::Outlier) { 1.0 } else { low_res::MAX_STRETCH };
                canvas = low_res::reduce_to_bitmap(&canvas, max_stretch, &mut random);
            }
            let components = image::components(&canvas, &ComponentParams::default());
            let text = image::find_text(&canvas, components, &TextParams::default(), Stages::NONE);
            if !text.components.is_empty() {
                let params = DigitNormalizationParams::default();
                return image::normalize_digit(&canvas, &text.components, &params, Stages::NONE).pixels;
            }
            // Too little ink is left. Another crop of the same digit may have the same problem.
            if let SyntheticKind::LineCrop(index) | SyntheticKind::Original(index) = self.kind {
                return std::array::from_fn(|pixel| digits.image(index)[pixel]);
            }
        }
    }
}

/// Returns three images: a ring, a bar and an empty one.
#[cfg(test)]
fn test_digits() -> Dataset {
    use crate::SIDE;

    let distance = |i: usize| (i % SIDE).abs_diff(14).max((i / SIDE).abs_diff(14));
    let ring = |i: usize| if (6..10).contains(&distance(i)) { 255 } else { 0 };
    let bar =
        |i: usize| if (12..16).contains(&(i % SIDE)) && (4..24).contains(&(i / SIDE)) { 255 } else { 0 };
    let pixel = |i: usize| [ring(i % PIXELS), bar(i % PIXELS), 0][i / PIXELS];
    Dataset::new((0..3 * PIXELS).map(pixel).collect(), vec![0, 1, 7]).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(position: u64) -> u64 {
        position << 32
    }

    #[test]
    fn fractions_are_kept_and_equal_keys_draw_equal_samples() {
        let digits = test_digits();
        let synthetic = SyntheticFractions { glyphs: 0.1, line_crops: 0.2, outliers: 0.3, low_res: 0.0 };
        let mut counts = [0; 4];
        for key in (0..4000).map(key) {
            let Some(replacement) = synthetic.replacement(key, &digits) else {
                counts[3] += 1;
                continue;
            };
            let target = replacement.target(Targets::Labels(digits.labels()));
            let kind = match replacement.kind {
                SyntheticKind::Glyph(_) => 0,
                SyntheticKind::LineCrop(_) => 1,
                SyntheticKind::Outlier => 2,
                SyntheticKind::Original(_) => 3,
            };
            counts[kind] += 1;
            assert_eq!(target.iter().sum::<f32>(), if kind == 2 { 0.0 } else { 1.0 });
            let image = replacement.render(&digits);
            assert!(image == synthetic.replacement(key, &digits).unwrap().render(&digits));
            let mass: usize = image.iter().map(|&value| usize::from(value)).sum();
            assert!(mass > 255 * 8 || kind == 1, "{key}: {mass}");
        }
        for (count, expected) in counts.into_iter().zip([400_usize, 800, 1200, 1600]) {
            assert!(expected.abs_diff(count) < 120, "{counts:?}");
        }
    }

    #[test]
    fn low_res_is_a_fraction_of_all_samples() {
        let digits = test_digits();
        let synthetic = SyntheticFractions { glyphs: 0.1, line_crops: 0.2, outliers: 0.3, low_res: 0.25 };
        let replacements: Vec<_> =
            (0..4000).map(key).filter_map(|key| synthetic.replacement(key, &digits)).collect();
        let low_res = replacements.iter().filter(|replacement| replacement.low_res).count();
        let originals =
            replacements.iter().filter(|replacement| matches!(replacement.kind, SyntheticKind::Original(_)));
        assert!(low_res.abs_diff(1000) < 100, "{low_res}");
        assert!(originals.count().abs_diff(400) < 60);
    }

    #[test]
    fn rejects_fractions_out_of_range() {
        for (glyphs, line_crops, outliers) in [(-0.1, 0.0, 0.0), (0.0, f32::NAN, 0.0), (0.4, 0.3, 0.3)] {
            assert!(SyntheticFractions { glyphs, line_crops, outliers, low_res: 0.5 }.validate().is_err());
        }
        let synthetic = |low_res| SyntheticFractions { glyphs: 0.4, line_crops: 0.3, outliers: 0.2, low_res };
        assert!(synthetic(1.0).validate().is_ok());
        assert!(synthetic(1.1).validate().is_err());
    }
}
