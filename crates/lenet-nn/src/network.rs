//! Networks: an architecture, its parameters, and what is done with them.

use fearless_simd::Level;
use half::f16;
use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    BatchSlice, DataParallel, LANES, Layer, Linear, Shape, Single, Targets, Workspace, blocks,
    layer::RUNNING,
    loss::{row, softmax},
    shards::each,
};
use crate::{CLASSES, Error, PIXELS, SIDE, error::ensure};

/// The layers of a network, in order and by name, from `(1, 28, 28)` to ten logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    name: String,
    layers: Vec<(String, Layer)>,
}

/// A layer in a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSummary<'a> {
    /// The layer's name.
    pub name: &'a str,
    /// The layer itself.
    pub layer: &'a Layer,
    /// What it makes of one image.
    pub output: Shape,
    /// Weights and biases.
    pub parameters: usize,
    /// Running averages, which follow the weights and biases in the network's parameters and are not learned.
    pub buffers: usize,
    /// Multiplications by a weight that one image takes, forward.
    pub multiply_adds: usize,
}

/// Layers, elements of one image's activations in all, and parameters of one layer beyond which an architecture is refused: it
/// may come from a file, and decides how much memory is taken.
const MAX_LAYERS: usize = 256;
const MAX_ELEMENTS: u64 = 1 << 20;
const MAX_PARAMETERS: u64 = 1 << 26;

impl Architecture {
    /// An architecture without layers.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), layers: Vec::new() }
    }

    /// The same with one more layer. The parameters of layer `conv1` are called `conv1.weight` and `conv1.bias`.
    pub fn layer(mut self, name: impl Into<String>, layer: impl Into<Layer>) -> Self {
        self.layers.push((name.into(), layer.into()));
        self
    }

    /// What the network is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The layers with what they make of an image.
    ///
    /// # Errors
    /// [`Error::Architecture`] if a layer can't take what the one before it makes, two layers have the same name,
    /// or the last one doesn't make ten logits.
    pub fn summary(&self) -> Result<Vec<LayerSummary<'_>>, Error> {
        let wrong = |name: &str, expected: String, found: String| Error::Architecture {
            layer: name.to_owned(),
            expected,
            found,
        };
        let mut shape = Shape { channels: 1, height: SIDE, width: SIDE };
        let mut rows: Vec<LayerSummary> = Vec::new();
        let mut elements = 0_u64;
        for (name, layer) in &self.layers {
            if rows.len() == MAX_LAYERS {
                return Err(wrong(
                    name,
                    format!("at most {MAX_LAYERS} layers"),
                    self.layers.len().to_string(),
                ));
            }
            if rows.iter().any(|row| row.name == name) {
                return Err(wrong(name, "a name of its own".into(), "another layer of this name".into()));
            }
            let input = shape;
            shape = layer.output(input).map_err(|(expected, found)| wrong(name, expected, found))?;
            let (mut parameters, mut buffers) = (0_u64, 0);
            for (part, shape) in layer.parameter_shapes() {
                let len = shape.iter().fold(1_u64, |product, &n| product.saturating_mul(n as u64));
                let sum = if RUNNING.contains(&part) { &mut buffers } else { &mut parameters };
                *sum = sum.saturating_add(len);
            }
            let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|n| n as u64);
            elements = elements.saturating_add(channels.saturating_mul(height).saturating_mul(width));
            if elements > MAX_ELEMENTS || parameters > MAX_PARAMETERS {
                let expected = format!("at most {MAX_ELEMENTS} elements and {MAX_PARAMETERS} parameters");
                return Err(wrong(name, expected, format!("{elements} and {parameters}")));
            }
            rows.push(LayerSummary {
                name,
                layer,
                output: shape,
                parameters: parameters as usize,
                buffers: buffers as usize,
                multiply_adds: layer.multiply_adds(shape),
            });
        }
        if shape != Shape::flat(CLASSES) {
            let last = rows.last().map_or("(none)", |row| row.name);
            return Err(wrong(last, format!("{CLASSES} logits"), shape.to_string()));
        }
        Ok(rows)
    }
}

/// What a network is fed: `(pixel / 255 - mean) / std`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// Subtracted from pixels between 0 and 1.
    pub mean: f32,
    /// What they are divided by.
    pub std: f32,
}

