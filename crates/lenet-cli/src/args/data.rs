//! The option `--data`.

use lenet::Dataset;

use crate::data::{Source, Split};

/// The option `--data`, for each command that reads labeled images.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Labeled images to use instead of the built-in MNIST
    ///
    /// - A folder with the four IDX files of MNIST (train-images-idx3-ubyte and so on, raw or .gz).
    ///
    /// - A .csv file with the columns of Kaggle's Digit Recognizer (label,pixel0,...,pixel783). The label may also be the last
    ///   column, and the header may be missing or name pixels 1x1,...,28x28. Its last sixth is the test split.
    ///
    /// - A folder with the subfolders 0 to 9 of image files, each read as one digit, as by `lenet recognize --single`. The last
    ///   sixth of the files of each digit, in the order of their names, is the test split. If the folder has such folders named
    ///   train and test, or training and testing, these are the splits.
    ///
    /// - mnist, fashion-mnist or kmnist, downloaded by `lenet fetch`.
    #[arg(long, value_name = "FOLDER|FILE.csv|DATASET")]
    data: Option<Source>,
}

impl DataArgs {
    /// Reads one split, which has at least one image.
    pub fn load_split(&self, split: Split) -> anyhow::Result<Dataset> {
        self.data.clone().unwrap_or_default().load_split(split)
    }
}
