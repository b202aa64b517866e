//! IDX files and datasets: valid files round-trip, and invalid ones are rejected with the reason.

use lenet::{Dataset, Error, PIXELS, SIDE, data::idx};

/// Returns the files of two images and of their labels.
fn valid_files() -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..2 * PIXELS).map(|i| (i % 251) as u8).collect();
    (idx::write_images(&pixels, SIDE, SIDE), idx::write_labels(&[3, 9]))
}

fn header(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Returns the error of the files together.
fn error(images: &[u8], labels: &[u8]) -> String {
    Dataset::from_idx(images, labels).unwrap_err().to_string()
}

#[test]
fn files_round_trip() {
    let (images, labels) = valid_files();
    let dataset = Dataset::from_idx(&images[..], &labels[..]).unwrap();
    assert_eq!(idx::write_images(dataset.images(), SIDE, SIDE), images);
    assert_eq!(idx::write_labels(dataset.labels()), labels);
    assert_eq!(images[..16], header(&[0x803, 2, 28, 28]));
    assert_eq!(labels[..8], header(&[0x801, 2]));
}

#[test]
fn capacity_of_a_large_file_is_its_length() {
    let pixels = vec![7; 5_000 * PIXELS];
    let read = idx::read_images(&idx::write_images(&pixels, SIDE, SIDE)[..], SIDE, SIDE).unwrap();
    assert!(read == pixels && read.capacity() == read.len());
}

#[test]
fn reads_images_of_any_size() {
    let file = |words: &[u32], pixels: &[u8]| [&header(words)[..], pixels].concat();
    let read = |words: &[u32], pixels: &[u8]| idx::read_images_of_any_size(&file(words, pixels)[..]);
    assert_eq!(read(&[0x803, 2, 1, 3], &[1, 2, 3, 4, 5, 6]).unwrap(), (3, 1, vec![1, 2, 3, 4, 5, 6]));
    for (words, pixels, wrong) in [
        (&[0x801, 2][..], &[1, 2][..], "header: expected 16 bytes, found 10"),
        (&[0x801, 2, 1, 1], &[1, 2], "magic number: expected 0x00000803"),
        (&[0x803, 2, 0, 3], &[], "image size: expected at least one pixel, found 0x3"),
        (
            &[0x803, 1_000_000, u32::MAX, u32::MAX],
            &[],
            "image size: expected at least one pixel, found 4294967295x4294967295",
        ),
        (&[0x803, 2, 1, 1], &[1], "pixels: expected 2 bytes, found 1"),
        (&[0x803, 1 << 16, 1 << 12, 1 << 12], &[1], "pixels: expected 1099511627776 bytes, found 1"),
    ] {
        let found = read(words, pixels).unwrap_err().to_string();
        assert!(found.starts_with(wrong), "expected {wrong}, found {found}");
    }
}

#[test]
fn rejects_malformed_images() {
    let (images, labels) = valid_files();
    let table: &[(&[u8], &str)] = &[
        (&[], "header: expected 16 bytes, found 0"),
        (&images[..7], "header: expected 16 bytes, found 7"),
        (&[0; 16], "magic number: expected 0x00000803 (3-dimensional IDX of bytes), found 0x00000000"),
        (
            &header(&[0x801, 2, 28, 28]),
            "magic number: expected 0x00000803 (3-dimensional IDX of bytes), found 0x00000801",
        ),
        (&header(&[0x803, u32::MAX, 28, 28]), "length: expected at most 1000000, found 4294967295"),
        (&header(&[0x803, 1_000_000, 28, 28]), "pixels: expected 784000000 bytes, found 0"),
        (&header(&[0x803; 4]), "image size: expected 28x28 pixels, found 2051x2051"),
        (
            &header(&[0x803, 1_000_000, u32::MAX, u32::MAX]),
            "image size: expected 28x28 pixels, found 4294967295x4294967295",
        ),
        (&header(&[0x803, 2, 32, 28]), "image size: expected 28x28 pixels, found 32x28"),
        (&images[..images.len() - 1], "pixels: expected 1568 bytes, found 1567"),
        (&[&images[..], &[0]].concat(), "pixels: expected 1568 bytes, found more"),
    ];
    for (bytes, expected) in table {
        assert_eq!(error(bytes, &labels), *expected);
    }
}

#[test]
fn rejects_malformed_labels() {
    let (images, labels) = valid_files();
    let table: &[(&[u8], &str)] = &[
        (&labels[..5], "header: expected 8 bytes, found 5"),
        (&images, "magic number: expected 0x00000801 (1-dimensional IDX of bytes), found 0x00000803"),
        (&header(&[0x801, u32::MAX]), "length: expected at most 1000000, found 4294967295"),
        (&labels[..9], "labels: expected 2 bytes, found 1"),
        (&[&labels[..], &[0]].concat(), "labels: expected 2 bytes, found more"),
        (&idx::write_labels(&[0, 10]), "label 1: expected 0 to 9, found 10"),
        (&idx::write_labels(&[0]), "number of labels: expected 2 (one for each image), found 1"),
        (&idx::write_labels(&[0; 3]), "number of labels: expected 2 (one for each image), found 3"),
    ];
    for (bytes, expected) in table {
        assert_eq!(error(&images, bytes), *expected);
    }
}

#[test]
fn read_errors_keep_their_source() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("corrupt stream"))
        }
    }
    let (images, _) = valid_files();
    let read = |length| {
        let reader = std::io::Read::chain(&images[..length], Broken);
        let error = idx::read_images(reader, SIDE, SIDE).unwrap_err();
        let source = std::error::Error::source(&error).expect("a source").to_string();
        assert_eq!(source, "corrupt stream");
        match error {
            Error::Read { section, expected, found, .. } => (section, expected, found),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(100), ("pixels", 1568, 84));
    assert_eq!(read(images.len()), ("pixels", 1568, 1568));
}

#[test]
#[should_panic = "whole images of 28x28 pixels"]
fn writing_part_of_an_image_panics() {
    idx::write_images(&[0; PIXELS + 1], SIDE, SIDE);
}

#[test]
#[should_panic = "range 1..3 of a dataset of 2 images"]
fn slicing_past_the_end_panics() {
    let (images, labels) = valid_files();
    Dataset::from_idx(&images[..], &labels[..]).unwrap().slice(1..3);
}

#[test]
fn slice_keeps_images_and_labels_together() {
    let (images, labels) = valid_files();
    let dataset = Dataset::from_idx(&images[..], &labels[..]).unwrap();
    let second = dataset.slice(1..2);
    assert_eq!(second.images(), dataset.image(1));
    assert_eq!(second.labels(), [9]);
    assert_eq!(dataset.label_counts(), [0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
}
