//! The NPZ format of NumPy, in which Keras ships MNIST: a ZIP archive of the arrays `x_train`, `y_train`, `x_test` and `y_test`.

use std::io::{Read, Seek};

use anyhow::{Context, bail, ensure};
use lenet::{Dataset, SIDE, data::idx};
use zip::ZipArchive;

use super::Split;
use crate::{bounded_read::read_stream, format::joined};

/// The first bytes of an array.
const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// Bytes of the header of an array, at most, as NumPy limits them.
const MAX_HEADER_BYTES: usize = 10_000;
/// Names of arrays in an error, at most.
const MAX_LISTED_NAMES: usize = 8;

/// The type of the integers of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IntegerType {
    is_signed: bool,
    is_big_endian: bool,
    bytes: usize,
}

/// What an array must be.
struct Expected {
    dtype: &'static str,
    accepts: fn(IntegerType) -> bool,
    shape: &'static str,
    /// The lengths of all axes but the first, which is that of the images.
    item_shape: &'static [usize],
}

const IMAGES: Expected = Expected {
    dtype: "uint8",
    accepts: |dtype| !dtype.is_signed && dtype.bytes == 1,
    shape: "(n, 28, 28)",
    item_shape: &[SIDE, SIDE],
};
const LABELS: Expected = Expected { dtype: "integers", accepts: |_| true, shape: "(n,)", item_shape: &[] };

/// Parses the arrays of a split: images (image, row, column) of uint8, and labels (image) of integers of any size.
///
/// # Errors
/// If the file is no ZIP archive, an array is missing, is stored in another way than raw or deflated, is in Fortran order, or has
/// another type, another shape, more than [`idx::MAX_IMAGES`] images or another size than its shape, or a label is not from 0 to
/// 9.
pub fn parse(file: impl Read + Seek, split: Split) -> anyhow::Result<Dataset> {
    let mut archive = ZipArchive::new(file).context("content: expected a ZIP archive of arrays")?;
    let suffix = match split {
        Split::Train => "train",
        Split::Test => "test",
    };
    let (_, pixels) = read_array(&mut archive, &format!("x_{suffix}"), &IMAGES)?;
    let (dtype, values) = read_array(&mut archive, &format!("y_{suffix}"), &LABELS)?;
    let labels = values.chunks_exact(dtype.bytes).enumerate().map(|(index, bytes)| {
        let value = dtype.value(bytes);
        u8::try_from(value).with_context(|| format!("label {index}: expected 0 to 9, found {value}"))
    });
    Ok(Dataset::new(pixels, labels.collect::<anyhow::Result<_>>()?)?)
}

/// Reads an array: the type of its values, and their bytes.
fn read_array(
    archive: &mut ZipArchive<impl Read + Seek>,
    name: &str,
    expected: &Expected,
) -> anyhow::Result<(IntegerType, Vec<u8>)> {
    let Some(index) = archive.index_for_name(&format!("{name}.npy")) else {
        let names: Vec<_> =
            archive.file_names_raw().take(MAX_LISTED_NAMES).map(printable_array_name).collect();
        let found = if names.is_empty() { "none".to_owned() } else { joined(&names, ", ") };
        bail!("{name}: expected an array of this name, found {found}");
    };
    let mut read = || {
        let file = archive.by_index(index).context("could not be read")?;
        let declared_len = file.size();
        parse_array(file, declared_len, expected)
    };
    read().with_context(|| name.to_owned())
}

/// Returns the name of an array by that of its file, with escapes for what a terminal may interpret.
fn printable_array_name(file_name: &[u8]) -> String {
    file_name.strip_suffix(b".npy").unwrap_or(file_name).escape_ascii().to_string()
}

/// Parses the file of an array. The length that the archive declares is compared with that of the shape before memory is taken,
/// and memory is then taken only as bytes arrive.
fn parse_array(
    mut file: impl Read,
    declared_len: u64,
    expected: &Expected,
) -> anyhow::Result<(IntegerType, Vec<u8>)> {
    let header = Header::read(&mut file)?;
    let dtype = header.integer_type(expected)?;
    ensure!(
        header.value("fortran_order")?.starts_with("False"),
        "order: expected C order, found Fortran order: save numpy.ascontiguousarray of the array"
    );
    let count = header.count(expected)?;
    let len = count * expected.item_shape.iter().product::<usize>() * dtype.bytes;
    let declared_len = declared_len.saturating_sub(header.len as u64);
    ensure!(declared_len == len as u64, "values: expected {len} bytes, found {declared_len}");
    let values = read_stream(file.take(len as u64 + 1))?;
    ensure!(values.len() >= len, "values: expected {len} bytes, found {}", values.len());
    ensure!(values.len() == len, "values: expected {len} bytes, found more");
    Ok((dtype, values))
}

