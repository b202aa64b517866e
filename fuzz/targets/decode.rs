//! Pictures in files, of at most a million pixels.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "files and folders are not read here")]
#[path = "../../crates/lenet-cli/src/decode.rs"]
mod decode;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(decoded) = decode::decode(Cursor::new(bytes), 1) {
        let picture = decoded.picture().expect("what was decoded is a picture");
        assert!((1..=1_000_000).contains(&(picture.width() * picture.height())));
    }
});
