//! Sources of labeled images: the built-in MNIST, folders of IDX or image files, CSV and NPZ files, and downloaded datasets.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use flate2::bufread::MultiGzDecoder;
use lenet::{Dataset, SIDE, data::idx};

mod content;
pub mod csv;
mod image_folder;
pub mod known_datasets;
pub mod labels_tsv;
pub mod npz;
pub(crate) mod orientation;
#[cfg(test)]
mod tests;

use image_folder::Part;
use known_datasets::KnownDataset;

use crate::format::joined;

/// A part of a dataset. The two parts have no image in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// The training images
    Train,
    /// The test images
    Test,
}

/// Where labeled images are: a value of `--data`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// MNIST in the program, or downloaded if the program has none.
    #[default]
    BuiltInMnist,
    /// A downloaded dataset.
    Known(KnownDataset),
    /// A folder of IDX files, or with a subfolder of image files for each digit, or with such folders for each split.
    Folder(PathBuf),
    /// A CSV file with the columns of Kaggle's Digit Recognizer.
    Csv(PathBuf),
    /// An NPZ file with the arrays of Keras's MNIST.
    Npz(PathBuf),
}

impl From<OsString> for Source {
    fn from(value: OsString) -> Self {
        let path = PathBuf::from(value);
        if let Some(dataset) = path.to_str().and_then(|name| KnownDataset::from_str(name, false).ok()) {
            Self::Known(dataset)
        } else if has_extension(&path, "csv") {
            Self::Csv(path)
        } else if has_extension(&path, "npz") {
            Self::Npz(path)
        } else {
            Self::Folder(path)
        }
    }
}

impl Source {
    /// Reads one split, which has at least one image.
    ///
    /// # Errors
    /// If files are missing, can't be read or are invalid; the message begins with the path.
    pub fn load_split(&self, split: Split) -> anyhow::Result<Dataset> {
        match self {
            Self::BuiltInMnist => match built_in_mnist(split) {
                Some(images) => Ok(images),
                None => Self::Known(KnownDataset::Mnist).load_split(split),
            },
            Self::Known(dataset) => {
                if let Some(folder) = dataset.downloaded_folder()? {
                    return read_idx_folder(&folder, split);
                }
                let is_mnist = *dataset == KnownDataset::Mnist;
                match is_mnist.then(|| built_in_mnist(split)).flatten() {
                    Some(images) => Ok(images),
                    None => bail!(
                        "{}: expected the four files of the dataset, found not all of them: run `lenet fetch {}`",
                        dataset.folder()?.display(),
                        dataset.name()
                    ),
                }
            }
            Self::Folder(path) => read_folder(path, split),
            Self::Csv(path) => read_labeled_csv(path, split),
            Self::Npz(path) => read_npz(path, split),
        }
    }

    /// Reads the images of both splits, at least one.
    ///
    /// # Errors
    /// As [`load_split`](Self::load_split). A folder of image files may have too few for a test split.
    pub fn load_all(&self) -> anyhow::Result<Dataset> {
        match self {
            Self::Folder(path) if image_folder::has_digit_folders(path) => {
                image_folder::read(path, Part::All)
            }
            _ => {
                let [train, test] = [self.load_split(Split::Train)?, self.load_split(Split::Test)?];
                let (images, labels) = ([train.images(), test.images()], [train.labels(), test.labels()]);
                Ok(Dataset::new(images.concat(), labels.concat())?)
            }
        }
    }
}

fn has_extension(path: &Path, expected: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(expected))
}

/// Returns a split of the MNIST in the program, or `None` if the program has none.
#[cfg(feature = "embedded-mnist")]
fn built_in_mnist(split: Split) -> Option<Dataset> {
    Some(match split {
        Split::Train => lenet_mnist::train(),
        Split::Test => lenet_mnist::test(),
    })
}

#[cfg(not(feature = "embedded-mnist"))]
fn built_in_mnist(_: Split) -> Option<Dataset> {
    None
}

/// Reads one split of a folder of IDX or image files.
fn read_folder(folder: &Path, split: Split) -> anyhow::Result<Dataset> {
    let metadata = folder.metadata().with_context(|| {
        let names: Vec<_> = KnownDataset::value_variants().iter().map(|dataset| dataset.name()).collect();
        format!(
            "{}: expected a folder, a .csv or .npz file, or one of {}",
            folder.display(),
            joined(&names, ", ")
        )
    })?;
    if !metadata.is_dir() {
        let mut file = open_file(folder)?;
        let found = content::describe_foreign(file.fill_buf().unwrap_or_default());
        let found = found.unwrap_or_else(|| "a file of another kind".to_owned());
        bail!("{}: expected a folder, a .csv or .npz file, found {found}", folder.display());
    }
    if image_folder::has_digit_folders(folder) {
        image_folder::read(folder, Part::Of(split))
    } else if image_folder::has_split_folders(folder) {
        image_folder::read(&image_folder::split_folder(folder, split)?, Part::All)
    } else {
        read_idx_folder(folder, split)
    }
}

