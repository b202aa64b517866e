//! A training step on several threads (data parallelism).
//!
//! ```text
//! each worker:  forward and backward pass of its slice of the batch, with a gradient of its own
//! each thread:  for its chunk of the parameters: add the workers' gradients, apply the optimizer
//! ```
//!
//! 1. Where a layer needs sums over the whole batch, the threads wait for each other, and the sums of all workers are added.
//! 2. Workers have no gradient of the weights of a wide fully connected layer. The thread that updates a panel of these weights
//!    computes the gradient of the panel over the whole batch, so that it stays in the cache of its core and doesn't depend on
//!    the number of threads.
//! 3. Gradients are added in the order of the workers: the same number of workers gives the same bits.

use std::ops::Range;

use fearless_simd::Level;
use rayon::prelude::*;

use crate::{
    Network, PredictionKind, Targets,
    activation_layout::{AlignedBuffer, LANES, block_count, zeros},
    loss::BatchMetrics,
    operator::{DeferredWeightGradient, Direction},
    optim::PendingUpdate,
    partition::even_chunk,
    spin_barrier::{SpinBarrier, for_each_synced},
    worker::{BatchSlice, DeferredLayer, Worker},
};

/// A network in training on several threads, with all the memory that a step needs.
///
/// ```
/// use lenet_nn::{Architecture, BatchContext, DataParallel, Layer, Linear, Network, Normalize, Shape};
/// use lenet_nn::optim::{Optimizer, OptimizerState};
///
/// let input = Shape { channels: 1, height: 1, width: 2 };
/// let architecture =
///     Architecture::new("linear", input, 2).layer("flatten", Layer::Flatten).layer("fc", Linear::new(2, 2));
/// let mut network = Network::new(architecture, Normalize::UNIT, 0)?;
/// let mut optimizer =
///     OptimizerState::new(Optimizer::Adam { lr: 0.1 }, network.parameters().len(), Vec::new());
///
/// // Batches of up to 100 samples on one worker.
/// let mut data_parallel = DataParallel::new(&network, 100, 1);
/// let images: [&[u8]; 2] = [&[255, 0], &[0, 255]];
/// let targets = [[1.0, 0.0], [0.0, 1.0]];
/// data_parallel.compute_gradients(&network, BatchContext { len: 2, dropout_key: None }, &mut [()], |samples, worker, ()| {
///     worker.load_samples(&network, images[samples.clone()].iter().copied(), targets[samples].iter());
/// });
/// let level = network.simd_level();
/// data_parallel.update(level, optimizer.begin_step(0.1, network.parameters_mut(), None));
/// assert!(data_parallel.last_batch_metrics().loss > 0.0);
/// # Ok::<(), lenet_nn::Error>(())
/// ```
pub struct DataParallel {
    workers: Vec<Worker>,
    deferred: Vec<DeferredLayer>,
    /// One for each worker.
    scratch: Vec<GradientScratch>,
}

/// A batch of a training step.
#[derive(Debug, Clone, Copy)]
pub struct BatchContext {
    /// Number of samples.
    pub len: usize,
    /// Key of the dropout masks, different in each step; `None` disables dropout.
    pub dropout_key: Option<u64>,
}

/// Parameters without a deferred gradient that are updated at a time.
const UPDATE_CHUNK: usize = 4096;

impl DataParallel {
    /// Creates a number of `workers` for batches of up to `batch_size` samples.
    ///
    /// # Panics
    /// If there are 0 `workers`.
    pub fn new(network: &Network, batch_size: usize, workers: usize) -> Self {
        let capacities: Vec<usize> = (0..workers)
            .map(|worker| even_chunk(block_count(batch_size), workers, worker).1 * LANES)
            .collect();
        Self::with_worker_capacities(network, &capacities)
    }

    /// Returns the largest useful number of workers for batches of `batch_size` samples. Each has at least a block of 8 samples.
    pub fn max_workers(batch_size: usize) -> usize {
        block_count(batch_size)
    }

