//! `lenet train`: trains a network, shows how it goes, and keeps the result.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use lenet::{
    checkpoint::{self, Provenance},
    metrics::Evaluation,
    nn::Network,
    train::{Epoch, Progress, Recipe, Trainer},
};
use serde_json::json;

use crate::{
    data::{DataArgs, Split},
    eval::headline,
    model::Model,
    output::{check_writable, print, write_atomically},
    tutorial,
};

/// Train a network, measure it on the test images after each epoch, and save it
#[derive(clap::Args)]
pub struct Args {
    /// The network to train
    #[arg(value_enum, default_value_t = Model::Lenet5)]
    model: Model,
    /// How to train it
    #[arg(long, value_enum, default_value_t = RecipeName::Default)]
    recipe: RecipeName,
    /// Times that every image is seen [default: the recipe's, 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    // A step takes memory for each image, and Ctrl-C waits for its end.
    /// Images in a step, at most 4096 [default: the recipe's, 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch_size: Option<u32>,
    /// Seed of the first weights and of the order of the images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Where to save the network [default: MODEL.safetensors]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object for each epoch and a last one with the result
    #[arg(long)]
    json: bool,
}

/// How a network is trained.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RecipeName {
    /// Standardised inputs, Adam, a learning rate that falls along a cosine
    Default,
    /// What the tutorial does, with its mistakes
    Tutorial,
}

/// The option `--threads`.
#[derive(clap::Args)]
pub struct ThreadArgs {
    /// Threads to use [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// Starts the threads.
    pub fn start(&self) -> anyhow::Result<()> {
        let threads = self.threads.map_or(0, usize::from);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .context("threads could not be started")
    }
}

/// A trained network that could be saved, as it was after its last whole epoch.
struct Finished {
    network: Network,
    provenance: Provenance,
    evaluation: Evaluation,
}

/// Trains and saves. Exit status 130 if Ctrl-C broke it off.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let name = args.model.name();
    let path = args.out.unwrap_or_else(|| format!("{name}.safetensors").into());
    check_writable(&path)?;
    args.threads.start()?;

    let mut recipe = match args.recipe {
        RecipeName::Default => Recipe::default(),
        RecipeName::Tutorial => tutorial::recipe(args.model),
    };
    recipe.epochs = args.epochs.map_or(recipe.epochs, |epochs| epochs as usize);
    recipe.batch_size = args.batch_size.map_or(recipe.batch_size, |size| size as usize);
    let epochs = recipe.epochs;

    let stop = stop_on_ctrl_c()?;
    let (train, test) = (args.data.load(Split::Train)?, args.data.load(Split::Test)?);
    let network = Network::new(args.model.architecture(), recipe.scaling, args.seed)?;
    let mut trainer = Trainer::new(network, &train, recipe.clone(), args.seed)?;
    let report = Report::new(args.json, epochs, train.len());
    if !args.json {
        report.line(format_args!(
            "{name}: {} parameters, {} training images, {} test images, threads: {}",
            trainer.network().parameters().len(),
            train.len(),
            test.len(),
            rayon::current_num_threads()
        ))?;
    }

    let started = Instant::now();
    let mut finished: Option<Finished> = None;
    for done in 0..epochs {
        report.bar.set_prefix(format!("epoch {:>2}/{epochs}", done + 1));
        let epoch_started = Instant::now();
        let observe = |progress: Progress| {
            report.bar.set_position((done * train.len() + progress.images) as u64);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let Some(epoch) = trainer.epoch(observe) else { break };
        let time = epoch_started.elapsed();
        let evaluation = Evaluation::new(test.labels(), &trainer.network().predict(test.images()))
            .context("training diverged: try another seed")?;
        report.epoch(done + 1, epoch, evaluation.accuracy(), time)?;
        let provenance = Provenance {
            recipe: recipe.clone(),
            seed: args.seed,
            epochs: done + 1,
            test_accuracy: evaluation.accuracy(),
            interrupted: false,
        };
        finished = Some(Finished { network: trainer.network().clone(), provenance, evaluation });
    }
    report.bar.finish_and_clear();

    let Some(mut finished) = finished else {
        // The exit status says it too, where stderr is closed.
        let _ = writeln!(std::io::stderr(), "interrupted before the first epoch ended: nothing was written");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    finished.provenance.interrupted = finished.provenance.epochs < epochs;
    write_atomically(&path, &checkpoint::to_bytes(&finished.network, &finished.provenance)?)?;
    report.end(&finished, started.elapsed(), &path)?;
    Ok(if finished.provenance.interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// A flag that the first Ctrl-C sets; the second ends the program.
fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("Ctrl-C could not be caught")?;
    Ok(stop)
}

/// How training is told: a bar and lines, or JSON.
struct Report {
    json: bool,
    epochs: usize,
    /// Training images.
    images: usize,
    /// Over the images of all epochs; hidden unless a person looks.
    bar: ProgressBar,
}

impl Report {
    fn new(json: bool, epochs: usize, images: usize) -> Self {
        let bar = if json || !std::io::stdout().is_terminal() {
            ProgressBar::hidden()
        } else {
            let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {speed}, {eta} left")
                // Only a wrong template fails.
                .expect("a good template")
                .with_key("speed", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0} images/s", state.per_sec());
                })
                .progress_chars("=> ");
            ProgressBar::new(epochs as u64 * images as u64).with_style(style)
        };
        Self { json, epochs, images, bar }
    }

    /// Prints a line above the bar.
    fn line(&self, line: impl Display) -> anyhow::Result<()> {
        self.bar.suspend(|| print(format_args!("{line}\n")))
    }

    fn epoch(&self, number: usize, epoch: Epoch, test_accuracy: f64, time: Duration) -> anyhow::Result<()> {
        let seconds = time.as_secs_f64();
        if self.json {
            self.line(json!({
                "epoch": number,
                "loss": epoch.loss,
                "train_accuracy": epoch.accuracy,
                "test_accuracy": test_accuracy,
                "seconds": seconds,
                "images_per_second": self.images as f64 / seconds,
            }))
        } else {
            self.line(format_args!(
                "epoch {number:>2}/{}: loss {:.4}, test accuracy {:.2}%, {seconds:.1} s",
                self.epochs,
                epoch.loss,
                100.0 * test_accuracy
            ))
        }
    }

    fn end(&self, finished: &Finished, time: Duration, path: &Path) -> anyhow::Result<()> {
        let Finished { network, provenance, evaluation } = finished;
        if self.json {
            self.line(json!({
                "model": network.architecture().name(),
                "recipe": provenance.recipe.name,
                "seed": provenance.seed,
                "threads": rayon::current_num_threads(),
                "epochs": provenance.epochs,
                "interrupted": provenance.interrupted,
                "test_accuracy": provenance.test_accuracy,
                "seconds": time.as_secs_f64(),
                "file": path.display().to_string(),
            }))
        } else {
            self.line(format_args!(
                "{}\n{}saved {} after {} of {} epochs, {:.1} s",
                headline(evaluation),
                if provenance.interrupted { "interrupted; " } else { "" },
                path.display(),
                provenance.epochs,
                self.epochs,
                time.as_secs_f64(),
            ))
        }
    }
}
