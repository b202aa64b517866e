//! `lenet train`: trains a network, shows how it goes, and keeps the result.

use std::{
    fmt::Display,
    io::IsTerminal,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::ArgGroup;
use indicatif::{ProgressBar, ProgressState};
use lenet::{
    Dataset,
    metrics::{self, Evaluation},
    nn::Network,
    recognize,
    train::Checkpoint,
    train::{EpochMetrics, Progress, Trainer},
    weights::{self, Provenance, Validation},
};
use serde_json::json;

use crate::{
    checkpoint::Folder,
    data::{DataArgs, Split},
    eval::headline,
    output::{check_writable, print, tell, write_atomically},
    recipe::RecipeArgs,
    report::Training,
    summary::totals,
    terminal::bar_style,
    weights_file::{self, FormatArgs, Model},
};

/// Train a network, measure it after each epoch, and save it
#[derive(clap::Args)]
#[command(group = ArgGroup::new("format").args(["architecture", "normalize"]).multiple(true).requires("init"))]
pub struct Args {
    /// The network to train [default: that of --init, or lenet5]
    #[arg(value_enum)]
    model: Option<Model>,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Print the recipe as TOML and do nothing else
    #[arg(long)]
    print_recipe: bool,
    /// Seed of the first weights, if they are random, and of the order of the images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Begin with trained weights, not with random ones: lenet5, vgg or handwriting, which are inside the program, or a .safetensors file
    ///
    /// Layers, temperature and threshold are those of the file, and the normalize is, unless the recipe is a file with its own: then
    /// they have to agree. The optimiser begins anew, and so does the moving average of the weights.
    #[arg(long, value_name = "NETWORK")]
    init: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Hold out the last N training images and measure on them: test images are not looked at
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    validate: Option<u32>,
    /// Measure on the test images once, after the last epoch, rather than after each
    #[arg(long, conflicts_with = "validate")]
    test_once: bool,
    /// Keep the whole state of training in a folder, after each epoch
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Go on with the training that kept its state in a folder, to the same network as if it had never stopped
    ///
    /// Model, recipe, seed and threads are those of the state; --data and --validate have to be given as before.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "init", "recipe", "epochs", "batch_size", "seed", "threads", "checkpoint", "print_recipe"])]
    resume: Option<PathBuf>,
    /// Where to save the network [default: MODEL.safetensors]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Save in half precision: half the size, and measured as saved
    #[arg(long)]
    half: bool,
    /// Take the calibration of confidence from a network that the same recipe trained with --validate
    ///
    /// Training with --validate fits on the images held out a temperature and, if the recipe shows what is no digit, the
    /// probability of being one below which 0.5% of them are refused. Training on all images has none left to fit it on.
    #[arg(long, value_name = "FILE", conflicts_with = "validate")]
    twin: Option<PathBuf>,
    /// Write a page about the training: learning curves, confusion matrix, mistakes, recipe and machine
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Print one JSON object for each epoch and a last one with the result
    #[arg(long)]
    json: bool,
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
        start_threads(self.threads.map_or(0, usize::from))
    }
}

/// Starts a number of threads, 0 for one for each core.
fn start_threads(count: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(count).build_global().context("threads could not be started")
}

/// The images that a network is measured on.
struct Measure {
    data: Dataset,
    /// Whether they are training images held out, rather than test images.
    validation: bool,
}

impl Measure {
    /// The images to learn from, and those to measure on: the last `validate` of the training images, or the test
    /// images.
    fn load(data: &DataArgs, validate: Option<u32>) -> anyhow::Result<(Dataset, Self)> {
        let train = data.load(Split::Train)?;
        let Some(held_out) = validate.map(|images| images as usize) else {
            return Ok((train, Self { data: data.load(Split::Test)?, validation: false }));
        };
        let all = train.len();
        ensure!(
            held_out < all,
            "--validate: expected fewer than the {all} training images, found {held_out}"
        );
        let data = train.slice(all - held_out..all);
        Ok((train.slice(0..all - held_out), Self { data, validation: true }))
    }

