//! The choice between polarities: where it is not certain which of ink and paper is which, both are read, and the better reading
//! is taken.

use super::{Recognizer, assemble::InkReading};
use crate::image::{self, BinarizeParams, GrayImage, LocateParams, LocatedText, Polarity, Stage, Stages};

impl Recognizer {
    /// Reads a gray picture. Returns `None` if it is blank.
    ///
    /// A digit that fills its picture leaves less paper than ink, and what is left of the paper touches the border as writing
    /// that is cut off would. Such pictures are read in both polarities, and also without division by the brightness of the
    /// paper, which is not seen around a thick stroke, and without the removal of shadows, because ink at the border has no
    /// edges there, if the picture is so small that all edges are soft.
    pub(super) fn read_gray(&self, gray: &GrayImage, single: bool) -> Option<InkReading> {
        let params = &self.params;
        // A picture with more ink than paper may seem to be blank.
        let text = image::locate_text(gray, &params.locate, self.stages);
        let is_doubtful = match &text {
            Some(text) => self.is_polarity_doubtful(text),
            None => contrast(gray) >= params.polarity.min_contrast,
        };
        let estimated = text.map(|text| self.read_ink(text, single));
        let is_tiny = gray.width.max(gray.height) <= params.polarity.max_soft_side_px;
        let min_gain = if is_tiny { 0.0 } else { params.polarity.min_gain };
        let min = estimated.as_ref().map_or(0.0, InkReading::recognized_fraction) + min_gain;
        if !(is_doubtful && min < 1.0 && self.stages.contains(Stage::Polarity)) {
            return estimated;
        }
        let small = gray.downscale(gray.width.max(gray.height).div_ceil(params.polarity.max_side_px));
        let read = |(polarity, stages, paper_quantile)| {
            let mut binarize =
                BinarizeParams { polarity: Some(polarity), paper_quantile, ..params.locate.binarize };
            if is_tiny {
                // Most neighboring pixels of a tiny digit differ, so that its edges would count as noise.
                binarize.min_gradient_in_noise = 0.0;
            }
            let text = image::locate_text(&small, &LocateParams { binarize, ..params.locate }, stages)?;
            Some(self.read_ink(text, single))
        };
        let even: Stages = self.stages.without(Stage::Light);
        let even = if is_tiny { even.without(Stage::Shadows).without(Stage::Noise) } else { even };
        let quantile = params.polarity.crop_paper_quantile;
        let alternatives = [Polarity::DarkOnLight, Polarity::LightOnDark].into_iter().flat_map(|polarity| {
            [(polarity, self.stages, params.locate.binarize.paper_quantile), (polarity, even, quantile)]
        });
        let better = alternatives
            .filter_map(read)
            .filter(|reading| reading.recognized_fraction() > min && self.candidates_span_picture(reading))
            // A tiny picture has room for one digit: two are the sides of one.
            .filter(|reading| !is_tiny || reading.verdicts().count() == 1);
        better.max_by(|a, b| a.recognized_fraction().total_cmp(&b.recognized_fraction())).or(estimated)
    }

    /// Returns whether the candidates of a reading together are nearly as wide or as high as the picture.
    fn candidates_span_picture(&self, reading: &InkReading) -> bool {
        let ink = &reading.ink;
        reading.candidate_bounds().reduce(|a, b| a.union(&b)).is_some_and(|bounds| {
            let fills = |length: usize, side: usize| {
                length as f64 >= self.params.polarity.min_filled_side * side as f64
            };
            fills(bounds.width, ink.width) || fills(bounds.height, ink.height)
        })
    }

    /// Returns whether the estimated polarity may be wrong: a few components touch the border and have most of the ink.
    fn is_polarity_doubtful(&self, text: &LocatedText) -> bool {
        let left_out = text.left_out.iter().map(|left_out| &left_out.component);
        let components: Vec<_> = text.components.iter().chain(left_out).collect();
        let (mut at_border, mut all) = (0, 0);
        for component in &components {
            let (bounds, area) = (component.bounds(), component.area());
            all += area;
            if bounds.touches_border_of(&text.ink) {
                at_border += area;
            }
        }
        components.len() <= self.params.polarity.max_components
            && at_border as f64 >= self.params.polarity.min_border_ink * all as f64
    }
}

/// One in so many pixels at either end of the gray levels says nothing about the contrast.
const PIXELS_PER_OUTLIER: usize = 20;

/// Returns the difference between light and dark pixels, in gray levels.
fn contrast(gray: &GrayImage) -> u8 {
    let mut values = gray.values.clone();
    values.sort_unstable();
    let outliers = values.len() / PIXELS_PER_OUTLIER;
    values[values.len() - 1 - outliers] - values[outliers]
}