impl Normalize {
    /// Mean 0 and deviation 1 over the training images of MNIST.
    pub const MNIST: Self = Self { mean: 0.1307, std: 0.3081 };
    /// Pixels between 0 and 1.
    pub const UNIT: Self = Self { mean: 0.0, std: 1.0 };

    pub fn validate(self) -> Result<(), Error> {
        if self.table().iter().all(|value| value.is_finite()) && self.std > 0.0 {
            return Ok(());
        }
        Err(Error::Setting {
            name: "scaling".into(),
            expected: "a mean and a positive std that keep pixels finite".into(),
            found: format!("{}, {}", self.mean, self.std),
        })
    }

    /// What each pixel value becomes.
    pub(crate) fn table(self) -> [f32; 256] {
        std::array::from_fn(|pixel| (pixel as f32 / 255.0 - self.mean) / self.std)
    }
}

/// A named tensor of a network's parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its key in PyTorch's `state_dict`, such as `conv1.weight`.
    pub name: String,
    /// Its dimensions, as in PyTorch.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

/// What a convolution, with the normalisation and the activation function after it, makes of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMaps {
    /// The name of the convolution.
    pub layer: String,
    /// How many maps, of which rows and columns.
    pub shape: Shape,
    /// (channel, row, column)
    pub values: Vec<f32>,
}

/// A network: reads images, and says how to change its parameters to read them better.
#[derive(Debug, Clone)]
pub struct Network {
    architecture: Architecture,
    normalize: Normalize,
    temperature: f32,
    threshold: Option<f32>,
    /// All tensors, one after the other in the order of `state_dict`.
    parameters: Vec<f32>,
    level: Level,
}

/// Images that a thread reads at a time: enough to share each pass over the weights, few enough to stay in cache.
pub const CHUNK: usize = 48;

/// Images up to which it is faster to read them one by one than as a block, whatever the network.
const FEW: usize = 4;

impl Network {
    /// A network with PyTorch's default initialisation: weights and biases uniform in `+-1/sqrt(fan_in)`, those of batch
    /// normalisation 1 and 0.
    ///
    /// # Errors
    /// As [`Architecture::summary`], and [`Error::Setting`] if `normalize` is not finite or divides by zero.
    pub fn new(architecture: Architecture, normalize: Normalize, seed: u64) -> Result<Self, Error> {
        normalize.validate()?;
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut rows = Vec::new();
        for row in architecture.summary()? {
            let bound = 1.0 / (row.layer.fan_in() as f32).sqrt();
            for (part, shape) in row.layer.parameter_shapes() {
                let constant = row.layer.constant(part);
                rows.extend((0..shape.iter().product()).map(|_| {
                    constant.unwrap_or_else(|| {
                        let unit = (random.next_u32() >> 8) as f32 / (1 << 24) as f32;
                        (2.0 * unit - 1.0) * bound
                    })
                }));
            }
        }
        let (parameters, level) = (Vec::new(), Level::new());
        let mut network =
            Self { architecture, normalize, temperature: 1.0, threshold: None, parameters, level };
        network.parameters = network.to_panels(&rows);
        Ok(network)
    }

    /// The network's layers.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What becomes of pixels before the first layer.
    pub fn normalize(&self) -> Normalize {
        self.normalize
    }

    /// What logits are divided by before they become probabilities: 1 unless it was fitted.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// The same network, more confident than before or less.
    ///
    /// # Errors
    /// [`Error::Setting`] if `temperature` is not finite and above 0.
    pub fn with_temperature(self, temperature: f32) -> Result<Self, Error> {
        let good = temperature.is_finite() && temperature > 0.0;
        ensure("temperature", good, "a finite number above 0", temperature)?;
        Ok(Self { temperature, ..self })
    }

    /// The probability of being a digit below which what is found in a picture is none, if the network has learned what
    /// is none.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// The same network as one that has learned what is no digit, or has not.
    ///
    /// # Errors
    /// [`Error::Setting`] if `threshold` is not from 0 to 1.
    pub fn with_threshold(self, threshold: Option<f32>) -> Result<Self, Error> {
        let value = threshold.unwrap_or(0.0);
        ensure("threshold", (0.0..=1.0).contains(&value), "0 to 1", value)?;
        Ok(Self { threshold, ..self })
    }

