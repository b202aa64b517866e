//! The option `--data`.

use lenet::Dataset;

use crate::data::{Source, Split};

/// The option `--data`, for each command that reads labeled images.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Labeled images to use instead of the built-in MNIST
    ///
    /// One of:
    /// a folder with the four IDX files of MNIST (train-images-idx3-ubyte, ..., raw or .gz);
    /// a .csv file with the columns of Kaggle's Digit Recognizer (label,pixel0,...,pixel783), whose last sixth is the test split
    /// and the rest the training split;
    /// a folder with the subfolders 0 to 9, each with image files of that digit, which are read like `lenet recognize --single`
    /// reads them: of each digit the last sixth of the files, ordered by name, is the test split;
    /// or mnist, fashion-mnist or kmnist, as downloaded by `lenet fetch`.
    #[arg(long, value_name = "FOLDER|FILE.csv|DATASET")]
    data: Option<Source>,
}

impl DataArgs {
    /// Reads one split, which has at least one image.
    pub fn load(&self, split: Split) -> anyhow::Result<Dataset> {
        self.data.clone().unwrap_or_default().load(split)
    }
}
