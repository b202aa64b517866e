//! A network: an [`Architecture`] with parameters, normalization and calibration.
//!
//! Inference is in `session.rs`, gradients are in `data_parallel.rs` and feature maps in `single_sample.rs`.

use fearless_simd::Level;
use half::f16;
use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};

use crate::{Architecture, Error, Layer, LayerSummary, Normalize, Shape, error::ensure};

/// A named tensor of a network's parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Key in PyTorch's `state_dict`, such as `conv1.weight`.
    pub name: String,
    /// Dimensions, as in PyTorch.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// A network: layers with parameters.
///
/// Samples are `u8` pixels `(batch, channels, height, width)`; logits and probabilities are `f32` `(batch, classes)`, or
/// `(batch, labels, height, width)` in [dense prediction](Architecture::dense_prediction).
#[derive(Debug, Clone)]
pub struct Network {
    architecture: Architecture,
    normalize: Normalize,
    temperature: f32,
    rejection_threshold: Option<f32>,
    /// All tensors in the order of PyTorch's `state_dict`, weights of fully connected layers in the engine's order.
    parameters: Vec<f32>,
    level: Level,
}

impl Network {
    /// Returns a network with PyTorch's default initialization: weights and biases uniform in `+-1/sqrt(fan_in)`, those of batch
    /// normalization 1 and 0.
    ///
    /// # Errors
    /// Those of [`Architecture::summary`] and [`Normalize::validate`].
    pub fn new(architecture: Architecture, normalize: Normalize, seed: u64) -> Result<Self, Error> {
        normalize.validate()?;
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut values = Vec::new();
        for row in architecture.summary()? {
            let bound = 1.0 / (row.layer.fan_in() as f32).sqrt();
            for (param_name, shape) in row.layer.parameter_shapes() {
                let constant = row.layer.constant_init(param_name);
                values.extend((0..shape.iter().product()).map(|_| {
                    constant.unwrap_or_else(|| {
                        let unit = (random.next_u32() >> 8) as f32 / (1 << 24) as f32;
                        (2.0 * unit - 1.0) * bound
                    })
                }));
            }
        }
        let (parameters, level) = (Vec::new(), Level::new());
        let mut network =
            Self { architecture, normalize, temperature: 1.0, rejection_threshold: None, parameters, level };
        network.parameters = network.to_engine_order(&values);
        Ok(network)
    }

    /// Returns the architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Returns the normalization of pixels.
    pub fn normalization(&self) -> Normalize {
        self.normalize
    }

    /// Returns the softmax temperature, by which logits are divided; 1 unless it was fitted.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// Sets the softmax temperature. A higher one makes the network less confident.
    ///
    /// # Errors
    /// [`Error::Setting`] if `temperature` is not finite and above 0.
    pub fn with_temperature(self, temperature: f32) -> Result<Self, Error> {
        let is_valid = temperature.is_finite() && temperature > 0.0;
        ensure("temperature", is_valid, "a finite number above 0", temperature)?;
        Ok(Self { temperature, ..self })
    }

    /// Returns the rejection threshold, if it was fitted: a sample is an outlier if its probabilities sum to less.
    pub fn rejection_threshold(&self) -> Option<f32> {
        self.rejection_threshold
    }

    /// Sets the rejection threshold. It doesn't change probabilities.
    ///
    /// # Errors
    /// [`Error::Setting`] if the threshold is not from 0 to 1, [`Error::NoOutlierClass`] if the architecture has no outlier
    /// class.
    pub fn with_rejection_threshold(self, threshold: Option<f32>) -> Result<Self, Error> {
        if let Some(value) = threshold {
            ensure("rejection_threshold", (0.0..=1.0).contains(&value), "0 to 1", value)?;
            if !self.architecture.has_outlier_class() {
                return Err(Error::NoOutlierClass);
            }
        }
        Ok(Self { rejection_threshold: threshold, ..self })
    }

    /// Adds an [outlier class](Architecture::with_implicit_outlier_class) to the architecture. The parameters stay the same.
    pub fn with_implicit_outlier_class(mut self) -> Self {
        self.architecture = self.architecture.with_implicit_outlier_class();
        self
    }

    /// Returns a network with the same parameters for inputs of another size. This is possible where no layer depends on the
    /// size, as in a fully convolutional network.
    ///
    /// # Errors
    /// Those of [`Architecture::summary`] for an input of the new size, among them [`Error::Layer`] for a fully connected layer.
    pub fn with_input_size(&self, height: usize, width: usize) -> Result<Self, Error> {
        let architecture = self.architecture.clone().with_input_size(height, width);
        architecture.summary()?;
        // The engine's order of a layer's weights depends on its input.
        Ok(self.with_architecture(architecture, &self.to_pytorch_order(&self.parameters)))
    }

    /// Returns a network with the same normalization and calibration, and parameters in PyTorch's order.
    pub(crate) fn with_architecture(&self, architecture: Architecture, values: &[f32]) -> Self {
        let mut network = Self { architecture, parameters: Vec::new(), ..*self };
        network.parameters = network.to_engine_order(values);
        network
    }

