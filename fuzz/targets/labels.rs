//! The file `labels.tsv` of a folder of pictures.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/lenet-cli/src/eval_images/labels.rs"]
mod labels;

fuzz_target!(|text: &str| {
    for label in labels::parse(text).into_iter().flatten() {
        assert!(label.digits.chars().all(|c| c.is_ascii_digit() || c == '\n'));
        assert!(!label.file.contains('\t') && !label.source.contains('@'));
    }
});
