//! IDX files and datasets: what is whole comes back as it was, what is not is refused with the reason.

use lenet::{Dataset, PIXELS, data::idx};

/// Two images, and their labels.
fn whole() -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..2 * PIXELS).map(|i| (i % 251) as u8).collect();
    (idx::write_images(&pixels), idx::write_labels(&[3, 9]))
}

fn header(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The error that the files give together.
fn refusal(images: &[u8], labels: &[u8]) -> String {
    Dataset::from_idx(images, labels).unwrap_err().to_string()
}

#[test]
fn whole_files_come_back_as_they_were() {
    let (images, labels) = whole();
    let dataset = Dataset::from_idx(&images[..], &labels[..]).unwrap();
    assert_eq!(idx::write_images(dataset.images()), images);
    assert_eq!(idx::write_labels(dataset.labels()), labels);
    assert_eq!(images[..16], header(&[0x803, 2, 28, 28]));
    assert_eq!(labels[..8], header(&[0x801, 2]));
}

#[test]
fn a_buffer_longer_than_a_step_is_exactly_sized() {
    let pixels = vec![7; 5_000 * PIXELS];
    let read = idx::read_images(&idx::write_images(&pixels)[..]).unwrap();
    assert!(read == pixels && read.capacity() == read.len());
}

#[test]
fn images_of_any_size_are_read_or_refused() {
    let file = |words: &[u32], pixels: &[u8]| [&header(words)[..], pixels].concat();
    let read = |words: &[u32], pixels: &[u8]| idx::read_any_images(&file(words, pixels)[..]);
    assert_eq!(read(&[0x803, 2, 1, 3], &[1, 2, 3, 4, 5, 6]).unwrap(), (3, 1, vec![1, 2, 3, 4, 5, 6]));
    for (words, pixels, wrong) in [
        (&[0x801, 2][..], &[1, 2][..], "header: expected 16 bytes, found 10"),
        (&[0x801, 2, 1, 1], &[1, 2], "magic number: expected 0x00000803"),
        (&[0x803, 2, 0, 3], &[], "image size: expected pixels, found 0x3"),
        (
            &[0x803, 1_000_000, u32::MAX, u32::MAX],
            &[],
            "image size: expected pixels, found 4294967295x4294967295",
        ),
        (&[0x803, 2, 1, 1], &[1], "pixels: expected 2 bytes, found 1"),
        (&[0x803, 1 << 16, 1 << 12, 1 << 12], &[1], "pixels: expected 1099511627776 bytes, found 1"),
    ] {
        let found = read(words, pixels).unwrap_err().to_string();
        assert!(found.starts_with(wrong), "expected {wrong}, found {found}");
    }
}

#[test]
fn malformed_images_are_refused() {
    let (images, labels) = whole();
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
        assert_eq!(refusal(bytes, &labels), *expected);
    }
}

#[test]
fn malformed_labels_are_refused() {
    let (images, labels) = whole();
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
        assert_eq!(refusal(&images, bytes), *expected);
    }
}

#[test]
fn a_failing_reader_is_named() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("corrupt stream"))
        }
    }
    let (images, _) = whole();
    let error = |length| {
        let reader = std::io::Read::chain(&images[..length], Broken);
        idx::read_images(reader).unwrap_err().to_string()
    };
    assert_eq!(error(100), "pixels: expected 1568 bytes, found corrupt stream after 84");
    assert_eq!(error(images.len()), "pixels: expected the end of the file, found corrupt stream");
}

#[test]
fn a_slice_keeps_images_and_labels_together() {
    let (images, labels) = whole();
    let dataset = Dataset::from_idx(&images[..], &labels[..]).unwrap();
    let second = dataset.slice(1..2);
    assert_eq!(second.images(), dataset.image(1));
    assert_eq!(second.labels(), [9]);
    assert_eq!(dataset.label_counts(), [0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
}
