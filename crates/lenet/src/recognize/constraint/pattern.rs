//! Patterns of digits and marks.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{Character, Charset, ConstraintError, Counts};

/// The largest number of characters of a line that a [`Pattern`] describes.
pub const MAX_PATTERN_CHARACTERS: usize = 63;

/// A pattern of digits and marks.
///
/// | element | stands for |
/// |---|---|
/// | `d` | any digit |
/// | a digit or one of `. , - / : ( ) + =` | itself |
/// | `[0-5]`, `[.,]` | one of several digits and marks, or of a range of digits |
/// | `{3}`, `{2,4}` after one of these | three of them, or two to four |
/// | `?` after one of these | one or none of it |
///
/// Marks have no other meaning, so that `(ddd)` has parentheses. There are no alternatives, groups or unlimited repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    /// The elements after repetition.
    elements: Vec<Element>,
    /// For each character the elements that it is one of: bit `i` stands for element `i`.
    accepting: [u64; Character::COUNT],
}

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Element {
    charset: Charset,
    is_optional: bool,
}

/// The elements that the next character of a line may be: bit `i` stands for element `i`, and the bit after the last one for the
/// end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Positions(u64);

impl Pattern {
    pub(super) fn start(&self) -> Positions {
        self.skip_optional(1)
    }

    /// Returns the positions after another character, or `None` if no line goes on with it. This is the Shift-And algorithm of
    /// Baeza-Yates and Gonnet, "A new approach to text searching" (1992).
    pub(super) fn step(&self, positions: Positions, character: Character) -> Option<Positions> {
        let matched = positions.0 & self.accepting[character.index()];
        (matched != 0).then(|| self.skip_optional(matched << 1))
    }

    pub(super) fn accepts(&self, positions: Positions) -> bool {
        positions.0 >> self.elements.len() & 1 == 1
    }

    /// Returns the characters that occur in it.
    pub(super) fn characters(&self) -> Charset {
        self.elements.iter().fold(Charset::EMPTY, |all, element| all.union(element.charset))
    }

    /// Adds the positions that are reached without a character.
    fn skip_optional(&self, mut positions: u64) -> Positions {
        for (index, element) in self.elements.iter().enumerate() {
            if element.is_optional {
                positions |= (positions >> index & 1) << (index + 1);
            }
        }
        Positions(positions)
    }

    /// Returns the numbers of digits of the lines that the pattern describes, if only characters of `charset` occur.
    pub(super) fn digit_counts(&self, charset: Charset) -> Counts {
        self.elements.iter().fold(1, |counts, element| {
            let allowed = element.charset.intersection(charset);
            let has_mark = allowed.characters().any(|it| matches!(it, Character::Mark(_)));
            let with_digit =
                if allowed.intersection(Charset::DIGITS) == Charset::EMPTY { 0 } else { counts << 1 };
            let without = if element.is_optional || has_mark { counts } else { 0 };
            with_digit | without
        })
    }
}

impl FromStr for Pattern {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0 };
        let mut elements = Vec::new();
        while parser.at < parser.chars.len() {
            let charset = parser.charset()?;
            let (min, max) = parser.repetition()?;
            if elements.len() + max > MAX_PATTERN_CHARACTERS {
                return Err(ConstraintError::PatternTooLong);
            }
            elements.extend((0..max).map(|index| Element { charset, is_optional: index >= min }));
        }
        if elements.is_empty() {
            return Err(ConstraintError::EmptyPattern);
        }
        let mut accepting = [0; Character::COUNT];
        for (index, element) in elements.iter().enumerate() {
            element.charset.characters().for_each(|character| accepting[character.index()] |= 1 << index);
        }
        Ok(Self { text: text.to_owned(), elements, accepting })
    }
}

impl TryFrom<String> for Pattern {
    type Error = ConstraintError;

