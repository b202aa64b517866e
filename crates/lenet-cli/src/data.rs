//! Where images come from.

use std::{fs, path::PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use lenet::{Dataset};

/// Half of a dataset: no image is in both.
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
    /// Folder with the four IDX files of a dataset
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// Reads one split.
    pub fn load(&self, split: Split) -> anyhow::Result<Dataset> {
        let Some(folder) = &self.data else {
            return Ok(match split { Split::Train => lenet_mnist::train(), Split::Test => lenet_mnist::test() });
        };
        let prefix = match split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let read = |name: &str, header: usize| {
            let path = folder.join(format!("{prefix}-{name}-ubyte"));
            let mut bytes =
                fs::read(&path).with_context(|| format!("{}: could not be read", path.display()))?;
            ensure!(bytes.len() > header, "{}: expected more bytes, found {}", path.display(), bytes.len());
            Ok(bytes.split_off(header))
        };
        Ok(Dataset::new(read("images-idx3", 16)?, read("labels-idx1", 8)?)?)
    }
}

pub fn read_unlabelled_csv(_: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    anyhow::bail!("not yet")
}
