//! The loop over epochs and batches.

use std::{
    hint::black_box,
    ops::{ControlFlow, Range},
};

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};

use super::{checkpoint::Checkpoint, history::EpochMetrics, recipe::Recipe, sample_source::SampleSource};
use crate::{
    Dataset, Error, Interrupted,
    data::{Task, synthetic::page},
    error::ensure_setting,
    nn::{
        BatchContext, BatchMetrics, DataParallel, Network, Targets, Worker,
        optim::{OptimizerState, ParameterEma},
        smooth_targets,
    },
};

/// Progress within an epoch, reported after each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Images of this epoch that were trained on.
    pub images: usize,
    /// Images per epoch.
    pub total: usize,
}

/// Steps in which the loss may be [`MAX_INITIAL_LOSS_RATIO`] times that of equal probabilities, because random weights can have a
/// higher loss.
const INITIAL_STEPS: usize = 100;
const MAX_INITIAL_LOSS_RATIO: f64 = 10.0;

/// Trains a network on a dataset, one epoch per call.
///
/// A network for [`Task::Digits`] is trained on the images of the dataset. A network for [`Task::Ink`] is trained on
/// [page patches](page::PagePatch), and one for [`Task::Marks`] on [parts of lines](crate::data::synthetic::MarkSample), drawn
/// with digits of the dataset: new ones in each epoch, as many as the dataset has images.
///
/// Each step splits its batch between the threads of the current rayon pool. Every thread runs the forward and backward pass on
/// its chunk with a gradient of its own, and the gradients are added in a fixed order: the same seed, recipe and number of
/// threads give the same bits.
///
/// After an optional first epoch, which may start threads, a step allocates no memory, unless the recipe has
/// [`synthetic`](Recipe::synthetic) data or the network is not for [`Task::Digits`]: drawing a synthetic sample allocates canvases of a
/// bounded size and frees them before the sample is trained on.
pub struct Trainer<'a> {
    checkpoint: Checkpoint,
    /// State at the start of the epoch, restored if the epoch is interrupted.
    snapshot: Snapshot,
    data: &'a Dataset,
    targets: Targets<'a>,
    workers: DataParallel,
    /// One for each worker.
    sources: Vec<SampleSource>,
}

impl<'a> Trainer<'a> {
    /// Prepares training of `network` on `data`, with one worker for each thread of the current rayon pool.
    ///
    /// If the recipe [trains outliers](Recipe::trains_outliers), the network gets an
    /// [outlier class](crate::nn::Architecture::with_implicit_outlier_class). Its rejection threshold stays as it is, because the
    /// trainer has no images on which to fit one.
    ///
    /// # Errors
    /// [`Error::NoImages`] if `data` is empty, [`Error::WrongTask`] if the network has no [`Task`],
    /// [`Error::InvalidSetting`] if its task is another than [`Task::Digits`] and the recipe has settings for digits, [`Error::NormalizeMismatch`] if
    /// the recipe and the network normalize pixels differently, or an error of [`Recipe::validate`].
    pub fn new(mut network: Network, data: &'a Dataset, recipe: Recipe, seed: u64) -> Result<Self, Error> {
        recipe.validate()?;
        if network.normalization() != recipe.normalize {
            return Err(Error::NormalizeMismatch {
                network: network.normalization(),
                recipe: recipe.normalize,
            });
        }
        if let Some(p) = recipe.dropout {
            network.set_dropout(p);
        }
        if recipe.trains_outliers() {
            network = network.with_implicit_outlier_class();
        }
        match Task::of(&network) {
            Some(Task::Digits) => {}
            Some(Task::Ink) => {
                validate_for_drawn_samples(&recipe)?;
                network = network.with_input_size(page::PATCH_SIDE, page::PATCH_SIDE)?;
            }
            Some(Task::Marks) => validate_for_drawn_samples(&recipe)?,
            None => Task::Digits.check(&network)?,
        }
        let threads = worker_count(&recipe);
        Self::from_checkpoint(Checkpoint::new(network, recipe, seed, threads, data), data)
    }

    /// Resumes training from `checkpoint`, with the same bits as without the interruption.
    ///
    /// # Errors
    /// [`Error::DatasetMismatch`] if `data` is not the dataset that training started with, and
    /// [`Error::ThreadCountMismatch`] if the rayon pool has another number of threads than
    /// [`Checkpoint::threads`].
    pub fn resume(checkpoint: Checkpoint, data: &'a Dataset) -> Result<Self, Error> {
        if checkpoint.data != data.digest() {
            return Err(Error::DatasetMismatch { found: data.len() });
        }
        let (expected, found) = (checkpoint.threads, worker_count(&checkpoint.recipe));
        if expected != found {
            return Err(Error::ThreadCountMismatch { expected, found });
        }
        Self::from_checkpoint(checkpoint, data)
    }