/// Returns the bytes that a file begins with.
fn first_bytes<'a>(file: &'a mut impl BufRead, path: &Path) -> anyhow::Result<&'a [u8]> {
    file.fill_buf().with_context(|| format!("{}: could not be read", path.display()))
}

fn open_file(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("{}: could not be read", path.display()))?;
    Ok(BufReader::new(file))
}

/// Checks that the bytes that a file begins with may be those of a dataset.
fn ensure_may_be_dataset(path: &Path, expected: &str, bytes: &[u8]) -> anyhow::Result<()> {
    match content::describe_foreign(bytes) {
        Some(found) => bail!("{}: expected {expected}, found {found}", path.display()),
        None => Ok(()),
    }
}

fn read_idx_folder(folder: &Path, split: Split) -> anyhow::Result<Dataset> {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let images = find_idx_file(folder, &format!("{prefix}-images-idx3-ubyte"))?;
    let labels = find_idx_file(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
    let pixels = read_unlabeled_images(&images)?;
    Dataset::new(pixels, read_idx_file(&labels, idx::read_labels)?)
        .with_context(|| labels.display().to_string())
}

/// Returns the path of the IDX file `name`, raw or with the suffix .gz. Some archives have `.idx` in the name instead of
/// `-idx`, which is accepted.
fn find_idx_file(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    let mut paths =
        [name, &dotted].into_iter().flat_map(|name| ["", ".gz"].map(|suffix| format!("{name}{suffix}")));
    paths.find_map(|name| Some(folder.join(name)).filter(|path| path.exists())).with_context(|| {
        format!(
            "{}: expected a folder with {name}, raw or .gz, or with folders 0 to 9, found neither",
            folder.display()
        )
    })
}

/// Reads an IDX file, which is decompressed if it begins with the magic number of gzip. The reader stops at the length that
/// the header gives, so that a compressed file can't expand without limit.
///
/// # Errors
/// If the file can't be read or is invalid; the message begins with its path.
pub fn read_idx_file<T>(
    path: &Path,
    read: fn(Box<dyn Read>) -> Result<T, lenet::Error>,
) -> anyhow::Result<T> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    let mut file = open_file(path)?;
    let is_gzip = {
        let start = first_bytes(&mut file, path)?;
        ensure_may_be_dataset(path, "an IDX file, raw or .gz", start)?;
        start.starts_with(&GZIP_MAGIC)
    };
    if !is_gzip {
        return read(Box::new(file)).with_context(|| path.display().to_string());
    }
    let mut file = BufReader::new(MultiGzDecoder::new(file));
    let start = file.fill_buf().with_context(|| format!("{}: could not be decompressed", path.display()))?;
    ensure_may_be_dataset(path, "an IDX file in the .gz file", start)?;
    read(Box::new(file)).with_context(|| path.display().to_string())
}

/// Reads unlabeled images from an IDX file, or from a CSV file such as Kaggle's test.csv: (image, row, column), each 0 to 255.
///
/// # Errors
/// If the file has no image or can't be parsed.
pub(crate) fn read_unlabeled_images(path: &Path) -> anyhow::Result<Vec<u8>> {
    let pixels = if has_extension(path, "csv") {
        read_csv(path, csv::LabelColumn::Absent)?.1
    } else {
        read_idx_file(path, |bytes| idx::read_images(bytes, SIDE, SIDE))?
    };
    ensure!(!pixels.is_empty(), "{}: images: expected at least 1, found 0", path.display());
    Ok(pixels)
}

/// Reads a CSV file with labels, such as Kaggle's train.csv. The last sixth is the test split, the rest the training split.
fn read_labeled_csv(path: &Path, split: Split) -> anyhow::Result<Dataset> {
    let (labels, pixels) = read_csv(path, csv::LabelColumn::Present)?;
    let all = Dataset::new(pixels, labels).with_context(|| path.display().to_string())?;
    let train_len = all.len() - test_split_len(all.len());
    ensure!(train_len > 0, "{}: images: expected at least 2, found {}", path.display(), all.len());
    Ok(all.slice(match split {
        Split::Train => 0..train_len,
        Split::Test => train_len..all.len(),
    }))
}

/// Returns the size of the test split of a dataset without one of its own: a sixth, because MNIST has 10,000 test images to
/// 60,000 training images.
fn test_split_len(len: usize) -> usize {
    len.div_ceil(6)
}

/// Reads a CSV file: labels (image) and pixels (image, row, column).
fn read_csv(path: &Path, labels: csv::LabelColumn) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = open_file(path)?;
    ensure_may_be_dataset(path, "a CSV file", first_bytes(&mut file, path)?)?;
    csv::parse(file, labels).with_context(|| path.display().to_string())
}

/// Reads one split of an NPZ file.
fn read_npz(path: &Path, split: Split) -> anyhow::Result<Dataset> {
    let mut file = open_file(path)?;
    let start = first_bytes(&mut file, path)?;
    if !start.starts_with(&content::ZIP_MAGIC) {
        ensure_may_be_dataset(path, "an NPZ file", start)?;
    }
    npz::parse(file, split).with_context(|| path.display().to_string())
}
