//! The CSV format of Kaggle's Digit Recognizer.

#![no_main]

use lenet::PIXELS;
use lenet_cli::data::csv::{self, LabelColumn};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((labels, pixels)) = csv::parse(bytes, LabelColumn::Present) {
        assert_eq!(labels.len() * PIXELS, pixels.len());
    }
    if let Ok((labels, pixels)) = csv::parse(bytes, LabelColumn::Absent) {
        assert!(labels.is_empty() && pixels.len().is_multiple_of(PIXELS));
    }
});
