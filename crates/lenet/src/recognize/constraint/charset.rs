//! Sets of digits and marks.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{Character, ConstraintError};

/// A set of digits and marks, written one after the other, such as `0123456789.-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Charset(u32);

impl Charset {
    /// All digits and marks.
    pub(in crate::recognize) const ALL: Self = Self((1 << Character::COUNT) - 1);
    /// The empty set, which no text stands for.
    pub(in crate::recognize) const EMPTY: Self = Self(0);
    /// All digits.
    pub(in crate::recognize) const DIGITS: Self = Self((1 << 10) - 1);

    /// Returns the set with another character.
    pub(in crate::recognize) fn with(self, character: Character) -> Self {
        Self(self.0 | 1 << character.index())
    }

    pub(in crate::recognize) fn contains(self, character: Character) -> bool {
        self.0 >> character.index() & 1 == 1
    }

    /// Returns the characters that are in either set.
    pub(in crate::recognize) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the characters that are in both sets.
    pub(in crate::recognize) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the digits and marks, in this order.
    pub(in crate::recognize) fn characters(self) -> impl Iterator<Item = Character> {
        (0..Character::COUNT).map(Character::from_index).filter(move |character| self.contains(*character))
    }
}

impl FromStr for Charset {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let insert = |set: Self, char| Character::from_char(char).map(|character| set.with(character));
        text.chars()
            .try_fold(Self::EMPTY, insert)
            .filter(|set| *set != Self::EMPTY)
            .ok_or_else(|| ConstraintError::Charset(text.to_owned()))
    }
}

impl TryFrom<String> for Charset {
    type Error = ConstraintError;

    fn try_from(text: String) -> Result<Self, ConstraintError> {
        text.parse()
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.characters().try_for_each(|character| write!(f, "{character}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_text() {
        for text in ["0123456789", "5", "01.,-/:()+="] {
            assert_eq!(text.parse::<Charset>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_characters_are_errors() {
        for text in ["", "12a", "1 2", "0-9x"] {
            assert_eq!(text.parse::<Charset>(), Err(ConstraintError::Charset(text.to_owned())));
        }
    }
}
