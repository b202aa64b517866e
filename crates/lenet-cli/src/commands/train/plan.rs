//! The options of `lenet train` after validation.

use std::path::{Path, PathBuf};

use anyhow::bail;
use lenet::{
    nn::Network,
    train::{Checkpoint, Recipe},
};

use super::{Args, CheckpointDir, EvalSchedule};
use crate::{
    args::{DataArgs, ThreadArgs, WeightsArgs, start_threads},
    catalog::ArchitectureName,
};

/// The validated settings of `lenet train`.
pub struct Plan {
    pub start: Start,
    pub data: DataArgs,
    /// Number of training images to hold out and evaluate on, instead of the test images.
    pub holdout: Option<usize>,
    pub eval: EvalSchedule,
    /// Where to save the weights, if not under the name of the architecture.
    pub out: Option<PathBuf>,
    pub f16: bool,
    pub calibrate_from: Option<PathBuf>,
    pub report: Option<PathBuf>,
    pub json: bool,
}

/// Where training starts from.
pub enum Start {
    /// Random or trained weights.
    New(Box<NewTraining>),
    /// A checkpoint.
    Resume { dir: CheckpointDir, checkpoint: Box<Checkpoint> },
}

/// A training from random or trained weights.
pub struct NewTraining {
    pub network: Network,
    /// Name or path of the trained weights.
    pub init_from: Option<String>,
    pub recipe: Recipe,
    pub seed: u64,
    pub threads: ThreadArgs,
    pub checkpoint_dir: Option<PathBuf>,
}

impl Start {
    /// Starts as many threads as the options say, or as the interrupted training had.
    pub fn start_threads(&self) -> anyhow::Result<()> {
        match self {
            Self::New(training) => training.threads.start(),
            Self::Resume { checkpoint, .. } => start_threads(checkpoint.threads()),
        }
    }
}

impl Plan {
    /// Validates the options, and loads the initial weights and the recipe, or the checkpoint.
    pub fn new(args: Args) -> anyhow::Result<Self> {
        let start = match &args.resume {
            Some(path) => {
                let (dir, checkpoint) = CheckpointDir::open(path)?;
                Start::Resume { dir, checkpoint: Box::new(checkpoint) }
            }
            None => {
                let (initial, recipe) = initial_weights_and_recipe(&args)?;
                let network = match initial {
                    Initial::Trained(network) => network,
                    Initial::Random(name) => Network::new(name.architecture(), recipe.normalize, args.seed)?,
                };
                Start::New(Box::new(NewTraining {
                    network,
                    init_from: args.init.as_deref().map(|path| path.display().to_string()),
                    recipe,
                    seed: args.seed,
                    threads: args.threads,
                    checkpoint_dir: args.checkpoint,
                }))
            }
        };
        Ok(Self {
            start,
            data: args.data,
            holdout: args.holdout.map(|images| images as usize),
            eval: if args.test_once { EvalSchedule::Last } else { args.eval },
            out: args.out,
            f16: args.f16,
            calibrate_from: args.calibrate_from,
            report: args.report,
            json: args.json,
        })
    }
}

/// The weights that a new training starts from.
pub enum Initial {
    Random(ArchitectureName),
    Trained(Network),
}

/// Loads the weights of `--init`, if it is given, and the recipe.
pub fn initial_weights_and_recipe(args: &Args) -> anyhow::Result<(Initial, Recipe)> {
    match &args.init {
        None => {
            let name = args.new_architecture.unwrap_or(ArchitectureName::Lenet5);
            Ok((Initial::Random(name), args.recipe.load(name, None)?))
        }
        Some(path) => {
            let network = load_init(path, &args.weights_args, args.new_architecture)?;
            let name = ArchitectureName::from_name(network.architecture().name());
            // A file may have an architecture of its own, for which there is no best recipe.
            let recipe_for = args.new_architecture.or(name).unwrap_or(ArchitectureName::Lenet5);
            let recipe = args.recipe.load(recipe_for, Some(network.normalize()))?;
            Ok((Initial::Trained(network), recipe))
        }
    }
}

/// Loads the weights of `--init`, and checks that they have the architecture `expected`, if it is given.
fn load_init(
    path: &Path,
    weights_args: &WeightsArgs,
    expected: Option<ArchitectureName>,
) -> anyhow::Result<Network> {
    let network = weights_args.load_any(path)?;
    let found = network.architecture().name();
    match expected {
        Some(expected) if ArchitectureName::from_name(found) != Some(expected) => {
            bail!("{}: architecture: expected {}, found {found}", path.display(), expected.as_str())
        }
        _ => Ok(network),
    }
}