    fn try_from(text: String) -> Result<Self, ConstraintError> {
        text.parse()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Goes past a character if it is the next one. Returns whether it is.
    fn take(&mut self, char: char) -> bool {
        let is_next = self.peek() == Some(char);
        self.at += usize::from(is_next);
        is_next
    }

    /// Parses `d`, a digit, a mark or a set in brackets.
    fn charset(&mut self) -> Result<Charset, ConstraintError> {
        if self.take('d') {
            return Ok(Charset::DIGITS);
        }
        if !self.take('[') {
            let expected = "`d`, a digit, a mark (. , - / : ( ) + =) or a set such as `[0-5]`";
            return Ok(Charset::EMPTY.with(self.character(expected)?));
        }
        let mut charset = Charset::EMPTY;
        while charset == Charset::EMPTY || !self.take(']') {
            let first = self.character("a digit, a mark or the `]` after them")?;
            charset = charset.with(first);
            let is_range = self.peek() == Some('-') && self.chars.get(self.at + 1) != Some(&']');
            if let (Character::Digit(first), true) = (first, is_range) {
                self.at += 1;
                let expected = "a digit that is not below the first of the range";
                match self.character(expected)? {
                    Character::Digit(last) if last >= first => {
                        charset = (first..=last).map(Character::Digit).fold(charset, Charset::with);
                    }
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected(expected));
                    }
                }
            }
        }
        Ok(charset)
    }

    /// Parses a digit or a mark.
    fn character(&mut self, expected: &'static str) -> Result<Character, ConstraintError> {
        let character =
            self.peek().and_then(Character::from_char).ok_or_else(|| self.unexpected(expected))?;
        self.at += 1;
        Ok(character)
    }

    /// Parses what says how often an element stands: `?`, `{n}`, `{n,m}` or nothing. Returns the smallest and the largest number.
    fn repetition(&mut self) -> Result<(usize, usize), ConstraintError> {
        if self.take('?') {
            return Ok((0, 1));
        }
        if !self.take('{') {
            return Ok((1, 1));
        }
        let min = self.number()?;
        let start_of_max = self.at;
        let max = if self.take(',') { self.number()? } else { min };
        if max < min.max(1) {
            self.at = start_of_max;
            return Err(
                self.unexpected("a number of repetitions of at least 1 that is not below the smallest")
            );
        }
        if !self.take('}') {
            return Err(self.unexpected("`}`, or `,` and the largest number of repetitions"));
        }
        Ok((min, max))
    }

    /// Parses a number of repetitions.
    fn number(&mut self) -> Result<usize, ConstraintError> {
        let start = self.at;
        while self.peek().is_some_and(|char| char.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.chars[start..self.at].iter().collect();
        if digits.is_empty() {
            return Err(self.unexpected("a number of repetitions"));
        }
        // A number that overflows is too large as well.
        let number = digits.parse().unwrap_or(usize::MAX);
        if number > MAX_PATTERN_CHARACTERS { Err(ConstraintError::PatternTooLong) } else { Ok(number) }
    }

    fn unexpected(&self, expected: &'static str) -> ConstraintError {
        let found = self.peek().map_or("the end".to_owned(), |char| format!("`{char}`"));
        ConstraintError::PatternSyntax { expected, position: self.at + 1, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognize::Constraint;

    fn matches(pattern: &str, line: &str) -> bool {
        let pattern = Some(pattern.parse().unwrap());
        Constraint { pattern, ..Constraint::default() }.is_met_by(line)
    }

    #[test]
    fn matches_whole_lines() {
        for (pattern, met, unmet) in [
            ("dd/dd/dddd", &["01/02/2026", "99/99/9999"][..], &["1/2/2026", "01/02/20261", "01-02-2026"][..]),
            ("[0-2]d:[0-5]d", &["23:59", "00:00"], &["30:00", "23:60", "2359"]),
            ("d{3}", &["123"], &["12", "1234"]),
            ("d{1,3}[.,]d{2}", &["1.50", "123,00"], &["1234.50", ".50", "1.5"]),
            ("-?d?d", &["5", "-5", "-52", "52", "-"][..4], &["-", "--5", "523"]),
            ("(ddd)", &["(123)"], &["123"]),
            ("d{0,2}5", &["5", "55", "125"], &["1", "1255"]),
            ("[+-]d", &["+1", "-1"], &["=1", "1"]),
            ("[-+]d", &["+1", "-1"], &["1"]),
            ("[0-57-9-]", &["0", "5", "8", "-"], &["6"]),
        ] {
            met.iter().for_each(|line| assert!(matches(pattern, line), "{pattern} {line}"));
            unmet.iter().for_each(|line| assert!(!matches(pattern, line), "{pattern} {line}"));
        }
    }

    #[test]
    fn errors_name_the_character() {
        for (pattern, position, found) in [
            ("dxd", 2, "`x`"),
            ("dd dd", 3, "` `"),
            ("?d", 1, "`?`"),
            ("d??", 3, "`?`"),
            ("[", 2, "the end"),
            ("[]", 2, "`]`"),
            ("[12", 4, "the end"),
            ("[5-3]", 4, "`3`"),
            ("[1-.]", 4, "`.`"),
            ("d{", 3, "the end"),
            ("d{}", 3, "`}`"),
            ("d{2", 4, "the end"),
            ("d{2,", 5, "the end"),
            ("d{2,1}", 4, "`,`"),
            ("d{0}", 4, "`}`"),
            ("d*", 2, "`*`"),
            ("d|d", 2, "`|`"),
            ("dé", 2, "`é`"),
        ] {
            let error = pattern.parse::<Pattern>().unwrap_err();
            let ConstraintError::PatternSyntax { position: at, found: what, .. } = &error else {
                panic!("{pattern}: {error}")
            };
            assert_eq!((*at, what.as_str()), (position, found), "{pattern}");
        }
        assert_eq!("".parse::<Pattern>(), Err(ConstraintError::EmptyPattern));
    }

    #[test]
    fn long_patterns_are_errors() {
        assert!("d{63}".parse::<Pattern>().is_ok());
        for pattern in ["d{64}", "d{63}d", "d{99999999999999999999999}", "d{1,64}"] {
            assert_eq!(pattern.parse::<Pattern>(), Err(ConstraintError::PatternTooLong), "{pattern}");
        }
        assert!("d".repeat(64).parse::<Pattern>().is_err());
    }

    /// All parts optional: a backtracking matcher would take exponential time.
    #[test]
    fn many_optional_elements_take_linear_time() {
        let pattern = format!("{}5", "d?".repeat(62));
        assert!(matches(&pattern, &"5".repeat(63)));
        assert!(!matches(&pattern, &"1".repeat(63)));
    }

    #[test]
    fn counts_digits() {
        let counts = |pattern: &str| pattern.parse::<Pattern>().unwrap().digit_counts(Charset::ALL);
        assert_eq!(counts("dd/dd"), 1 << 4);
        assert_eq!(counts("d{2,4}"), 1 << 2 | 1 << 3 | 1 << 4);
        assert_eq!(counts("-?[.5]"), 1 | 1 << 1);
    }
}