    fn from_checkpoint(checkpoint: Checkpoint, data: &'a Dataset) -> Result<Self, Error> {
        if data.is_empty() {
            return Err(Error::NoImages);
        }
        let workers =
            DataParallel::new(&checkpoint.network, checkpoint.recipe.batch_size, checkpoint.threads);
        let task = Task::of(&checkpoint.network).unwrap_or(Task::Digits);
        let sources =
            workers.worker_capacities().map(|samples| SampleSource::new(task, &checkpoint.recipe, samples));
        let sources = sources.collect::<Result<_, _>>()?;
        let snapshot = Snapshot::new(&checkpoint);
        let targets = Targets::Labels(data.labels());
        Ok(Self { checkpoint, snapshot, data, targets, workers, sources })
    }

    /// Records in the checkpoint the name of the weights that training started from.
    pub fn with_init_weights_name(mut self, name: impl Into<String>) -> Self {
        self.checkpoint.init_from = Some(name.into());
        self
    }

    /// Trains on rows of probabilities `(image, class)` instead of the labels. The rows are not part of the checkpoint.
    ///
    /// # Panics
    /// If there is not one row for each image.
    pub fn with_soft_targets(mut self, rows: &'a [[f32; crate::CLASSES]]) -> Self {
        assert_eq!(rows.len(), self.data.len(), "one row for each image");
        self.targets = Targets::Probabilities(rows.as_flattened());
        self
    }

    /// Returns the network after the last whole epoch: with averaged parameters if the recipe has an
    /// [`ema`](Recipe::ema).
    pub fn trained_network(&self) -> &Network {
        self.checkpoint.trained_network()
    }

    /// Returns the network as [`trained_network`](Self::trained_network) does.
    pub fn into_trained_network(self) -> Network {
        self.checkpoint.average.unwrap_or(self.checkpoint.network)
    }

    /// Returns the state after the last whole epoch.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Adds to the history of the last epoch its evaluation on other images, a fraction, and its duration in seconds. Training
    /// depends on neither.
    pub fn record_eval(&mut self, eval_accuracy: Option<f64>, seconds: f64) {
        if let Some(epoch) = self.checkpoint.history.last_mut() {
            (epoch.eval_accuracy, epoch.seconds) = (eval_accuracy, Some(seconds));
        }
    }

    /// Checks that the training has not diverged: that the loss of the last epoch is finite, and that those of the last two are
    /// not both above the loss of a network that gives all classes the same probability, which is `ln 10` for ten classes.
    ///
    /// In the first 100 steps, the loss may be ten times as high, because random weights can have a higher loss.
    ///
    /// # Errors
    /// [`Error::Diverged`] otherwise.
    pub fn check_divergence(&self) -> Result<(), Error> {
        let Checkpoint { history, recipe, network, .. } = &self.checkpoint;
        let (epoch, max) = (history.len(), network.architecture().prediction_kind().uniform_loss());
        let steps = epoch * self.data.len().div_ceil(recipe.batch_size);
        let limit = if steps < INITIAL_STEPS { MAX_INITIAL_LOSS_RATIO * max } else { max };
        let has_diverged = match history.as_slice() {
            [.., last] if !last.loss.is_finite() => true,
            [.., previous, last] => previous.loss > limit && last.loss > limit,
            _ => false,
        };
        match history.last() {
            Some(EpochMetrics { loss, .. }) if has_diverged => {
                Err(Error::Diverged { epoch, loss: *loss, max })
            }
            _ => Ok(()),
        }
    }

    /// Trains for one epoch: once on every image, in a new random order. Calls `observe` after each step.
    ///
    /// Returns the metrics of the epoch, or `None` if all epochs of the recipe are done.
    ///
    /// # Errors
    /// [`Interrupted`] if `observe` returns [`ControlFlow::Break`]. The trainer then discards the steps of this epoch: its
    /// network and checkpoint are those of the end of the last whole epoch.
    pub fn run_epoch(
        &mut self,
        observe: impl FnMut(Progress) -> ControlFlow<()> + Send,
    ) -> Result<Option<EpochMetrics>, Interrupted> {
        // Inside the pool, each fork of a step needs one wake-up less.
        rayon::scope(|_| self.run_epoch_in_pool(observe))
    }

