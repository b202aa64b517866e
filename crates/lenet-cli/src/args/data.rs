//! The options `--data` and `--transpose`.

use anyhow::Context;
use lenet::{Dataset, pretrained};

use crate::{
    data::{
        Source, Split,
        orientation::{self, Deviation},
    },
    output::warn,
};

/// The options `--data` and `--transpose`, for each command that reads labeled images.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Labeled images to use instead of the built-in MNIST
    ///
    /// - A folder with the four IDX files of MNIST (train-images-idx3-ubyte and so on, raw or .gz).
    ///
    /// - A .csv file with the columns of Kaggle's Digit Recognizer (label,pixel0,...,pixel783). The label may also be the last
    ///   column, and the header may be missing or name pixels 1x1,...,28x28. Its last sixth is the test split.
    ///
    /// - A .npz file as Keras ships MNIST: x_train and x_test of uint8 and the shape (n, 28, 28), y_train and y_test of integers.
    ///
    /// - A folder with the subfolders 0 to 9 of image files, each read as one digit, as by `lenet recognize --single`. The last
    ///   sixth of the files of each digit, in the order of their names, is the test split. If the folder has such folders named
    ///   train and test, or training and testing, these are the splits.
    ///
    /// - mnist, fashion-mnist or kmnist, downloaded by `lenet fetch`.
    #[arg(long, value_name = "FOLDER|FILE.csv|FILE.npz|DATASET")]
    data: Option<Source>,
    /// Swap rows and columns of the images of --data, as those of EMNIST need
    #[arg(long, requires = "data")]
    transpose: bool,
}

impl DataArgs {
    /// Returns whether images other than the built-in ones are given.
    pub fn is_given(&self) -> bool {
        self.data.is_some()
    }

    /// Reads one split, which has at least one image.
    pub fn load_split(&self, split: Split) -> anyhow::Result<Dataset> {
        self.transposed(self.data.clone().unwrap_or_default().load_split(split)?)
    }

    /// Reads the images of both splits of --data, at least one.
    ///
    /// # Errors
    /// If --data is not given, and those of [`Source::load_all`].
    pub fn load_all(&self) -> anyhow::Result<Dataset> {
        let source = self.data.as_ref().context("--data: expected labeled images, found none")?;
        self.transposed(source.load_all()?)
    }

    fn transposed(&self, data: Dataset) -> anyhow::Result<Dataset> {
        if !self.transpose {
            return Ok(data);
        }
        let mut images = data.images().to_vec();
        orientation::transpose(&mut images);
        Ok(Dataset::new(images, data.labels().to_vec())?)
    }

    /// Prints a warning if images of --data seem to be transposed or inverted.
    pub fn warn_of_deviation(&self, data: &Dataset) -> anyhow::Result<()> {
        let Some(Source::Folder(path) | Source::Csv(path) | Source::Npz(path)) = &self.data else {
            return Ok(());
        };
        let Some(Deviation { is_transposed, is_inverted }) =
            orientation::find_deviation(data, &pretrained::lenet5().0)?
        else {
            return Ok(());
        };
        if is_transposed {
            let advice = if self.transpose { "omit" } else { "pass" };
            warn(format_args!("{}: looks transposed: {advice} --transpose", path.display()));
        }
        if is_inverted {
            warn(format_args!(
                "{}: looks inverted: expected light digits on a black background, as MNIST's, found dark ones on white",
                path.display()
            ));
        }
        Ok(())
    }
}
