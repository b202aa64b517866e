//! Files of labels beside image files.

#![no_main]

use lenet_cli::data::labels_tsv;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for label in labels_tsv::parse(text).into_iter().flatten() {
        assert!(label.digits.chars().all(|c| c.is_ascii_digit() || c == '?' || c == '\n'));
        assert!(!label.file.contains('\t') && !label.source.contains('@'));
    }
    for label in labels_tsv::parse_of_one_source(text, "all").into_iter().flatten() {
        assert!(!label.file.contains('\t') && label.source == "all");
    }
});
