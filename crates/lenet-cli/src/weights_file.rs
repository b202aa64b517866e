//! Models by name, and networks in files.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use lenet::{
    models,
    nn::{Architecture, Network, Normalize},
    pretrained,
    weights::{self, Provenance},
};

/// The architectures that the program trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// One hidden layer as wide as the image: the tutorial's "Baseline"
    Mlp,
    /// One convolution, overlapping max-pooling, one hidden layer
    Cnn,
    /// LeCun's network of 1998 as it is taught today
    Lenet5,
    /// Pairs of 3x3 convolutions with batch normalisation: slower and more accurate
    Vgg,
    /// As vgg and wider, to read other people's handwriting and see what is no digit
    Handwriting,
}

impl Model {
    /// Its name, on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
            Self::Lenet5 => "lenet5",
            Self::Vgg => "vgg",
            Self::Handwriting => "handwriting",
        }
    }

    /// The model of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|model| model.name() == name)
    }

    /// Its layers.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Mlp => models::mlp(),
            Self::Cnn => models::cnn(),
            Self::Lenet5 => models::lenet5(),
            Self::Vgg => models::vgg(),
            Self::Handwriting => models::handwriting(),
        }
    }

    /// The trained network that is inside the program, and where it comes from, if there is one.
    pub fn pretrained(self) -> Option<(Network, Provenance)> {
        match self {
            Self::Mlp | Self::Cnn => None,
            Self::Lenet5 => Some(pretrained::lenet5()),
            Self::Vgg => Some(pretrained::vgg()),
            Self::Handwriting => Some(pretrained::handwriting()),
        }
    }
}

/// Where trained networks come from, for each command that uses one.
#[derive(clap::Args)]
pub struct FormatArgs {
    /// The architecture of a file that doesn't tell it, as PyTorch writes them
    #[arg(long, value_name = "MODEL")]
    architecture: Option<Model>,
    /// What that network was trained to be fed, (pixel / 255 - MEAN) / STD [default: mean and deviation of MNIST]
    #[arg(long, alias = "scaling", value_name = "MEAN,STD", value_parser = normalize, requires = "architecture", allow_hyphen_values = true)]
    normalize: Option<Normalize>,
}

fn normalize(text: &str) -> Result<Normalize, String> {
    let numbers = text.split_once(',').and_then(|(mean, std)| Some((mean.parse().ok()?, std.parse().ok()?)));
    match numbers {
        Some((mean, std)) if f32::is_finite(mean) && f32::is_finite(std) && std > 0.0 => {
            Ok(Normalize { mean, std })
        }
        _ => Err("expected two numbers such as 0.5,0.25, the second above 0".into()),
    }
}

impl FormatArgs {
    /// The network of a name, if it is inside the program, or of a file.
    pub fn load(&self, source: &Path) -> anyhow::Result<Network> {
        let shipped = source.to_str().and_then(Model::named).and_then(Model::pretrained);
        if let (None, Some((network, _))) = (self.architecture, shipped) {
            return Ok(network);
        }
        let bytes = read(source)?;
        let network = match self.architecture {
            Some(model) => {
                let normalize = self.normalize.unwrap_or(Normalize::MNIST);
                weights::from_state_dict(&bytes, model.architecture(), normalize)
            }
            None => weights::from_bytes(&bytes).map(|(network, _)| network),
        };
        network.with_context(|| source.display().to_string())
    }
}

/// The network that reads pictures unless another is asked for.
pub const RECOGNIZER: &str = "handwriting";

/// Reads a whole file of a size that a network can have.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || read_all(File::open(path).context("could not be read")?);
    read().with_context(|| path.display().to_string())
}

/// Reads to the end, of as much as fits in memory with ease.
pub fn read_all(from: impl Read) -> anyhow::Result<Vec<u8>> {
    const LIMIT: u64 = 1 << 30;
    let mut bytes = Vec::new();
    from.take(LIMIT + 1).read_to_end(&mut bytes).context("could not be read")?;
    ensure!(bytes.len() as u64 <= LIMIT, "size: expected at most {LIMIT} bytes, found more");
    Ok(bytes)
}
