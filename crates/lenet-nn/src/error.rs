//! Errors returned by this crate.

use crate::Shape;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer of an architecture is impossible or doesn't fit the layer before it.
    #[error("layer {layer}: {cause}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// Cause of the error.
        cause: LayerError,
    },
    /// A setting is out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Values that the setting may have.
        expected: &'static str,
        /// Value that it has.
        found: f32,
    },
    /// A [`Normalize`](crate::Normalize) divides by zero or maps a pixel to an infinite number.
    #[error("normalize: expected a mean and a positive std that keep pixels finite, found {mean}, {std}")]
    Normalize {
        /// The mean.
        mean: f32,
        /// The standard deviation.
        std: f32,
    },
    /// A rejection threshold was given to a network whose architecture has no outlier class.
    #[error("rejection_threshold: expected an architecture with an outlier class")]
    NoOutlierClass,
}

impl Error {
    /// Returns the name of the setting that the error is about, if it is about one.
    pub fn setting_name(&self) -> Option<&'static str> {
        match self {
            Self::Setting { name, .. } => Some(name),
            Self::Normalize { .. } => Some("normalize"),
            _ => None,
        }
    }
}

/// Reason for which a layer can't be part of an architecture.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The input has another number of channels.
    #[error("expected {expected} channels, found {input}")]
    Channels {
        /// Channels of the layer.
        expected: usize,
        /// Shape of its input.
        input: Shape,
    },
    /// The input has another number of features, or is not flat.
    #[error("expected {expected} features, found {input}")]
    Features {
        /// Features of the layer.
        expected: usize,
        /// Shape of its input.
        input: Shape,
    },
    /// The input is smaller than a kernel or window.
    #[error("expected at least {extent} x {extent} pixels, found {input}")]
    InputTooSmall {
        /// Height and width that the kernel, with its dilation, or the window covers.
        extent: usize,
        /// Shape of the layer's input.
        input: Shape,
    },
    /// A padding is not below the extent of the kernel.
    #[error("expected padding below the kernel's extent of {extent}, found {padding}")]
    Padding {
        /// Height and width that the kernel covers: `dilation * (kernel_size - 1) + 1`.
        extent: usize,
        /// The padding.
        padding: usize,
    },
    /// A dimension is 0 or too large.
    #[error("expected {name} from 1 to {max}, found {found}")]
    Dimension {
        /// Name of the dimension.
        name: &'static str,
        /// The largest value that it may have.
        max: usize,
        /// Its value.
        found: usize,
    },
    /// The number of channels is not a multiple of the square of an upscale factor.
    #[error("expected a multiple of {upscale_factor} x {upscale_factor} channels, found {input}")]
    UpscaleFactor {
        /// The upscale factor.
        upscale_factor: usize,
        /// Shape of the layer's input.
        input: Shape,
    },
    /// A probability is out of its range.
    #[error("expected p of at least 0 and below 1, found {p}")]
    Probability {
        /// The probability.
        p: f32,
    },
    /// Another layer has the same name.
    #[error("expected a name of its own, found another layer of this name")]
    DuplicateName,
    /// The architecture has too many layers.
    #[error("expected at most {max} layers, found {found}")]
    TooManyLayers {
        /// The largest number of layers.
        max: usize,
        /// Their number.
        found: usize,
    },
    /// The activations of a sample or the layer's parameters are too many.
    #[error(
        "expected at most {max_elements} elements and {max_parameters} parameters, found {elements} and {parameters}"
    )]
    TooLarge {
        /// The largest number of elements of all activations of one sample.
        max_elements: u64,
        /// The largest number of parameters of a layer.
        max_parameters: u64,
        /// Elements of the activations up to this layer.
        elements: u64,
        /// Parameters of this layer.
        parameters: u64,
    },
    /// The output of the last layer is not that of the architecture.
    #[error("expected logits of {expected}, found {output}")]
    Logits {
        /// Shape of a sample's logits.
        expected: Shape,
        /// Output shape of the last layer.
        output: Shape,
    },
}

/// Returns [`Error::Setting`] unless `condition` holds for the setting `name`, whose value is `found`.
pub(crate) fn ensure(
    name: &'static str,
    condition: bool,
    expected: &'static str,
    found: f32,
) -> Result<(), Error> {
    if condition { Ok(()) } else { Err(Error::Setting { name, expected, found }) }
}
