//! The options of `lenet train` after validation.

use std::path::{Path, PathBuf};

use anyhow::bail;
use lenet::{
    nn::Network,
    train::{Checkpoint, Recipe},
};

use super::{Args, CheckpointDir, EvalSchedule};
use crate::{
    args::{DataArgs, StateDictArgs, ThreadArgs, start_thread_pool},
    catalog::ArchitectureName,
};

/// The validated settings of `lenet train`.
pub struct Plan {
    pub start: StartPoint,
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
pub enum StartPoint {
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

impl StartPoint {
    /// Starts as many threads as the options say, or as the interrupted training had.
    pub fn start_thread_pool(&self) -> anyhow::Result<()> {
        match self {
            Self::New(training) => training.threads.start_thread_pool(),
            Self::Resume { checkpoint, .. } => start_thread_pool(checkpoint.threads()),
        }
    }
}

impl Plan {
    /// Validates the options, and loads the initial weights and the recipe, or the checkpoint.
    pub fn new(args: Args) -> anyhow::Result<Self> {
        let start = match &args.resume {
            Some(path) => {
                let (dir, checkpoint) = CheckpointDir::open(path)?;
                StartPoint::Resume { dir, checkpoint: Box::new(checkpoint) }
            }
            None => {
                let (initial, recipe) = initial_weights_and_recipe(&args)?;
                let network = match initial {
                    InitialWeights::Trained(network) => network,
                    InitialWeights::Random(name) => {
                        Network::new(name.architecture(), recipe.normalize, args.seed)?
                    }
                };
                StartPoint::New(Box::new(NewTraining {
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
            eval: if args.test_once { EvalSchedule::Last } else { args.eval_schedule },
            out: args.out,
            f16: args.f16,
            calibrate_from: args.calibrate_from,
            report: args.report,
            json: args.json,
        })
    }
}

/// The weights that a new training starts from.
pub enum InitialWeights {
    Random(ArchitectureName),
    Trained(Network),
}

/// Loads the weights of `--init`, if it is given, and the recipe.
pub fn initial_weights_and_recipe(args: &Args) -> anyhow::Result<(InitialWeights, Recipe)> {
    match &args.init {
        None => {
            let name = args.new_architecture.unwrap_or(ArchitectureName::Lenet5);
            Ok((InitialWeights::Random(name), args.recipe.load(name, None)?))
        }
        Some(path) => {
            let network = load_init(path, &args.state_dict_args, args.new_architecture)?;
            let name = ArchitectureName::from_name(network.architecture().name());
            // A file may have an architecture of its own, for which there is no best recipe.
            let recipe_for = args.new_architecture.or(name).unwrap_or(ArchitectureName::Lenet5);
            let recipe = args.recipe.load(recipe_for, Some(network.normalization()))?;
            Ok((InitialWeights::Trained(network), recipe))
        }
    }
}

/// Loads the weights of `--init`, and checks that they have the architecture `expected`, if it is given.
fn load_init(
    path: &Path,
    state_dict_args: &StateDictArgs,
    expected: Option<ArchitectureName>,
) -> anyhow::Result<Network> {
    let network = state_dict_args.load_any_network(path)?;
    let found = network.architecture().name();
    match expected {
        Some(expected) if ArchitectureName::from_name(found) != Some(expected) => {
            bail!("{}: architecture: expected {}, found {found}", path.display(), expected.as_str())
        }
        _ => Ok(network),
    }
}