/// The header of an array: a Python dictionary as text, and its length with that of what precedes it.
struct Header {
    text: String,
    len: usize,
}

impl Header {
    fn read(file: &mut impl Read) -> anyhow::Result<Self> {
        let mut read = |bytes: &mut [u8]| file.read_exact(bytes).context("header: could not be read");
        let mut start = [0; MAGIC.len() + 2];
        read(&mut start)?;
        let [magic @ .., version, _] = start;
        ensure!(
            magic == MAGIC,
            "magic number: expected {}, found {}",
            MAGIC.escape_ascii(),
            magic.escape_ascii()
        );
        let len_bytes = match version {
            1 => 2,
            2 | 3 => 4,
            _ => bail!("version: expected 1 to 3, found {version}"),
        };
        let mut len = [0; 4];
        read(&mut len[..len_bytes])?;
        let len = u32::from_le_bytes(len) as usize;
        ensure!(len <= MAX_HEADER_BYTES, "header: expected at most {MAX_HEADER_BYTES} bytes, found {len}");
        let mut text = vec![0; len];
        read(&mut text)?;
        let text = String::from_utf8(text).context("header: expected a Python dictionary")?;
        Ok(Self { text, len: start.len() + len_bytes + len })
    }

    /// Returns the text from the value of a key on.
    fn value(&self, key: &str) -> anyhow::Result<&str> {
        let entry = self.text.split_once(&format!("'{key}':"));
        let value = entry.map(|(_, value)| value.trim_start());
        value.with_context(|| format!("header: expected the key {key}, found none"))
    }

    /// Parses the type of the values.
    fn integer_type(&self, expected: &Expected) -> anyhow::Result<IntegerType> {
        let name = self.value("descr")?.strip_prefix('\'').and_then(|value| value.split_once('\''));
        let (name, _) =
            name.with_context(|| format!("dtype: expected {}, found a structure", expected.dtype))?;
        ensure!(
            name != "|O",
            "dtype: expected {}, found Python objects (a pickle), which are not loaded: convert the array with astype",
            expected.dtype
        );
        let dtype = IntegerType::parse(name).filter(|dtype| (expected.accepts)(*dtype));
        dtype.with_context(|| format!("dtype: expected {}, found {name:?}", expected.dtype))
    }

    /// Parses the shape, and returns the length of its first axis.
    fn count(&self, expected: &Expected) -> anyhow::Result<usize> {
        let lengths = self.value("shape")?.strip_prefix('(').and_then(|value| value.split_once(')'));
        let (lengths, _) = lengths.context("header: expected a tuple for the key shape")?;
        let shape: Vec<_> = lengths.split(',').map(str::trim).filter(|length| !length.is_empty()).collect();
        let shape: Option<Vec<usize>> = shape.iter().map(|length| length.parse().ok()).collect();
        match shape.as_deref().and_then(<[_]>::split_first) {
            Some((&count, item_shape)) if item_shape == expected.item_shape => {
                ensure!(
                    (1..=idx::MAX_IMAGES).contains(&count),
                    "length: expected 1 to {}, found {count}",
                    idx::MAX_IMAGES
                );
                Ok(count)
            }
            _ => bail!("shape: expected {}, found ({})", expected.shape, lengths.escape_debug()),
        }
    }
}

impl IntegerType {
    /// Parses a name of NumPy: the order of bytes, the kind, and the number of bytes, such as `<i8`.
    fn parse(name: &str) -> Option<Self> {
        let &[order, kind, bytes] = name.as_bytes() else { return None };
        let bytes = match bytes {
            b'1' => 1,
            b'2' => 2,
            b'4' => 4,
            b'8' => 8,
            _ => return None,
        };
        let is_big_endian = match order {
            b'>' => true,
            b'<' => false,
            b'|' if bytes == 1 => false,
            _ => return None,
        };
        matches!(kind, b'i' | b'u').then_some(Self { is_signed: kind == b'i', is_big_endian, bytes })
    }

    /// Returns the value of the bytes of an integer.
    fn value(self, bytes: &[u8]) -> i128 {
        let append = |value: i128, byte: &u8| value << 8 | i128::from(*byte);
        let value = if self.is_big_endian {
            bytes.iter().fold(0, append)
        } else {
            bytes.iter().rev().fold(0, append)
        };
        let is_negative = self.is_signed && value >> (8 * self.bytes - 1) == 1;
        if is_negative { value - (1 << (8 * self.bytes)) } else { value }
    }
}
