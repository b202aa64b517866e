//! Reading of pictures whose lines slope.

use super::{Recognizer, assemble::InkReading};
use crate::image::{self, Component, GrayImage, Stage};

/// The rotation by which a picture was straightened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Straightening {
    /// Angle in degrees clockwise.
    pub degrees: f64,
    /// Width and height of the rotated picture, in pixels of the picture.
    pub size: [usize; 2],
}

impl Recognizer {
    /// Reads a gray picture, straightened if its lines slope and that reading is good, or better. Returns `None` if the picture is
    /// blank.
    pub(super) fn read_straightened(&self, gray: &GrayImage, single: bool) -> Option<InkReading> {
        let binarized = self.read_upright(gray, single);
        let slope = binarized.as_ref().map_or(0.0, |reading| self.slope_degrees(reading, single));
        if slope == 0.0 {
            return self.read_best(gray, binarized, single);
        }
        let rotated = gray.rotate(-slope);
        let size = [rotated.width, rotated.height].map(|side| side * gray.scale);
        let straightened = self.read_best(&rotated, self.read_upright(&rotated, single), single);
        let straightened = straightened.map(|reading| InkReading {
            straightening: Some(Straightening { degrees: -slope, size }),
            ..reading
        });
        let is_good = |reading: &InkReading| reading.score() >= self.params.straighten.min_score;
        if straightened.as_ref().is_some_and(is_good) {
            return straightened;
        }
        let level = self.read_best(gray, binarized, single);
        straightened.into_iter().chain(level).max_by(|a, b| a.score().total_cmp(&b.score()))
    }

    /// Returns the slope of the lines of a reading, or 0 if nothing shows it: there are neither some digits nor many strokes beside
    /// each other, as those of a grid are.
    fn slope_degrees(&self, reading: &InkReading, single: bool) -> f64 {
        let params = &self.params.straighten;
        let has_digits = reading.verdicts().count() >= params.min_candidates;
        let is_single = !has_digits && self.is_certain_reading(reading);
        if single || is_single || reading.quarter_turns > 0 || !self.stages.contains(Stage::Straighten) {
            return 0.0;
        }
        let components = image::components(&reading.ink, &self.params.locate.components);
        let runs: usize = components.iter().map(|component| component.runs().len()).sum();
        let bounds = components.iter().map(Component::bounds).reduce(|a, b| a.union(&b));
        let runs_in_row = runs as f64 / bounds.map_or(1, |bounds| bounds.height) as f64;
        if !has_digits && runs_in_row < params.min_runs_in_row {
            return 0.0;
        }
        image::slope_degrees(&components, &params.slope)
    }
}
