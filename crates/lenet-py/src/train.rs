//! Training.

use std::{
    ops::ControlFlow,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use lenet::{
    Dataset,
    metrics::Evaluation,
    nn,
    train::{EpochMetrics, Interrupted, Progress, Recipe, Trainer},
    weights::Provenance,
};
use lenet_cli::{DIVERGED_MESSAGE, catalog::ArchitectureName, recipe::RecipeSource};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyTuple},
};
use rayon::ThreadPool;

use crate::{
    arrays::{Images, Labels, dataset},
    error::{Error, OrRaise},
    layers::Architecture,
    network::Network,
    pool,
    reading::from_json,
};

/// How often a training looks for Ctrl-C and reports its progress.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Trains a network; `lenet.train` documents the arguments.
///
/// `on_progress` is called with the epoch from 1, the images done in it and their number. `on_epoch` is called after each
/// epoch with its number, loss, accuracy on the training images, accuracy on the validation images or `None`, and seconds.
/// Training ends early if it returns true.
#[pyfunction]
#[pyo3(signature = (
    images, labels, *, model, recipe, seed, init, epochs, batch_size, validation, threads, on_progress, on_epoch,
))]
#[expect(clippy::too_many_arguments, reason = "`lenet.train` has as many")]
pub fn train(
    py: Python,
    images: &Bound<PyAny>,
    labels: &Bound<PyAny>,
    model: Option<&Bound<PyAny>>,
    recipe: &Bound<PyAny>,
    seed: u64,
    init: Option<&Bound<PyAny>>,
    epochs: Option<usize>,
    batch_size: Option<usize>,
    validation: Option<&Bound<PyTuple>>,
    threads: Option<usize>,
    on_progress: &Bound<PyAny>,
    on_epoch: &Bound<PyAny>,
) -> PyResult<Network> {
    let data = dataset(&Images::extract(images, "images")?, &Labels::extract(labels, "labels")?)?;
    let validation = validation.map(|pair| labeled_images(pair, "validation")).transpose()?;
    let architecture = model.map(Architecture::extract).transpose()?.map(|architecture| architecture.0);
    let init =
        init.map(|init| Ok::<_, PyErr>((Network::from_weights(init)?, init_name(init)?))).transpose()?;

    let name = match (&architecture, &init) {
        (Some(architecture), _) => architecture.name(),
        (None, Some((network, _))) => network.network.architecture().name(),
        (None, None) => "lenet5",
    };
    let mut recipe = load_recipe(recipe, name, init.as_ref().map(|(network, _)| &*network.network))?;
    recipe.epochs = epochs.unwrap_or(recipe.epochs);
    recipe.batch_size = batch_size.unwrap_or(recipe.batch_size);
    let network = match (&init, architecture) {
        (Some((network, _)), None) => (*network.network).clone(),
        (Some((network, name)), Some(expected)) => {
            let found = network.network.architecture();
            if found.name() != expected.name() {
                let (expected, found) = (expected.name(), found.name());
                let message = format!("{name}: architecture: expected {expected}, found {found}");
                return Err(Error::new_err(message));
            }
            (*network.network).clone()
        }
        (None, architecture) => {
            let architecture = architecture.unwrap_or_else(lenet::models::lenet5);
            nn::Network::new(architecture, recipe.normalize, seed).or_raise()?
        }
    };

    let pool = match threads {
        None => pool::shared(py)?,
        Some(threads @ 1..=256) => pool::start(threads)?,
        Some(threads) => {
            return Err(PyValueError::new_err(format!("threads: expected 1 to 256, found {threads}")));
        }
    };
    // The trainer has a worker for each thread of the pool that it is made in.
    let trainer = pool.install(|| Trainer::new(network, &data, recipe, seed)).or_raise()?;
    let trainer = match init {
        Some((_, name)) => trainer.with_init_weights_name(name),
        None => trainer,
    };
    let mut run = Run { pool, trainer, validation, total: data.len(), on_progress, on_epoch };
    while run.train_epoch(py)? == ControlFlow::Continue(()) {}
    run.finish()
}

/// Returns the dataset of a tuple of images and labels, which messages call by `name`.
pub fn labeled_images(pair: &Bound<PyTuple>, name: &str) -> PyResult<Dataset> {
    let (images, labels): (Bound<PyAny>, Bound<PyAny>) = pair.extract()?;
    let [images_name, labels_name] = ["images", "labels"].map(|part| format!("{name} {part}"));
    dataset(&Images::extract(&images, &images_name)?, &Labels::extract(&labels, &labels_name)?)
}

/// Returns how the provenance names initial weights: the path, or the architecture of a network.
pub fn init_name(init: &Bound<PyAny>) -> PyResult<String> {
    match init.cast::<Network>() {
        Ok(network) => Ok(network.get().network.architecture().name().to_owned()),
        Err(_) => Ok(init.extract::<PathBuf>()?.display().to_string()),
    }
}

