//! A step of training on several threads: each takes its share of the batch forward and backward, with a gradient of its own,
//! and then updates its share of the parameters.
//!
//! They wait for each other where a layer needs sums over the whole batch. The gradient of a wide layer's weights no share has
//! for itself: it is made for the whole batch when they are updated, a panel at a time, which is still in the core's own caches
//! then. So it never goes through memory, nor does it depend on the number of threads.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use fearless_simd::Level;
use rayon::{Yield, prelude::*};

use super::{
    Network,
    lanes::{Buffer, blocks, zeros},
    operator::{DeferredWeightGradient, Direction},
    workspace::{Deferred, Worker},
};
use crate::optim::{Optimizer, OptimizerState, Update};

/// A network in training, with all the memory that a step needs.
pub struct DataParallel {
    shards: Vec<Worker>,
    deferred: Vec<Deferred>,
    /// As many as there are shards.
    updaters: Vec<Updater>,
}

/// Parameters of other layers that are updated at a time.
const CHUNK: usize = 4096;

impl DataParallel {
    /// A shard for each of `sizes`, the samples that it takes at most.
    pub fn new(network: &Network, sizes: &[usize]) -> Self {
        let shards: Vec<Worker> = sizes.iter().map(|&samples| Worker::new(network, samples)).collect();
        let deferred: Vec<Deferred> = shards.first().into_iter().flat_map(Worker::deferred).collect();
        let all = sizes.iter().map(|&samples| blocks(samples)).sum();
        let gradients = || {
            let first = shards.first();
            deferred.iter().filter_map(move |layer| first?.deferred_weight_gradient(layer.step))
        };
        let longest = gradients().map(|gradient| gradient.panel_len()).max().unwrap_or(0);
        let scratch = gradients().map(|gradient| gradient.scratch_len(all)).max().unwrap_or(0);
        let updaters = sizes
            .iter()
            .map(|_| Updater { scratch: zeros(scratch), gradient: vec![0.0; longest.max(CHUNK)] });
        Self { updaters: updaters.collect(), shards, deferred }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    /// Loss and gradients of a batch of which each shard has a share, which `load` gives it along with one of `aids`.
    pub fn step<T: Send>(
        &mut self,
        network: &Network,
        aids: &mut [T],
        load: impl Fn(usize, &mut Worker, &mut T) + Sync,
    ) {
        each(self.shards.par_iter_mut().zip(aids), |i, (shard, aid)| {
            load(i, shard, aid);
            shard.forward(network, 0);
        });
        let barriers = self.shards.first().map_or(0, Worker::barriers);
        for barrier in 0..barriers {
            all_reduce(&mut self.shards, barrier, Direction::Forward);
            each(self.shards.par_iter_mut(), |_, shard| shard.forward(network, barrier + 1));
        }
        for barrier in (0..barriers).rev() {
            all_reduce(&mut self.shards, barrier, Direction::Backward);
            each(self.shards.par_iter_mut(), |_, shard| shard.backward(network, barrier));
        }
    }

    /// Takes the step `update` of all parameters, along the gradient of the last batch.
    pub fn update(&mut self, level: Level, update: Update) {
        let Self { shards, deferred, updaters } = self;
        let together = Together::new(updaters.len());
        Batch { level, shards, deferred }.share(update, updaters, &together);
    }

    /// The gradient of the last batch, in the order of the parameters of `network`.
    pub fn gradient(&mut self, network: &Network) -> Vec<f32> {
        let mut gradient = vec![0.0; network.parameters().len()];
        // Where a step of length -1 from zero leads.
        let optimizer = Optimizer::Sgd { lr: -1.0, momentum: 0.0, weight_decay: 0.0 };
        let mut state = OptimizerState::new(optimizer, gradient.len(), Vec::new());
        self.update(network.level(), state.step(optimizer.lr(), &mut gradient, None));
        gradient
    }

    /// Moves the running averages among the network's `parameters` towards what the last step's batch had.
    pub fn update_running(&mut self, parameters: &mut [f32]) {
        if let Some(shard) = self.shards.first_mut() {
            shard.update_running(parameters);
        }
    }

    /// Of the last step's images: (summed loss, right answers).
    pub fn result(&self) -> (f64, usize) {
        self.shards.iter().fold((0.0, 0), |sum, shard| (sum.0 + shard.loss, sum.1 + shard.correct))
    }
}

/// A thread's room for the gradients of the parameters that it updates next.
struct Updater {
    scratch: Buffer,
    gradient: Vec<f32>,
}

/// A batch that went forward and backward.
#[derive(Clone, Copy)]
struct Batch<'a> {
    level: Level,
    shards: &'a [Worker],
    deferred: &'a [Deferred],
}

