//! Pictures in files, of at most a million pixels.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/lenet-cli/src/decode/bytes.rs"]
mod bytes;

fuzz_target!(|file: &[u8]| {
    if let Ok(decoded) = bytes::decode(Cursor::new(file), 1) {
        let picture = decoded.picture().expect("what was decoded is a picture");
        assert!((1..=1_000_000).contains(&(picture.width() * picture.height())));
    }
});
