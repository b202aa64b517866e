//! Reading of the ink that the ink network finds in a picture, at several scales.

use super::{InkSegmentation, Recognizer, assemble::InkReading};
use crate::image::{self, Cell, GrayImage, InkMap, LeftOutComponent, LeftOutReason, Stage};

/// Enlargement of a small picture.
const MAGNIFICATION: usize = 2;

impl Recognizer {
    /// Returns the best reading of a gray picture: that of the picture as it was binarized, or one of the ink that the network finds
    /// in it at several scales. Returns `None` if the picture is blank.
    pub(super) fn read_best(
        &self,
        gray: &GrayImage,
        binarized: Option<InkReading>,
        single: bool,
    ) -> Option<InkReading> {
        if binarized.as_ref().is_some_and(|reading| self.is_certain_reading(reading))
            || !self.stages.contains(Stage::Segment)
        {
            return binarized;
        }
        // The network sees contrasts of either sign, and doesn't say which it saw.
        let inverted = binarized.as_ref().is_some_and(|reading| reading.inverted);
        let mut segmented = Vec::new();
        for scale in self.segmentation_scales(gray) {
            let reading = InkReading { inverted, ..self.read_ink_segmentation(gray, scale, single) };
            // Other scales take time and rarely read what two maps agree on differently.
            let is_confirmed = reading.score() >= self.params.segmentation.min_confirmed_score
                && binarized
                    .iter()
                    .chain(&segmented)
                    .any(|other| other.digits_of_lines() == reading.digits_of_lines());
            segmented.push(reading);
            if is_confirmed {
                break;
            }
        }
        // Rules may be too pale for the map that is read best.
        let readings = binarized.iter().chain(&segmented).filter(|reading| reading.quarter_turns == 0);
        let most_cells = readings.max_by_key(|reading| reading.cells.len());
        let most_cells = most_cells.map(|reading| (reading.cells.clone(), reading.ink.size()));
        let best = self.choose_reading(binarized, segmented)?;
        Some(match most_cells {
            Some((cells, from)) if best.cells.is_empty() && best.quarter_turns == 0 => {
                let to = best.ink.size();
                let scaled = |cell: Cell| Cell { bounds: cell.bounds.scale(from, to), ..cell };
                InkReading { cells: cells.into_iter().map(scaled).collect(), ..best }
            }
            _ => best,
        })
    }

    /// Returns the reading of the binarized picture, or a better one of the segmented copies. Readings of several maps that agree
    /// count more than one of a single map.
    fn choose_reading(
        &self,
        binarized: Option<InkReading>,
        segmented: Vec<InkReading>,
    ) -> Option<InkReading> {
        let params = &self.params.segmentation;
        let readings = || binarized.iter().chain(&segmented);
        let digits: Vec<_> = readings().map(InkReading::digits_of_lines).collect();
        let mut ranks = readings().zip(&digits).map(|(reading, own)| {
            let agreeing = digits.iter().filter(|other| *other == own).count() - 1;
            reading.score() + params.agreement_gain * agreeing as f64
        });
        let min_rank = if binarized.is_some() { ranks.next() } else { None }.unwrap_or(0.0) + params.min_gain;
        let ranks: Vec<f64> = ranks.collect();
        let is_better = |reading: &InkReading, rank: f64| {
            if binarized.as_ref().is_some_and(|binarized| self.has_same_writing(reading, binarized)) {
                return false;
            }
            let has_more_digits =
                binarized.as_ref().is_some_and(|binarized| has_digits_of_frame(reading, binarized));
            let score = reading.score();
            (score >= params.min_score && rank >= min_rank)
                || (score >= params.min_framed_score && has_more_digits)
        };
        let better = segmented.into_iter().zip(ranks).filter(|(reading, rank)| is_better(reading, *rank));
        let best = better.max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map(|(reading, _)| reading).or(binarized)
    }

    /// Returns whether the binarized picture meets the constraint, if there is one, and has few and narrow candidates, in the same place as those of the segmented copy, and
    /// nothing shows that a rule crosses them. Then the binarized map shows them in more detail. Rules beside digits other than 1
    /// show it, because pieces of strokes look like 1s.
    fn has_same_writing(&self, segmented: &InkReading, binarized: &InkReading) -> bool {
        let params = &self.params.segmentation;
        let is_same = |(a, b)| intersection_over_union(a, b) > params.min_same_overlap;
        let is_crossed = segmented.rule_fraction() >= params.min_rule_fraction
            && segmented.accepted_digits().all(|digit| digit != 1);
        binarized.meets_constraint()
            && binarized.verdicts().count() <= params.max_same_candidates
            && binarized.candidate_bounds().all(|bounds| bounds.aspect_ratio() <= params.max_same_aspect)
            && segmented.writing_bounds().zip(binarized.writing_bounds()).is_some_and(is_same)
            && !is_crossed
    }

