//! NPZ files of images and labels.

#![no_main]

use std::io::Cursor;

use lenet::PIXELS;
use lenet_cli::data::{Split, npz};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for split in [Split::Train, Split::Test] {
        if let Ok(data) = npz::parse(Cursor::new(bytes), split) {
            assert!(!data.is_empty());
            assert_eq!(data.images().len(), data.len() * PIXELS);
        }
    }
});
