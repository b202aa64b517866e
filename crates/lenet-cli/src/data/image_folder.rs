//! A folder with a subfolder of image files for each digit, such as digits in the user's own handwriting.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use lenet::{CLASSES, Dataset, PIXELS, pretrained, recognize::Recognizer};
use rayon::prelude::*;

use super::{Split, test_split_len};
use crate::{decode, format::joined, output::warn, terminal::image_files_bar};

/// Returns whether `folder` has a subfolder for a digit.
pub(super) fn has_digit_folders(folder: &Path) -> bool {
    (0..CLASSES).any(|digit| folder.join(digit.to_string()).is_dir())
}

/// The names of the folder of a split.
fn split_folder_names(split: Split) -> [&'static str; 2] {
    match split {
        Split::Train => ["train", "training"],
        Split::Test => ["test", "testing"],
    }
}

/// Returns whether `folder` has a subfolder for training, with a subfolder for a digit.
pub(super) fn has_split_folders(folder: &Path) -> bool {
    split_folder_names(Split::Train).iter().any(|name| has_digit_folders(&folder.join(name)))
}

/// Returns the subfolder of a split.
///
/// # Errors
/// If there is none with a subfolder for a digit.
pub(super) fn split_folder(folder: &Path, split: Split) -> anyhow::Result<PathBuf> {
    let names = split_folder_names(split);
    let mut folders = names.iter().map(|name| folder.join(name));
    folders.find(|folder| has_digit_folders(folder)).with_context(|| {
        let [name, long_name] = names;
        format!(
            "{}: expected a folder {name} or {long_name} with folders 0 to 9, found neither",
            folder.display()
        )
    })
}

/// The files of a folder that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Every file.
    All,
    /// Those of a split. Of each digit, the last sixth of the files, ordered by name, is the test split.
    Of(Split),
}

/// Reads a part of the files of a folder. Each file is read as one digit.
///
/// A warning is printed for each file that can't be decoded or has no ink, and the file is left out.
pub(super) fn read(folder: &Path, part: Part) -> anyhow::Result<Dataset> {
    let files = list_labeled_files(folder, part);
    let bar = image_files_bar(files.len());
    // Any network will do, because only the normalized image of the digit is used, not the prediction.
    let recognizer = Recognizer::new(pretrained::lenet5().0)?;
    let images: Vec<_> = files
        .par_iter()
        .map(|(_, path)| decode_and_normalize(&recognizer, path))
        .inspect(|_| bar.inc(1))
        .collect();
    bar.finish_and_clear();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for ((digit, path), image) in files.iter().zip(images) {
        match image {
            Ok(image) => {
                pixels.extend(image);
                labels.push(*digit);
            }
            Err(error) => warn(format_args!("left out: {}: {error:#}", path.display())),
        }
    }
    let expected = match part {
        Part::All => "at least 1",
        Part::Of(Split::Train) => "at least 1 to train on",
        Part::Of(Split::Test) => "at least 2 of a digit, the last of which is a test image",
    };
    ensure!(!labels.is_empty(), "{}: images: expected {expected}, found none", folder.display());
    Ok(Dataset::new(pixels, labels)?)
}

/// Lists the labels and the files of a part.
///
/// The files of each digit are spread evenly over the list, so that the last ones, which may be held out, are of all digits.
fn list_labeled_files(folder: &Path, part: Part) -> Vec<(u8, PathBuf)> {
    // Position in the list, as a fraction of its length; digit; file.
    let mut entries = Vec::new();
    for digit in 0..CLASSES as u8 {
        let folder = folder.join(digit.to_string());
        let mut files = if folder.is_dir() { decode::list_files(&folder) } else { Vec::new() };
        let train_len = (files.len() - test_split_len(files.len())).max(1);
        match part {
            Part::All => (),
            Part::Of(Split::Train) => files.truncate(train_len),
            Part::Of(Split::Test) => drop(files.drain(..train_len.min(files.len()))),
        }
        let count = files.len() as f64;
        entries.extend((0..).zip(files).map(|(index, path)| ((f64::from(index) + 0.5) / count, digit, path)));
    }
    entries.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    entries.into_iter().map(|(_, digit, path)| (digit, path)).collect()
}

/// Decodes a file and returns all ink in it as one normalized digit (row, column).
fn decode_and_normalize(recognizer: &Recognizer, path: &Path) -> anyhow::Result<[u8; PIXELS]> {
    let decoded = decode::decode_file(path, decode::DEFAULT_MAX_MEGAPIXELS)?;
    let reading = recognizer.read_single(&decoded.view()?);
    match reading.digits.first() {
        Some(digit) => Ok(digit.normalized),
        None => bail!("{}", joined(&reading.remarks, ", ")),
    }
}