    fn run_epoch_in_pool(
        &mut self,
        mut observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<EpochMetrics>, Interrupted> {
        let Checkpoint { seed, recipe: Recipe { epochs, batch_size, .. }, .. } = self.checkpoint;
        let done = self.checkpoint.completed_epochs();
        if done == epochs {
            return Ok(None);
        }
        self.snapshot.capture(&self.checkpoint);
        let total = self.data.len();
        let mut random = Pcg64Mcg::seed_from_u64(seed ^ ((done as u64 + 1) << 32));
        let order = shuffled(total, &mut random);
        let steps = total.div_ceil(batch_size);
        let (mut loss, mut correct) = (0.0, 0.0);
        for (step, batch) in order.chunks(batch_size).enumerate() {
            let lr = self.checkpoint.recipe.learning_rate(done * steps + step, epochs * steps);
            let (batch_loss, batch_correct) = self.step(batch, random.next_u64(), lr as f32);
            loss += batch_loss;
            correct += batch_correct;
            let images = total.min((step + 1) * batch_size);
            if observe(Progress { images, total }).is_break() {
                self.snapshot.restore(&mut self.checkpoint);
                return Err(Interrupted { epoch: done + 1 });
            }
        }
        let epoch = EpochMetrics {
            loss: loss / total as f64,
            train_accuracy: correct / total as f64,
            eval_accuracy: None,
            seconds: None,
        };
        self.checkpoint.history.push(epoch);
        Ok(Some(epoch))
    }

    /// Runs one optimizer step on the images with the indices `batch`, with random numbers that follow from `key`. Returns the
    /// summed loss and the number of correctly classified images.
    fn step(&mut self, batch: &[u32], key: u64, lr: f32) -> (f64, f64) {
        let Self {
            checkpoint: Checkpoint { network, average, optimizer, recipe, .. },
            data,
            targets,
            workers,
            sources,
            ..
        } = self;
        let (trained, data, targets) = (&*network, *data, *targets);
        let label_smoothing = recipe.label_smoothing;
        let load = |samples: Range<usize>, worker: &mut Worker, source: &mut SampleSource| {
            let (first, indices) = (samples.start, &batch[samples]);
            let transform = match source {
                SampleSource::Digits(transform) => transform,
                SampleSource::Drawn(source) => {
                    let (samples, targets) = source.draw(data, indices.len(), key, first);
                    return worker.load_samples(trained, samples, targets);
                }
            };
            // The images lie anywhere in memory. Reading a byte of every cache line first lets the cache misses overlap.
            for line in indices.iter().flat_map(|&index| data.image(index as usize).chunks(64)) {
                black_box(line[0]);
            }
            let (images, rows) = transform.apply(data, targets, indices, key, first);
            let rows = rows.map(|mut row| {
                smooth_targets(&mut row, label_smoothing);
                row
            });
            worker.load_samples(trained, images, rows);
        };
        workers.compute_gradients(
            trained,
            BatchContext { len: batch.len(), dropout_key: Some(key) },
            sources,
            load,
        );
        workers.update_running_stats(network.parameters_mut());

        let average = average
            .as_mut()
            .map(|network| ParameterEma { decay: recipe.ema, values: network.parameters_mut() });
        let level = network.simd_level();
        workers.update(level, optimizer.begin_step(lr, network.parameters_mut(), average));
        let BatchMetrics { loss, correct } = workers.last_batch_metrics();
        (loss, correct)
    }
}

/// Copies of all values of a checkpoint that a step changes.
struct Snapshot {
    parameters: Vec<f32>,
    /// Empty without an average.
    average: Vec<f32>,
    optimizer: OptimizerState,
}

impl Snapshot {
    /// Allocates the memory of a snapshot of `checkpoint`.
    fn new(checkpoint: &Checkpoint) -> Self {
        let average = checkpoint.average.as_ref();
        Self {
            parameters: checkpoint.network.parameters().to_vec(),
            average: average.map_or(Vec::new(), |network| network.parameters().to_vec()),
            optimizer: checkpoint.optimizer.clone(),
        }
    }

    fn capture(&mut self, Checkpoint { network, average, optimizer, .. }: &Checkpoint) {
        self.parameters.copy_from_slice(network.parameters());
        if let Some(average) = average {
            self.average.copy_from_slice(average.parameters());
        }
        for (saved, moment) in self.optimizer.moments.iter_mut().zip(&optimizer.moments) {
            saved.copy_from_slice(moment);
        }
        self.optimizer.steps = optimizer.steps;
    }

    fn restore(&self, Checkpoint { network, average, optimizer, .. }: &mut Checkpoint) {
        network.parameters_mut().copy_from_slice(&self.parameters);
        if let Some(average) = average {
            average.parameters_mut().copy_from_slice(&self.average);
        }
        for (moment, saved) in optimizer.moments.iter_mut().zip(&self.optimizer.moments) {
            moment.copy_from_slice(saved);
        }
        optimizer.steps = self.optimizer.steps;
    }
}

/// Checks that a recipe has no settings that apply to digits only.
///
/// # Errors
/// [`Error::InvalidSetting`] for the first one that it has.
fn validate_for_drawn_samples(recipe: &Recipe) -> Result<(), Error> {
    let Recipe { label_smoothing, synthetic, augmentation, .. } = recipe;
    ensure_setting("label_smoothing", *label_smoothing == 0.0, "0 for drawn samples", label_smoothing)?;
    for (name, is_absent) in [("synthetic", synthetic.is_none()), ("augmentation", augmentation.is_none())] {
        ensure_setting(name, is_absent, "none for drawn samples", "one")?;
    }
    Ok(())
}

/// Returns the number of workers: one for each thread of the current rayon pool, but at most one for each block of samples.
fn worker_count(recipe: &Recipe) -> usize {
    rayon::current_num_threads().min(DataParallel::max_workers(recipe.batch_size))
}

/// Returns the indices of `len` images in random order (Fisher-Yates shuffle).
fn shuffled(len: usize, random: &mut impl Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    for last in (1..len).rev() {
        // The bias of a 64-bit product over 32-bit lengths is below 2^-32.
        let other = ((u128::from(random.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, other);
    }
    order
}
