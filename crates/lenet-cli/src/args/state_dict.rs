//! How a command loads trained networks: values `WEIGHTS`, and the options `--architecture` and `--normalize`.

use std::path::Path;

use anyhow::Context;
use lenet::{
    data::Task,
    nn::{Network, Normalize},
    weights::{self, Provenance},
};

use crate::{
    bounded_read::read_file,
    catalog::{ArchitectureName, PretrainedName},
};

/// The options that describe a weights file without lenet's metadata, such as one saved from PyTorch.
#[derive(clap::Args)]
pub struct StateDictArgs {
    /// Architecture of a weights file that doesn't name it, such as a state_dict of PyTorch (.pt or .safetensors): mlp, cnn, lenet5, vgg, vgg_wide, micro, ink or marks
    #[arg(long, hide_possible_values = true)]
    architecture: Option<ArchitectureName>,
    /// Normalization of that file's inputs, (pixel / 255 - MEAN) / STD [default: that of MNIST, 0.1307,0.3081]
    #[arg(
        long,
        alias = "scaling",
        value_name = "MEAN,STD",
        value_parser = parse_normalize,
        requires = "architecture",
        allow_hyphen_values = true,
    )]
    normalize: Option<Normalize>,
}

fn parse_normalize(text: &str) -> Result<Normalize, String> {
    let numbers = text.split_once(',').and_then(|(mean, std)| Some((mean.parse().ok()?, std.parse().ok()?)));
    match numbers {
        Some((mean, std)) if f32::is_finite(mean) && f32::is_finite(std) && std > 0.0 => {
            Ok(Normalize { mean, std })
        }
        _ => Err("expected two finite numbers such as 0.5,0.25, the second above 0".into()),
    }
}

impl StateDictArgs {
    /// Loads a network that classifies digits, as [`load_any_network`](Self::load_any_network).
    pub fn load_network(&self, source: &Path) -> anyhow::Result<Network> {
        let network = self.load_any_network(source)?;
        Task::Digits.check(&network).with_context(|| source.display().to_string())?;
        Ok(network)
    }

    /// Loads a network, as [`load_with_provenance`](Self::load_with_provenance).
    pub fn load_any_network(&self, source: &Path) -> anyhow::Result<Network> {
        Ok(self.load_with_provenance(source)?.0)
    }

    /// Loads a network: `source` is the name of a built-in one or the path of a .safetensors file. The provenance is `None` for a
    /// file without lenet's metadata.
    ///
    /// With `--architecture` it is always a path, so that a file can have the name of a built-in network.
    pub fn load_with_provenance(&self, source: &Path) -> anyhow::Result<(Network, Option<Provenance>)> {
        let built_in = source.to_str().and_then(PretrainedName::from_name);
        if let (None, Some(name)) = (self.architecture, built_in) {
            let (network, provenance) = name.load();
            return Ok((network, Some(provenance)));
        }
        let bytes = read_file(source)?;
        let network = match self.architecture {
            Some(name) => {
                let normalize = self.normalize.unwrap_or(lenet::data::MNIST_NORMALIZE);
                weights::from_state_dict(&bytes, name.architecture(), normalize)
                    .map(|network| (network, None))
            }
            None => weights::from_bytes(&bytes).map(|(network, provenance)| (network, Some(provenance))),
        };
        network.with_context(|| source.display().to_string())
    }
}
