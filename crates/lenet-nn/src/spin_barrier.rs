//! A fork-join loop whose threads wait for each other without sleeping.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rayon::{Yield, prelude::*};

/// A barrier at the end of a parallel section, at which threads spin.
///
/// A sleeping thread would have to be woken for the next section, which takes longer than most waits at the barrier, above all
/// in a virtual machine that shares its processors. A waiting thread runs other rayon jobs.
pub(crate) struct SpinBarrier {
    /// Chunks of work that are not finished.
    unfinished: AtomicUsize,
}

impl SpinBarrier {
    /// Returns a barrier that `chunks` chunks of work have to reach.
    pub fn new(chunks: usize) -> Self {
        Self { unfinished: AtomicUsize::new(chunks) }
    }

    /// Runs a chunk of work, then waits until all chunks are finished.
    pub fn run(&self, chunk: impl FnOnce()) {
        let guard = FinishOnDrop(&self.unfinished);
        chunk();
        drop(guard);
        while self.unfinished.load(Ordering::Acquire) > 0 {
            if rayon::yield_now() != Some(Yield::Executed) {
                thread::yield_now();
            }
        }
    }
}

/// Counts a chunk as finished when dropped, so that a panic in it doesn't leave the other threads spinning.
struct FinishOnDrop<'a>(&'a AtomicUsize);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Calls `work` with the index of each item and the item, in parallel, and returns when all calls have returned, with a
/// [`SpinBarrier`] at the end.
pub(crate) fn for_each_synced<T: Send>(
    items: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(usize, T) + Sync,
) {
    let barrier = SpinBarrier::new(items.len());
    // A rayon job for each item: a thread that waits at the barrier runs other jobs, but couldn't run items that come later in
    // its own job.
    items.with_max_len(1).enumerate().for_each(|(i, item)| barrier.run(|| work(i, item)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_all_items_on_fewer_threads() {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut finished = [0; 9];
            pool.install(|| for_each_synced(finished.par_iter_mut(), |i, finished| *finished = i + 1));
            assert_eq!(finished, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
    }
}