/// Loads a recipe by name, from a TOML file, or from a dictionary with the same keys. A recipe by name gets the
/// normalization of the initial network.
fn load_recipe(recipe: &Bound<PyAny>, architecture: &str, init: Option<&nn::Network>) -> PyResult<Recipe> {
    if recipe.is_instance_of::<PyDict>() {
        let json: String = recipe.py().import("json")?.call_method1("dumps", (recipe,))?.extract()?;
        let recipe: Recipe = from_json("recipe", &json)?;
        recipe.validate().or_raise()?;
        return Ok(recipe);
    }
    let source = RecipeSource::from(recipe.extract::<PathBuf>()?.into_os_string());
    // An architecture of one's own has no best recipe.
    let name = ArchitectureName::from_name(architecture).unwrap_or(ArchitectureName::Lenet5);
    let mut recipe = source.load(name).or_raise()?;
    if let (Some(init), false) = (init, source.is_file()) {
        recipe.normalize = init.normalization();
    }
    Ok(recipe)
}

/// A training that runs.
struct Run<'a, 'py> {
    pool: Arc<ThreadPool>,
    trainer: Trainer<'a>,
    validation: Option<Dataset>,
    /// Images of an epoch.
    total: usize,
    on_progress: &'a Bound<'py, PyAny>,
    on_epoch: &'a Bound<'py, PyAny>,
}

impl Run<'_, '_> {
    /// Trains for an epoch and reports it. Breaks at the end of the recipe, or if the report asks for it.
    ///
    /// # Errors
    /// Those of the callbacks, Ctrl-C, or divergence.
    fn train_epoch(&mut self, py: Python) -> PyResult<ControlFlow<()>> {
        let number = self.trainer.checkpoint().completed_epochs() + 1;
        let started = Instant::now();
        let Some(metrics) = self.run_interruptibly(py, number)? else { return Ok(ControlFlow::Break(())) };
        let seconds = started.elapsed().as_secs_f64();
        self.trainer.check_divergence().or_raise()?;
        let accuracy = self.validate(py)?;
        self.trainer.record_eval(accuracy, seconds);
        let arguments = (number, metrics.loss, metrics.train_accuracy, accuracy, seconds);
        let stops = self.on_epoch.call1(arguments)?.is_truthy()?;
        Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Trains for an epoch in the pool, while this thread looks for Ctrl-C and reports the progress.
    fn run_interruptibly(&mut self, py: Python, number: usize) -> PyResult<Option<EpochMetrics>> {
        let (interrupted, images) = (AtomicBool::new(false), AtomicUsize::new(0));
        let observe = |progress: Progress| {
            images.store(progress.images, Ordering::Relaxed);
            if interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let (trainer, on_progress, total) = (&mut self.trainer, self.on_progress, self.total);
        let (sender, mut receiver) = sync_channel(1);
        let mut exception = None;
        let result = self.pool.in_place_scope(|scope| {
            scope.spawn(|_| {
                let train = AssertUnwindSafe(|| trainer.run_epoch(observe));
                // The receiver lives as long as the scope.
                let _ = sender.send(panic::catch_unwind(train).ok());
            });
            loop {
                let received;
                (received, receiver) = py.detach(move || (receiver.recv_timeout(POLL_INTERVAL), receiver));
                match received {
                    Ok(result) => return result,
                    Err(_) if exception.is_some() => {}
                    Err(_) => {
                        let report = || on_progress.call1((number, images.load(Ordering::Relaxed), total));
                        exception = py.check_signals().and_then(|()| report()).err();
                        interrupted.store(exception.is_some(), Ordering::Relaxed);
                    }
                }
            }
        });
        match (exception, result) {
            (Some(exception), _) => Err(exception),
            (None, Some(Ok(metrics))) => Ok(metrics),
            (None, Some(Err(Interrupted { .. }))) => Ok(None),
            (None, None) => Err(PyRuntimeError::new_err(pool::PANIC_MESSAGE)),
        }
    }

    /// Returns the accuracy on the validation images.
    fn validate(&self, py: Python) -> PyResult<Option<f64>> {
        let Some(data) = &self.validation else { return Ok(None) };
        let (pool, network) = (&*self.pool, self.trainer.trained_network());
        let evaluate = || Evaluation::new(data.labels(), &network.probabilities(data.images()));
        let evaluation = py.detach(|| pool.install(evaluate)).context(DIVERGED_MESSAGE).or_raise()?;
        Ok(Some(evaluation.accuracy()))
    }

    /// Returns the network with its provenance.
    fn finish(self) -> PyResult<Network> {
        let checkpoint = self.trainer.checkpoint();
        let provenance = Provenance {
            recipe: checkpoint.recipe().clone(),
            init_from: checkpoint.init_weights_name().map(str::to_owned),
            seed: checkpoint.seed(),
            epochs: checkpoint.completed_epochs(),
            test_accuracy: None,
            holdout: None,
            interrupted: checkpoint.completed_epochs() < checkpoint.recipe().epochs,
        };
        Network::new(self.trainer.into_trained_network(), Some(provenance)).or_raise()
    }
}
