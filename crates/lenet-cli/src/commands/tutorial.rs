//! `lenet tutorial`: repeats the PyTorch tutorial and prints its published accuracies beside the new ones.

use std::ops::ControlFlow;

use anyhow::Context;
use clap::ValueEnum;
use lenet::{
    Dataset,
    metrics::Evaluation,
    models,
    nn::Network,
    train::{Trainer, recipes},
};

use crate::{
    args::{DataArgs, ThreadArgs},
    data::Split,
    output::print,
};

/// One of the three networks of the tutorial.
#[derive(Clone, Copy, ValueEnum)]
enum TutorialNetwork {
    Mlp,
    Cnn,
    Lenet5,
}

impl TutorialNetwork {
    fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
            Self::Lenet5 => "lenet5",
        }
    }
}

/// Repeat the PyTorch tutorial, with its published accuracies beside the new ones
#[derive(clap::Args)]
pub struct Args {
    /// Networks to train [default: all three]
    #[arg(value_enum, value_name = "ARCHITECTURE")]
    networks: Vec<TutorialNetwork>,
    /// Train each network N times, with the seeds 0 to N - 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    data: DataArgs,
}

/// Printed at the end.
const TUTORIAL_ERRATA: &str = "\
The tutorial creates its test set with train=True, so its published accuracies
are those on the training images. The last column has the accuracy on the test
images.
Its Normalize((0,), (128,)) is meant for bytes, but the pixels are already
between 0 and 1. The inputs of the two convolutional networks are therefore at
most 0.0078, which is why the tutorial's CNN stops at 88.75% and varies by tens
of percentage points from seed to seed.
";

/// Trains the networks and prints one line an epoch.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.threads.start_thread_pool()?;
    let (train, test) = (args.data.load_split(Split::Train)?, args.data.load_split(Split::Test)?);
    let networks =
        if args.networks.is_empty() { TutorialNetwork::value_variants() } else { &args.networks[..] };
    for &network in networks {
        for seed in 0..args.seeds {
            let suffix = if args.seeds > 1 { format!(", seed {seed}") } else { String::new() };
            print(format_args!("{}{suffix}\n", network.name()))?;
            train_and_print(network.name(), seed, &train, &test)?;
            print("\n")?;
        }
    }
    print(TUTORIAL_ERRATA)
}

/// Trains one network like the tutorial. "Model accuracy" is measured on the training images because the tutorial does so.
fn train_and_print(name: &str, seed: u64, train: &Dataset, test: &Dataset) -> anyhow::Result<()> {
    let known = models::by_name(name).zip(recipes::tutorial(name)).zip(recipes::tutorial_accuracies(name));
    let ((architecture, recipe), published_accuracies) =
        known.context("expected a network of the tutorial")?;
    let untrained = Network::new(architecture, recipe.normalize, seed)?;
    let mut trainer = Trainer::new(untrained, train, recipe, seed)?;
    for (epoch, published) in published_accuracies.into_iter().enumerate() {
        trainer.run_epoch(|_| ControlFlow::Continue(()))?;
        let [train_accuracy, test_accuracy] = [train, test].map(|data| {
            Evaluation::new(data.labels(), &trainer.trained_network().probabilities(data.images()))
                .map(|evaluation| 100.0 * evaluation.accuracy())
        });
        print(format_args!(
            "Epoch {epoch}: model accuracy {:.2}%   published {:.2}%   on test images {:.2}%\n",
            train_accuracy?,
            100.0 * published,
            test_accuracy?
        ))?;
    }
    Ok(())
}
