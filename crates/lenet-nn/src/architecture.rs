//! The untrained layers of a network.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Layer, LayerError, PredictionKind, Shape,
    error::ensure,
    operator::{BUFFER_NAMES, MAX_DIMENSION},
};

/// The layers of a network in order, from an input shape to the logits of a [`PredictionKind`].
///
/// ```
/// use lenet_nn::{Architecture, Conv2d, Layer, Linear, Shape};
///
/// let input = Shape { channels: 3, height: 12, width: 20 };
/// let architecture = Architecture::new("tiny", input, 4)
///     .layer("conv", Conv2d::new(3, 8, 3)) // (8, 10, 18)
///     .layer("relu", Layer::ReLU)
///     .layer("flatten", Layer::Flatten) // (1440, 1, 1)
///     .layer("fc", Linear::new(8 * 10 * 18, 4));
/// let parameters: usize = architecture.summary()?.iter().map(|row| row.parameters).sum();
/// assert_eq!(parameters, 8 * (3 * 3 * 3 + 1) + 4 * (1440 + 1));
/// # Ok::<(), lenet_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ArchitectureFields", into = "ArchitectureFields")]
pub struct Architecture {
    name: String,
    input: Shape,
    prediction: PredictionKind,
    layers: Vec<(String, Layer)>,
}

/// The serialized form of an [`Architecture`]: it has either `classes` or `labels`.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Architecture", deny_unknown_fields)]
struct ArchitectureFields {
    name: String,
    input: Shape,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    outlier_class: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<usize>,
    layers: Vec<(String, Layer)>,
}

impl TryFrom<ArchitectureFields> for Architecture {
    type Error = &'static str;

    fn try_from(fields: ArchitectureFields) -> Result<Self, &'static str> {
        let ArchitectureFields { name, input, classes, outlier_class, labels, layers } = fields;
        let prediction = match (classes, labels) {
            (Some(classes), None) => PredictionKind::Class { classes, outlier_class },
            (None, Some(labels)) if !outlier_class => PredictionKind::Dense { labels },
            (None, Some(_)) => return Err("expected no `outlier_class` beside `labels`"),
            (None, None) => return Err("missing field `classes`"),
            (Some(_), Some(_)) => return Err("expected either `classes` or `labels`, found both"),
        };
        Ok(Self { name, input, prediction, layers })
    }
}

impl From<Architecture> for ArchitectureFields {
    fn from(Architecture { name, input, prediction, layers }: Architecture) -> Self {
        let (classes, labels) = match prediction {
            PredictionKind::Class { classes, .. } => (Some(classes), None),
            PredictionKind::Dense { labels } => (None, Some(labels)),
        };
        Self { name, input, classes, outlier_class: prediction.has_outlier_class(), labels, layers }
    }
}

/// One layer of [`Architecture::summary`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSummary<'a> {
    /// Name of the layer.
    pub name: &'a str,
    /// The layer itself.
    pub layer: &'a Layer,
    /// Shape of its output for one sample.
    pub output: Shape,
    /// Number of weights and biases.
    pub parameters: usize,
    /// Number of running averages. They follow the weights and biases among the network's parameters and are not learned.
    pub buffers: usize,
    /// Multiplications by a weight in the forward pass of one sample.
    pub multiply_adds: usize,
}

/// The size and the work of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelComplexity {
    /// Weights and biases.
    pub parameters: usize,
    /// Multiply-adds of the forward pass of one sample.
    pub multiply_adds: usize,
}

/// Largest number of layers, and of parameters of one layer. An architecture may come from an untrusted file, and decides how
/// much memory is allocated.
const MAX_LAYERS: usize = 256;
const MAX_LAYER_PARAMETERS: u64 = 1 << 26;

/// Largest number of elements of all activations of one sample of a classifier: 32 MiB for a block of eight samples.
const MAX_CLASSIFIER_ACTIVATIONS: u64 = 1 << 20;