    /// Sets the probability of all dropout layers.
    pub fn set_dropout(&mut self, p: f32) {
        for (_, layer) in &mut self.architecture.layers {
            if let Layer::Dropout(dropout) = layer {
                dropout.p = p;
            }
        }
    }

    /// All parameters, tensor after tensor, in the engine's order: that of [`tensors`](Self::tensors), but weights of fully
    /// connected layers lie in panels of a few inputs, `(panel, output, input of the panel)`.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// As [`parameters`](Self::parameters).
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// The parameters by name, as PyTorch has them.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> {
        let (rows, mut start) = (self.to_rows(&self.parameters), 0);
        self.architecture.tensors().map(move |(name, shape)| {
            let place = start..start + shape.iter().product::<usize>();
            start = place.end;
            Tensor { name, shape, values: rows[place].to_vec() }
        })
    }

    /// Values of all parameters in the engine's order, of those in PyTorch's.
    pub fn to_panels(&self, rows: &[f32]) -> Vec<f32> {
        self.reorder(rows, Linear::to_panels)
    }

    /// Values of all parameters in PyTorch's order, of those in the engine's.
    pub fn to_rows(&self, values: &[f32]) -> Vec<f32> {
        self.reorder(values, Linear::to_rows)
    }

    fn reorder(&self, values: &[f32], weights: impl Fn(Linear, &[f32], &mut [f32])) -> Vec<f32> {
        let mut reordered = values.to_vec();
        let (mut start, mut input) = (0, Shape { channels: 1, height: SIDE, width: SIDE });
        for row in self.rows() {
            if let Some(layer) = row.layer.linear(input) {
                let place = start..start + layer.weights();
                weights(layer, &values[place.clone()], &mut reordered[place]);
            }
            start += row.parameters + row.buffers;
            input = row.output;
        }
        reordered
    }

    /// The logits of each of `images` (image, row, column), on all threads of rayon's pool. How they are rounded depends
    /// on whether there are a few images or many.
    ///
    /// # Panics
    /// If `images` doesn't hold whole images.
    pub fn logits(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        let mut logits = vec![[0.0; CLASSES]; images.len() / PIXELS];
        let threads = match logits.len() {
            0..=FEW => 0,
            many => rayon::current_num_threads().min(many.div_ceil(CHUNK)),
        };
        Memory::new(self, threads, CHUNK.min(logits.len())).read(self, images, &mut logits);
        logits
    }

    /// What reads images again and again on a number of rayon's threads, with no memory taken after this.
    pub fn session(&self, threads: usize) -> Session<'_> {
        Session { network: self, memory: Memory::new(self, threads.max(1), CHUNK) }
    }

    /// The probability of each digit for each of `images` (image, row, column): the softmax of the logits over the
    /// temperature. Of a network with a threshold they add up to the probability that the image is a digit at all.
    ///
    /// # Panics
    /// If `images` doesn't hold whole images.
    pub fn probabilities(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        self.logits(images).into_iter().map(|logits| self.calibrated_softmax(logits)).collect()
    }

    pub fn calibrated_softmax(&self, logits: [f32; CLASSES]) -> [f32; CLASSES] {
        softmax(logits.map(|logit| logit / self.temperature), self.threshold.is_some())
    }

    /// What each convolution makes of `image` (row, column), from the first to the last; without those that make one
    /// pixel of it.
    ///
    /// # Panics
    /// If `image` isn't one image.
    pub fn feature_maps(&self, image: &[u8]) -> Vec<FeatureMaps> {
        assert_eq!(image.len(), PIXELS, "one image");
        let mut single = Single::new(self, self.level);
        single.logits(self, image);
        single.feature_maps().collect()
    }

    /// Rounds all parameters to the nearest numbers of half precision, which takes half the room in a file.
    pub fn round_to_f16(&mut self) {
        for value in &mut self.parameters {
            *value = f16::from_f32(*value).to_f32();
        }
    }

    /// The mean loss over `images` (image, row, column), one batch with dropout off, and its gradient, in the order of
    /// [`parameters`](Self::parameters).
    ///
    /// # Panics
    /// If there is not one target for each image.
    pub fn gradient(&self, images: &[u8], targets: Targets) -> (f32, Vec<f32>) {
        let samples = targets.len();
        assert_eq!(images.len(), samples * PIXELS, "one target for each image");
        let mut shards = DataParallel::new(self, &[samples]);
        let share = BatchSlice { total: samples, dropout_key: None, first_block: 0, none: false };
        shards.step(self, &mut [()], |_, shard, ()| {
            let rows = (0..samples).map(|sample| targets.row(sample));
            shard.load(self, share, images.chunks_exact(PIXELS), rows);
        });
        let gradient = shards.gradient(self);
        ((shards.result().0 / samples as f64) as f32, gradient)
    }

    pub(crate) fn rows(&self) -> Vec<LayerSummary<'_>> {
        // A network is only made of an architecture that has a summary, and never changes it.
        self.architecture.summary().expect("a network's architecture is good")
    }

    /// The SIMD level that it works at on this machine, such as `AVX512` or `SSE4.2`.
    pub fn simd_level(&self) -> String {
        // Its `Debug` form is the level's name, then what proves that the machine has it.
        let level = format!("{:?}", self.level);
        level.split('(').next().unwrap_or_default().to_uppercase().replace('_', ".")
    }

    pub fn level(&self) -> Level {
        self.level
    }
}

