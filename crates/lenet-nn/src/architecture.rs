//! The untrained layers of a network.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Layer, LayerError, Shape,
    error::ensure,
    operator::{BUFFERS, MAX_DIMENSION},
};

/// The layers of a network in order, from an input shape to one logit for each class.
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
#[serde(deny_unknown_fields)]
pub struct Architecture {
    name: String,
    input: Shape,
    classes: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    outlier_class: bool,
    layers: Vec<(String, Layer)>,
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

/// Largest number of layers, of elements of all activations of one sample, and of parameters of one layer. An architecture may
/// come from an untrusted file, and decides how much memory is allocated.
const MAX_LAYERS: usize = 256;
const MAX_ELEMENTS: u64 = 1 << 20;
const MAX_PARAMETERS: u64 = 1 << 26;

/// Largest number of classes, because labels are bytes.
const MAX_CLASSES: usize = 256;

impl Architecture {
    /// Returns an architecture without layers, for samples of shape `input` and a number of `classes`.
    pub fn new(name: impl Into<String>, input: Shape, classes: usize) -> Self {
        Self { name: name.into(), input, classes, outlier_class: false, layers: Vec::new() }
    }

    /// Appends a layer. Parameters of a layer `conv1` are named `conv1.weight` and `conv1.bias`.
    pub fn layer(mut self, name: impl Into<String>, layer: impl Into<Layer>) -> Self {
        self.layers.push((name.into(), layer.into()));
        self
    }

    /// Adds an implicit class of outliers, which are samples of none of the classes.
    ///
    /// Its logit is fixed at 0, so it has no parameters and no element in logits or probabilities. The probabilities of the
    /// other classes then sum to the probability that a sample is of any class.
    pub fn with_implicit_outlier_class(self) -> Self {
        Self { outlier_class: true, ..self }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the shape of a sample.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Returns the number of classes, without the outlier class.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns whether there is an outlier class.
    pub fn has_outlier_class(&self) -> bool {
        self.outlier_class
    }

    /// Returns name and shape of each tensor of the parameters, in PyTorch's order.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
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

    /// Returns the layers with their output shapes and numbers of parameters.
    ///
    /// # Errors
    /// [`Error::Layer`] if a layer doesn't accept the output of the layer before it or has an impossible setting, two layers
    /// have the same name, the architecture is too large, or the last layer doesn't return one logit for each class.
    /// [`Error::Setting`] if the number of classes or a dimension of the input is 0 or too large.
    pub fn summary(&self) -> Result<Vec<LayerSummary<'_>>, Error> {
        let error = |name: &str, cause| Error::Layer { layer: name.to_owned(), cause };
        ensure("classes", (1..=MAX_CLASSES).contains(&self.classes), "1 to 256", self.classes as f32)?;
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
                let sum = if BUFFERS.contains(&param_name) { &mut buffers } else { &mut parameters };
                *sum = sum.saturating_add(len);
            }
            let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|n| n as u64);
            elements = elements.saturating_add(channels.saturating_mul(height).saturating_mul(width));
            if elements > MAX_ELEMENTS || parameters > MAX_PARAMETERS {
                let (max_elements, max_parameters) = (MAX_ELEMENTS, MAX_PARAMETERS);
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
        if shape != Shape::flat(self.classes) {
            let last = rows.last().map_or("(none)", |row| row.name);
            return Err(error(last, LayerError::Logits { classes: self.classes, output: shape }));
        }
        Ok(rows)
    }
}
