//! IDX files of images and of labels: whatever is read is written to the same bytes.

#![no_main]

use lenet::{SIDE, data::idx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pixels) = idx::read_images(bytes, SIDE, SIDE) {
        let any = idx::read_images_of_any_size(bytes).expect("28x28 is a valid size");
        assert_eq!(any, (SIDE, SIDE, pixels));
    }
    if let Ok((width, height, pixels)) = idx::read_images_of_any_size(bytes) {
        assert_eq!(idx::write_images(&pixels, height, width), bytes);
    }
    if let Ok(labels) = idx::read_labels(bytes) {
        assert_eq!(idx::write_labels(&labels), bytes);
    }
});