    /// Creates a worker for each of `capacities`, the largest number of samples in its slice.
    ///
    /// # Panics
    /// If there are no `capacities`.
    pub(crate) fn with_worker_capacities(network: &Network, capacities: &[usize]) -> Self {
        let workers: Vec<Worker> = capacities.iter().map(|&samples| Worker::new(network, samples)).collect();
        let deferred: Vec<DeferredLayer> = workers[0].deferred_layers().collect();
        let max_blocks = capacities.iter().map(|&samples| block_count(samples)).sum();
        let gradients = || deferred.iter().filter_map(|layer| workers[0].deferred_weight_gradient(layer.op));
        let panel_len = gradients().map(|gradient| gradient.panel_weight_count()).max().unwrap_or(0);
        let rows_len = gradients().map(|gradient| gradient.scratch_len(max_blocks)).max().unwrap_or(0);
        let scratch = capacities.iter().map(|_| GradientScratch {
            rows: zeros(rows_len),
            gradient: vec![0.0; panel_len.max(UPDATE_CHUNK)],
        });
        Self { scratch: scratch.collect(), workers, deferred }
    }

    /// Returns the number of workers.
    #[allow(clippy::len_without_is_empty, reason = "there is at least one worker")]
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Returns the largest number of samples in the slice of each worker.
    pub fn worker_capacities(&self) -> impl Iterator<Item = usize> {
        self.workers.iter().map(Worker::capacity)
    }

    /// Computes loss and gradients of a batch.
    ///
    /// `load` is called for each worker, in parallel, with the range of its samples in the batch, which may be empty, and one of
    /// `aids`. It must call [`Worker::load_samples`] with these samples.
    ///
    /// # Panics
    /// If there is not one of `aids` for each worker, or the batch is larger than `batch_size` of [`new`](Self::new).
    pub fn compute_gradients<T: Send>(
        &mut self,
        network: &Network,
        batch: BatchContext,
        aids: &mut [T],
        load: impl Fn(Range<usize>, &mut Worker, &mut T) + Sync,
    ) {
        let BatchContext { len: total, dropout_key } = batch;
        let (total_blocks, workers) = (block_count(total), self.workers.len());
        assert_eq!(aids.len(), workers, "expected one aid for each worker");
        self.compute_gradients_of_slices(network, aids, |i, worker, aid| {
            let (first_block, len) = even_chunk(total_blocks, workers, i);
            worker.set_slice(BatchSlice { total, dropout_key, first_block });
            let first = first_block * LANES;
            load(first.min(total)..total.min(first + len * LANES), worker, aid);
        });
    }

    /// Computes loss and gradients of a batch, as [`compute_gradients`](Self::compute_gradients). `load` is called with the
    /// index of the worker, and sets and loads any slice of the batch.
    pub(crate) fn compute_gradients_of_slices<T: Send>(
        &mut self,
        network: &Network,
        aids: &mut [T],
        load: impl Fn(usize, &mut Worker, &mut T) + Sync,
    ) {
        for_each_synced(self.workers.par_iter_mut().zip(aids), |i, (worker, aid)| {
            load(i, worker, aid);
            worker.forward(network, 0);
        });
        let barriers = self.workers[0].barrier_count();
        for barrier in 0..barriers {
            all_reduce_batch_statistics(&mut self.workers, barrier, Direction::Forward);
            for_each_synced(self.workers.par_iter_mut(), |_, worker| worker.forward(network, barrier + 1));
        }
        for barrier in (0..barriers).rev() {
            all_reduce_batch_statistics(&mut self.workers, barrier, Direction::Backward);
            for_each_synced(self.workers.par_iter_mut(), |_, worker| worker.backward(network, barrier));
        }
    }

    /// Applies an optimizer step to all parameters, with the gradient of the last batch.
    pub fn update(&mut self, level: Level, update: PendingUpdate) {
        let Self { workers, deferred, scratch } = self;
        let barrier = SpinBarrier::new(scratch.len());
        BatchGradient { level, workers, deferred }.update_parallel(update, scratch, &barrier);
    }