/// The same for dense prediction, where it admits 20 layers of 24 channels at half the resolution of 512x512 pixels. Inference
/// runs sample by sample, and takes 128 MiB for one; training takes 1 GiB for a block of eight samples.
const MAX_DENSE_PREDICTION_ACTIVATIONS: u64 = 1 << 25;

/// Largest number of classes, because labels are bytes, and of labels of a pixel.
const MAX_CLASSES: usize = 256;

impl Architecture {
    /// Returns an architecture without layers, for samples of shape `input` and a number of `classes`.
    pub fn new(name: impl Into<String>, input: Shape, classes: usize) -> Self {
        let prediction = PredictionKind::Class { classes, outlier_class: false };
        Self { name: name.into(), input, prediction, layers: Vec::new() }
    }

    /// Returns an architecture without layers for dense prediction: it gives each pixel of samples of shape `input` a number of
    /// binary `labels`. The last layer returns their logits, `(labels, height, width)`.
    ///
    /// ```
    /// use lenet_nn::{Architecture, Conv2d, Layer, Network, Normalize, PixelShuffle, Shape};
    ///
    /// let input = Shape { channels: 1, height: 96, width: 96 };
    /// let architecture = Architecture::dense_prediction("edges", input, 1)
    ///     .layer("conv1", Conv2d::new(1, 8, 4).stride(2).padding(1)) // (8, 48, 48)
    ///     .layer("relu", Layer::ReLU)
    ///     .layer("conv2", Conv2d::new(8, 4, 3).dilation(2).padding(2)) // (4, 48, 48)
    ///     .layer("shuffle", PixelShuffle::new(2)); // (1, 96, 96)
    /// let network = Network::new(architecture, Normalize::UNIT, 0)?;
    ///
    /// // The same parameters on a larger image.
    /// let network = network.with_input_size(200, 300)?;
    /// assert_eq!(network.probabilities(&vec![0; 200 * 300]).len(), 200 * 300);
    /// # Ok::<(), lenet_nn::Error>(())
    /// ```
    pub fn dense_prediction(name: impl Into<String>, input: Shape, labels: usize) -> Self {
        Self { name: name.into(), input, prediction: PredictionKind::Dense { labels }, layers: Vec::new() }
    }

    /// Appends a layer. Parameters of a layer `conv1` are named `conv1.weight` and `conv1.bias`.
    pub fn layer(mut self, name: impl Into<String>, layer: impl Into<Layer>) -> Self {
        self.layers.push((name.into(), layer.into()));
        self
    }

    /// Adds an implicit class of outliers, which are samples of none of the classes.
    ///
    /// Its logit is fixed at 0, so it has no parameters and no element in logits or probabilities. The probabilities of the
    /// other classes then sum to the probability that a sample is of any class. An architecture for dense prediction stays as it
    /// is, because a pixel may have none of its labels anyway.
    pub fn with_implicit_outlier_class(self) -> Self {
        Self { prediction: self.prediction.with_implicit_outlier_class(), ..self }
    }

    /// Sets the height and width of a sample.
    pub(crate) fn with_input_size(self, height: usize, width: usize) -> Self {
        Self { input: Shape { height, width, ..self.input }, ..self }
    }

    /// Returns the architecture without the layers for which `is_removed` returns true. It is called for each, in their order.
    pub(crate) fn without_layers(mut self, mut is_removed: impl FnMut() -> bool) -> Self {
        self.layers.retain(|_| !is_removed());
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the shape of a sample.
    pub fn input_shape(&self) -> Shape {
        self.input
    }

    /// Returns what is predicted of a sample.
    pub fn prediction_kind(&self) -> PredictionKind {
        self.prediction
    }

    /// Returns the shape of a sample's logits, probabilities and targets: `(classes, 1, 1)` or `(labels, height, width)`.
    pub fn output_shape(&self) -> Shape {
        match self.prediction {
            PredictionKind::Class { classes, .. } => Shape::flat(classes),
            PredictionKind::Dense { labels } => Shape { channels: labels, ..self.input },
        }
    }

    /// Returns whether there is an outlier class.
    pub fn has_outlier_class(&self) -> bool {
        self.prediction.has_outlier_class()
    }

    /// Returns name and shape of each tensor of the parameters, in PyTorch's order.
    pub fn tensor_shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        self.layers.iter().flat_map(|(name, layer)| {
            let shapes = layer.parameter_shapes().into_iter();
            shapes.map(move |(param_name, shape)| (format!("{name}.{param_name}"), shape))
        })
    }

