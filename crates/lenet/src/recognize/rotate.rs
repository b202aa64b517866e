//! Reading of pictures that are turned by 90, 180 or 270 degrees.

use super::{Recognizer, assemble::InkReading};
use crate::image::{self, GrayImage, Stage};

impl Recognizer {
    /// Reads a gray picture, upright if it is turned and that reading is clearly better. Returns `None` if it is blank.
    pub(super) fn read_upright(&self, gray: &GrayImage, single: bool) -> Option<InkReading> {
        let params = &self.params.rotate;
        let reading = self.read_gray(gray, single)?;
        let candidates = reading.verdicts().count();
        let recognized_fraction = reading.recognized_fraction();
        if single
            || !self.stages.contains(Stage::Rotate)
            || !(params.min_candidates..=params.max_candidates).contains(&candidates)
            || recognized_fraction >= params.min_upright
        {
            return Some(reading);
        }
        let mut turned = gray.downscale(gray.width.max(gray.height).div_ceil(params.max_side_px));
        let mut best = reading;
        for quarter_turns in 1..4 {
            turned = turned.rotate90();
            // In the estimated polarity only, because each rotation takes the time of the picture.
            let Some(text) = image::locate_text(&turned, &self.params.locate, self.stages) else { continue };
            if text.components.len() > params.max_candidates {
                continue;
            }
            let reading = self.read_ink(text, single);
            // Printed and ruled lines that are turned upright look like 1s.
            let others = reading.verdicts().filter(|verdict| verdict.candidate.digit != 1);
            let is_many = others.count() >= params.min_candidates;
            let min = (recognized_fraction + params.min_gain)
                .max(params.min_turned)
                .max(best.recognized_fraction());
            if is_many && reading.recognized_fraction() > min {
                best = InkReading { quarter_turns, ..reading };
            }
        }
        Some(best)
    }
}
