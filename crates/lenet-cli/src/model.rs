//! Models by name, and networks in files.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use lenet::{
    checkpoint, models,
    nn::{Architecture, Network, Scaling},
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
}

impl Model {
    /// Its name, on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
            Self::Lenet5 => "lenet5",
            Self::Vgg => "vgg",
        }
    }

    /// Its layers.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Mlp => models::mlp(),
            Self::Cnn => models::cnn(),
            Self::Lenet5 => models::lenet5(),
            Self::Vgg => models::vgg(),
        }
    }
}

/// A network in a file, for each command that uses a trained one.
#[derive(clap::Args)]
pub struct NetworkArgs {
    /// The network: a .safetensors file that `lenet train` wrote, or that holds a PyTorch state_dict
    file: PathBuf,
    /// The architecture of a file that doesn't tell it, as PyTorch writes them
    #[arg(long, value_name = "MODEL")]
    architecture: Option<Model>,
    /// What that network was trained to be fed, (pixel / 255 - MEAN) / STD [default: 0.1307,0.3081]
    #[arg(long, value_name = "MEAN,STD", value_parser = scaling, requires = "architecture", allow_hyphen_values = true)]
    scaling: Option<Scaling>,
}

fn scaling(text: &str) -> Result<Scaling, String> {
    let numbers = text.split_once(',').and_then(|(mean, std)| Some((mean.parse().ok()?, std.parse().ok()?)));
    match numbers {
        Some((mean, std)) if f32::is_finite(mean) && f32::is_finite(std) && std > 0.0 => {
            Ok(Scaling { mean, std })
        }
        _ => Err("expected two numbers such as 0.1307,0.3081, the second above 0".into()),
    }
}

impl NetworkArgs {
    /// Reads the network.
    pub fn load(&self) -> anyhow::Result<Network> {
        let bytes = read(&self.file)?;
        let network = match self.architecture {
            Some(model) => {
                let scaling = self.scaling.unwrap_or(Scaling::STANDARD);
                checkpoint::from_state_dict(&bytes, model.architecture(), scaling)
            }
            None => checkpoint::from_bytes(&bytes).map(|(network, _)| network),
        };
        network.with_context(|| self.file.display().to_string())
    }
}

/// The network in a file that `lenet train` wrote, or the one inside the program.
pub fn load_or_built_in(path: Option<&Path>) -> anyhow::Result<Network> {
    let path = path.context("--model: expected a file, found none, and no network is inside the program")?;
    Ok(checkpoint::from_bytes(&read(path)?).with_context(|| path.display().to_string())?.0)
}

/// Reads a whole file of a size that a network can have.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    const LIMIT: u64 = 1 << 30;
    let open = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().with_context(|| format!("{}: could not be read", path.display()))?;
    ensure!(
        bytes.len() as u64 <= LIMIT,
        "{}: size: expected at most {LIMIT} bytes, found more",
        path.display()
    );
    Ok(bytes)
}