    /// Sets the probability of all dropout layers.
    pub(crate) fn set_dropout(&mut self, p: f32) {
        for (_, layer) in &mut self.layers {
            if let Layer::Dropout(dropout) = layer {
                dropout.p = p;
            }
        }
    }

    /// Returns the sums of the parameters and the multiply-adds of all layers.
    ///
    /// # Errors
    /// As [`summary`](Self::summary).
    pub fn complexity(&self) -> Result<ModelComplexity, Error> {
        let rows = self.summary()?;
        Ok(ModelComplexity {
            parameters: rows.iter().map(|row| row.parameters).sum(),
            multiply_adds: rows.iter().map(|row| row.multiply_adds).sum(),
        })
    }

    /// Returns the layers with their output shapes and numbers of parameters.
    ///
    /// # Errors
    /// [`Error::Layer`] if a layer doesn't accept the output of the layer before it or has an impossible setting, two layers
    /// have the same name, the architecture is too large, or the last layer doesn't return the logits of the
    /// [`output_shape`](Self::output_shape).
    /// [`Error::Setting`] if the number of classes or labels or a dimension of the input is 0 or too large.
    pub fn summary(&self) -> Result<Vec<LayerSummary<'_>>, Error> {
        let error = |name: &str, cause| Error::Layer { layer: name.to_owned(), cause };
        let (name, count, max_elements) = match self.prediction {
            PredictionKind::Class { classes, .. } => ("classes", classes, MAX_CLASSIFIER_ACTIVATIONS),
            PredictionKind::Dense { labels } => ("labels", labels, MAX_DENSE_PREDICTION_ACTIVATIONS),
        };
        ensure(name, (1..=MAX_CLASSES).contains(&count), "1 to 256", count as f32)?;
        let Shape { channels, height, width } = self.input;
        for (name, value) in [("channels", channels), ("height", height), ("width", width)] {
            ensure(name, (1..=MAX_DIMENSION).contains(&value), "1 to 65536", value as f32)?;
        }
        let mut shape = self.input;
        let mut rows: Vec<LayerSummary> = Vec::new();
        let mut elements = 0_u64;
        for (name, layer) in &self.layers {
            if rows.len() == MAX_LAYERS {
                let cause = LayerError::TooManyLayers { max: MAX_LAYERS, found: self.layers.len() };
                return Err(error(name, cause));
            }
            if rows.iter().any(|row| row.name == name) {
                return Err(error(name, LayerError::DuplicateName));
            }
            shape = layer.output_shape(shape).map_err(|cause| error(name, cause))?;
            let (mut parameters, mut buffers) = (0_u64, 0);
            for (param_name, shape) in layer.parameter_shapes() {
                let len = shape.iter().fold(1_u64, |product, &n| product.saturating_mul(n as u64));
                let sum = if BUFFER_NAMES.contains(&param_name) { &mut buffers } else { &mut parameters };
                *sum = sum.saturating_add(len);
            }
            let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|n| n as u64);
            elements = elements.saturating_add(channels.saturating_mul(height).saturating_mul(width));
            if elements > max_elements || parameters > MAX_LAYER_PARAMETERS {
                let max_parameters = MAX_LAYER_PARAMETERS;
                let cause = LayerError::TooLarge { max_elements, max_parameters, elements, parameters };
                return Err(error(name, cause));
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
        if shape != self.output_shape() {
            let last = rows.last().map_or("(none)", |row| row.name);
            return Err(error(last, LayerError::Logits { expected: self.output_shape(), output: shape }));
        }
        Ok(rows)
    }
}