    /// Returns whether nearly all of the ink is digits of high confidence, so that another reading can hardly be better. A frame
    /// may hold digits.
    pub(super) fn is_certain_reading(&self, reading: &InkReading) -> bool {
        reading.mean_confidence().min(reading.recognized_fraction())
            > self.params.segmentation.min_certain_confidence
            && !has_frame(reading)
    }

    /// Returns the scales at which a picture is segmented, from small to large, because small copies take less time.
    fn segmentation_scales(&self, gray: &GrayImage) -> Vec<Scale> {
        let params = &self.params.segmentation;
        let mean_side = ((gray.width * gray.height) as f64).sqrt();
        let mut scales = Vec::new();
        if mean_side < params.min_mean_side_px {
            return scales;
        }
        for max_mean_side in params.max_mean_sides_px {
            let scale = Scale::Reduced((mean_side / max_mean_side).ceil() as usize);
            if !scales.contains(&scale) {
                scales.push(scale);
            }
        }
        if mean_side <= params.max_magnified_mean_side_px {
            scales.push(Scale::Magnified);
        }
        scales
    }

    /// Reads the ink that the network finds at a scale. The rules that it finds are left out.
    fn read_ink_segmentation(&self, gray: &GrayImage, scale: Scale, single: bool) -> InkReading {
        let (scaled, magnification) = match scale {
            Scale::Reduced(factor) => (gray.downscale(factor), 1),
            Scale::Magnified => {
                let magnified = gray.resize(MAGNIFICATION * gray.width, MAGNIFICATION * gray.height);
                (GrayImage { scale: gray.scale, ..magnified }, MAGNIFICATION)
            }
        };
        let InkSegmentation { ink, rules } = self.ink_network().segment(&scaled);
        // Where ink is as probable as paper, the map has the level of a stroke's edge.
        let ink = close_across_rules(ink, &rules, self.params.segmentation.closing_radius_px);
        let ink = InkMap { ink, inverted: false };
        let mut text = image::locate_text_in_ink(ink, &self.params.locate, self.stages);
        let rules =
            image::components(&rules.downscale(text.ink.scale / rules.scale), &self.params.locate.components);
        text.left_out.extend(
            rules.into_iter().map(|component| LeftOutComponent { component, reason: LeftOutReason::Rule }),
        );
        InkReading { magnification, ..self.read_ink(text, single) }
    }
}

/// Returns whether a frame was left out of the binarized picture, and the reading of a segmented copy has all digits of that of
/// the binarized picture, in the same order, and more.
fn has_digits_of_frame(segmented: &InkReading, binarized: &InkReading) -> bool {
    let mut rest = segmented.accepted_digits();
    has_frame(binarized)
        && binarized.accepted_digits().all(|digit| rest.any(|other| other == digit))
        && segmented.accepted_digits().count() > binarized.accepted_digits().count()
}

/// Returns the area of the intersection of two rectangles divided by that of their union. Rectangles are `[left, top, right,
/// bottom]`.
fn intersection_over_union(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let intersection = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    intersection / (area(a) + area(b) - intersection)
}

fn has_frame(reading: &InkReading) -> bool {
    reading.left_out.iter().any(|ink| ink.reason == LeftOutReason::Frame)
}

/// Joins the ends of strokes that a rule interrupts: the network often takes a crossing for a part of the rule only.
fn close_across_rules(mut ink: GrayImage, rules: &GrayImage, radius: usize) -> GrayImage {
    let closed = image::close(&ink, radius);
    for ((ink, closed), rule) in ink.values.iter_mut().zip(&closed.values).zip(&rules.values) {
        *ink = (*ink).max((*closed).min(*rule));
    }
    ink
}

/// Scale of the copy of a picture that the network segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Reduced by an integer factor.
    Reduced(usize),
    /// Enlarged [`MAGNIFICATION`] times.
    Magnified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_strokes_across_rules_only() {
        // Two vertical strokes, each with a gap of 4 pixels; a rule runs through the left gap.
        let in_gap = |y: usize| (10..14).contains(&y);
        let ink = GrayImage::from_fn(40, 24, |x, y| if matches!(x, 10 | 30) && !in_gap(y) { 255 } else { 0 });
        let rules = GrayImage::from_fn(40, 24, |x, y| if x < 20 && in_gap(y) { 200 } else { 0 });
        let closed = close_across_rules(ink.clone(), &rules, 2);
        for (index, (&before, &after)) in ink.values.iter().zip(&closed.values).enumerate() {
            let (x, y) = (index % 40, index / 40);
            let expected = if x == 10 && in_gap(y) { 200 } else { before };
            assert_eq!(after, expected, "({x}, {y})");
        }
    }
}
