//! The result of recognition and its JSON form.

use std::{cmp::Reverse, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    CLASSES, PIXELS,
    image::{LeftOutReason, Mark, Rect},
};

/// The digits of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What is written: the digits and the certain marks, with spaces between numbers, `\n` between lines, and `?` for rejected
    /// candidates.
    pub text: String,
    /// The probability that the text is right as a whole, with its lines and certain marks. It is 0 if candidates were rejected, and
    /// `None` if there are no candidates.
    pub probability: Option<f32>,
    /// Other texts, from the most probable to the least. Each differs from `text` in one line, and has digits in place of `?`
    /// there.
    pub alternatives: Vec<Alternative>,
    /// The digits and rejected candidates, line by line, from left to right.
    pub digits: Vec<Digit>,
    /// The marks between digits, line by line, from left to right, doubtful ones as well.
    pub marks: Vec<MarkReading>,
    /// The cells of tables, boxes and combs, by row and column.
    pub cells: Vec<CellReading>,
    /// The ink that is no candidate, from the largest bounding box to the smallest: at most [`MAX_LEFT_OUT`], and nothing as
    /// small as noise.
    pub left_out: Vec<LeftOut>,
    /// What was noticed about the picture.
    pub remarks: Vec<ReadingRemark>,
}

/// The largest number of items of [`Reading::left_out`].
pub const MAX_LEFT_OUT: usize = 1000;

impl Reading {
    /// Returns the reading of a blank picture.
    pub(super) fn blank() -> Self {
        let remarks = vec![ReadingRemark::Blank];
        Self {
            text: String::new(),
            probability: None,
            alternatives: Vec::new(),
            digits: Vec::new(),
            marks: Vec::new(),
            cells: Vec::new(),
            left_out: Vec::new(),
            remarks,
        }
    }

    /// Adds the bounding boxes of the paper's surroundings to what was left out, sorts it, and bounds its number.
    pub(super) fn finish_left_out(&mut self, surroundings: impl Iterator<Item = Rect>) {
        let left_out = |bounds| LeftOut { bounds, reason: LeftOutReason::Edge };
        self.left_out.extend(surroundings.map(left_out));
        // Stable, so that the order is that of the picture where sizes are equal.
        self.left_out.sort_by_key(|LeftOut { bounds, .. }| Reverse(bounds.width * bounds.height));
        if self.left_out.len() > MAX_LEFT_OUT {
            self.remarks.push(ReadingRemark::MoreLeftOut);
        }
        self.left_out.truncate(MAX_LEFT_OUT);
    }

    /// Returns the digits alone, with `\n` between lines and `?` for rejected candidates.
    pub fn digits_only(&self) -> String {
        let (mut text, mut line) = (String::new(), 0);
        for digit in &self.digits {
            text.extend((line < digit.line).then_some('\n'));
            line = digit.line;
            text.push(digit_char(digit.digit, digit.rejected));
        }
        text
    }

    /// Returns the texts of the cells row by row, each with as many columns as the widest. Cells that don't exist are empty.
    pub fn rows(&self) -> Vec<Vec<&str>> {
        let size =
            |of: fn(&CellReading) -> usize| self.cells.iter().map(|cell| of(cell) + 1).max().unwrap_or(0);
        let mut rows = vec![vec![""; size(|cell| cell.column)]; size(|cell| cell.row)];
        for cell in &self.cells {
            rows[cell.row][cell.column] = &cell.text;
        }
        rows
    }

    /// Returns the lowest confidence of the digits, or `None` if there are no digits.
    pub fn min_confidence(&self) -> Option<f32> {
        self.digits.iter().map(|digit| digit.confidence).min_by(f32::total_cmp)
    }
}

/// Returns the character of a digit or a rejected candidate in the text.
pub(super) fn digit_char(digit: u8, rejected: bool) -> char {
    if rejected { '?' } else { char::from(b'0' + digit) }
}

