//! Image files of at most a million pixels.

#![no_main]

use std::io::Cursor;

use lenet_cli::decode::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(decoded) = decode(Cursor::new(file), 1) {
        let view = decoded.view().expect("a decoded image has a view");
        assert!((1..=1_000_000).contains(&(view.width() * view.height())));
    }
});
