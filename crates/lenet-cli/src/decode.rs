//! Pictures in files: PNG, JPEG, BMP, GIF, WebP, PNM and TIFF, told apart by their content.

use std::{
    fs::{self, DirEntry, File},
    io::{self, BufRead, BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
};

use anyhow::Context;
use image::ImageReader;

use crate::weights_file::read_all;

mod bytes;

pub use bytes::{Decoded, Error, decode};

/// Million pixels of a picture, at most, unless the user says otherwise.
pub const MEGAPIXELS: u32 = 100;

/// All files in a folder and the folders in it, by name; those whose names begin with a dot are none of the user's pictures. A
/// folder that can't be read is listed itself, and opening it tells why.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = || fs::read_dir(folder)?.collect::<io::Result<Vec<DirEntry>>>();
    let Ok(entries) = entries() else {
        return vec![folder.to_owned()];
    };
    let hidden = |entry: &DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut paths: Vec<_> = entries.iter().filter(|entry| !hidden(entry)).map(DirEntry::path).collect();
    paths.sort();
    // Links to folders are not followed: they may go round in a circle.
    paths.retain(|path| !(path.is_symlink() && path.is_dir()));
    paths.into_iter().flat_map(|path| if path.is_dir() { list(&path) } else { vec![path] }).collect()
}

/// Decodes the picture in a file, of at most so many million pixels.
pub fn open(path: &Path, megapixels: u32) -> anyhow::Result<Decoded> {
    let file = File::open(path).context("could not be read")?;
    if file.metadata().is_ok_and(|found| found.is_file()) {
        Ok(decode(BufReader::new(file), megapixels)?)
    } else {
        read(file, megapixels)
    }
}

/// Decodes the picture that comes through a pipe, which can't be read twice.
pub fn read(pipe: impl Read, megapixels: u32) -> anyhow::Result<Decoded> {
    Ok(decode(Cursor::new(read_all(pipe)?), megapixels)?)
}

/// The number of pixels that a picture says it has; 0 if it is none.
pub fn pixels(bytes: impl BufRead + Seek) -> u64 {
    let reader = ImageReader::new(bytes).with_guessed_format().ok();
    let size = reader.and_then(|reader| reader.into_dimensions().ok());
    size.map_or(0, |(width, height)| u64::from(width) * u64::from(height))
}
