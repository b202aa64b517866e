//! The recipes of the PyTorch tutorial, and the accuracies that it publishes.

use anyhow::bail;
use lenet::{
    nn::{
        Normalize,
        optim::{Optimizer, Schedule},
    },
    train::Recipe,
};

use crate::catalog::ArchitectureName;

/// One of the three networks of the tutorial.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum TutorialNetwork {
    Mlp,
    Cnn,
    Lenet5,
}

impl TryFrom<ArchitectureName> for TutorialNetwork {
    type Error = anyhow::Error;

    fn try_from(name: ArchitectureName) -> anyhow::Result<Self> {
        match name {
            ArchitectureName::Mlp => Ok(Self::Mlp),
            ArchitectureName::Cnn => Ok(Self::Cnn),
            ArchitectureName::Lenet5 => Ok(Self::Lenet5),
            other => bail!("tutorial: expected mlp, cnn or lenet5, found {}", other.as_str()),
        }
    }
}

impl TutorialNetwork {
    /// Returns the recipe of the tutorial: ten epochs of batches of 100.
    ///
    /// The tutorial applies `Normalize((0,), (128,))` to pixels from 0 to 1, so that the inputs of its convolutional networks
    /// are at most 1/128.
    pub(crate) fn recipe(self) -> Recipe {
        let near_zero = Normalize { mean: 0.0, std: 128.0 };
        let (normalize, optimizer) = match self {
            Self::Mlp => (Normalize::UNIT, Optimizer::Sgd { lr: 0.01, momentum: 0.0, weight_decay: 0.0 }),
            Self::Cnn => (near_zero, Optimizer::Adam { lr: 0.01 }),
            Self::Lenet5 => (near_zero, Optimizer::Adam { lr: 0.001 }),
        };
        Recipe {
            name: "tutorial".into(),
            epochs: 10,
            batch_size: 100,
            schedule: Schedule::Constant,
            normalize,
            optimizer,
            ..Recipe::default()
        }
    }

    /// Returns the accuracies that the tutorial prints after each epoch, in percent.
    pub(crate) fn published_accuracies(self) -> [f64; 10] {
        match self {
            Self::Mlp => [84.11, 87.53, 89.01, 89.76, 90.29, 90.69, 91.10, 91.48, 91.74, 91.96],
            Self::Cnn => [81.74, 85.38, 86.37, 87.75, 88.00, 88.17, 88.81, 88.34, 88.86, 88.75],
            Self::Lenet5 => [89.46, 93.14, 94.69, 95.84, 96.43, 96.99, 97.14, 97.66, 98.05, 98.22],
        }
    }

    /// Returns the architecture.
    pub(crate) fn architecture(self) -> ArchitectureName {
        match self {
            Self::Mlp => ArchitectureName::Mlp,
            Self::Cnn => ArchitectureName::Cnn,
            Self::Lenet5 => ArchitectureName::Lenet5,
        }
    }
}

/// Returns the recipe of the tutorial for an architecture.
///
/// # Errors
/// If the tutorial has no such network.
pub(crate) fn recipe(name: ArchitectureName) -> anyhow::Result<Recipe> {
    Ok(TutorialNetwork::try_from(name)?.recipe())
}
