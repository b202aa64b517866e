//! From the candidates of an ink map to the reading of the picture.

use super::{
    Recognizer,
    alternatives::LineTexts,
    candidate::Candidate,
    marks::MarkCandidate,
    reading::{CellReading, Digit, DigitRemark, LeftOut, MarkReading, Reading, ReadingRemark},
    reject::Verdict,
    straighten::Straightening,
};
use crate::image::{self, Cell, GrayImage, LeftOutComponent, LeftOutReason, Rect};

/// What was read in an ink map. Bounding boxes are in pixels of the map. Each connected component of the map is either in the
/// candidates, perhaps cut, or left out.
pub(super) struct InkReading {
    pub ink: GrayImage,
    /// Whether the writing is light on dark.
    pub inverted: bool,
    /// Number of rotations by 90 degrees clockwise, from the picture to the map.
    pub quarter_turns: usize,
    /// The rotation of the picture before all else, if its lines sloped.
    pub straightening: Option<Straightening>,
    /// Enlargement of the picture from which the map was made.
    pub magnification: usize,
    /// The lines that have candidates, from top to bottom.
    pub lines: Vec<LineReading>,
    /// The cells that rules enclose.
    pub cells: Vec<Cell>,
    pub left_out: Vec<LeftOutInk>,
    /// The text height.
    pub height: usize,
}

impl InkReading {
    /// Returns the candidates of all lines, with their rejections.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.lines.iter().flat_map(|line| &line.verdicts)
    }

    /// Returns the marks of all lines.
    pub fn marks(&self) -> impl Iterator<Item = &MarkCandidate> {
        self.lines.iter().flat_map(|line| &line.marks)
    }

    /// Returns the bounding boxes of all candidates in the map.
    pub fn candidate_bounds(&self) -> impl Iterator<Item = Rect> {
        self.verdicts().map(|verdict| verdict.candidate.bounds())
    }

    /// Returns the candidates that were not rejected, in reading order.
    fn accepted(&self) -> impl Iterator<Item = &Candidate> {
        self.verdicts().filter(|verdict| verdict.rejection.is_none()).map(|verdict| &verdict.candidate)
    }

    /// Returns the fraction of the ink, without rules and frames, that was read as digits and marks, weighted by their confidences.
    pub fn recognized_fraction(&self) -> f64 {
        let read = |candidate: &Candidate| candidate.area as f64 * f64::from(candidate.confidence());
        let read_marks = self.marks().map(|mark| mark.area as f64 * f64::from(mark.confidence));
        let read = self.accepted().map(read).sum::<f64>() + read_marks.sum::<f64>();
        let rulings = self.left_out.iter().filter(|ink| ink.reason.is_ruling());
        let ruling: usize = rulings.map(|ink| ink.area).sum();
        read / ((self.ink_area() - ruling).max(1) as f64)
    }

    /// Returns whether each line meets the constraint, if there is one.
    pub fn meets_constraint(&self) -> bool {
        self.lines.iter().all(|line| line.texts.is_constraint_met)
    }

    /// Returns the digits of each line, where rejected ones are `None`.
    pub fn digits_of_lines(&self) -> Vec<Vec<Option<u8>>> {
        let digit = |verdict: &Verdict| verdict.rejection.is_none().then_some(verdict.candidate.digit);
        self.lines.iter().map(|line| line.verdicts.iter().map(digit).collect()).collect()
    }

    /// Returns the area of the rules as a fraction of that of rules and candidates.
    pub fn rule_fraction(&self) -> f64 {
        let is_rule = |ink: &&LeftOutInk| ink.reason == LeftOutReason::Rule;
        let rules: usize = self.left_out.iter().filter(is_rule).map(|ink| ink.area).sum();
        let candidates: usize = self.verdicts().map(|verdict| verdict.candidate.area).sum();
        rules as f64 / (rules + candidates).max(1) as f64
    }

    /// Returns the bounding box of all candidates as `[left, top, right, bottom]`, in fractions of the width and height of the map,
    /// or `None` if there are none.
    pub fn writing_bounds(&self) -> Option<[f64; 4]> {
        let bounds = self.candidate_bounds().reduce(|a, b| a.union(&b))?;
        let [width, height] = [self.ink.width, self.ink.height].map(|side| side as f64);
        let [left, right] = [bounds.x, bounds.right()].map(|x| x as f64 / width);
        let [top, bottom] = [bounds.y, bounds.bottom()].map(|y| y as f64 / height);
        Some([left, top, right, bottom])
    }

    /// Returns the digits that were not rejected, in reading order.
    pub fn accepted_digits(&self) -> impl Iterator<Item = u8> {
        self.accepted().map(|candidate| candidate.digit)
    }

    /// Returns the mean confidence of the candidates, where that of rejected ones is 0; 0 if there are none.
    pub fn mean_confidence(&self) -> f64 {
        let count = self.verdicts().count();
        let confidence = |Verdict { candidate, rejection }: &Verdict| {
            if rejection.is_some() { 0.0 } else { f64::from(candidate.confidence()) }
        };
        self.verdicts().map(confidence).sum::<f64>() / count.max(1) as f64
    }

    /// Returns the score by which readings of different maps of a picture are compared, 0 to 1: the mean confidence times the
    /// fraction of the ink that was read.
    pub fn score(&self) -> f64 {
        self.mean_confidence() * self.recognized_fraction()
    }

    /// Returns the probability that the text is right: 0 if candidates were rejected, and `None` if there are none.
    fn probability(&self) -> Option<f32> {
        let has_rejected = self.verdicts().any(|verdict| verdict.rejection.is_some());
        let lines = || self.lines.iter().map(|line| line.probability);
        (!self.lines.is_empty()).then(|| if has_rejected { 0.0 } else { lines().product() })
    }

    /// Converts a bounding box to pixels of the picture, whose width and height are `size`.
    fn bounds_in_picture(&self, bounds: Rect, size: [usize; 2]) -> Rect {
        let sides = [self.ink.width, self.ink.height];
        let upright =
            (0..self.quarter_turns).fold(bounds, |bounds, turn| bounds.undo_rotate90(sides[turn % 2]));
        let convert = |size| upright.to_picture_coordinates(&self.ink, self.magnification, size);
        self.straightening.map_or_else(
            || convert(size),
            |rotation| convert(rotation.size).undo_rotate(rotation.degrees, rotation.size, size),
        )
    }

    /// Returns the number of pixels of ink of all candidates and marks, and of what was left out.
    pub fn ink_area(&self) -> usize {
        let candidates = self.verdicts().map(|verdict| verdict.candidate.area);
        let marks = self.marks().map(|mark| mark.area);
        candidates.chain(marks).chain(self.left_out.iter().map(|ink| ink.area)).sum()
    }
}

