//! Image files in the file system. The crate `lenet-decode` decodes their bytes.

use std::{
    fs::{self, DirEntry, File},
    io::{self, BufRead, BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::bounded_read::read_stream;

pub use lenet_decode::{Decoded, Error, ImageFile, UnsupportedFormat, data_url, decode, pixel_count};

/// Default of `--max-megapixels`: the maximum size of an image in millions of pixels.
pub const DEFAULT_MAX_MEGAPIXELS: u32 = 100;

/// Lists all files in a folder and its subfolders, ordered by name. Names that begin with a dot are skipped.
///
/// A folder that can't be read is listed itself, so that opening it reports the error.
pub(crate) fn list_files(folder: &Path) -> Vec<PathBuf> {
    let entries = || fs::read_dir(folder)?.collect::<io::Result<Vec<DirEntry>>>();
    let Ok(entries) = entries() else {
        return vec![folder.to_owned()];
    };
    let hidden = |entry: &DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut paths: Vec<_> = entries.iter().filter(|entry| !hidden(entry)).map(DirEntry::path).collect();
    paths.sort();
    // Links to folders are not followed because they can form a cycle.
    paths.retain(|path| !(path.is_symlink() && path.is_dir()));
    paths.into_iter().flat_map(|path| if path.is_dir() { list_files(&path) } else { vec![path] }).collect()
}

/// A file or a buffer.
pub trait SeekableBytes: BufRead + Seek {}

impl<T: BufRead + Seek> SeekableBytes for T {}

/// Decodes the first page of an image file, of at most `max_megapixels` million pixels.
pub(crate) fn decode_file(path: &Path, max_megapixels: u32) -> anyhow::Result<Decoded> {
    Ok(open_pages(path)?.decode_page(0, max_megapixels)?)
}

/// Opens an image file.
///
/// # Errors
/// If the file can't be read, or its format is unknown.
pub fn open_pages(path: &Path) -> anyhow::Result<ImageFile<Box<dyn SeekableBytes>>> {
    let file = File::open(path).context("could not be read")?;
    if file.metadata().is_ok_and(|found| found.is_file()) {
        let bytes: Box<dyn SeekableBytes> = Box::new(BufReader::new(file));
        Ok(ImageFile::new(bytes)?)
    } else {
        open_stream(file)
    }
}

/// Reads an image file from a stream that can't seek, such as a pipe.
pub(crate) fn open_stream(stream: impl Read) -> anyhow::Result<ImageFile<Box<dyn SeekableBytes>>> {
    let bytes: Box<dyn SeekableBytes> = Box::new(Cursor::new(read_stream(stream)?));
    Ok(ImageFile::new(bytes)?)
}
