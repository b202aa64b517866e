//! Reading files and streams whole, up to a limit.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, ensure};

/// Bytes of a file that is read whole, at most: far more than any network or image takes.
const MAX_BYTES: u64 = 1 << 30;

/// Reads a file of at most a gibibyte.
///
/// # Errors
/// If the file can't be read or is longer; the message begins with its path.
pub fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || read_stream(File::open(path).context("could not be read")?);
    read().with_context(|| path.display().to_string())
}

/// Reads a text file and parses it.
///
/// # Errors
/// If the file can't be read, is longer or is no UTF-8, and the errors of `parse`; the message begins with its path.
pub fn parse_file<T>(path: &Path, parse: impl FnOnce(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let bytes = read_file(path)?;
    let text = std::str::from_utf8(&bytes).context("content: expected UTF-8 text");
    text.and_then(parse).with_context(|| path.display().to_string())
}

/// Reads a stream of at most a gibibyte to its end.
///
/// # Errors
/// If the stream can't be read or is longer.
pub fn read_stream(stream: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_BYTES + 1).read_to_end(&mut bytes).context("could not be read")?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "size: expected at most {MAX_BYTES} bytes, found more");
    Ok(bytes)
}
