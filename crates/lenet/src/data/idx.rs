//! IDX, the file format of MNIST: a magic number, the length of each dimension, then the values, one byte each.
//!
//! The magic number and the lengths are big-endian `u32`; the magic number is 0x0800 (for unsigned bytes) plus the
//! number of dimensions. Files of images have three, (image, row, column), and files of labels one. The readers
//! believe no header: memory grows only as bytes arrive, and what follows the last value is an error.

use std::io::Read;

use crate::{
    Error,
    data::{PIXELS, SIDE},
};

/// The most images or labels that a file may hold.
pub const MAX_IMAGES: usize = 1_000_000;

/// What the magic number says of the type: unsigned bytes.
const BYTES: u32 = 0x0800;

/// Reads a file of 28x28 images: (image, row, column), each 0 to 255.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are not exactly such a file, hold more than [`MAX_IMAGES`], or can't be read.
pub fn read_images(mut bytes: impl Read) -> Result<Vec<u8>, Error> {
    let [count, rows, columns] = header(&mut bytes)?;
    if [rows, columns] != [SIDE; 2] {
        return Err(Error::malformed(
            "image size",
            format!("{SIDE}x{SIDE} pixels"),
            format!("{rows}x{columns}"),
        ));
    }
    values("pixels", count * PIXELS, bytes)
}

/// Reads a file of images of any size: their width, their height, and (image, row, column).
///
/// # Errors
/// As [`read_images`].
pub fn read_any_images(mut bytes: impl Read) -> Result<(usize, usize, Vec<u8>), Error> {
    let [count, rows, columns] = header(&mut bytes)?;
    let len = rows.checked_mul(columns).and_then(|pixels| pixels.checked_mul(count));
    let len = len.filter(|_| rows > 0 && columns > 0);
    let len = len.ok_or_else(|| Error::malformed("image size", "pixels", format!("{rows}x{columns}")))?;
    Ok((columns, rows, values("pixels", len, bytes)?))
}

/// Reads a file of labels: (image), of any value.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are not exactly such a file, hold more than [`MAX_IMAGES`], or can't be read.
pub fn read_labels(mut bytes: impl Read) -> Result<Vec<u8>, Error> {
    let [count] = header(&mut bytes)?;
    values("labels", count, bytes)
}

/// The file of whole images `pixels`: (image, row, column).
pub fn write_images(pixels: &[u8]) -> Vec<u8> {
    write([pixels.len() / PIXELS, SIDE, SIDE], pixels)
}

/// The file of `labels`: (image).
pub fn write_labels(labels: &[u8]) -> Vec<u8> {
    write([labels.len()], labels)
}

/// Reads the magic number and the `N` lengths, of which the first is at most [`MAX_IMAGES`].
fn header<const N: usize>(bytes: &mut impl Read) -> Result<[usize; N], Error> {
    let header = take("header", 4 + 4 * N, bytes)?;
    let (words, _) = header.as_chunks();
    let magic = u32::from_be_bytes(words[0]);
    if magic != BYTES + N as u32 {
        return Err(Error::malformed(
            "magic number",
            format!("{:#010x} ({N}-dimensional IDX of bytes)", BYTES + N as u32),
            format!("{magic:#010x}"),
        ));
    }
    let lengths: [usize; N] = std::array::from_fn(|axis| u32::from_be_bytes(words[1 + axis]) as usize);
    if lengths[0] > MAX_IMAGES {
        return Err(Error::malformed("length", format!("at most {MAX_IMAGES}"), lengths[0]));
    }
    Ok(lengths)
}

/// Reads exactly `len` bytes, then the end.
fn values(what: &str, len: usize, mut bytes: impl Read) -> Result<Vec<u8>, Error> {
    let values = take(what, len, &mut bytes)?;
    match bytes.take(1).read_to_end(&mut Vec::new()) {
        Ok(0) => Ok(values),
        Ok(_) => Err(Error::malformed(what, format!("{len} bytes"), "more")),
        Err(error) => Err(Error::malformed(what, "the end of the file", error)),
    }
}

/// Reads `len` bytes. The buffer at most doubles what has arrived, and ends with no room to spare.
fn take(what: &str, len: usize, bytes: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut values = Vec::new();
    while values.len() < len {
        let step = values.len().max(1 << 20).min(len - values.len());
        values.reserve_exact(step);
        let found = match bytes.by_ref().take(step as u64).read_to_end(&mut values) {
            Ok(read) if read == step => continue,
            Ok(_) => values.len().to_string(),
            Err(error) => format!("{error} after {}", values.len()),
        };
        return Err(Error::malformed(what, format!("{len} bytes"), found));
    }
    Ok(values)
}

fn write<const N: usize>(lengths: [usize; N], values: &[u8]) -> Vec<u8> {
    let lengths = lengths.map(|length| length as u32);
    let mut bytes = (BYTES + N as u32).to_be_bytes().to_vec();
    bytes.extend(lengths.into_iter().flat_map(u32::to_be_bytes));
    bytes.extend_from_slice(values);
    bytes
}