    /// Returns the gradient of the last batch, in the order of the parameters of `network`.
    pub fn last_batch_gradient(&mut self, network: &Network) -> Vec<f32> {
        let Self { workers, deferred, scratch } = self;
        let batch = BatchGradient { level: network.simd_level(), workers, deferred };
        let mut gradient = vec![0.0; network.parameters().len()];
        let mut start = 0;
        while start < gradient.len() {
            let end = batch.write_chunk_gradient(start, gradient.len(), &mut scratch[0]);
            gradient[start..end].copy_from_slice(&scratch[0].gradient[..end - start]);
            start = end;
        }
        gradient
    }

    /// Moves the running averages among the network's `parameters` towards the statistics of the last batch.
    pub fn update_running_stats(&mut self, parameters: &mut [f32]) {
        self.workers[0].update_running_stats(parameters);
    }

    /// Returns the metrics of the last batch.
    pub fn last_batch_metrics(&self) -> BatchMetrics {
        self.workers.iter().map(Worker::last_slice_metrics).fold(BatchMetrics::default(), |sum, metrics| {
            BatchMetrics { loss: sum.loss + metrics.loss, correct: sum.correct + metrics.correct }
        })
    }
}

/// A thread's memory for the gradient of the parameters that it updates next.
struct GradientScratch {
    /// Scratch memory of deferred weight gradients.
    rows: AlignedBuffer,
    gradient: Vec<f32>,
}

/// The gradient of a batch that went forward and backward.
#[derive(Clone, Copy)]
struct BatchGradient<'a> {
    level: Level,
    workers: &'a [Worker],
    deferred: &'a [DeferredLayer],
}

impl BatchGradient<'_> {
    /// Divides `update` between threads, one for each of `scratch`.
    fn update_parallel(self, update: PendingUpdate, scratch: &mut [GradientScratch], barrier: &SpinBarrier) {
        if let [scratch] = scratch {
            return barrier.run(|| self.update(update, scratch));
        }
        let (start, len) = (update.start_index(), update.len());
        let (first, others) = scratch.split_at_mut(scratch.len() / 2);
        let mut middle = start + len * first.len() / (first.len() + others.len());
        if let Some(DeferredLayer { op, weights }) =
            self.deferred.iter().find(|layer| layer.weights.contains(&middle))
        {
            // Panels are not divided.
            let panel = self.deferred_weight_gradient(*op).panel_weight_count();
            let panels = (middle - weights.start + panel / 2) / panel;
            middle = (weights.start + panels * panel).min(weights.end).clamp(start, start + len);
        }
        let (before, after) = update.split_at(middle);
        rayon::join(
            || self.update_parallel(before, first, barrier),
            || self.update_parallel(after, others, barrier),
        );
    }

    /// Applies `update` on this thread, chunk by chunk.
    fn update(self, mut update: PendingUpdate, scratch: &mut GradientScratch) {
        while update.len() > 0 {
            let (start, end) = (update.start_index(), update.start_index() + update.len());
            let end = self.write_chunk_gradient(start, end, scratch);
            let (first, rest) = update.split_at(end);
            first.apply(self.level, &mut scratch.gradient[..end - start]);
            update = rest;
        }
    }

    /// Writes the gradient of a chunk of the parameters `start..max_end` to `scratch`, and returns where the chunk ends.
    fn write_chunk_gradient(self, start: usize, max_end: usize, scratch: &mut GradientScratch) -> usize {
        let chunk_end = max_end.min(start + UPDATE_CHUNK);
        match self.deferred.iter().find(|layer| start < layer.weights.end) {
            Some(layer) if layer.weights.start <= start => {
                self.write_weight_panel_gradient(layer, start, scratch)
            }
            Some(layer) => self.sum_worker_gradients(start..chunk_end.min(layer.weights.start), scratch),
            None => self.sum_worker_gradients(start..chunk_end, scratch),
        }
    }

    /// Writes the gradient of the panel of a deferred layer that begins with parameter `start`, and returns where it ends.
    fn write_weight_panel_gradient(
        self,
        DeferredLayer { op, weights }: &DeferredLayer,
        start: usize,
        scratch: &mut GradientScratch,
    ) -> usize {
        let layer = self.deferred_weight_gradient(*op);
        let end = weights.end.min(start + layer.panel_weight_count());
        let batch =
            |slice| self.workers.get(slice).map(|worker: &Worker| worker.input_with_output_gradient(*op));
        let GradientScratch { rows, gradient } = scratch;
        layer.write_weight_panel_gradient(
            self.level,
            start - weights.start,
            &batch,
            rows,
            &mut gradient[..end - start],
        );
        end
    }

    fn deferred_weight_gradient(&self, op: usize) -> &dyn DeferredWeightGradient {
        let gradient = self.workers[0].deferred_weight_gradient(op);
        gradient.expect("`deferred` lists only such operators")
    }

    /// Writes the sum of the workers' gradients of the parameters in `range`, added in the order of the workers, and returns
    /// where the range ends.
    fn sum_worker_gradients(self, range: Range<usize>, scratch: &mut GradientScratch) -> usize {
        let sums = &mut scratch.gradient[..range.len()];
        sums.fill(0.0);
        for worker in self.workers {
            for (sum, value) in sums.iter_mut().zip(&worker.gradient()[range.clone()]) {
                *sum += value;
            }
        }
        range.end
    }
}