/// What was read in a line of an ink map.
pub(super) struct LineReading {
    /// The candidates with their rejections, from left to right.
    pub verdicts: Vec<Verdict>,
    /// The marks, from left to right.
    pub marks: Vec<MarkCandidate>,
    /// The text height of the line.
    pub height: usize,
    /// The texts that the line may have.
    pub texts: LineTexts,
    /// The probability that the first of `texts` is right.
    pub probability: f32,
}

impl LineReading {
    /// Returns the candidates and marks as ink that is left out.
    pub fn into_left_out_ink(self) -> impl Iterator<Item = LeftOutInk> {
        let candidates = self.verdicts.into_iter().map(|verdict| LeftOutInk::from(verdict.candidate));
        candidates.chain(self.marks.into_iter().map(LeftOutInk::from))
    }
}

/// Ink that was left out.
pub(super) struct LeftOutInk {
    pub bounds: Rect,
    /// Number of pixels.
    pub area: usize,
    pub reason: LeftOutReason,
}

impl From<LeftOutComponent> for LeftOutInk {
    fn from(LeftOutComponent { component, reason }: LeftOutComponent) -> Self {
        Self { bounds: component.bounds(), area: component.area(), reason }
    }
}

impl From<MarkCandidate> for LeftOutInk {
    fn from(MarkCandidate { bounds, area, .. }: MarkCandidate) -> Self {
        Self { bounds, area, reason: LeftOutReason::Mark }
    }
}

impl From<Candidate> for LeftOutInk {
    /// Leaves out a candidate as lower than digits.
    fn from(candidate: Candidate) -> Self {
        Self { bounds: candidate.bounds(), area: candidate.area, reason: LeftOutReason::TooSmall }
    }
}