/// Another text of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The text.
    pub text: String,
    /// The probability that it is right.
    pub probability: f32,
}

/// A cell of a table, a box of a form or a comb, and what is written in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellReading {
    /// The row, from 0 at the top.
    pub row: usize,
    /// The column, from 0 at the left.
    pub column: usize,
    /// The digits and certain marks in the cell, with `?` for rejected candidates; empty if there are none.
    pub text: String,
    /// The bounding box, in pixels of the picture or in units of a drawing's strokes.
    #[serde(rename = "box")]
    pub bounds: Rect,
}

/// A mark between digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MarkReading {
    /// The most probable mark.
    pub mark: Mark,
    /// The probability of `mark`.
    pub confidence: f32,
    /// The bounding box, in pixels of the picture or in units of a drawing's strokes.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// The line of text, from 0.
    pub line: usize,
    /// Whether the confidence is below
    /// [`MarkDecisionParams::min_certain_probability`](super::MarkDecisionParams::min_certain_probability). Then the mark is not in
    /// the text.
    pub doubtful: bool,
}

/// Ink that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The bounding box, in pixels of the picture or in units of a drawing's strokes.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// Why it was left out.
    pub reason: LeftOutReason,
}

/// A digit, or a rejected candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digit {
    /// The most probable digit, even if it was rejected.
    pub digit: u8,
    /// The probability of `digit`.
    pub confidence: f32,
    /// The probability of each digit. For a network with an outlier class they add up to the probability of being a digit.
    pub probabilities: [f32; CLASSES],
    /// The bounding box, in pixels of the picture or in units of a drawing's strokes.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// The line of text, from 0.
    pub line: usize,
    /// The row of the cell that holds the digit, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// The column of the cell that holds the digit, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Whether the candidate was rejected as probably not one digit.
    pub rejected: bool,
    /// Why the candidate was rejected, and how its image was changed.
    pub remarks: Vec<DigitRemark>,
    /// The image that was classified: ink from 0 to 255, `(row, column)`. It is not in JSON, and blank if a digit was made
    /// from JSON.
    #[serde(skip, default = "blank_image")]
    pub normalized: [u8; PIXELS],
}

fn blank_image() -> [u8; PIXELS] {
    [0; PIXELS]
}

/// A remark on a [`Reading`]. Its JSON form is [`code`](Self::code); [`Display`](fmt::Display) gives words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadingRemark {
    /// Nothing is written.
    Blank,
    /// The writing is light on dark.
    Inverted,
    /// The picture was read after a rotation by 90, 180 or 270 degrees.
    Rotated,
    /// There is ink, but nothing that could be a digit.
    NoDigits,
    /// The only digit is far from the center of the picture.
    OffCenter,
    /// There are two or more digits or rejected candidates.
    MultipleDigits,
    /// Candidates were rejected by their confidence alone, because the network has no outlier class.
    NoOutlierClass,
    /// A mark is doubtful, and not in the text.
    DoubtfulMark,
    /// The text meets the constraint, but is right with a low probability.
    DoubtfulText,
    /// Ink of a digit's size was left out, other than marks.
    LeftOutDigitSized,
    /// More ink was left out than is listed.
    MoreLeftOut,
}

impl ReadingRemark {
    /// Every remark.
    pub const ALL: [Self; 11] = [
        Self::Blank,
        Self::Inverted,
        Self::Rotated,
        Self::NoDigits,
        Self::OffCenter,
        Self::MultipleDigits,
        Self::NoOutlierClass,
        Self::DoubtfulMark,
        Self::DoubtfulText,
        Self::LeftOutDigitSized,
        Self::MoreLeftOut,
    ];

