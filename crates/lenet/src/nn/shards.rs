//! A step of training on several threads: each takes its share of the batch forward and backward, with a gradient of its own.
//!
//! They wait for each other where a layer needs something of the whole batch: a batch normalisation the sums over it, and a
//! fully connected layer that is wide the outputs that other threads compute.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rayon::{Yield, prelude::*};

use super::{Network, batchnorm::Direction, lanes::blocks, linear::Slice, workspace::Shard};

/// A network in training, with all the memory that a step needs.
pub(crate) struct Shards {
    shards: Vec<Shard>,
    /// For each barrier the layer that is split there, if that is why there is one.
    wide: Vec<Option<Wide>>,
    /// The parameters of whose gradients each shard has a part: all but the weights of wide layers.
    summed: Vec<Range<usize>>,
}

/// A layer whose outputs are split.
struct Wide {
    /// The layer's part of the network's parameters.
    parameters: Range<usize>,
    /// As many as there are shards.
    slices: Vec<Slice>,
}

impl Shards {
    /// A shard for each of `sizes`, the samples that it takes at most.
    pub fn new(network: &Network, sizes: &[usize]) -> Self {
        let (count, batch) = (sizes.len(), sizes.iter().sum());
        let shards: Vec<Shard> = sizes.iter().map(|&samples| Shard::new(network, samples, batch)).collect();
        let all = sizes.iter().map(|&samples| blocks(samples)).sum();
        let split = |(layer, parameters)| {
            let slices = (0..count).map(|index| Slice::new(layer, (index, count), all)).collect();
            Wide { parameters, slices }
        };
        let barriers =
            shards.first().into_iter().flat_map(|shard| (0..shard.barriers()).map(|i| shard.split(i)));
        let wide: Vec<Option<Wide>> = barriers.map(|layer| layer.map(split)).collect();
        let (mut summed, mut start) = (Vec::new(), 0);
        for Wide { parameters, slices } in wide.iter().flatten() {
            summed.push(start..parameters.start);
            start = parameters.start + slices.iter().map(|slice| slice.weights().len()).sum::<usize>();
        }
        summed.push(start..network.parameters().len());
        Self { shards, wide, summed }
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
        load: impl Fn(usize, &mut Shard, &mut T) + Sync,
    ) {
        each(self.shards.par_iter_mut().zip(aids), |i, (shard, aid)| {
            load(i, shard, aid);
            shard.forward(network, 0);
        });
        let barriers = self.wide.len();
        for barrier in 0..barriers {
            self.meet(network, barrier, Direction::Forward);
            let slices = self.wide[barrier].as_ref().map_or(&[][..], |wide| &wide.slices);
            each(self.shards.par_iter_mut(), |_, shard| {
                for slice in slices {
                    let (y, first_block) = shard.output_mut(barrier);
                    slice.copy_to(first_block, y);
                }
                shard.forward(network, barrier + 1);
            });
        }
        for barrier in (0..barriers).rev() {
            self.meet(network, barrier, Direction::Backward);
            if self.wide[barrier].is_none() {
                each(self.shards.par_iter_mut(), |_, shard| shard.backward(network, barrier));
            }
        }
    }

    /// Does at a barrier what takes the whole batch.
    fn meet(&mut self, network: &Network, barrier: usize, direction: Direction) {
        let Self { shards, wide, .. } = self;
        let Some(Wide { parameters, slices }) = &mut wide[barrier] else {
            return add_up(shards, barrier, direction);
        };
        let (shards, parameters, level) =
            (&*shards, &network.parameters()[parameters.clone()], network.level());
        each(slices.par_iter_mut(), |_, slice| match direction {
            Direction::Forward => {
                slice.forward(level, parameters, shards.iter().map(|shard| shard.input(barrier)));
            }
            Direction::Backward => {
                let x = |part| shards.get(part).map(|shard: &Shard| shard.input(barrier));
                slice.backward(level, &x, shards.iter().map(|shard| shard.output_gradient(barrier)));
            }
        });
    }

    /// Adds the last step's gradient of the parameters from `start` on to `sums`, that of one shard after the other.
    pub fn add_gradient(&self, start: usize, sums: &mut [f32]) {
        for range in &self.summed {
            for shard in &self.shards {
                add_part(start, sums, range.clone(), &shard.gradient[range.clone()]);
            }
        }
        for Wide { parameters, slices } in self.wide.iter().flatten() {
            for slice in slices {
                let Range { start: first, end } = slice.weights();
                let range = parameters.start + first..parameters.start + end;
                add_part(start, sums, range, slice.gradient());
            }
        }
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

/// Does `work` on each item, on as many threads as there are.
///
/// None of them falls asleep before all is done: to wake it for the next fork would take longer than most waits for the others
/// are, above all where the machine is a guest that shares its processors.
pub(super) fn each<T: Send>(items: impl IndexedParallelIterator<Item = T>, work: impl Fn(usize, T) + Sync) {
    let open = AtomicUsize::new(items.len());
    // Each is a job of its own: what waits takes others up, which it couldn't if they came after it in its own job.
    items.with_max_len(1).enumerate().for_each(|(i, item)| {
        let closing = Closing(&open);
        work(i, item);
        drop(closing);
        while open.load(Ordering::Acquire) > 0 {
            if rayon::yield_now() != Some(Yield::Executed) {
                thread::yield_now();
            }
        }
    });
}

/// Counts an item as done when dropped, even by a panic.
struct Closing<'a>(&'a AtomicUsize);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Adds what `values`, those of the parameters in `range`, has of the parameters from `start` on to `sums`.
fn add_part(start: usize, sums: &mut [f32], range: Range<usize>, values: &[f32]) {
    let (first, end) = (range.start.max(start), range.end.min(start + sums.len()));
    if first < end {
        let values = &values[first - range.start..end - range.start];
        for (sum, value) in sums[first - start..end - start].iter_mut().zip(values) {
            *sum += value;
        }
    }
}

/// Tells every shard the sums of all at a barrier, added in their order.
fn add_up(shards: &mut [Shard], barrier: usize, direction: Direction) {
    let Some((first, others)) = shards.split_first_mut() else { return };
    let Some(total) = first.normalization(barrier) else { return };
    total.begin(direction);
    for normalization in others.iter_mut().filter_map(|shard| shard.normalization(barrier)) {
        total.add(direction, normalization);
    }
    for normalization in others.iter_mut().filter_map(|shard| shard.normalization(barrier)) {
        normalization.take(direction, total);
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
