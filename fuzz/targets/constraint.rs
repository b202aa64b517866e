//! Constraints as text: a pattern is written as it was parsed, and lines of digits and marks are matched without a panic.
//!
//! The input is lines of text: pattern, length, checksum, charset, and then lines that may meet the constraint.

#![no_main]

use std::str::FromStr;

use lenet::recognize::{Constraint, Length, Pattern};
use libfuzzer_sys::fuzz_target;

fn parse<T: FromStr>(text: Option<&str>) -> Option<T> {
    text.and_then(|text| text.parse().ok())
}

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let constraint = Constraint {
        pattern: parse(lines.next()),
        length: parse(lines.next()),
        checksum: parse(lines.next()),
        charset: parse(lines.next()),
    };
    if let Some(pattern) = &constraint.pattern {
        assert_eq!(pattern.to_string().parse::<Pattern>().as_ref(), Ok(pattern));
    }
    if let Some(length) = constraint.length {
        assert_eq!(length.to_string().parse::<Length>(), Ok(length));
    }
    let is_possible = constraint.check().is_ok();
    for line in lines {
        let has_digits = line.contains(|char: char| char.is_ascii_digit());
        assert!(is_possible || !has_digits || !constraint.is_met_by(line), "{constraint:?} {line}");
    }
});
