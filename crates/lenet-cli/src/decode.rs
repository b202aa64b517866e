//! Pictures in files: PNG, JPEG, BMP, GIF, WebP, PNM and TIFF, told apart by their content.

use std::{
    fs::{self, DirEntry, File},
    io::{self, BufRead, BufReader, Seek},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};
use lenet::image::Picture;

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

/// A picture upright, in 8 bits a channel.
pub struct Decoded(DynamicImage);

impl Decoded {
    /// Its pixels.
    pub fn picture(&self) -> anyhow::Result<Picture<'_>> {
        Ok(Picture::new(self.0.width() as usize, self.0.height() as usize, self.0.as_bytes())?)
    }
}

/// Decodes the picture in a file, of at most so many million pixels.
pub fn open(path: &Path, megapixels: u32) -> anyhow::Result<Decoded> {
    decode(BufReader::new(File::open(path).context("could not be read")?), megapixels)
}

/// Decodes a picture of at most so many million pixels: the first one, of several in a file.
pub fn decode(bytes: impl BufRead + Seek, megapixels: u32) -> anyhow::Result<Decoded> {
    let reader = ImageReader::new(bytes).with_guessed_format().context("could not be read")?;
    ensure!(
        reader.format().is_some(),
        "format: expected PNG, JPEG, BMP, GIF, WebP, PNM or TIFF, found none of them"
    );
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let (pixels, limit) = (u64::from(width) * u64::from(height), u64::from(megapixels) * 1_000_000);
    ensure!(pixels > 0, "size: expected pixels, found {width} x {height}");
    ensure!(pixels <= limit, "size: expected at most {megapixels} megapixels, found {width} x {height}");
    let mut limits = Limits::no_limits();
    // Of 16 bits in each of four channels, and a decoder's own memory.
    limits.max_alloc = Some(16 * pixels + (64 << 20));
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(Decoded(match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image,
        colour if colour.has_alpha() => DynamicImage::ImageLumaA8(image.to_luma_alpha8()),
        _ => DynamicImage::ImageLuma8(image.to_luma8()),
    }))
}
