//! Digits of one's own: a folder with a folder of pictures for each digit.

use std::path::Path;

use anyhow::{bail, ensure};
use lenet::{CLASSES, Dataset, PIXELS, pretrained, recognize::Recognizer};
use rayon::prelude::*;

use super::Split;
use crate::{decode, output::tell, terminal::pictures_bar};

/// Whether there is a folder for a digit.
pub fn is_own(folder: &Path) -> bool {
    (0..CLASSES).any(|digit| folder.join(digit.to_string()).is_dir())
}

/// Reads one split, each picture as one digit: of every digit the last sixth of the pictures, by name, is the test split. What
/// can't be read, and where nothing is written, is told and left out.
///
/// Neighbours are of different digits, so that the last images, which may be held out, are some of each.
pub fn read(folder: &Path, split: Split) -> anyhow::Result<Dataset> {
    // Place in the digit's folder, as a part of what is taken of it; digit; file.
    let mut files = Vec::new();
    for digit in 0..CLASSES as u8 {
        let folder = folder.join(digit.to_string());
        let mut pictures = if folder.is_dir() { decode::list(&folder) } else { Vec::new() };
        let train = pictures.len() - pictures.len().div_ceil(6);
        match split {
            Split::Train => pictures.truncate(train.max(1)),
            Split::Test => drop(pictures.drain(..train.max(1).min(pictures.len()))),
        }
        let count = pictures.len() as f64;
        files
            .extend((0..).zip(pictures).map(|(index, path)| ((f64::from(index) + 0.5) / count, digit, path)));
    }
    files.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));

    // What it answers doesn't matter here: the image that a network is shown is the same for all.
    let recognizer = Recognizer::new(pretrained::lenet5().0);
    let image = |path: &Path| -> anyhow::Result<[u8; PIXELS]> {
        let decoded = decode::open(path, decode::MEGAPIXELS)?;
        let reading = recognizer.read_single(&decoded.picture()?);
        match reading.digits.first() {
            Some(digit) => Ok(digit.tile),
            None => bail!("{}", reading.remarks.join(", ")),
        }
    };
    let bar = pictures_bar(files.len());
    let images: Vec<_> = files.par_iter().map(|(.., path)| image(path)).inspect(|_| bar.inc(1)).collect();
    bar.finish_and_clear();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for ((_, digit, path), image) in files.iter().zip(images) {
        match image {
            Ok(image) => {
                pixels.extend(image);
                labels.push(*digit);
            }
            Err(error) => tell(format_args!("left out: {}: {error:#}", path.display())),
        }
    }
    let least = match split {
        Split::Train => "at least 1 to learn from",
        Split::Test => "at least 2 of a digit, the last of them to be measured on",
    };
    ensure!(!labels.is_empty(), "{}: pictures: expected {least}, found none", folder.display());
    Ok(Dataset::new(pixels, labels)?)
}