    /// Sets the probability of all dropout layers.
    pub fn set_dropout(&mut self, p: f32) {
        self.architecture.set_dropout(p);
    }

    /// Returns all parameters in the engine's order. It is that of [`tensors`](Self::tensors), but the weights of a fully
    /// connected layer are in panels of a few inputs: `(panel, output, input of the panel)`.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Returns all parameters, as [`parameters`](Self::parameters).
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// Returns the parameters by name, as PyTorch's `state_dict`.
    pub fn tensors(&self) -> impl Iterator<Item = NamedTensor> {
        let (values, mut start) = (self.to_pytorch_order(&self.parameters), 0);
        self.architecture.tensor_shapes().map(move |(name, shape)| {
            let range = start..start + shape.iter().product::<usize>();
            start = range.end;
            NamedTensor { name, shape, values: values[range].to_vec() }
        })
    }

    /// Converts values of all parameters, such as moments of an optimizer, from PyTorch's order to the engine's.
    ///
    /// # Panics
    /// If there is not one value for each parameter.
    pub fn to_engine_order(&self, values: &[f32]) -> Vec<f32> {
        self.reorder(values, Layer::reorder_to_engine)
    }

    /// Converts values of all parameters from the engine's order to PyTorch's.
    ///
    /// # Panics
    /// If there is not one value for each parameter.
    pub fn to_pytorch_order(&self, values: &[f32]) -> Vec<f32> {
        self.reorder(values, Layer::reorder_to_pytorch)
    }

    fn reorder(&self, values: &[f32], reorder: impl Fn(&Layer, Shape, &[f32], &mut [f32])) -> Vec<f32> {
        let mut reordered = values.to_vec();
        let (mut start, mut input) = (0, self.architecture.input_shape());
        for row in self.layer_summaries() {
            let range = start..start + row.parameters + row.buffers;
            start = range.end;
            reorder(row.layer, input, &values[range.clone()], &mut reordered[range]);
            input = row.output;
        }
        reordered
    }

    /// Replaces the logits of some samples by the probabilities of [`probabilities`](Self::probabilities).
    ///
    /// # Panics
    /// If the logits of the last sample are incomplete.
    pub fn logits_to_probabilities(&self, logits: &mut [f32]) {
        let len = self.architecture.output_shape().len();
        assert!(logits.len().is_multiple_of(len), "expected rows of {len} logits");
        for row in logits.chunks_exact_mut(len) {
            for logit in &mut *row {
                *logit /= self.temperature;
            }
            self.architecture.prediction_kind().logits_to_probabilities(row);
        }
    }

    /// Rounds all parameters to half precision, which halves the size of a file.
    pub fn round_to_f16(&mut self) {
        for value in &mut self.parameters {
            *value = f16::from_f32(*value).to_f32();
        }
    }

    /// Returns the layers with their output shapes and numbers of parameters.
    pub(crate) fn layer_summaries(&self) -> Vec<LayerSummary<'_>> {
        self.architecture.summary().expect("`Network::new` checked the architecture")
    }

    /// Returns the number of samples in `images`.
    ///
    /// # Panics
    /// If the last sample is incomplete.
    pub(crate) fn count_samples(&self, images: &[u8]) -> usize {
        let len = self.architecture.input_shape().len();
        assert!(images.len().is_multiple_of(len), "expected images of {len} pixels, found {}", images.len());
        images.len() / len
    }

    /// Returns the name of the SIMD level in use, such as `AVX512` or `SSE4.2`.
    pub fn simd_level_name(&self) -> &'static str {
        simd_level_name(self.level)
    }

    /// Returns the SIMD level in use, the best one of this machine.
    pub fn simd_level(&self) -> Level {
        self.level
    }
}

/// Returns the name of a SIMD level.
pub(crate) fn simd_level_name(level: Level) -> &'static str {
    match level {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Sse2(_) => "SSE2",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Sse4_2(_) => "SSE4.2",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Avx2(_) => "AVX2",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Avx512(_) => "AVX512",
        #[cfg(target_arch = "aarch64")]
        Level::Neon(_) => "NEON",
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Level::WasmSimd128(_) => "SIMD128",
        level if level.is_fallback() => "scalar",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_simd_levels() {
        assert_eq!(simd_level_name(Level::fallback()), "scalar");
        #[cfg(target_arch = "x86_64")]
        {
            let best = Level::new();
            assert!(["SSE2", "SSE4.2", "AVX2", "AVX512"].contains(&simd_level_name(best)), "{best:?}");
            assert_eq!(
                best.as_sse4_2().map(|level| simd_level_name(Level::Sse4_2(level))).unwrap_or("SSE4.2"),
                "SSE4.2"
            );
            assert_eq!(simd_level_name(Level::baseline()), "SSE2");
        }
        #[cfg(target_arch = "aarch64")]
        assert_eq!(simd_level_name(Level::new()), "NEON");
    }
}
