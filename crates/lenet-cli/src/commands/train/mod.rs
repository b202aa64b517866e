//! `lenet train`: trains a network, prints the metrics of each epoch, and saves the weights.
//!
//! [`Args`] are the options as given, [`Plan`] the options after validation, and [`run`] carries out the plan.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::{Context, ensure};
use clap::{ArgGroup, ValueEnum};
use lenet::{
    Dataset,
    data::Task,
    nn::Network,
    train::{Interrupted, Progress, Trainer},
    weights::{self, HoldoutMetrics, Provenance},
};
use lenet_report::{Score, TrainingReport};

use crate::{
    EXIT_SUCCESS,
    args::{DataArgs, RecipeArgs, StateDictArgs, ThreadArgs},
    catalog::ArchitectureName,
    output::{check_writable, print, warn, write_atomically},
};

mod calibration;
mod checkpoint_dir;
mod eval_set;
pub(super) mod interrupt;
mod machine;
mod plan;
mod progress;

use calibration::Calibration;
use checkpoint_dir::CheckpointDir;
use eval_set::EvalSet;
use plan::{NewTraining, Plan, StartPoint};
use progress::ProgressLog;

/// Train a network, evaluate it after each epoch, and save its weights
#[derive(clap::Args)]
#[command(group = ArgGroup::new("weights_format").args(["architecture", "normalize"]).multiple(true).requires("init"))]
pub struct Args {
    /// Architecture to train [default: that of --init, or lenet5]
    #[arg(value_enum, id = "new_architecture", value_name = "ARCHITECTURE")]
    new_architecture: Option<ArchitectureName>,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Print the recipe as TOML and exit
    #[arg(long)]
    print_recipe: bool,
    /// Seed of the random initial weights, of the order of the images, and of augmentation and dropout
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Start from trained weights instead of random ones: a built-in name (see `lenet models`) or a .safetensors file
    ///
    /// The architecture, the temperature and the rejection threshold are those of the weights. So is the normalization, unless
    /// --recipe is a file: then both must have the same. The state of the optimizer and the moving average of the weights start
    /// from zero.
    #[arg(long, value_name = "WEIGHTS")]
    init: Option<PathBuf>,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Hold out the last N training images and evaluate on them; the test images are not read
    ///
    /// An ink network is evaluated on page patches with digits of these images, as otherwise with those of the test images.
    /// Its figure is the F1 score of the pixels that show ink.
    #[arg(long, alias = "validate", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    holdout: Option<u32>,
    /// When to evaluate
    #[arg(long, alias = "eval", value_enum, value_name = "WHEN", default_value_t = EvalSchedule::EveryEpoch)]
    eval_schedule: EvalSchedule,
    /// The earlier name of `--eval-schedule last`.
    #[arg(long, hide = true, conflicts_with_all = ["holdout", "eval_schedule"])]
    test_once: bool,
    /// Save a checkpoint to a folder after each epoch, from which --resume continues
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Continue a training from its checkpoint; the result is bit-identical to that of an uninterrupted training
    ///
    /// Architecture, recipe, seed and number of threads are those of the checkpoint. --data and --holdout must be given as
    /// before.
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "new_architecture", "init", "recipe", "epochs", "batch_size", "seed", "threads", "checkpoint", "print_recipe",
    ])]
    resume: Option<PathBuf>,
    /// Where to save the weights [default: ARCHITECTURE.safetensors]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Round the weights to half precision (f16): half the file size; the rounded network is evaluated
    #[arg(long, alias = "half")]
    f16: bool,
    /// Copy the confidence calibration of a network that was trained with the same recipe and --holdout
    ///
    /// With --holdout, the temperature is fitted on the held-out images, and so is the rejection threshold if the recipe
    /// trains on outliers: the threshold rejects 0.5% of the held-out images. A training on all images has no held-out
    /// images to fit them on.
    #[arg(long, alias = "twin", value_name = "FILE", conflicts_with = "holdout")]
    calibrate_from: Option<PathBuf>,
    /// Write an HTML report: learning curves, confusion matrix, mistakes, recipe and machine
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Print one JSON object for each epoch and one for the result
    #[arg(long)]
    json: bool,
}

/// A value of `--eval-schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EvalSchedule {
    /// After each epoch
    EveryEpoch,
    /// Once, after the last epoch
    Last,
}

/// The error of a training whose probabilities are not finite.
pub const DIVERGED_MESSAGE: &str = "training diverged: try another seed or a lower learning rate";