impl Batch<'_> {
    /// Splits `update` between threads, one for each of `updaters`.
    fn share(self, update: Update, updaters: &mut [Updater], together: &Together) {
        if let [updater] = updaters {
            return together.part(|| self.follow(update, updater));
        }
        let (start, len) = (update.start(), update.len());
        let (first, others) = updaters.split_at_mut(updaters.len() / 2);
        let mut middle = start + len * first.len() / (first.len() + others.len());
        if let Some(Deferred { step, weights }) =
            self.deferred.iter().find(|layer| layer.weights.contains(&middle))
        {
            // Panels stay whole.
            let panel = self.gradient_of(*step).panel_len();
            let panels = (middle - weights.start + panel / 2) / panel;
            middle = (weights.start + panels * panel).min(weights.end).clamp(start, start + len);
        }
        let (before, after) = update.split_at(middle);
        rayon::join(|| self.share(before, first, together), || self.share(after, others, together));
    }

    /// Takes the step `update`, some parameters after the other.
    fn follow(self, mut update: Update, updater: &mut Updater) {
        while update.len() > 0 {
            let (start, chunk) = (update.start(), update.start() + CHUNK.min(update.len()));
            let end = match self.deferred.iter().find(|layer| start < layer.weights.end) {
                Some(layer) if layer.weights.start <= start => self.panel(layer, start, updater),
                Some(layer) => self.sum(start..chunk.min(layer.weights.start), updater),
                None => self.sum(start..chunk, updater),
            };
            let (first, rest) = update.split_at(end);
            first.take(self.level, &mut updater.gradient[..end - start]);
            update = rest;
        }
    }

    /// Writes the gradient of the panel of a wide layer that begins with parameter `start`; where it ends.
    fn panel(self, Deferred { step, weights }: &Deferred, start: usize, updater: &mut Updater) -> usize {
        let layer = self.gradient_of(*step);
        let end = weights.end.min(start + layer.panel_len());
        let batch = |part| self.shards.get(part).map(|shard: &Worker| shard.around(*step));
        let Updater { scratch, gradient } = updater;
        layer.write_panel(self.level, start - weights.start, &batch, scratch, &mut gradient[..end - start]);
        end
    }

    fn gradient_of(&self, step: usize) -> &dyn DeferredWeightGradient {
        let layer = self.shards[0].deferred_weight_gradient(step);
        layer.expect("all workers have the same layers")
    }

    /// Adds up the gradients that the shards have of the parameters in `range`, one after the other; where it ends.
    fn sum(self, range: Range<usize>, updater: &mut Updater) -> usize {
        let sums = &mut updater.gradient[..range.len()];
        sums.fill(0.0);
        for shard in self.shards {
            for (sum, value) in sums.iter_mut().zip(&shard.gradient[range.clone()]) {
                *sum += value;
            }
        }
        range.end
    }
}

/// Threads none of which falls asleep before all have done their part: to wake it for the next fork would take longer than most
/// waits for the others are, above all where the machine is a guest that shares its processors.
struct Together {
    /// Components that are not done.
    open: AtomicUsize,
}

impl Together {
    fn new(parts: usize) -> Self {
        Self { open: AtomicUsize::new(parts) }
    }

    /// Does a part, and waits for the others.
    fn part(&self, work: impl FnOnce()) {
        let done = Done(&self.open);
        work();
        drop(done);
        while self.open.load(Ordering::Acquire) > 0 {
            if rayon::yield_now() != Some(Yield::Executed) {
                thread::yield_now();
            }
        }
    }
}

/// Counts a part as done when dropped, even by a panic.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Does `work` on each item, on as many threads as there are, [together](Together).
pub(super) fn each<T: Send>(items: impl IndexedParallelIterator<Item = T>, work: impl Fn(usize, T) + Sync) {
    let together = Together::new(items.len());
    // Each is a job of its own: what waits takes others up, which it couldn't if they came after it in its own job.
    items.with_max_len(1).enumerate().for_each(|(i, item)| together.part(|| work(i, item)));
}

/// Writes the sums of all workers at a barrier, added in the order of the workers, to each of them.
fn all_reduce(shards: &mut [Worker], barrier: usize, direction: Direction) {
    let Some((first, others)) = shards.split_first_mut() else { return };
    let Some(first) = first.batch_statistics(barrier) else { return };
    let (local, total) = first.sums(direction);
    total.copy_from_slice(local);
    for statistics in others.iter_mut().filter_map(|shard| shard.batch_statistics(barrier)) {
        for (total, local) in total.iter_mut().zip(statistics.sums(direction).0) {
            *total += local;
        }
    }
    for statistics in others.iter_mut().filter_map(|shard| shard.batch_statistics(barrier)) {
        statistics.sums(direction).1.copy_from_slice(total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_threads_than_items_do_all_of_them() {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut done = [0; 9];
            pool.install(|| each(done.par_iter_mut(), |i, done| *done = i + 1));
            assert_eq!(done, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
    }
}