impl Recognizer {
    /// Makes the reading of a picture of a size, with all that was left out but noise. `convert` maps bounding boxes from pixels of the
    /// picture to units of the reading.
    pub(super) fn assemble_reading(
        &self,
        ink_reading: &InkReading,
        size: [usize; 2],
        convert: impl Fn(Rect) -> Rect,
    ) -> Reading {
        let InkReading { inverted, lines, cells, left_out, height, .. } = ink_reading;
        let to_picture = |bounds: Rect| ink_reading.bounds_in_picture(bounds, size);
        let mut tokens: Vec<_> = lines.iter().map(|line| self.tokens(line, cells)).collect();
        let (text, cell_texts) = self.write_text(&tokens, ink_reading);
        let alternatives = self.alternatives(&mut tokens, ink_reading, &text);
        let place = |bounds: Rect| image::cell_of(&bounds, cells).map(|cell| &cells[cell]);
        let (mut digits, mut marks, mut boxes) = (Vec::new(), Vec::new(), Vec::new());
        for (line, LineReading { verdicts, marks: line_marks, .. }) in lines.iter().enumerate() {
            for Verdict { candidate, rejection } in verdicts {
                let (cell, bounds) = (place(candidate.bounds()), to_picture(candidate.bounds()));
                let thickened = candidate.normalized.thickened.then_some(DigitRemark::Thickened);
                boxes.push(bounds);
                digits.push(Digit {
                    digit: candidate.digit,
                    confidence: candidate.confidence(),
                    probabilities: candidate.probabilities,
                    bounds: convert(bounds),
                    line,
                    row: cell.map(|cell| cell.row),
                    column: cell.map(|cell| cell.column),
                    rejected: rejection.is_some(),
                    remarks: rejection.iter().copied().chain(thickened).collect(),
                    normalized: candidate.normalized.pixels,
                });
            }
            marks.extend(line_marks.iter().map(|mark| MarkReading {
                mark: mark.mark,
                confidence: mark.confidence,
                bounds: convert(to_picture(mark.bounds)),
                line,
                doubtful: self.is_doubtful_mark(mark),
            }));
        }
        let min_side = self.params.left_out.max_noise_side * *height as f64;
        let listed = || left_out.iter().filter(|ink| ink.bounds.longer_side() as f64 > min_side);
        let any_digit_sized = listed().any(|ink| self.is_digit_sized(ink, *height));
        let any_doubtful_mark = marks.iter().any(|mark| mark.doubtful);
        let probability = ink_reading.probability();
        let is_doubtful_text = self.constraint.is_some()
            && probability.is_some_and(|it| it > 0.0 && it < self.params.remarks.min_constrained_probability);
        let any_rejected = digits.iter().any(|digit| digit.rejected);
        let layout = match &boxes[..] {
            [] => Some(ReadingRemark::NoDigits),
            [bounds] => self.is_off_center(bounds, size).then_some(ReadingRemark::OffCenter),
            _ => Some(ReadingRemark::MultipleDigits),
        };
        let remarks = [
            inverted.then_some(ReadingRemark::Inverted),
            (ink_reading.quarter_turns > 0).then_some(ReadingRemark::Rotated),
            layout,
            (any_rejected && self.rejection_threshold().is_none()).then_some(ReadingRemark::NoOutlierClass),
            any_doubtful_mark.then_some(ReadingRemark::DoubtfulMark),
            is_doubtful_text.then_some(ReadingRemark::DoubtfulText),
            any_digit_sized.then_some(ReadingRemark::LeftOutDigitSized),
        ];
        let left_out =
            listed().map(|ink| LeftOut { bounds: convert(to_picture(ink.bounds)), reason: ink.reason });
        let cells = cells.iter().zip(cell_texts).map(|(&Cell { bounds, row, column }, text)| CellReading {
            row,
            column,
            text,
            bounds: convert(to_picture(bounds)),
        });
        Reading {
            text,
            probability,
            alternatives,
            digits,
            marks,
            cells: cells.collect(),
            left_out: left_out.collect(),
            remarks: remarks.into_iter().flatten().collect(),
        }
    }

    /// Returns whether ink that was left out has the size of a digit. Marks have it by rights.
    fn is_digit_sized(&self, ink: &LeftOutInk, text_height: usize) -> bool {
        let params = &self.params.left_out;
        let in_text_heights = |length: usize| length as f64 / text_height.max(1) as f64;
        let height = in_text_heights(ink.bounds.height);
        ink.reason != LeftOutReason::Mark
            && (params.min_digit_height..=params.max_digit_height).contains(&height)
            && in_text_heights(ink.bounds.width) <= params.max_digit_width
    }

    /// Returns whether the center of a digit is far from that of the picture.
    fn is_off_center(&self, bounds: &Rect, [width, height]: [usize; 2]) -> bool {
        let is_far = |start: usize, length: usize, picture_length: usize| {
            let doubled_offset = (2 * start + length).abs_diff(picture_length) as f64;
            doubled_offset > 2.0 * self.params.remarks.max_center_offset * picture_length as f64
        };
        is_far(bounds.x, bounds.width, width) || is_far(bounds.y, bounds.height, height)
    }
}