/// A network with the memory that reading takes.
pub struct Session<'a> {
    network: &'a Network,
    memory: Memory,
}

impl Session<'_> {
    /// Writes the logits of each of `images` (image, row, column).
    ///
    /// # Panics
    /// If there is not one row of `logits` for each image.
    pub fn logits(&mut self, images: &[u8], logits: &mut [[f32; CLASSES]]) {
        self.memory.read(self.network, images, logits);
    }
}

/// The memory that reading takes, with a network's parameters as kernels want them. It must be used with that network.
pub struct Memory {
    /// One for each thread.
    workspaces: Vec<Workspace>,
    /// For few images.
    single: Single,
}

impl Memory {
    /// To read up to `chunk` images at a time on each thread. Without threads, to read up to [`FEW`]: when more come, memory for
    /// them is taken, which is most of it.
    pub fn new(network: &Network, threads: usize, chunk: usize) -> Self {
        let workspaces = (0..threads).map(|_| Workspace::for_inference(network, chunk)).collect();
        Self { workspaces, single: Single::new(network, network.level) }
    }

    /// Writes the logits of each of `images`, as [`Session::logits`].
    pub fn read(&mut self, network: &Network, images: &[u8], logits: &mut [[f32; CLASSES]]) {
        assert_eq!(images.len(), logits.len() * PIXELS, "one row for each image");
        if logits.len() <= FEW {
            for (image, logits) in images.chunks_exact(PIXELS).zip(logits) {
                *logits = self.single.logits(network, image);
            }
            return;
        }
        if self.workspaces.is_empty() {
            self.workspaces.push(Workspace::for_inference(network, CHUNK));
        }
        let share = blocks(logits.len()).div_ceil(self.workspaces.len()).max(1) * LANES;
        if share >= logits.len() {
            // Waking another thread would take longer than a few images do.
            return read(network, &mut self.workspaces[0], images, logits);
        }
        let shares = logits.par_chunks_mut(share).zip(images.par_chunks(share * PIXELS));
        each(shares.zip(&mut self.workspaces), |_, ((logits, images), workspace)| {
            read(network, workspace, images, logits);
        });
    }
}

/// Reads on this thread.
fn read(network: &Network, workspace: &mut Workspace, images: &[u8], logits: &mut [[f32; CLASSES]]) {
    for (images, logits) in images.chunks(CHUNK * PIXELS).zip(logits.chunks_mut(CHUNK)) {
        workspace.load(network.normalize, images.chunks_exact(PIXELS));
        let output = workspace.infer(network);
        for (sample, logits) in logits.iter_mut().enumerate() {
            *logits = row(output, sample);
        }
    }
}

impl Architecture {
    /// The parameters: name and shape of each tensor.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        self.layers.iter().flat_map(|(name, layer)| {
            layer.parameter_shapes().into_iter().map(move |(part, shape)| (format!("{name}.{part}"), shape))
        })
    }
}
