//! Constraints on a number, which a caller knows: its length, pattern, checksum or characters.
//!
//! A constraint is a deterministic automaton over digits and marks. It reads each character once, so that no pattern takes more
//! than linear time.

mod charset;
mod checksum;
mod pattern;

pub use {
    charset::Charset,
    checksum::Checksum,
    pattern::{MAX_PATTERN_CHARACTERS, Pattern},
};

use std::{fmt, str::FromStr, sync::Arc};

use serde::Deserialize;

use checksum::ChecksumState;
use pattern::Positions;

use crate::image::Mark;

/// The largest number of digits of a constrained line.
pub const MAX_CONSTRAINED_DIGITS: usize = 63;

/// What a caller knows of each line of a picture. A line of which nothing meets the constraint is rejected.
///
/// ```
/// use lenet::recognize::Constraint;
///
/// let constraint = Constraint { pattern: Some("dd/dd/dddd".parse()?), ..Constraint::default() };
/// assert!(constraint.is_met_by("28/11/2026"));
/// assert!(!constraint.is_met_by("28/11/26"));
/// # Ok::<(), lenet::recognize::ConstraintError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraint {
    /// Number of digits.
    pub length: Option<Length>,
    /// Digits and marks, with their places.
    pub pattern: Option<Pattern>,
    /// A rule that the digits follow, the last of which is a check digit.
    pub checksum: Option<Checksum>,
    /// The only digits and marks that occur.
    pub charset: Option<Charset>,
}

impl Constraint {
    /// Returns the constraint for sharing, or `None` if it allows everything.
    pub(super) fn into_option(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }

    /// Checks that the parts of the constraint don't contradict each other.
    ///
    /// # Errors
    /// [`ConstraintError::Contradiction`] if no number of digits meets all parts.
    pub fn check(&self) -> Result<(), ConstraintError> {
        let mut counts = ALL_COUNTS;
        for (part, value, allowed) in self.digit_counts() {
            counts &= allowed;
            if counts == 0 {
                return Err(ConstraintError::Contradiction { part, value });
            }
        }
        Ok(())
    }

    /// Returns the smallest number of digits that meets the constraint.
    pub(super) fn min_digits(&self) -> usize {
        self.digit_counts().fold(ALL_COUNTS, |counts, (.., allowed)| counts & allowed).trailing_zeros()
            as usize
    }

    /// Returns the numbers of digits that each part of the constraint allows, with its name and value.
    fn digit_counts(&self) -> impl Iterator<Item = (&'static str, String, Counts)> {
        let parts: [Option<(&str, String, Counts)>; 3] = [
            self.pattern.as_ref().map(|pattern| {
                ("pattern", pattern.to_string(), pattern.digit_counts(self.charset.unwrap_or(Charset::ALL)))
            }),
            self.length.map(|length| ("length", length.to_string(), length.digit_counts())),
            self.checksum.map(|checksum| ("checksum", checksum.to_string(), checksum.digit_counts())),
        ];
        parts.into_iter().flatten()
    }

    /// Returns whether a line of digits and marks meets the constraint. Spaces are ignored.
    pub fn is_met_by(&self, line: &str) -> bool {
        let mut chars = line.chars().filter(|char| *char != ' ');
        let state =
            chars.try_fold(self.start(), |state, char| self.step(&state, Character::from_char(char)?));
        state.is_some_and(|state| self.accepts(&state))
    }

    /// Returns the digits and marks that may occur, or `None` if the constraint doesn't say it.
    pub(super) fn characters(&self) -> Option<Charset> {
        let of_pattern = self.pattern.as_ref().map(Pattern::characters);
        match (of_pattern, self.charset) {
            (Some(a), Some(b)) => Some(a.intersection(b)),
            (a, b) => a.or(b),
        }
    }

    /// Returns the state before the first character.
    pub(super) fn start(&self) -> State {
        let positions = self.pattern.as_ref().map_or_else(Positions::default, Pattern::start);
        State { positions, digits: 0, checksum: ChecksumState::default() }
    }

