//! The result of recognition and its JSON form.

use std::fmt;

use serde::Serialize;

use crate::{CLASSES, PIXELS, image::Rect};

/// The digits of a picture.
#[derive(Debug, Clone, Serialize)]
pub struct Reading {
    /// The digits, with `\n` between lines and `?` for rejected candidates.
    pub text: String,
    /// The digits and rejected candidates, line by line, from left to right.
    pub digits: Vec<Digit>,
    /// What was noticed about the picture.
    pub remarks: Vec<ReadingRemark>,
}

impl Reading {
    /// Returns the lowest confidence of the digits, or `None` if there are no digits.
    pub fn min_confidence(&self) -> Option<f32> {
        self.digits.iter().map(|digit| digit.confidence).min_by(f32::total_cmp)
    }
}

/// A digit, or a rejected candidate.
#[derive(Debug, Clone, Serialize)]
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
    /// Whether the candidate was rejected as probably not one digit.
    pub rejected: bool,
    /// Why the candidate was rejected, and how its image was changed.
    pub remarks: Vec<DigitRemark>,
    /// The image that was classified: ink from 0 to 255, `(row, column)`.
    #[serde(skip)]
    pub normalized: [u8; PIXELS],
}

/// A remark on a [`Reading`]. Its JSON form is [`code`](Self::code); [`Display`](fmt::Display) gives words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadingRemark {
    /// Nothing is written.
    Blank,
    /// The writing is light on dark.
    Inverted,
    /// There is ink, but nothing that could be a digit.
    NoDigits,
    /// The only digit is far from the center of the picture.
    OffCenter,
    /// There are two or more digits or rejected candidates.
    MultipleDigits,
    /// Candidates were rejected by their confidence alone, because the network has no outlier class.
    NoOutlierClass,
}

impl ReadingRemark {
    /// Returns the stable code of the remark, as it is in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Inverted => "inverted",
            Self::NoDigits => "no_digits",
            Self::OffCenter => "off_center",
            Self::MultipleDigits => "multiple_digits",
            Self::NoOutlierClass => "no_outlier_class",
        }
    }
}

impl fmt::Display for ReadingRemark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "blank",
            Self::Inverted => "inverted",
            Self::NoDigits => "no digits",
            Self::OffCenter => "off-center",
            Self::MultipleDigits => "multiple digits",
            Self::NoOutlierClass => "rejected by confidence alone, because the network has no outlier class",
        })
    }
}

/// A remark on a [`Digit`]. Its JSON form is [`code`](Self::code); [`Display`](fmt::Display) gives words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DigitRemark {
    /// Rejected: the probability of being a digit is below the threshold of the network.
    NotADigit,
    /// Rejected: the confidence is low, and the network has no outlier class.
    Unsure,
    /// Rejected, because many other candidates of the line were.
    AmongRejected,
    /// The strokes were thickened.
    Thickened,
}

impl DigitRemark {
    /// Returns the stable code of the remark, as it is in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotADigit => "not_a_digit",
            Self::Unsure => "unsure",
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
        use {DigitRemark::*, ReadingRemark::*};
        for remark in [Blank, Inverted, NoDigits, OffCenter, MultipleDigits, NoOutlierClass] {
            assert_eq!(serde_json::to_value(remark).unwrap(), remark.code());
        }
        for remark in [NotADigit, Unsure, AmongRejected, Thickened] {
            assert_eq!(serde_json::to_value(remark).unwrap(), remark.code());
        }
    }
}
