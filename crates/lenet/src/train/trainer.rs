//! The loop over epochs and batches.

use std::{
    hint::black_box,
    mem,
    ops::{ControlFlow, Range},
};

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};

use super::{
    checkpoint::{Checkpoint, PartialEpoch},
    history::EpochMetrics,
    recipe::Recipe,
    sample_source::SampleSource,
};
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
    /// Mean loss over the images of the step.
    pub loss: f64,
}

impl Progress {
    /// Returns whether the step was the last one of its epoch.
    pub fn is_epoch_end(&self) -> bool {
        self.images == self.total
    }
}

/// Steps in which the loss may be [`MAX_INITIAL_LOSS_RATIO`] times that of equal probabilities, because random weights can have a
/// higher loss.
const INITIAL_STEPS: usize = 100;
const MAX_INITIAL_LOSS_RATIO: f64 = 10.0;

/// Trains a network on a dataset, one epoch or one step per call.
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
    /// State at the start of [`run_epoch`](Self::run_epoch), restored if the epoch is interrupted.
    snapshot: Snapshot,
    /// The order of the images in the current epoch; `None` before its first step.
    order: Option<EpochOrder>,
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
    /// [`Error::DatasetMismatch`] if `data` is not the dataset that training started with,
    /// [`Error::ThreadCountMismatch`] if the rayon pool has another number of threads than
    /// [`Checkpoint::threads`], and [`Error::InvalidMetadata`] if the checkpoint has more steps of an epoch than there are.
    pub fn resume(checkpoint: Checkpoint, data: &'a Dataset) -> Result<Self, Error> {
        if checkpoint.data != data.digest() {
            return Err(Error::DatasetMismatch { found: data.len() });
        }
        checkpoint.partial_epoch.validate(data.len().div_ceil(checkpoint.recipe.batch_size))?;
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
        Ok(Self { checkpoint, snapshot, order: None, data, targets, workers, sources })
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

    /// Returns the network after the last step: with averaged parameters if the recipe has an [`ema`](Recipe::ema).
    pub fn trained_network(&self) -> &Network {
        self.checkpoint.trained_network()
    }

    /// Returns the network as [`trained_network`](Self::trained_network) does.
    pub fn into_trained_network(self) -> Network {
        self.checkpoint.average.unwrap_or(self.checkpoint.network)
    }

    /// Returns the state after the last step.
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

    /// Checks that the training has not diverged: that the loss of each epoch is finite, and that those of the last two are
    /// not both above the loss of a network that gives all classes the same probability, which is `ln 10` for ten classes.
    ///
    /// In the first 100 steps, the loss may be ten times as high, because random weights can have a higher loss.
    ///
    /// # Errors
    /// [`Error::Diverged`] otherwise.
    pub fn check_divergence(&self) -> Result<(), Error> {
        let Checkpoint { history, recipe, network, partial_epoch, .. } = &self.checkpoint;
        let (epoch, max) = (history.len(), network.architecture().prediction_kind().uniform_loss());
        if !partial_epoch.loss.is_finite() {
            return Err(Error::Diverged { epoch: epoch + 1, loss: partial_epoch.loss, max });
        }
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

    /// Trains for one epoch: once on every image, in a new random order. Calls `observe` after each step. An epoch of which
    /// [`run_step`](Self::run_step) has made steps is finished.
    ///
    /// Returns the metrics of the epoch, or `None` if all epochs of the recipe are done.
    ///
    /// # Errors
    /// [`Interrupted`] if `observe` returns [`ControlFlow::Break`]. The trainer then discards the steps of this call: its
    /// network and checkpoint are those from before it.
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
        self.snapshot.capture(&self.checkpoint);
        let epoch = self.checkpoint.completed_epochs() + 1;
        while let Some(progress) = self.run_step_in_pool() {
            if observe(progress).is_break() {
                self.snapshot.restore(&mut self.checkpoint);
                self.order = None;
                return Err(Interrupted { epoch });
            }
            if progress.is_epoch_end() {
                return Ok(self.checkpoint.history.last().copied());
            }
        }
        Ok(None)
    }

    /// Trains on the next batch. The metrics of an epoch are added to [`Checkpoint::history`] with its
    /// [last step](Progress::is_epoch_end).
    ///
    /// Returns `None` if all epochs of the recipe are done.
    pub fn run_step(&mut self) -> Option<Progress> {
        rayon::scope(|_| self.run_step_in_pool())
    }

    fn run_step_in_pool(&mut self) -> Option<Progress> {
        let Checkpoint { seed, recipe: Recipe { epochs, batch_size, .. }, partial_epoch, .. } =
            self.checkpoint;
        let (epoch, total) = (self.checkpoint.completed_epochs(), self.data.len());
        if epoch == epochs {
            return None;
        }
        let (steps, step) = (total.div_ceil(batch_size), partial_epoch.steps);
        let mut order = self.order.take().unwrap_or_else(|| EpochOrder::new(seed, epoch, total, step));
        let batch = step * batch_size..total.min((step + 1) * batch_size);
        let lr = self.checkpoint.recipe.learning_rate(epoch * steps + step, epochs * steps);
        let (loss, correct) = self.step(&order.images[batch.clone()], order.random.next_u64(), lr as f32);

        let partial_epoch = &mut self.checkpoint.partial_epoch;
        partial_epoch.steps += 1;
        partial_epoch.loss += loss;
        partial_epoch.correct += correct;
        if batch.end == total {
            let PartialEpoch { loss, correct, .. } = mem::take(partial_epoch);
            self.checkpoint.history.push(EpochMetrics {
                loss: loss / total as f64,
                train_accuracy: correct / total as f64,
                eval_accuracy: None,
                seconds: None,
            });
        } else {
            self.order = Some(order);
        }
        Some(Progress { images: batch.end, total, loss: loss / batch.len() as f64 })
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

/// The random order of the images in an epoch.
struct EpochOrder {
    images: Vec<u32>,
    /// The source of the keys of the remaining steps.
    random: Pcg64Mcg,
}

impl EpochOrder {
    /// Returns the order of epoch `epoch`, counted from 0, of which `steps` steps are done.
    fn new(seed: u64, epoch: usize, images: usize, steps: usize) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(seed ^ ((epoch as u64 + 1) << 32));
        let images = shuffled(images, &mut random);
        for _ in 0..steps {
            random.next_u64();
        }
        Self { images, random }
    }
}

/// Copies of all values of a checkpoint that a step changes.
struct Snapshot {
    epochs: usize,
    partial_epoch: PartialEpoch,
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
            epochs: checkpoint.completed_epochs(),
            partial_epoch: checkpoint.partial_epoch,
            parameters: checkpoint.network.parameters().to_vec(),
            average: average.map_or(Vec::new(), |network| network.parameters().to_vec()),
            optimizer: checkpoint.optimizer.clone(),
        }
    }

    fn capture(&mut self, checkpoint: &Checkpoint) {
        let Checkpoint { network, average, optimizer, .. } = checkpoint;
        (self.epochs, self.partial_epoch) = (checkpoint.completed_epochs(), checkpoint.partial_epoch);
        self.parameters.copy_from_slice(network.parameters());
        if let Some(average) = average {
            self.average.copy_from_slice(average.parameters());
        }
        for (saved, moment) in self.optimizer.moments.iter_mut().zip(&optimizer.moments) {
            saved.copy_from_slice(moment);
        }
        self.optimizer.steps = optimizer.steps;
    }

    fn restore(&self, checkpoint: &mut Checkpoint) {
        let Checkpoint { network, average, optimizer, history, partial_epoch, .. } = checkpoint;
        history.truncate(self.epochs);
        *partial_epoch = self.partial_epoch;
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
