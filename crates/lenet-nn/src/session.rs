//! Inference: logits and probabilities of samples.

use std::ops::Deref;

use rayon::prelude::*;

use crate::{
    Network, PredictionKind,
    activation_layout::{LANES, Lanes, block_count},
    loss::copy_sample_logits,
    single_sample::SingleSampleWorkspace,
    spin_barrier::for_each_synced,
    workspace::{Mode, Workspace},
};

/// Samples in a pass of a thread in inference: enough to share each pass over the weights, few enough to stay in cache. Chosen by
/// measurement.
pub const INFERENCE_BATCH_SIZE: usize = 48;

/// Largest number of samples that are faster one by one than as a block, for any classifier. Chosen by measurement.
const MAX_SINGLE_SAMPLES: usize = 4;

/// Returns the largest number of samples that run one by one. In dense prediction all do, because samples are large: channels
/// fill the lanes, and a block would take eight times the memory.
fn max_single_samples(network: &Network) -> usize {
    match network.architecture().prediction_kind() {
        PredictionKind::Class { .. } => MAX_SINGLE_SAMPLES,
        PredictionKind::Dense { .. } => usize::MAX,
    }
}

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
    /// One for each thread, none in dense prediction.
    workspaces: Vec<Workspace>,
    /// For few samples, and one for each thread in dense prediction.
    singles: Vec<SingleSampleWorkspace>,
}

impl<N: Deref<Target = Network>> Session<N> {
    /// Allocates memory for inference on up to `threads` of rayon's threads.
    ///
    /// With 0 threads there is only memory for single samples, which takes much less. The memory of a thread is then allocated
    /// when there are more samples.
    pub fn new(network: N, threads: usize) -> Self {
        Self::with_batch_size(network, threads, INFERENCE_BATCH_SIZE)
    }

    /// Allocates memory for up to `batch` samples in a pass of a thread.
    fn with_batch_size(network: N, threads: usize, batch: usize) -> Self {
        let is_single = max_single_samples(&network) == usize::MAX;
        let (workspaces, singles) = if is_single { (0, threads.max(1)) } else { (threads, 1) };
        let workspaces = (0..workspaces).map(|_| inference_workspace(&network, batch)).collect();
        let singles =
            (0..singles).map(|_| SingleSampleWorkspace::new(&network, network.simd_level())).collect();
        Self { network, workspaces, singles }
    }

    /// Writes the logits `(batch, classes)`, or `(batch, labels, height, width)` in dense prediction, of `images` `(batch,
    /// channels, height, width)`.
    ///
    /// # Panics
    /// If `images` has an incomplete sample, or `logits` not one row for each sample.
    pub fn logits(&mut self, images: &[u8], logits: &mut [f32]) {
        let (network, samples) = (&*self.network, self.network.count_samples(images));
        let (pixels, row_len) =
            (network.architecture().input_shape().len(), network.architecture().output_shape().len());
        assert_eq!(logits.len(), samples * row_len, "expected a row of logits for each sample");
        if samples <= max_single_samples(network) {
            let chunk = samples.div_ceil(self.singles.len()).max(1);
            if chunk >= samples {
                return infer_one_by_one(network, &mut self.singles[0], images, logits);
            }
            let chunks = logits.par_chunks_mut(chunk * row_len).zip(images.par_chunks(chunk * pixels));
            return for_each_synced(chunks.zip(&mut self.singles), |_, ((logits, images), single)| {
                infer_one_by_one(network, single, images, logits);
            });
        }
        if self.workspaces.is_empty() {
            self.workspaces.push(inference_workspace(network, INFERENCE_BATCH_SIZE));
        }
        let chunk = block_count(samples).div_ceil(self.workspaces.len()).max(1) * LANES;
        if chunk >= samples {
            // Waking another thread would take longer than a few samples.
            return infer_in_batches(network, &mut self.workspaces[0], images, logits);
        }
        let chunks = logits.par_chunks_mut(chunk * row_len).zip(images.par_chunks(chunk * pixels));
        for_each_synced(chunks.zip(&mut self.workspaces), |_, ((logits, images), workspace)| {
            infer_in_batches(network, workspace, images, logits);
        });
    }
}

fn inference_workspace(network: &Network, batch: usize) -> Workspace {
    let mut workspace = Workspace::new(network, batch, Mode::Inference);
    workspace.prepare_parameters(network);
    workspace
}

/// Writes the logits of `images` on this thread, one by one.
fn infer_one_by_one(
    network: &Network,
    single: &mut SingleSampleWorkspace,
    images: &[u8],
    logits: &mut [f32],
) {
    let (pixels, row_len) =
        (network.architecture().input_shape().len(), network.architecture().output_shape().len());
    for (image, logits) in images.chunks_exact(pixels).zip(logits.chunks_exact_mut(row_len)) {
        single.infer(network, image, logits);
    }
}

/// Writes the logits of `images` on this thread, in blocks.
fn infer_in_batches(network: &Network, workspace: &mut Workspace, images: &[u8], logits: &mut [f32]) {
    let (pixels, row_len) =
        (network.architecture().input_shape().len(), network.architecture().output_shape().len());
    let batches = images.chunks(INFERENCE_BATCH_SIZE * pixels);
    for (images, logits) in batches.zip(logits.chunks_mut(INFERENCE_BATCH_SIZE * row_len)) {
        workspace.load_images(network.normalization(), images.chunks_exact(pixels));
        let output: &[Lanes] = workspace.infer(network);
        for (sample, row) in logits.chunks_exact_mut(row_len).enumerate() {
            copy_sample_logits(output, sample, row);
        }
    }
}

impl Network {
    /// Returns a session on up to `threads` of rayon's threads, at least one.
    pub fn session(&self, threads: usize) -> Session<&Self> {
        Session::new(self, threads.max(1))
    }

    /// Returns the logits `(batch, classes)`, or `(batch, labels, height, width)` in dense prediction, of `images` `(batch,
    /// channels, height, width)`, computed on all threads of rayon's pool. The rounding of classes depends on whether there
    /// are few samples or many.
    ///
    /// # Panics
    /// If `images` has an incomplete sample.
    pub fn logits(&self, images: &[u8]) -> Vec<f32> {
        let samples = self.count_samples(images);
        let mut logits = vec![0.0; samples * self.architecture().output_shape().len()];
        let threads = match self.architecture().prediction_kind() {
            PredictionKind::Dense { .. } => rayon::current_num_threads().min(samples),
            PredictionKind::Class { .. } if samples <= MAX_SINGLE_SAMPLES => 0,
            PredictionKind::Class { .. } => {
                rayon::current_num_threads().min(samples.div_ceil(INFERENCE_BATCH_SIZE))
            }
        };
        Session::with_batch_size(self, threads, INFERENCE_BATCH_SIZE.min(samples))
            .logits(images, &mut logits);
        logits
    }

    /// Returns the probabilities of `images` `(batch, channels, height, width)`, in the shape of the
    /// [`logits`](Self::logits): the softmax, or the sigmoid in dense prediction, of the logits divided by the temperature.
    /// With an outlier class, a row sums to the probability of being no outlier.
    ///
    /// # Panics
    /// If `images` has an incomplete sample.
    pub fn probabilities(&self, images: &[u8]) -> Vec<f32> {
        let mut rows = self.logits(images);
        self.logits_to_probabilities(&mut rows);
        rows
    }
}
