//! Inference: logits and probabilities of samples.

use std::ops::Deref;

use rayon::prelude::*;

use crate::{
    Network,
    layout::{LANES, Lanes, blocks},
    loss::copy_row,
    single_sample::SingleSample,
    spin_barrier::for_each_synced,
    workspace::{Mode, Workspace},
};

/// Samples in a pass of a thread in inference: enough to share each pass over the weights, few enough to stay in cache. Chosen by
/// measurement.
pub const INFERENCE_BATCH: usize = 48;

/// Largest number of samples that are faster one by one than as a block, for any network. Chosen by measurement.
const MAX_SINGLE_SAMPLES: usize = 4;

/// A network with the memory for inference, for repeated calls that allocate nothing.
///
/// `N` is a reference or a shared pointer to the network: `&Network`, `Arc<Network>`.
///
/// ```
/// use lenet_nn::{Architecture, Layer, Linear, Network, Normalize, Shape};
///
/// let input = Shape { channels: 1, height: 2, width: 2 };
/// let architecture = Architecture::new("linear", input, 3)
///     .layer("flatten", Layer::Flatten)
///     .layer("fc", Linear::new(4, 3));
/// let network = Network::new(architecture, Normalize::UNIT, 0)?;
/// let mut session = network.session(1);
/// let mut logits = [0.0; 2 * 3];
/// session.logits(&[0, 50, 100, 200, 1, 2, 3, 4], &mut logits);
/// assert_eq!(logits.to_vec(), network.logits(&[0, 50, 100, 200, 1, 2, 3, 4]));
/// # Ok::<(), lenet_nn::Error>(())
/// ```
pub struct Session<N> {
    network: N,
    /// One for each thread.
    workspaces: Vec<Workspace>,
    /// For few samples.
    single: SingleSample,
}

impl<N: Deref<Target = Network>> Session<N> {
    /// Allocates memory for inference on up to `threads` of rayon's threads.
    ///
    /// With 0 threads there is only memory for single samples, which takes much less. The memory of a thread is then allocated
    /// when there are more samples.
    pub fn new(network: N, threads: usize) -> Self {
        Self::with_batch(network, threads, INFERENCE_BATCH)
    }

    /// Allocates memory for up to `batch` samples in a pass of a thread.
    fn with_batch(network: N, threads: usize, batch: usize) -> Self {
        let workspaces = (0..threads).map(|_| inference_workspace(&network, batch)).collect();
        let single = SingleSample::new(&network, network.level());
        Self { network, workspaces, single }
    }

    /// Writes the logits `(batch, classes)` of `images` `(batch, channels, height, width)`.
    ///
    /// # Panics
    /// If `images` has an incomplete sample, or `logits` not one row for each sample.
    pub fn logits(&mut self, images: &[u8], logits: &mut [f32]) {
        let (network, samples) = (&*self.network, self.network.samples(images));
        let (pixels, classes) = (network.architecture().input().len(), network.architecture().classes());
        assert_eq!(logits.len(), samples * classes, "expected a row of logits for each sample");
        if samples <= MAX_SINGLE_SAMPLES {
            for (image, logits) in images.chunks_exact(pixels).zip(logits.chunks_exact_mut(classes)) {
                self.single.logits(network, image, logits);
            }
            return;
        }
        if self.workspaces.is_empty() {
            self.workspaces.push(inference_workspace(network, INFERENCE_BATCH));
        }
        let chunk = blocks(samples).div_ceil(self.workspaces.len()).max(1) * LANES;
        if chunk >= samples {
            // Waking another thread would take longer than a few samples.
            return infer(network, &mut self.workspaces[0], images, logits);
        }
        let chunks = logits.par_chunks_mut(chunk * classes).zip(images.par_chunks(chunk * pixels));
        for_each_synced(chunks.zip(&mut self.workspaces), |_, ((logits, images), workspace)| {
            infer(network, workspace, images, logits);
        });
    }
}

fn inference_workspace(network: &Network, batch: usize) -> Workspace {
    let mut workspace = Workspace::new(network, batch, Mode::Inference);
    workspace.prepare(network);
    workspace
}

/// Writes the logits of `images` on this thread.
fn infer(network: &Network, workspace: &mut Workspace, images: &[u8], logits: &mut [f32]) {
    let (pixels, classes) = (network.architecture().input().len(), network.architecture().classes());
    let batches = images.chunks(INFERENCE_BATCH * pixels);
    for (images, logits) in batches.zip(logits.chunks_mut(INFERENCE_BATCH * classes)) {
        workspace.load(network.normalize(), images.chunks_exact(pixels));
        let output: &[Lanes] = workspace.infer(network);
        for (sample, row) in logits.chunks_exact_mut(classes).enumerate() {
            copy_row(output, sample, row);
        }
    }
}

impl Network {
    /// Returns a session on up to `threads` of rayon's threads, at least one.
    pub fn session(&self, threads: usize) -> Session<&Self> {
        Session::new(self, threads.max(1))
    }

    /// Returns the logits `(batch, classes)` of `images` `(batch, channels, height, width)`, computed on all threads of rayon's
    /// pool. Their rounding depends on whether there are few samples or many.
    ///
    /// # Panics
    /// If `images` has an incomplete sample.
    pub fn logits(&self, images: &[u8]) -> Vec<f32> {
        let samples = self.samples(images);
        let mut logits = vec![0.0; samples * self.architecture().classes()];
        let threads = match samples {
            0..=MAX_SINGLE_SAMPLES => 0,
            _ => rayon::current_num_threads().min(samples.div_ceil(INFERENCE_BATCH)),
        };
        Session::with_batch(self, threads, INFERENCE_BATCH.min(samples)).logits(images, &mut logits);
        logits
    }

    /// Returns the probabilities `(batch, classes)` of `images` `(batch, channels, height, width)`: the softmax of the logits
    /// divided by the temperature. With an outlier class, a row sums to the probability of being no outlier.
    ///
    /// # Panics
    /// If `images` has an incomplete sample.
    pub fn probabilities(&self, images: &[u8]) -> Vec<f32> {
        let mut rows = self.logits(images);
        self.calibrated_softmax(&mut rows);
        rows
    }
}
