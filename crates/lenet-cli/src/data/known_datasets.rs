//! Published datasets in the format of MNIST: names, mirrors and checksums.

use std::path::PathBuf;

use anyhow::Context;

/// The file names of every known dataset.
pub(crate) const IDX_FILE_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

/// A published dataset in the format of MNIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KnownDataset {
    /// Handwritten digits; also built into the program
    Mnist,
    /// Clothes (Zalando Research, MIT license)
    FashionMnist,
    /// Cursive hiragana (ROIS-DS Center for Open Data in the Humanities, CC BY-SA 4.0)
    Kmnist,
}

impl KnownDataset {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
        }
    }

    /// Returns the folder to which `lenet fetch` downloads the files by default.
    pub fn folder(self) -> anyhow::Result<PathBuf> {
        let cache = dirs::cache_dir().context("cache folder: expected one for this user, found none")?;
        Ok(cache.join("lenet").join(self.name()))
    }

    /// Returns that folder if it has all files, and otherwise `None`.
    pub fn downloaded_folder(self) -> anyhow::Result<Option<PathBuf>> {
        let folder = self.folder()?;
        Ok(IDX_FILE_NAMES.iter().all(|file| folder.join(file).exists()).then_some(folder))
    }

    /// Returns the URLs of the mirrors.
    pub(crate) fn mirrors(self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => &[
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            ],
            Self::Kmnist => &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        }
    }

    /// Returns the published checksums of [`IDX_FILE_NAMES`], SHA-256 or MD5 in hexadecimal.
    pub(crate) fn checksums(self) -> [&'static str; 4] {
        match self {
            Self::Mnist => [
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ],
            Self::FashionMnist => [
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ],
            Self::Kmnist => [
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ],
        }
    }
}
