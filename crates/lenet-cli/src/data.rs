//! Where images come from: the program itself, a folder of IDX files or of pictures, a CSV file, or what `lenet fetch` stored.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use flate2::bufread::MultiGzDecoder;
use lenet::{Dataset, data::idx};

use crate::fetch::Published;

mod csv;
mod image_folder;
#[cfg(test)]
mod tests;

/// A part of a dataset: no image is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// The images to learn from
    Train,
    /// The images to be measured on
    Test,
}

/// The option `--data`, for each command that reads labelled images.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Images to use instead of the MNIST inside the program
    ///
    /// A folder with the four IDX files (train-images-idx3-ubyte ..., raw or .gz); or a .csv file in the form of
    /// Kaggle's Digit Recognizer (label,pixel0,...,pixel783), whose last sixth is the test split and the rest the
    /// training split; or a folder with folders 0 to 9 of pictures, one digit in each, as `lenet recognize --single`
    /// reads them: of every digit the last sixth, by name, is the test split; or mnist, fashion-mnist or kmnist, as
    /// `lenet fetch` stored it.
    #[arg(long, value_name = "FOLDER|FILE.csv|DATASET")]
    data: Option<Source>,
}

impl DataArgs {
    /// Reads one split: at least one image.
    pub fn load(&self, split: Split) -> anyhow::Result<Dataset> {
        self.data.as_ref().map_or_else(|| Ok(built_in(split)), |source| source.load(split))
    }
}

/// A value of `--data`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Published(Published),
    Folder(PathBuf),
    Csv(PathBuf),
}

impl From<OsString> for Source {
    fn from(value: OsString) -> Self {
        let path = PathBuf::from(value);
        if let Some(published) = path.to_str().and_then(|name| Published::from_str(name, false).ok()) {
            Self::Published(published)
        } else if is_csv(&path) {
            Self::Csv(path)
        } else {
            Self::Folder(path)
        }
    }
}

impl Source {
    fn load(&self, split: Split) -> anyhow::Result<Dataset> {
        match self {
            Self::Published(published) => match published.fetched()? {
                Some(folder) => read_folder(&folder, split),
                None if *published == Published::Mnist => Ok(built_in(split)),
                None => bail!(
                    "{}: expected what `lenet fetch {}` puts there, found not all of it",
                    published.folder()?.display(),
                    published.name()
                ),
            },
            Self::Folder(path) if image_folder::is_own(path) => image_folder::read(path, split),
            Self::Folder(path) => read_folder(path, split),
            Self::Csv(path) => read_labelled_csv(path, split),
        }
    }
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

fn built_in(split: Split) -> Dataset {
    match split {
        Split::Train => lenet_mnist::train(),
        Split::Test => lenet_mnist::test(),
    }
}

fn read_folder(folder: &Path, split: Split) -> anyhow::Result<Dataset> {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let images = find(folder, &format!("{prefix}-images-idx3-ubyte"))?;
    let labels = find(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
    let pixels = read_images(&images)?;
    Dataset::new(pixels, read_idx(&labels, idx::read_labels)?).with_context(|| labels.display().to_string())
}

/// The IDX file `name` under one of the names in use: raw or .gz, and with the dot that some archives have.
fn find(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    let mut paths =
        [name, &dotted].into_iter().flat_map(|name| ["", ".gz"].map(|end| format!("{name}{end}")));
    paths.find_map(|name| Some(folder.join(name)).filter(|path| path.exists())).with_context(|| {
        format!(
            "{}: expected a folder with {name}, raw or .gz, or with folders 0 to 9, found neither",
            folder.display()
        )
    })
}

/// Reads an IDX file, through gzip where it begins as gzip does, never further than its header promises.
pub fn read_idx<T>(path: &Path, read: fn(Box<dyn Read>) -> Result<T, lenet::Error>) -> anyhow::Result<T> {
    let open = || -> io::Result<Box<dyn Read>> {
        let mut file = BufReader::new(File::open(path)?);
        let gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        Ok(if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
    };
    let file = open().with_context(|| format!("{}: could not be read", path.display()))?;
    read(file).with_context(|| path.display().to_string())
}

/// Reads images without labels, at least one, from an IDX file or from a CSV file such as Kaggle's test.csv:
/// (image, row, column), each 0 to 255.
pub fn read_images(path: &Path) -> anyhow::Result<Vec<u8>> {
    let pixels = if is_csv(path) { read_csv(path, false)?.1 } else { read_idx(path, idx::read_images)? };
    ensure!(!pixels.is_empty(), "{}: images: expected at least 1, found 0", path.display());
    Ok(pixels)
}

/// Reads a CSV file with labels, such as Kaggle's train.csv: its last sixth for testing, the rest for training.
fn read_labelled_csv(path: &Path, split: Split) -> anyhow::Result<Dataset> {
    let (labels, pixels) = read_csv(path, true)?;
    let all = Dataset::new(pixels, labels).with_context(|| path.display().to_string())?;
    let train = all.len() - all.len().div_ceil(6);
    ensure!(train > 0, "{}: images: expected at least 2, found {}", path.display(), all.len());
    Ok(all.slice(match split {
        Split::Train => 0..train,
        Split::Test => train..all.len(),
    }))
}

/// Reads a CSV file: labels (image), none unless `labelled`, and pixels (image, row, column).
fn read_csv(path: &Path, labelled: bool) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let file = File::open(path).with_context(|| format!("{}: could not be read", path.display()))?;
    csv::parse(BufReader::new(file), labelled).with_context(|| path.display().to_string())
}
