//! The CSV files of Kaggle's Digit Recognizer.

#![no_main]

use lenet::PIXELS;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/lenet-cli/src/data/csv.rs"]
mod csv;

fuzz_target!(|bytes: &[u8]| {
    for labelled in [false, true] {
        if let Ok((labels, pixels)) = csv::parse(bytes, labelled) {
            assert_eq!(labels.len() * PIXELS, if labelled { pixels.len() } else { 0 });
        }
    }
});