/// Trains and saves a network. The exit status is 130 if Ctrl-C interrupted the training.
pub fn run(args: Args) -> anyhow::Result<u8> {
    if args.print_recipe {
        let (_, recipe) = plan::initial_weights_and_recipe(&args)?;
        print(toml::to_string(&recipe)?)?;
        return Ok(EXIT_SUCCESS);
    }
    let plan = Plan::new(args)?;
    plan.start.start_thread_pool()?;
    let interrupted = interrupt::ctrl_c_flag()?;
    let (train, eval_set) = EvalSet::load_train_and_eval(&plan.data, plan.holdout)?;
    plan.data.warn_of_deviation(&train)?;
    let (mut trainer, checkpoint_dir) = create_trainer(plan.start, &train)?;

    ensure!(
        plan.calibrate_from.is_none() || Task::of(trainer.trained_network()) == Some(Task::Digits),
        "--calibrate-from: expected a network for digits, found {}",
        trainer.trained_network().architecture().name()
    );
    let calibration = plan
        .calibrate_from
        .as_deref()
        .map(|path| Calibration::from_weights_file(path, trainer.checkpoint()))
        .transpose()?;
    let out = plan.out.unwrap_or_else(|| default_out(trainer.trained_network()));
    check_outputs(&trainer, &out, plan.report.as_deref(), checkpoint_dir.as_ref())?;

    let log = ProgressLog::new(plan.json, trainer.checkpoint().recipe().epochs, train.len(), eval_set.name());
    log.print_setup(trainer.checkpoint(), &eval_set)?;
    let started = Instant::now();
    let eval_each = (plan.eval == EvalSchedule::EveryEpoch).then_some(&eval_set);
    let evaluation = train_epochs(&mut trainer, eval_each, checkpoint_dir.as_ref(), &log, &interrupted)?;
    if trainer.checkpoint().completed_epochs() == 0 {
        warn("interrupted before the first epoch ended: no network was saved");
        return Ok(interrupt::EXIT_INTERRUPTED);
    }

    let (network, evaluation) = round_calibrate_and_evaluate(
        trainer.trained_network().clone(),
        evaluation,
        plan.f16,
        calibration,
        &eval_set,
    )?;
    let provenance = provenance(&trainer, &eval_set, &evaluation);
    write_atomically(&out, &weights::to_bytes(&network, &provenance)?)?;
    log.print_result(&network, &provenance, &evaluation, started.elapsed(), &out)?;
    if let Some(path) = &plan.report {
        write_report(path, &network, &provenance, &trainer, train.len(), &eval_set, &evaluation)?;
    }
    if !provenance.interrupted {
        return Ok(EXIT_SUCCESS);
    }
    if let Some(dir) = &checkpoint_dir {
        log.hint_resume(dir.path())?;
    }
    Ok(interrupt::EXIT_INTERRUPTED)
}

/// Creates the trainer, and opens or creates the checkpoint folder.
fn create_trainer(
    start: StartPoint,
    train: &Dataset,
) -> anyhow::Result<(Trainer<'_>, Option<CheckpointDir>)> {
    match start {
        StartPoint::Resume { dir, checkpoint } => {
            let trainer = Trainer::resume(*checkpoint, train)
                .with_context(|| dir.checkpoint_path().display().to_string())?;
            Ok((trainer, Some(dir)))
        }
        StartPoint::New(training) => {
            let NewTraining { network, init_from, recipe, seed, checkpoint_dir, .. } = *training;
            let dir = checkpoint_dir.as_deref().map(CheckpointDir::create).transpose()?;
            let trainer = Trainer::new(network, train, recipe, seed)?;
            let trainer = match init_from {
                Some(init_from) => trainer.with_init_weights_name(init_from),
                None => trainer,
            };
            Ok((trainer, dir))
        }
    }
}

/// Returns the default of `--out`. Only the file name is used, because the name of an architecture in a checkpoint file is
/// untrusted and may be a path.
fn default_out(network: &Network) -> PathBuf {
    let name = Path::new(network.architecture().name()).file_name().unwrap_or_default();
    format!("{}.safetensors", name.display()).into()
}