    /// Returns the stable code of the remark, as it is in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Inverted => "inverted",
            Self::Rotated => "rotated",
            Self::NoDigits => "no_digits",
            Self::OffCenter => "off_center",
            Self::MultipleDigits => "multiple_digits",
            Self::NoOutlierClass => "no_outlier_class",
            Self::DoubtfulMark => "doubtful_mark",
            Self::DoubtfulText => "doubtful_text",
            Self::LeftOutDigitSized => "left_out_digit_sized",
            Self::MoreLeftOut => "more_left_out",
        }
    }
}

impl fmt::Display for ReadingRemark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "blank",
            Self::Inverted => "inverted",
            Self::Rotated => "rotated",
            Self::NoDigits => "no digits",
            Self::OffCenter => "off-center",
            Self::MultipleDigits => "multiple digits",
            Self::NoOutlierClass => "rejected by confidence alone, because the network has no outlier class",
            Self::DoubtfulMark => "a doubtful mark is not in the text",
            Self::DoubtfulText => "the text that meets the constraint is doubtful",
            Self::LeftOutDigitSized => "something of a digit's size was left out",
            Self::MoreLeftOut => "more was left out than is listed",
        })
    }
}

/// A remark on a [`Digit`]. Its JSON form is [`code`](Self::code); [`Display`](fmt::Display) gives words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DigitRemark {
    /// Rejected: the probability of being a digit is below the threshold of the network.
    NotADigit,
    /// Rejected: the confidence, or the probability of the line's text, is too low.
    Unsure,
    /// Rejected, because no reading of the line meets the constraint.
    ConstraintNotMet,
    /// Rejected, because many other candidates of the line or the picture were.
    AmongRejected,
    /// The strokes were thickened.
    Thickened,
}

impl DigitRemark {
    /// Every remark.
    pub const ALL: [Self; 5] =
        [Self::NotADigit, Self::Unsure, Self::ConstraintNotMet, Self::AmongRejected, Self::Thickened];

    /// Returns the stable code of the remark, as it is in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotADigit => "not_a_digit",
            Self::Unsure => "unsure",
            Self::ConstraintNotMet => "constraint_not_met",
            Self::AmongRejected => "among_rejected",
            Self::Thickened => "thickened",
        }
    }
}

impl fmt::Display for DigitRemark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::NotADigit => "not a digit",
            Self::Unsure => "unsure",
            Self::ConstraintNotMet => "no reading of the line meets the constraint",
            Self::AmongRejected => "among rejected candidates",
            Self::Thickened => "thickened",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_remarks_is_their_code() {
        for remark in ReadingRemark::ALL {
            assert_eq!(serde_json::to_value(remark).unwrap(), remark.code());
        }
        for remark in DigitRemark::ALL {
            assert_eq!(serde_json::to_value(remark).unwrap(), remark.code());
        }
    }

    #[test]
    fn json_round_trip_keeps_all_but_the_normalized_image() {
        let bounds = Rect { x: 1, y: 2, width: 3, height: 4 };
        let digit = Digit {
            digit: 7,
            confidence: 0.1,
            probabilities: [0.1; CLASSES],
            bounds,
            line: 0,
            row: Some(1),
            column: None,
            rejected: true,
            remarks: DigitRemark::ALL.to_vec(),
            normalized: [0; PIXELS],
        };
        let mark = |mark| MarkReading { mark, confidence: 0.3, bounds, line: 0, doubtful: false };
        let reading = Reading {
            text: "7.".into(),
            probability: Some(0.3),
            alternatives: vec![Alternative { text: "1.".into(), probability: 0.1 }],
            digits: vec![digit],
            marks: Mark::ALL.map(mark).to_vec(),
            cells: vec![CellReading { row: 0, column: 1, text: "7".into(), bounds }],
            left_out: LeftOutReason::ALL.map(|reason| LeftOut { bounds, reason }).to_vec(),
            remarks: ReadingRemark::ALL.to_vec(),
        };
        let json = serde_json::to_string(&reading).unwrap();
        assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
        assert!(serde_json::from_str::<Reading>(&json.replace("\".\"", "\"x\"")).is_err());
    }
}
