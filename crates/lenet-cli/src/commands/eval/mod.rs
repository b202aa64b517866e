//! `lenet eval`: evaluates trained networks on labeled images.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::builder::ArgPredicate;
use lenet::{
    data::Task,
    recognize::{Recognizer, RecognizerParams},
};

use crate::{
    args::{ConstraintArgs, DataArgs, StateDictArgs},
    catalog::DEFAULT_RECOGNIZER,
    data::Split,
};

mod classification;
mod recognition;
mod ink;
mod marks;
pub mod metrics;

/// Evaluate a trained network: accuracy, precision and recall of each digit, confusion matrix
///
/// A network that tells ink from rules is evaluated on page patches: precision, recall and F1 of the pixels. One that tells marks
/// is evaluated on parts of lines.
#[derive(clap::Args)]
pub struct Args {
    /// Trained weights: built-in names (see `lenet models`) or .safetensors files
    ///
    /// A file is one that `lenet train` wrote, or a PyTorch state_dict (see --architecture). Several networks are evaluated
    /// one by one, and as an ensemble that averages their probabilities.
    #[arg(
        default_value = "lenet5",
        default_value_if("pictures", ArgPredicate::IsPresent, DEFAULT_RECOGNIZER)
    )]
    weights: Vec<PathBuf>,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Evaluate the recognition of image files instead: a folder with labels.tsv (file, label, source), another .tsv file
    /// (file, label), or an IDX file of images
    ///
    /// Each image is read by the first network as `lenet recognize` does, once with and once without --single. Digits, `?`
    /// and lines are compared with the label, in which `|` separates lines, without spaces and marks, and in the column `text`
    /// with them. A label without digits, or with letters, is of an image without digits.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["split", "data", "json"])]
    pictures: Option<PathBuf>,
    /// With --pictures: skip a stage of the recognition, to measure its effect; may be repeated
    #[arg(long, alias = "without", value_name = "STAGE", requires = "pictures")]
    skip_stage: Vec<String>,
    #[command(flatten, next_help_heading = "Constraints, with --pictures")]
    constraint: ConstraintArgs,
    /// Split to evaluate on
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Also write confusion.png and mistakes.png to a folder, with --pictures only mistakes.png
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the metrics, and writes the figures if `--out` is given.
pub fn run(args: Args) -> anyhow::Result<()> {
    match &args.pictures {
        Some(path) => {
            let recognizer = Recognizer::new(args.state_dict_args.load_network(&args.weights[0])?)?;
            let recognizer = args.constraint.apply(recognizer, RecognizerParams::default())?;
            recognition::run(recognizer, path, &args.skip_stage, args.out.as_deref())
        }
        None => {
            ensure!(
                args.constraint == ConstraintArgs::default(),
                "constraints: expected --pictures, because they hold for lines of digits, found single digits"
            );
            let networks: Vec<_> = args
                .weights
                .iter()
                .map(|path| args.state_dict_args.load_any_network(path))
                .collect::<Result<_, _>>()?;
            let data = args.data.load_split(args.split)?;
            args.data.warn_of_deviation(&data)?;
            if let [network] = &networks[..]
                && let Some(task @ (Task::Ink | Task::Marks)) = Task::of(network)
            {
                let name = network.architecture().name();
                ensure!(args.out.is_none(), "--out: expected a network for digits, found {name}");
                let run = if task == Task::Ink { ink::run } else { marks::run };
                return run(network, &data, args.json);
            }
            for (path, network) in args.weights.iter().zip(&networks) {
                Task::Digits.check(network).with_context(|| path.display().to_string())?;
            }
            let networks = args.weights.iter().map(PathBuf::as_path).zip(networks);
            classification::run(networks, &data, args.json, args.out.as_deref())
        }
    }
}