/// Checks that all files can be written before the training starts, and saves the initial checkpoint.
fn check_outputs(
    trainer: &Trainer,
    out: &Path,
    report: Option<&Path>,
    checkpoint_dir: Option<&CheckpointDir>,
) -> anyhow::Result<()> {
    /// About the size of a report, in bytes.
    const REPORT_LEN: u64 = 1 << 20;
    check_writable(out, size_of_val(trainer.trained_network().parameters()) as u64)?;
    if let Some(report) = report {
        ensure!(
            report != out,
            "{}: expected different files for --report and --out, found the same",
            out.display()
        );
        check_writable(report, REPORT_LEN)?;
    }
    if let Some(dir) = checkpoint_dir {
        // Saved twice, because a checkpoint is written beside the previous one, so that both need disk space.
        dir.save(trainer.checkpoint())?;
        dir.save(trainer.checkpoint())?;
    }
    Ok(())
}

/// Trains until the recipe ends or `interrupted` is set. Evaluates after each epoch if `eval_set` is given.
///
/// Returns the evaluation of the network after the last complete epoch. An interrupted epoch has no effect on the trainer.
fn train_epochs(
    trainer: &mut Trainer,
    eval_set: Option<&EvalSet>,
    checkpoint_dir: Option<&CheckpointDir>,
    log: &ProgressLog,
    interrupted: &AtomicBool,
) -> anyhow::Result<Option<Score>> {
    let mut evaluation = None;
    let first = trainer.checkpoint().completed_epochs() + 1;
    for number in first..=trainer.checkpoint().recipe().epochs {
        log.begin_epoch(number);
        let started = Instant::now();
        let observe = |progress: Progress| {
            log.advance(number, progress.images);
            if interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let metrics = match trainer.run_epoch(observe) {
            Ok(Some(metrics)) => metrics,
            Ok(None) | Err(Interrupted { .. }) => break,
        };
        let time = started.elapsed();
        trainer.check_divergence()?;
        evaluation = eval_set.map(|eval_set| eval_set.evaluate(trainer.trained_network())).transpose()?;
        trainer.record_eval(evaluation.as_ref().map(Score::value), time.as_secs_f64());
        if let Some(dir) = checkpoint_dir {
            dir.save(trainer.checkpoint())?;
        }
        log.end_epoch(number, &metrics, evaluation.as_ref(), time)?;
    }
    log.clear();
    Ok(evaluation)
}

/// Rounds and calibrates a trained network, and evaluates the result, unless `evaluation` still holds for it.
fn round_calibrate_and_evaluate(
    mut network: Network,
    evaluation: Option<Score>,
    f16: bool,
    calibration: Option<Calibration>,
    eval_set: &EvalSet,
) -> anyhow::Result<(Network, Score)> {
    if f16 {
        network.round_to_f16();
    }
    let fits = eval_set.is_holdout() && Task::of(&network) == Some(Task::Digits);
    let calibration = if fits { Some(Calibration::fit(&network, eval_set.data())?) } else { calibration };
    let is_unchanged = !f16 && calibration.is_none();
    if let Some(calibration) = calibration {
        network = calibration.apply(network)?;
    }
    let evaluation = match evaluation {
        Some(evaluation) if is_unchanged => evaluation,
        _ => eval_set.evaluate(&network)?,
    };
    Ok((network, evaluation))
}

/// Returns the metadata that is saved with the weights.
fn provenance(trainer: &Trainer, eval_set: &EvalSet, evaluation: &Score) -> Provenance {
    let (checkpoint, accuracy) = (trainer.checkpoint(), evaluation.value());
    let holdout = HoldoutMetrics { images: eval_set.data().len(), accuracy };
    Provenance {
        recipe: checkpoint.recipe().clone(),
        init_from: checkpoint.init_weights_name().map(str::to_owned),
        seed: checkpoint.seed(),
        epochs: checkpoint.completed_epochs(),
        test_accuracy: (!eval_set.is_holdout()).then_some(accuracy),
        holdout: eval_set.is_holdout().then_some(holdout),
        interrupted: checkpoint.completed_epochs() < checkpoint.recipe().epochs,
    }
}

fn write_report(
    path: &Path,
    network: &Network,
    provenance: &Provenance,
    trainer: &Trainer,
    train_images: usize,
    eval_set: &EvalSet,
    evaluation: &Score,
) -> anyhow::Result<()> {
    let mut history = trainer.checkpoint().history().to_vec();
    if let Some(last) = history.last_mut() {
        last.eval_accuracy = Some(evaluation.value());
    }
    let training = TrainingReport {
        network,
        provenance,
        history: &history,
        train_images,
        eval_name: eval_set.name(),
        eval_data: eval_set.data(),
        evaluation,
        machine: &machine::this_machine(),
        time: &machine::utc_time(),
    };
    write_atomically(path, training.page()?.as_bytes())
}
