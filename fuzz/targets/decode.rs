//! Image files of at most a million pixels a page.

#![no_main]

use std::io::Cursor;

use lenet_cli::decode::ImageFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Ok(mut file) = ImageFile::new(Cursor::new(file)) else { return };
    // Two pages show whether another than the first is decoded; a file may have thousands.
    for page in 0..file.page_count().min(2) {
        let Ok(decoded) = file.decode_page(page, 1) else { continue };
        let view = decoded.view().expect("a decoded image has a view");
        assert!((1..=1_000_000).contains(&(view.width() * view.height())));
    }
});
