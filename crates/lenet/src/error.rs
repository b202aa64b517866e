//! Errors returned by this crate.

use std::io;

use safetensors::{Dtype, SafeTensorError};

use crate::{
    data::Task,
    image::Rect,
    nn::{Normalize, Shape},
    pytorch::PyTorchError,
    recognize::ConstraintError,
};

/// Errors returned by this crate, one variant for each cause.
///
/// The message says where the error is, what was expected and what was found. An error of another crate that caused this
/// one is its [`source`](std::error::Error::source) and not part of the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The magic number of an IDX file names another element type or number of dimensions.
    #[error(
        "magic number: expected {expected:#010x} ({}-dimensional IDX of bytes), found {found:#010x}",
        expected & 0xff
    )]
    InvalidMagic {
        /// The magic number of the expected kind of file.
        expected: u32,
        /// The first four bytes of the file, big-endian.
        found: u32,
    },
    /// An IDX file declares more images or labels than [`MAX_IMAGES`](crate::data::idx::MAX_IMAGES).
    #[error("length: expected at most {max}, found {found}")]
    TooManyItems {
        /// The maximum.
        max: usize,
        /// The number in the header.
        found: usize,
    },
    /// An IDX file holds images of another size than expected, or of a size that has no pixels or overflows.
    #[error("image size: expected {}, found {rows}x{columns}", format_image_size(*expected))]
    ImageSize {
        /// The expected rows and columns; `None` if any size with pixels is valid.
        expected: Option<(usize, usize)>,
        /// Rows in the header.
        rows: usize,
        /// Columns in the header.
        columns: usize,
    },
    /// An IDX file ends early.
    #[error("{section}: expected {expected} bytes, found {found}")]
    TruncatedData {
        /// The section that is too short: `header`, `pixels` or `labels`.
        section: &'static str,
        /// Bytes in the whole section.
        expected: usize,
        /// Bytes before the end of the file.
        found: usize,
    },
    /// An IDX file continues after its last value.
    #[error("{section}: expected {expected} bytes, found more")]
    TrailingData {
        /// The last section: `pixels` or `labels`.
        section: &'static str,
        /// Bytes in the whole section.
        expected: usize,
    },
    /// The reader of an IDX file failed.
    #[error("{section}: expected {expected} bytes, found {found} before a read error")]
    Read {
        /// The section that could not be read: `header`, `pixels` or `labels`.
        section: &'static str,
        /// Bytes in the whole section.
        expected: usize,
        /// Bytes read before the error. If it equals `expected`, the error occurred at the end of the file.
        found: usize,
        /// The error of the reader.
        source: io::Error,
    },
    /// The number of labels differs from the number of images.
    #[error("number of labels: expected {expected} (one for each image), found {found}")]
    LabelCount {
        /// Number of images.
        expected: usize,
        /// Number of labels.
        found: usize,
    },
    /// A label is not a class.
    #[error("label {index}: expected 0 to 9, found {label}")]
    LabelOutOfRange {
        /// Index of the label, from 0.
        index: usize,
        /// The label.
        label: u8,
    },
    /// Pixels do not fill the image: not 1 to 4 bytes a pixel, or no pixels.
    #[error("bytes of a picture: expected 1 to 4 for each of {width} x {height} pixels, found {found}")]
    ImageBytes {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Number of bytes.
        found: usize,
    },
    /// A part of a picture has no pixels, or is not within the picture.
    #[error(
        "region: expected x, y, width, height within {width} x {height} pixels, found {}, {}, {}, {}",
        region.x, region.y, region.width, region.height
    )]
    Region {
        /// The part.
        region: Rect,
        /// Columns of the picture.
        width: usize,
        /// Rows of the picture.
        height: usize,
    },
    /// A template of a form is invalid.
    #[error("field `{field}`: expected {expected}")]
    Template {
        /// The name of the field; empty if there are none.
        field: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The constraint of a field of a form contradicts itself.
    #[error("field `{field}`")]
    Constraint {
        /// The name of the field.
        field: String,
        /// The contradiction.
        source: ConstraintError,
    },
    /// A picture has no frame in which fields could be found.
    #[error("frame: expected four rules around the form, within the picture, found none")]
    NoFrame,
    /// There are no images to train or to evaluate on.
    #[error("number of images: expected at least 1, found 0")]
    NoImages,
    /// There are too few digits of a person's handwriting to adapt a network to it.
    #[error("number of digits: expected at least {expected}, found {found}")]
    TooFewDigits {
        /// The minimum.
        expected: usize,
        /// Number of digits.
        found: usize,
    },
    /// The number of rows of probabilities differs from the number of labels.
    #[error("number of predictions: expected {expected} (one for each label), found {found}")]
    PredictionCount {
        /// Number of labels.
        expected: usize,
        /// Number of rows of probabilities.
        found: usize,
    },
    /// A probability is not finite, for example because training diverged.
    #[error("probability of image {index}: expected 0 to 1, found {value}")]
    InvalidProbability {
        /// Index of the image, from 0.
        index: usize,
        /// The value.
        value: f32,
    },

    /// The bytes are not a whole safetensors file.
    #[error("content: expected a safetensors file")]
    Safetensors(#[source] SafeTensorError),
    /// The file is none that `torch.save` wrote, or has other objects than tensors and containers.
    #[error("content: expected a state_dict that torch.save wrote")]
    PyTorch(#[source] PyTorchError),
    /// The safetensors format cannot hold the network, for example because of a layer's name.
    #[error("network: could not be written as safetensors")]
    Unwritable(#[source] SafeTensorError),
    /// The network cannot be written as C source.
    #[error("{layer}: expected {expected}")]
    CSource {
        /// Name of the layer, the network or the file.
        layer: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The metadata key `lenet` is missing, as in files that PyTorch writes.
    #[error("metadata: expected a key `lenet` with the architecture, found none")]
    MissingMetadata,
    /// The metadata key `lenet` is present although the caller specifies the architecture.
    #[error(
        "metadata: expected none because the architecture is given, found the key `lenet`, which contains one"
    )]
    UnexpectedMetadata,
    /// The metadata key `lenet` holds other JSON than the format specifies.
    #[error("metadata: expected {expected}")]
    Metadata {
        /// The expected kind of metadata.
        expected: &'static str,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A value in the metadata of a checkpoint is out of range.
    #[error("{key}: expected {expected}, found {found}")]
    InvalidMetadata {
        /// The key, and the epoch if it is part of the history.
        key: String,
        /// The range.
        expected: String,
        /// The value.
        found: f64,
    },
    /// The architecture has more parameters than fit in the file.
    #[error(
        "parameters: expected {expected} for {architecture}, found at most {found}{}",
        missing.as_ref().map(|name| format!("; {name} is missing")).unwrap_or_default()
    )]
    MissingParameters {
        /// Name of the architecture.
        architecture: String,
        /// Number of parameters.
        expected: usize,
        /// Upper bound of the number of parameters in the file.
        found: usize,
        /// Name of the first tensor that is missing, if one is.
        missing: Option<String>,
    },
    /// A tensor of the architecture is missing in the file.
    #[error("{name}: expected a tensor of this name, found none")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
    },
    /// The file holds tensors that the architecture does not have.
    #[error("tensors: expected {expected}, found also {}", names.join(", "))]
    UnknownTensors {
        /// Number of tensors of the architecture.
        expected: usize,
        /// Names of the other tensors, sorted.
        names: Vec<String>,
    },
    /// A tensor is neither `F32` nor `F16` nor `BF16` nor `F64`.
    #[error("{name}: expected F32, F16, BF16 or F64, found {found}")]
    UnsupportedDtype {
        /// Name of the tensor.
        name: String,
        /// Its element type.
        found: Dtype,
    },
    /// A tensor has another shape than in the architecture.
    #[error("{name}: expected shape {expected:?}, found {found:?}")]
    ShapeMismatch {
        /// Name of the tensor.
        name: String,
        /// Shape in the architecture.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor holds a value that it cannot have: NaN, infinite, or negative in Adam's second moment.
    #[error("{name}: expected {expected}, found {value}")]
    InvalidValue {
        /// Name of the tensor.
        name: String,
        /// The valid values.
        expected: &'static str,
        /// The first invalid value.
        value: f32,
    },

    /// A setting is out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    InvalidSetting {
        /// Name of the setting, as in a recipe file; nested settings are joined by dots.
        name: &'static str,
        /// The range.
        expected: String,
        /// The value.
        found: String,
    },
    /// The recipe and the network normalize pixels differently.
    #[error("normalize: expected the network's {network:?}, found {recipe:?}")]
    NormalizeMismatch {
        /// The network's normalization.
        network: Normalize,
        /// The recipe's normalization.
        recipe: Normalize,
    },
    /// The dataset is not the one that the checkpoint's training started with.
    #[error("data: expected the images that training started with, found {found} others")]
    DatasetMismatch {
        /// Number of images in the dataset.
        found: usize,
    },
    /// The thread pool has another size than the one that the checkpoint's training started with.
    #[error("threads: expected {expected}, as at the start of training, found {found}")]
    ThreadCountMismatch {
        /// Threads at the start of training.
        expected: usize,
        /// Threads now.
        found: usize,
    },
    /// Training diverged: the loss of an epoch is not finite, or above that of equal probabilities in two epochs.
    #[error(
        "training diverged: epoch {epoch}: loss: expected at most {max:.4}, that of equal probabilities, found {loss:.4}; \
         try another seed or a lower learning rate"
    )]
    Diverged {
        /// The last epoch, from 1.
        epoch: usize,
        /// Its mean loss.
        loss: f64,
        /// The loss of a network that gives all classes the same probability.
        max: f64,
    },
    /// Training was interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A network has another task than it was used for.
    #[error("network: expected {expected}, found {input} and {output}")]
    WrongTask {
        /// The task that was expected.
        expected: Task,
        /// Shape of its input.
        input: Shape,
        /// Shape of its logits.
        output: Shape,
    },
    /// The engine rejected an architecture or a setting.
    #[error(transparent)]
    Network(#[from] lenet_nn::Error),
}

/// Returned by [`Trainer::run_epoch`](crate::train::Trainer::run_epoch) if its callback interrupted the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("training was interrupted in epoch {epoch}")]
pub struct Interrupted {
    /// Number of the epoch that was interrupted, from 1.
    pub epoch: usize,
}

impl Error {
    /// Returns the name of the setting that is out of its range, if this is the cause.
    pub fn setting_name(&self) -> Option<&str> {
        match self {
            Self::InvalidSetting { name, .. } => Some(name),
            Self::Network(error) => error.setting_name(),
            _ => None,
        }
    }
}

/// Returns [`Error::InvalidSetting`] unless `valid`.
pub(crate) fn ensure_setting(
    name: &'static str,
    valid: bool,
    expected: impl ToString,
    found: impl ToString,
) -> Result<(), Error> {
    if valid {
        return Ok(());
    }
    Err(Error::InvalidSetting { name, expected: expected.to_string(), found: found.to_string() })
}

fn format_image_size(expected: Option<(usize, usize)>) -> String {
    expected.map_or("at least one pixel".to_owned(), |(rows, columns)| format!("{rows}x{columns} pixels"))
}