    /// Returns the state after another character, or `None` if no line goes on with it. Marks are ignored unless the constraint
    /// [says which occur](Self::characters).
    pub(super) fn step(&self, state: &State, character: Character) -> Option<State> {
        if self.charset.is_some_and(|charset| !charset.contains(character)) {
            return None;
        }
        let mut next = *state;
        if let Some(pattern) = &self.pattern {
            next.positions = pattern.step(state.positions, character)?;
        }
        if let Character::Digit(digit) = character {
            next.digits += 1;
            let max = self.length.map_or(MAX_CONSTRAINED_DIGITS, |length| length.max);
            if usize::from(next.digits) > max {
                return None;
            }
            if let Some(checksum) = self.checksum {
                next.checksum = checksum.step(state.checksum, digit);
            }
        }
        Some(next)
    }

    /// Returns whether a line may end in a state.
    pub(super) fn accepts(&self, state: &State) -> bool {
        let digits = usize::from(state.digits);
        self.pattern.as_ref().is_none_or(|pattern| pattern.accepts(state.positions))
            && self.length.is_none_or(|length| (length.min..=length.max).contains(&digits))
            && self.checksum.is_none_or(|checksum| checksum.accepts(state.checksum, digits))
    }
}

/// The state of a [`Constraint`] after some characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    positions: Positions,
    digits: u8,
    checksum: ChecksumState,
}

/// A digit or a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Character {
    Digit(u8),
    Mark(Mark),
}

impl Character {
    /// Number of different characters.
    const COUNT: usize = 10 + Mark::ALL.len();

    fn from_char(char: char) -> Option<Self> {
        match char {
            '0'..='9' => Some(Self::Digit(char as u8 - b'0')),
            _ => Mark::from_char(char).map(Self::Mark),
        }
    }

    /// Returns a number below [`COUNT`](Self::COUNT): marks follow the digits.
    fn index(self) -> usize {
        match self {
            Self::Digit(digit) => usize::from(digit),
            Self::Mark(mark) => 10 + mark as usize,
        }
    }

    fn from_index(index: usize) -> Self {
        if index < 10 { Self::Digit(index as u8) } else { Self::Mark(Mark::ALL[index - 10]) }
    }
}

impl fmt::Display for Character {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Digit(digit) => write!(f, "{digit}"),
            Self::Mark(mark) => write!(f, "{mark}"),
        }
    }
}

/// A set of numbers of digits: bit `n` stands for `n` digits.
type Counts = u64;

/// One to [`MAX_CONSTRAINED_DIGITS`] digits.
const ALL_COUNTS: Counts = !1;

/// A range of numbers of digits, written `N` or `N-M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "LengthForm")]
pub struct Length {
    min: usize,
    max: usize,
}

impl Length {
    /// Makes a range of `min` to `max` digits.
    ///
    /// # Errors
    /// [`ConstraintError::LengthRange`] unless `1 <= min <= max <= MAX_CONSTRAINED_DIGITS`.
    pub fn new(min: usize, max: usize) -> Result<Self, ConstraintError> {
        if min == 0 || min > max || max > MAX_CONSTRAINED_DIGITS {
            return Err(ConstraintError::LengthRange { min, max });
        }
        Ok(Self { min, max })
    }

    fn digit_counts(self) -> Counts {
        (self.min..=self.max).fold(0, |counts, count| counts | 1 << count)
    }
}

impl FromStr for Length {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse().map_err(|_| ConstraintError::LengthSyntax(text.to_owned()));
        Self::new(number(min)?, number(max)?)
    }
}

/// The forms of a [`Length`] in files.
#[derive(Deserialize)]
#[serde(untagged)]
enum LengthForm {
    Number(usize),
    Text(String),
}

impl TryFrom<LengthForm> for Length {
    type Error = ConstraintError;

