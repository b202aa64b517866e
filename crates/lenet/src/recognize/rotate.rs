//! Reading of pictures that are turned by 90, 180 or 270 degrees.

use super::{Recognizer, assemble::InkReading};
use crate::image::{GrayImage, Stage};

impl Recognizer {
    /// Reads a gray picture, upright if it is turned and that reading is clearly better. Returns `None` if it is blank.
    pub(super) fn read_upright(&self, gray: &GrayImage, single: bool) -> Option<InkReading> {
        let params = &self.params.rotate;
        let reading = self.read_gray(gray, single)?;
        let candidates = reading.lines.iter().flatten().count();
        let read_ink = reading.read_ink();
        if single
            || !self.stages.contains(Stage::Rotate)
            || !(params.min_candidates..=params.max_candidates).contains(&candidates)
            || read_ink >= params.min_upright
        {
            return Some(reading);
        }
        let mut turned = gray.reduce(gray.width.max(gray.height).div_ceil(params.max_side_px));
        let mut best = reading;
        for quarter_turns in 1..4 {
            turned = turned.rotate90();
            let Some(reading) = self.read_gray(&turned, single) else { continue };
            let is_many = reading.lines.iter().flatten().count() >= params.min_candidates;
            let min = (read_ink + params.min_gain).max(params.min_turned).max(best.read_ink());
            if is_many && reading.read_ink() > min {
                best = InkReading { quarter_turns, ..reading };
            }
        }
        Some(best)
    }
}