/// Adds the sums of all workers at a barrier, in the order of the workers, and gives the totals to each of them.
fn all_reduce_batch_statistics(workers: &mut [Worker], barrier: usize, direction: Direction) {
    let Some((first, others)) = workers.split_first_mut() else { return };
    let Some(first) = first.batch_statistics(barrier) else { return };
    let (local, total) = first.local_and_batch_sums(direction);
    total.copy_from_slice(local);
    for statistics in others.iter_mut().filter_map(|worker| worker.batch_statistics(barrier)) {
        for (total, local) in total.iter_mut().zip(statistics.local_and_batch_sums(direction).0) {
            *total += local;
        }
    }
    for statistics in others.iter_mut().filter_map(|worker| worker.batch_statistics(barrier)) {
        statistics.local_and_batch_sums(direction).1.copy_from_slice(total);
    }
}

impl Network {
    /// Returns the mean loss over `images` `(batch, channels, height, width)`, one batch without dropout, and its gradient,
    /// in the order of [`parameters`](Self::parameters). The loss is that of training, with the outlier class if there is
    /// one.
    ///
    /// # Panics
    /// If there is not one target for each sample, a label is not below the number of classes, or there are labels for dense
    /// prediction.
    pub fn loss_and_gradient(&self, images: &[u8], targets: Targets) -> (f32, Vec<f32>) {
        let (samples, row_len) = (self.count_samples(images), self.architecture().output_shape().len());
        assert_eq!(targets.len(row_len), samples, "expected one target for each sample");
        let is_dense = matches!(self.architecture().prediction_kind(), PredictionKind::Dense { .. });
        let has_labels = matches!(targets, Targets::Labels(_));
        assert!(!(is_dense && has_labels), "expected probabilities as targets of dense prediction");
        let mut data_parallel = DataParallel::new(self, samples, 1);
        let batch = BatchContext { len: samples, dropout_key: None };
        data_parallel.compute_gradients(self, batch, &mut [()], |_, worker, ()| {
            let rows = (0..samples).map(|sample| {
                let mut row = vec![0.0; row_len];
                targets.write_row(sample, &mut row);
                row
            });
            worker.load_samples(self, images.chunks_exact(self.architecture().input_shape().len()), rows);
        });
        let gradient = data_parallel.last_batch_gradient(self);
        ((data_parallel.last_batch_metrics().loss / samples as f64) as f32, gradient)
    }
}