    fn try_from(form: LengthForm) -> Result<Self, ConstraintError> {
        match form {
            LengthForm::Number(length) => Self::new(length, length),
            LengthForm::Text(text) => text.parse(),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { min, max } = self;
        if min == max { write!(f, "{min}") } else { write!(f, "{min}-{max}") }
    }
}

/// Errors of constraints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// A length is neither a number nor two of them.
    #[error("length: expected N or N-M, found `{0}`")]
    LengthSyntax(String),
    /// A length is zero, too large or an empty range.
    #[error(
        "length: expected 1 to {MAX_CONSTRAINED_DIGITS} digits, the smaller number first, found {min}-{max}"
    )]
    LengthRange {
        /// The smallest number of digits.
        min: usize,
        /// The largest number of digits.
        max: usize,
    },
    /// A pattern has no character.
    #[error("pattern: expected at least one character, found none")]
    EmptyPattern,
    /// A pattern has a character that can't stand where it does.
    #[error("pattern: expected {expected} at character {position}, found {found}")]
    PatternSyntax {
        /// What could stand there.
        expected: &'static str,
        /// The position, from 1.
        position: usize,
        /// The character in backticks, or `the end`.
        found: String,
    },
    /// A pattern allows too many characters.
    #[error("pattern: expected at most {MAX_PATTERN_CHARACTERS} characters after repetition, found more")]
    PatternTooLong,
    /// A checksum has an unknown name.
    #[error("checksum: expected luhn, mod11, isbn or ean, found `{0}`")]
    UnknownChecksum(String),
    /// A set of characters has none, or one that is neither a digit nor a mark.
    #[error("charset: expected digits and marks (. , - / : ( ) + =), found `{0}`")]
    Charset(String),
    /// The parts of a constraint contradict each other.
    #[error(
        "{part} {value}: expected a constraint that a number can meet, found that the other parts exclude it"
    )]
    Contradiction {
        /// The name of the part.
        part: &'static str,
        /// Its value.
        value: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraint(length: &str, pattern: &str, checksum: &str, charset: &str) -> Constraint {
        fn parse<T: FromStr<Err = ConstraintError>>(text: &str) -> Option<T> {
            (!text.is_empty()).then(|| text.parse().unwrap())
        }
        Constraint {
            length: parse(length),
            pattern: parse(pattern),
            checksum: parse(checksum),
            charset: parse(charset),
        }
    }

    #[test]
    fn length_counts_digits_and_ignores_marks() {
        let three = constraint("3", "", "", "");
        assert!(three.is_met_by("123") && three.is_met_by("1.23") && three.is_met_by("12 3"));
        assert!(!three.is_met_by("12") && !three.is_met_by("1234"));
        let range = constraint("2-4", "", "", "");
        assert_eq!(
            ["1", "12", "1234", "12345"].map(|line| range.is_met_by(line)),
            [false, true, true, false]
        );
    }

    #[test]
    fn all_parts_hold_together() {
        let both = constraint("16", "", "luhn", "");
        assert!(both.is_met_by("4539 1488 0343 6467"));
        assert!(!both.is_met_by("4539148803436468") && !both.is_met_by("453914880343646"));
        let charset = constraint("", "", "", "0123.");
        assert!(charset.is_met_by("12.3") && !charset.is_met_by("14") && !charset.is_met_by("1,2"));
    }

    #[test]
    fn contradicting_parts_are_errors_that_name_one() {
        for (length, pattern, checksum, charset, part) in [
            ("5", "dddd", "", "", "length"),
            ("12", "", "isbn", "", "checksum"),
            ("1", "", "luhn", "", "checksum"),
            ("", "ddd", "ean", "", "checksum"),
            ("", "d5", "", "01234", "pattern"),
            ("", "--", "", "", "pattern"),
        ] {
            let constraint = constraint(length, pattern, checksum, charset);
            let error = constraint.check().unwrap_err();
            assert!(
                matches!(error, ConstraintError::Contradiction { part: found, .. } if found == part),
                "{error}"
            );
        }
        assert_eq!(constraint("10-13", "d{9,13}", "isbn", "0123456789").check(), Ok(()));
    }

    #[test]
    fn invalid_lengths_are_errors() {
        for text in ["0", "0-4", "5-4", "64", "", "a", "1-", "-3", "1-2-3", "99999999999999999999"] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
        assert_eq!(
            ["7", "7-7", "1-63"].map(|text| text.parse::<Length>().unwrap().to_string()),
            ["7", "7", "1-63"]
        );
    }
}