    fn name(&self) -> &'static str {
        if self.validation { "validation" } else { "test" }
    }

    /// The calibration of `network` that suits these images best.
    fn calibration(&self, network: &Network) -> anyhow::Result<Calibration> {
        let temperature = metrics::temperature(self.data.labels(), &network.logits(self.data.images()));
        let network = network.clone().with_temperature(temperature)?;
        let images = self.data.images();
        let threshold = network.threshold().map(|_| recognize::threshold(&network, images, REFUSED));
        Ok(Calibration { temperature, threshold })
    }

    fn evaluate(&self, network: &Network) -> anyhow::Result<Evaluation> {
        Evaluation::new(self.data.labels(), &network.probabilities(self.data.images())).context(DIVERGED)
    }
}

/// What a network's confidence means.
#[derive(Clone, Copy)]
struct Calibration {
    temperature: f32,
    threshold: Option<f32>,
}

/// Share of true digits that may be refused, so that what is no digit is.
const REFUSED: f64 = 0.005;

/// The calibration of a network that was trained alike, but for images held out.
fn twin_calibration(path: &Path, state: &Checkpoint) -> anyhow::Result<Calibration> {
    let bytes = weights_file::read(path)?;
    let read = || {
        let (twin, Provenance { recipe, init_from, validation, .. }) = weights::from_bytes(&bytes)?;
        ensure!(validation.is_some(), "validation: expected images held out, found none");
        let architecture = state.network().architecture().summary()?;
        let alike = twin.architecture().summary()? == architecture && recipe == *state.recipe();
        ensure!(alike, "recipe: expected the same architecture and recipe, found another");
        let (expected, found) = (state.init_from().unwrap_or("none"), init_from.as_deref().unwrap_or("none"));
        ensure!(expected == found, "--init: expected {expected}, found {found}");
        Ok(Calibration { temperature: twin.temperature(), threshold: twin.threshold() })
    };
    read().with_context(|| path.display().to_string())
}

/// The network that training begins with: a `model`, if one is asked for.
fn init_from(source: &Path, format: &FormatArgs, model: Option<Model>) -> anyhow::Result<Network> {
    let network = format.load(source)?;
    let (found, expected) = (network.architecture().name(), model.map(Model::name));
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        bail!("{}: architecture: expected {expected}, found {found}", source.display());
    }
    Ok(network)
}

const DIVERGED: &str = "training diverged: try another seed or a lower learning rate";

