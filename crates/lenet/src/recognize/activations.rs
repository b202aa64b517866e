//! Details of a reading: the images that were classified, and their feature maps.

use serde::Serialize;

use super::{Digit, Reading, Recognizer};
use crate::nn::{FeatureMaps, Network};

/// The largest number of digits with details. Details are many times as long as the reading.
pub const MAX_DIGITS_WITH_ACTIVATIONS: usize = 16;

/// Number of convolutions whose feature maps are in the details.
const MAX_FEATURE_MAP_LAYERS: usize = 2;

/// A reading with details of its digits.
#[derive(Debug, Clone, Serialize)]
pub struct ReadingWithActivations {
    /// The reading.
    #[serde(flatten)]
    pub reading: Reading,
    /// Details of each digit, or of the first [`MAX_DIGITS_WITH_ACTIVATIONS`].
    pub details: Vec<DigitActivations>,
}

/// Details of a digit.
#[derive(Debug, Clone, Serialize)]
pub struct DigitActivations {
    /// The image that was classified: ink from 0 to 255, `(row, column)`.
    #[serde(rename = "tile")]
    pub normalized: Vec<u8>,
    /// The feature maps of the first two convolutions, or of the only one.
    pub maps: Vec<QuantizedFeatureMaps>,
}

/// Feature maps, quantized linearly to 256 levels.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizedFeatureMaps {
    /// The name of the convolution.
    pub layer: String,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// The smallest and the largest value: level 0 and level 255.
    pub range: [f32; 2],
    /// The levels in the order `(channel, row, column)`.
    pub levels: Vec<u8>,
}

impl QuantizedFeatureMaps {
    /// Returns the feature maps of an image `(row, column)` in the first two convolutions of a network, or in the only one.
    pub fn of_image(network: &Network, image: &[u8]) -> Vec<Self> {
        network.feature_maps(image).into_iter().take(MAX_FEATURE_MAP_LAYERS).map(Self::from).collect()
    }
}

impl From<FeatureMaps> for QuantizedFeatureMaps {
    fn from(FeatureMaps { layer, shape, values }: FeatureMaps) -> Self {
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = 255.0 / (max - min).max(f32::MIN_POSITIVE);
        let levels = values.iter().map(|value| ((value - min) * scale).round() as u8).collect();
        let shape = [shape.channels, shape.height, shape.width];
        Self { layer, shape, range: [min, max], levels }
    }
}

impl Recognizer {
    /// Adds the classified images and their feature maps to a reading of this recognizer.
    pub fn add_activations(&self, reading: Reading) -> ReadingWithActivations {
        let detail = |digit: &Digit| {
            let maps = QuantizedFeatureMaps::of_image(self.network(), &digit.normalized);
            DigitActivations { normalized: digit.normalized.to_vec(), maps }
        };
        let details = reading.digits.iter().take(MAX_DIGITS_WITH_ACTIVATIONS).map(detail).collect();
        ReadingWithActivations { reading, details }
    }
}
