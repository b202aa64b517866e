//! IDX files: of images, of images of any size, of labels.

#![no_main]

use lenet::{SIDE, idx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pixels) = idx::read_images(bytes) {
        assert_eq!(idx::write_images(&pixels), bytes);
        assert_eq!(idx::read_any_images(bytes), Ok((SIDE, SIDE, pixels)));
    }
    if let Ok((width, height, pixels)) = idx::read_any_images(bytes) {
        assert!(pixels.len().is_multiple_of(width * height));
    }
    if let Ok(labels) = idx::read_labels(bytes) {
        assert_eq!(idx::write_labels(&labels), bytes);
    }
});