/// Trains and saves. Exit status 130 if Ctrl-C broke it off.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let init_from = args.init.as_deref().map(|init| init_from(init, &args.format, args.model)).transpose()?;
    let named = init_from.as_ref().and_then(|network| Model::named(network.architecture().name()));
    let model = args.model.or(named).unwrap_or(Model::Lenet5);
    let recipe = args.recipe.load(model, init_from.as_ref().map(Network::normalize))?;
    if args.print_recipe {
        print(toml::to_string(&recipe)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let resumed = args.resume.as_deref().map(Folder::open).transpose()?;
    match &resumed {
        Some((_, state)) => start_threads(state.threads())?,
        None => args.threads.start()?,
    }
    let stop = stop_on_ctrl_c()?;
    let (train, measure) = Measure::load(&args.data, args.validate)?;
    let (mut trainer, folder) = match resumed {
        Some((folder, state)) => (
            Trainer::resume(state, &train).with_context(|| folder.file().display().to_string())?,
            Some(folder),
        ),
        None => {
            let network = match init_from {
                Some(network) => network,
                None => Network::new(model.architecture(), recipe.normalize, args.seed)?,
            };
            let folder = args.checkpoint.as_deref().map(Folder::create).transpose()?;
            let trainer = Trainer::new(network, &train, recipe, args.seed)?;
            let trainer = match &args.init {
                Some(init) => trainer.init_from(init.display().to_string()),
                None => trainer,
            };
            (trainer, folder)
        }
    };
    let recipe = trainer.checkpoint().recipe().clone();
    let epochs = recipe.epochs;
    let name = trainer.network().architecture().name().to_owned();
    let path = args.out.unwrap_or_else(|| {
        // A state's file may name its network as it likes, with a path too.
        let name = Path::new(&name).file_name().unwrap_or_default();
        format!("{}.safetensors", name.display()).into()
    });
    let calibration =
        args.twin.as_deref().map(|twin| twin_calibration(twin, trainer.checkpoint())).transpose()?;
    check_writable(&path, size_of_val(trainer.network().parameters()) as u64)?;
    if let Some(report) = &args.report {
        ensure!(
            *report != path,
            "{}: expected another file for --report than for the network, found one for both",
            path.display()
        );
        check_writable(report, 1 << 20)?;
    }
    if let Some(folder) = &folder {
        // Twice, because each state is written beside the one before.
        folder.keep(trainer.checkpoint())?;
        folder.keep(trainer.checkpoint())?;
    }
    let log = Log::new(args.json, epochs, train.len(), measure.name());
    if !args.json {
        log.line(format_args!(
            "{name}: {} parameters{}, {} training images, {} {} images{}, threads: {}",
            totals(trainer.network().architecture())?.0,
            trainer.checkpoint().init_from().map_or(String::new(), |init_from| format!(" of {init_from}")),
            train.len(),
            measure.data.len(),
            measure.name(),
            if measure.validation { " (test images not read)" } else { "" },
            rayon::current_num_threads()
        ))?;
    }

    let started = Instant::now();
    let each = (!args.test_once).then_some(&measure);
    let (mut network, evaluation) = epochs_of(&mut trainer, each, folder.as_ref(), &log, &stop)?;
    let done = trainer.checkpoint().epochs();
    if done == 0 {
        tell("interrupted before the first epoch ended: no network was saved");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if args.half {
        network.round_to_f16();
    }
    let calibration = if measure.validation { Some(measure.calibration(&network)?) } else { calibration };
    if let Some(Calibration { temperature, threshold }) = calibration {
        network = network.with_temperature(temperature)?.with_threshold(threshold)?;
    }
    let evaluation = match evaluation {
        Some(evaluation) if !args.half && calibration.is_none() => evaluation,
        _ => measure.evaluate(&network)?,
    };
    let accuracy = evaluation.accuracy();
    let provenance = Provenance {
        recipe,
        init_from: trainer.checkpoint().init_from().map(str::to_owned),
        seed: trainer.checkpoint().seed(),
        epochs: done,
        test_accuracy: (!measure.validation).then_some(accuracy),
        validation: measure.validation.then_some(Validation { images: measure.data.len(), accuracy }),
        interrupted: done < epochs,
    };
    write_atomically(&path, &weights::to_bytes(&network, &provenance)?)?;
    log.end(&network, &provenance, &evaluation, started.elapsed(), &path)?;
    if let Some(report) = &args.report {
        let mut history = trainer.checkpoint().history().to_vec();
        if let Some(last) = history.last_mut() {
            last.measured = Some(accuracy);
        }
        let training = Training {
            network: &network,
            provenance: &provenance,
            history: &history,
            images: train.len(),
            measured: (measure.name(), &measure.data),
            evaluation: &evaluation,
        };
        write_atomically(report, training.page()?.as_bytes())?;
    }
    if let (true, false, Some(folder)) = (provenance.interrupted, args.json, &folder) {
        log.line(format_args!("go on with --resume {}", folder.path().display()))?;
    }
    Ok(if provenance.interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// Trains to the recipe's end or until `stop`, measuring after each epoch if `measure` is given: the network after the
/// last whole epoch, and its evaluation.
fn epochs_of(
    trainer: &mut Trainer,
    measure: Option<&Measure>,
    folder: Option<&Folder>,
    log: &Log,
    stop: &AtomicBool,
) -> anyhow::Result<(Network, Option<Evaluation>)> {
    let mut evaluation = None;
    let mut network = trainer.network().clone();
    for done in trainer.checkpoint().epochs()..log.epochs {
        log.bar.set_prefix(format!("epoch {:>2}/{}", done + 1, log.epochs));
        let started = Instant::now();
        let observe = |progress: Progress| {
            log.bar.set_position((done * log.images + progress.images) as u64);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let Some(epoch) = trainer.epoch(observe) else { break };
        let time = started.elapsed();
        ensure!(epoch.loss.is_finite(), DIVERGED);
        network = trainer.network().clone();
        evaluation = measure.map(|measure| measure.evaluate(&network)).transpose()?;
        trainer.record_eval(evaluation.as_ref().map(Evaluation::accuracy), time.as_secs_f64());
        if let Some(folder) = folder {
            folder.keep(trainer.checkpoint())?;
        }
        log.epoch(done + 1, epoch, evaluation.as_ref(), time)?;
    }
    log.bar.finish_and_clear();
    Ok((network, evaluation))
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
struct Log {
    json: bool,
    epochs: usize,
    /// Training images.
    images: usize,
    /// Which images the network is measured on.
    measured: &'static str,
    /// Over the images of all epochs; hidden unless a person looks.
    bar: ProgressBar,
}

impl Log {
    fn new(json: bool, epochs: usize, images: usize, measured: &'static str) -> Self {
        let bar = if json || !std::io::stdout().is_terminal() {
            ProgressBar::hidden()
        } else {
            let style = bar_style("{prefix} [{wide_bar}] {speed}, {eta} left").with_key(
                "speed",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0} images/s", state.per_sec());
                },
            );
            ProgressBar::new(epochs as u64 * images as u64).with_style(style)
        };
        Self { json, epochs, images, measured, bar }
    }

    /// Prints a line above the bar.
    fn line(&self, line: impl Display) -> anyhow::Result<()> {
        self.bar.suspend(|| print(format_args!("{line}\n")))
    }

    fn epoch(
        &self,
        number: usize,
        epoch: EpochMetrics,
        evaluation: Option<&Evaluation>,
        time: Duration,
    ) -> anyhow::Result<()> {
        let (seconds, measured) = (time.as_secs_f64(), self.measured);
        if self.json {
            let mut line = json!({
                "epoch": number,
                "loss": epoch.loss,
                "train_accuracy": epoch.accuracy,
                "seconds": seconds,
                "images_per_second": self.images as f64 / seconds,
            });
            if let Some(evaluation) = evaluation {
                line[format!("{measured}_accuracy")] = evaluation.accuracy().into();
            }
            self.line(line)
        } else {
            let accuracy = evaluation.map_or(String::new(), |evaluation| {
                format!("{measured} accuracy {:.2}%, ", 100.0 * evaluation.accuracy())
            });
            self.line(format_args!(
                "epoch {number:>2}/{}: loss {:.4}, {accuracy}{seconds:.1} s",
                self.epochs, epoch.loss
            ))
        }
    }

    fn end(
        &self,
        network: &Network,
        provenance: &Provenance,
        evaluation: &Evaluation,
        time: Duration,
        path: &Path,
    ) -> anyhow::Result<()> {
        let measured = self.measured;
        if self.json {
            let mut line = json!({
                "model": network.architecture().name(),
                "recipe": provenance.recipe.name,
                "seed": provenance.seed,
                "threads": rayon::current_num_threads(),
                "epochs": provenance.epochs,
                "interrupted": provenance.interrupted,
                "seconds": time.as_secs_f64(),
                "file": path.display().to_string(),
            });
            line[format!("{measured}_accuracy")] = evaluation.accuracy().into();
            if let Some(init_from) = &provenance.init_from {
                line["init"] = init_from.as_str().into();
            }
            self.line(line)
        } else {
            self.line(format_args!(
                "{measured} {}\n{}saved {} after {} of {} epochs, {:.1} s",
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
