//! IDX, the file format of MNIST: a magic number, the length of each dimension, then the values, one byte each.
//!
//! The magic number and the lengths are big-endian `u32`. The magic number is 0x0800, for unsigned bytes, plus the number of
//! dimensions. Files of images have three dimensions, `(image, row, column)`, and files of labels have one.
//!
//! The readers do not trust the lengths in the header: they allocate memory only as bytes arrive, and bytes after the last
//! value are an error.

use std::io::Read;

use crate::Error;

/// Maximum number of images or labels in a file.
pub const MAX_IMAGES: usize = 1_000_000;

/// Magic number of unsigned bytes, before the number of dimensions is added.
const UNSIGNED_BYTE_MAGIC: u32 = 0x0800;

/// Bytes of the first allocation of a reader, at most; later ones double what has arrived. MNIST's 47 MB of training images fit, so
/// that a browser, whose memory never shrinks, doesn't hold two copies of them.
const FIRST_ALLOCATION: usize = 48 << 20;

/// Reads a file of images of `rows` x `columns` pixels: `(image, row, column)`, each 0 to 255.
///
/// # Errors
/// [`Error::InvalidMagic`], [`Error::TooManyItems`], [`Error::ImageSize`], [`Error::TruncatedData`] or
/// [`Error::TrailingData`] if the bytes are not exactly such a file, and [`Error::Read`] if `bytes` fails.
pub fn read_images(mut bytes: impl Read, rows: usize, columns: usize) -> Result<Vec<u8>, Error> {
    let [count, found_rows, found_columns] = read_header(&mut bytes)?;
    if (found_rows, found_columns) != (rows, columns) {
        let expected = Some((rows, columns));
        return Err(Error::ImageSize { expected, rows: found_rows, columns: found_columns });
    }
    read_last_section("pixels", count * rows * columns, bytes)
}

/// Reads a file of images of any size. Returns their width, their height and the pixels `(image, row, column)`.
///
/// # Errors
/// As [`read_images`], with [`Error::ImageSize`] only if an image has no pixels or the size overflows.
pub fn read_images_of_any_size(mut bytes: impl Read) -> Result<(usize, usize, Vec<u8>), Error> {
    let [count, rows, columns] = read_header(&mut bytes)?;
    let len = rows.checked_mul(columns).and_then(|pixels| pixels.checked_mul(count));
    let len = len.filter(|_| rows > 0 && columns > 0);
    let len = len.ok_or(Error::ImageSize { expected: None, rows, columns })?;
    Ok((columns, rows, read_last_section("pixels", len, bytes)?))
}

/// Reads a file of labels: `(image)`, each 0 to 255.
///
/// # Errors
/// [`Error::InvalidMagic`], [`Error::TooManyItems`], [`Error::TruncatedData`] or [`Error::TrailingData`] if the bytes are not
/// exactly such a file, and [`Error::Read`] if `bytes` fails.
pub fn read_labels(mut bytes: impl Read) -> Result<Vec<u8>, Error> {
    let [count] = read_header(&mut bytes)?;
    read_last_section("labels", count, bytes)
}

/// Returns the file of the images `pixels` `(image, row, column)` of `rows` x `columns` pixels.
///
/// # Panics
/// If an image has no pixels, or `pixels` does not hold whole images.
pub fn write_images(pixels: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let image = rows * columns;
    assert!(image > 0 && pixels.len().is_multiple_of(image), "whole images of {rows}x{columns} pixels");
    encode_idx([pixels.len() / image, rows, columns], pixels)
}

/// Returns the file of `labels` `(image)`.
pub fn write_labels(labels: &[u8]) -> Vec<u8> {
    encode_idx([labels.len()], labels)
}

/// Reads the magic number and the lengths of `N` dimensions. The first length is at most [`MAX_IMAGES`].
fn read_header<const N: usize>(bytes: &mut impl Read) -> Result<[usize; N], Error> {
    let header = read_exactly("header", 4 + 4 * N, bytes)?;
    let (words, _) = header.as_chunks();
    let (expected, found) = (UNSIGNED_BYTE_MAGIC + N as u32, u32::from_be_bytes(words[0]));
    if found != expected {
        return Err(Error::InvalidMagic { expected, found });
    }
    let lengths: [usize; N] = std::array::from_fn(|axis| u32::from_be_bytes(words[1 + axis]) as usize);
    if lengths[0] > MAX_IMAGES {
        return Err(Error::TooManyItems { max: MAX_IMAGES, found: lengths[0] });
    }
    Ok(lengths)
}

/// Reads a last section of exactly `expected` bytes.
fn read_last_section(section: &'static str, expected: usize, mut bytes: impl Read) -> Result<Vec<u8>, Error> {
    let values = read_exactly(section, expected, &mut bytes)?;
    match bytes.take(1).read_to_end(&mut Vec::new()) {
        Ok(0) => Ok(values),
        Ok(_) => Err(Error::TrailingData { section, expected }),
        Err(source) => Err(Error::Read { section, expected, found: expected, source }),
    }
}

/// Reads `expected` bytes. Each allocation after the first at most doubles the number of bytes that have arrived, and the
/// capacity of the result is its length.
fn read_exactly(section: &'static str, expected: usize, bytes: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut values = Vec::new();
    while values.len() < expected {
        let len = values.len().max(FIRST_ALLOCATION).min(expected - values.len());
        values.reserve_exact(len);
        match bytes.by_ref().take(len as u64).read_to_end(&mut values) {
            Ok(read) if read == len => {}
            Ok(_) => return Err(Error::TruncatedData { section, expected, found: values.len() }),
            Err(source) => return Err(Error::Read { section, expected, found: values.len(), source }),
        }
    }
    Ok(values)
}

fn encode_idx<const N: usize>(lengths: [usize; N], values: &[u8]) -> Vec<u8> {
    let lengths = lengths.map(|length| u32::try_from(length).expect("a length below 2^32"));
    let mut bytes = (UNSIGNED_BYTE_MAGIC + N as u32).to_be_bytes().to_vec();
    bytes.extend(lengths.into_iter().flat_map(u32::to_be_bytes));
    bytes.extend_from_slice(values);
    bytes
}
