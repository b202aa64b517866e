//! Check digits.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{ALL_COUNTS, ConstraintError, Counts};

/// A rule that digits follow, the last of which is a check digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Checksum {
    /// ISO/IEC 7812-1, annex B, as on payment cards: every second digit from the right is doubled, and the sum of all digits is a
    /// multiple of 10.
    Luhn,
    /// The digits from the right, multiplied by 1, 2, 3 and so on, add up to a multiple of 11.
    Mod11,
    /// ISO 2108: ten digits by [`Mod11`](Self::Mod11), or thirteen by [`Ean`](Self::Ean). The check digit X is not read.
    Isbn,
    /// GS1 General Specifications, 8, 12, 13 or 14 digits: multiplied by 1 and 3 in turn from the right, they add up to a multiple
    /// of 10.
    Ean,
}

/// What a checksum knows of the digits so far. Its meaning depends on the rule.
///
/// The weights count from the right, whose distance is not known yet. Two weights in turn have two sums, one for each weight of the
/// last digit. For weights that grow by one, each digit adds the sum of all digits to the weighted sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct ChecksumState {
    /// The sum where the last digit has weight 1.
    sum: u8,
    /// Two weights in turn: the sum where the last digit has the other weight. Weights that grow: the sum of the digits.
    other: u8,
    /// The same for thirteen digits of an ISBN, which may also have ten; otherwise 0.
    ean: [u8; 2],
}

impl Checksum {
    const ALL: [Self; 4] = [Self::Luhn, Self::Mod11, Self::Isbn, Self::Ean];

    fn name(self) -> &'static str {
        match self {
            Self::Luhn => "luhn",
            Self::Mod11 => "mod11",
            Self::Isbn => "isbn",
            Self::Ean => "ean",
        }
    }

    /// Returns the numbers of digits that can have the checksum.
    pub(super) fn digit_counts(self) -> Counts {
        match self {
            Self::Luhn | Self::Mod11 => ALL_COUNTS & !(1 << 1),
            Self::Isbn => 1 << 10 | 1 << 13,
            Self::Ean => 1 << 8 | 1 << 12 | 1 << 13 | 1 << 14,
        }
    }

    /// Returns the state after another digit.
    pub(super) fn step(self, state: ChecksumState, digit: u8) -> ChecksumState {
        let ChecksumState { sum, other, ean } = state;
        let growing = |sum: u8, other: u8| {
            let digits = (other + digit) % 11;
            (digits, (sum + digits) % 11)
        };
        let alternating = |[sum, other]: [u8; 2], weighted: u8| [(other + digit) % 10, (sum + weighted) % 10];
        match self {
            Self::Luhn => {
                let doubled = 2 * digit;
                let [sum, other] = alternating([sum, other], doubled / 10 + doubled % 10);
                ChecksumState { sum, other, ean }
            }
            Self::Ean => {
                let [sum, other] = alternating([sum, other], 3 * digit);
                ChecksumState { sum, other, ean }
            }
            Self::Mod11 => {
                let (other, sum) = growing(sum, other);
                ChecksumState { sum, other, ean }
            }
            Self::Isbn => {
                let (other, sum) = growing(sum, other);
                ChecksumState { sum, other, ean: alternating(ean, 3 * digit) }
            }
        }
    }

    /// Returns whether `digits` digits that lead to a state follow the rule.
    pub(super) fn accepts(self, state: ChecksumState, digits: usize) -> bool {
        let sum = if self == Self::Isbn && digits == 13 { state.ean[0] } else { state.sum };
        self.digit_counts() >> digits & 1 == 1 && sum == 0
    }
}

impl FromStr for Checksum {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let named = Self::ALL.into_iter().find(|checksum| checksum.name() == text);
        named.ok_or_else(|| ConstraintError::UnknownChecksum(text.to_owned()))
    }
}

impl TryFrom<String> for Checksum {
    type Error = ConstraintError;

    fn try_from(text: String) -> Result<Self, ConstraintError> {
        text.parse()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognize::Constraint;

    fn is_met_by(checksum: Checksum, line: &str) -> bool {
        Constraint { checksum: Some(checksum), ..Constraint::default() }.is_met_by(line)
    }

    #[test]
    fn accepts_published_numbers() {
        // The examples of ISO/IEC 7812, of the ISBN Users' Manual and of the GS1 General Specifications.
        for (checksum, number) in [
            (Checksum::Luhn, "79927398713"),
            (Checksum::Luhn, "4992739871 6"),
            (Checksum::Mod11, "0306406152"),
            (Checksum::Isbn, "0-306-40615-2"),
            (Checksum::Isbn, "978-0-306-40615-7"),
            (Checksum::Ean, "4006381333931"),
            (Checksum::Ean, "73513537"),
            (Checksum::Ean, "036000291452"),
        ] {
            assert!(is_met_by(checksum, number), "{checksum} {number}");
        }
    }

    #[test]
    fn rejects_every_other_last_digit() {
        for (checksum, start, check) in [
            (Checksum::Luhn, "7992739871", 3),
            (Checksum::Mod11, "030640615", 2),
            (Checksum::Isbn, "978030640615", 7),
            (Checksum::Ean, "400638133393", 1),
        ] {
            for digit in 0..10 {
                assert_eq!(is_met_by(checksum, &format!("{start}{digit}")), digit == check, "{checksum}");
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_for_all_numbers_of_five_digits() {
        for number in 0..100_000_u32 {
            let line = format!("{number:05}");
            let digits = || line.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate();
            let luhn: u32 = digits()
                .map(|(place, digit)| if place % 2 == 1 { 2 * digit / 10 + 2 * digit % 10 } else { digit })
                .sum();
            let growing: u32 = digits().map(|(place, digit)| (place as u32 + 1) * digit).sum();
            assert_eq!(is_met_by(Checksum::Luhn, &line), luhn.is_multiple_of(10), "{line}");
            assert_eq!(is_met_by(Checksum::Mod11, &line), growing.is_multiple_of(11), "{line}");
        }
    }

    #[test]
    fn names_round_trip_and_others_are_errors() {
        for checksum in Checksum::ALL {
            assert_eq!(checksum.to_string().parse(), Ok(checksum));
        }
        assert_eq!("crc".parse::<Checksum>(), Err(ConstraintError::UnknownChecksum("crc".into())));
    }
}
