//! The layers by name, with their settings.

use fearless_simd::Level;
use serde::{Deserialize, Serialize};

use crate::{
    Shape,
    error::LayerError,
    operator::{Activation, LayerContext, LayerSpec, Operator, SingleSampleOp},
    ops::{
        activation::{ReLU, Tanh},
        batch_norm::BatchNorm2d,
        conv2d::Conv2d,
        dropout::Dropout,
        flatten::Flatten,
        linear::Linear,
        pixel_shuffle::PixelShuffle,
        pool::{AvgPool2d, MaxPool2d},
    },
};

/// One layer of a network, with names and settings of PyTorch.
///
/// ```
/// use lenet_nn::{Conv2d, Layer};
///
/// let layer = Layer::from(Conv2d::new(1, 6, 5).padding(2));
/// assert_eq!(layer.type_name(), "Conv2d");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Layer {
    /// 2-D convolution.
    Conv2d(Conv2d),
    /// Fully connected layer.
    Linear(Linear),
    /// Batch normalization.
    BatchNorm2d(BatchNorm2d),
    /// Maximum of each window.
    MaxPool2d(MaxPool2d),
    /// Mean of each window.
    AvgPool2d(AvgPool2d),
    /// Rearranges channels to pixels.
    PixelShuffle(PixelShuffle),
    /// `max(x, 0)`
    ReLU,
    /// Hyperbolic tangent.
    Tanh,
    /// Zeroes random elements in training.
    Dropout(Dropout),
    /// Reshapes channels, rows and columns to one row of features.
    Flatten,
}

macro_rules! layer_from {
    ($($name:ident)*) => {
        $(impl From<$name> for Layer {
            fn from(layer: $name) -> Self {
                Self::$name(layer)
            }
        })*
    };
}
layer_from!(Conv2d Linear BatchNorm2d MaxPool2d AvgPool2d PixelShuffle Dropout);

impl Layer {
    fn spec(&self) -> &dyn LayerSpec {
        match self {
            Self::Conv2d(layer) => layer,
            Self::Linear(layer) => layer,
            Self::BatchNorm2d(layer) => layer,
            Self::MaxPool2d(layer) => layer,
            Self::AvgPool2d(layer) => layer,
            Self::PixelShuffle(layer) => layer,
            Self::ReLU => &ReLU,
            Self::Tanh => &Tanh,
            Self::Dropout(layer) => layer,
            Self::Flatten => &Flatten,
        }
    }

    /// Returns the name of the layer's type, as in PyTorch.
    pub fn type_name(&self) -> &'static str {
        self.spec().type_name()
    }

    /// Returns the number of multiplications by a weight in the forward pass of one sample, for the shape of the `output`.
    pub fn multiply_adds(&self, output: Shape) -> usize {
        self.fan_in() * output.len()
    }

    /// Returns the shape of the output for an input.
    ///
    /// # Errors
    /// If the layer doesn't accept the input, or has an impossible setting.
    pub fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        self.spec().output_shape(input)
    }

    /// See [`LayerSpec::parameter_shapes`].
    pub(crate) fn parameter_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        self.spec().parameter_shapes()
    }

    /// See [`LayerSpec::constant_init`].
    pub(crate) fn constant_init(&self, param_name: &str) -> Option<f32> {
        self.spec().constant_init(param_name)
    }

    /// See [`LayerSpec::fan_in`].
    pub(crate) fn fan_in(&self) -> usize {
        self.spec().fan_in()
    }

    /// See [`LayerSpec::reorder_to_engine`].
    pub(crate) fn reorder_to_engine(&self, input: Shape, pytorch: &[f32], engine: &mut [f32]) {
        self.spec().reorder_to_engine(input, pytorch, engine);
    }

    /// See [`LayerSpec::reorder_to_pytorch`].
    pub(crate) fn reorder_to_pytorch(&self, input: Shape, engine: &[f32], pytorch: &mut [f32]) {
        self.spec().reorder_to_pytorch(input, engine, pytorch);
    }

    /// See [`LayerSpec::as_activation`].
    pub(crate) fn as_activation(&self) -> Option<Activation> {
        self.spec().as_activation()
    }

    /// See [`LayerSpec::operator`].
    pub(crate) fn operator(&self, context: LayerContext) -> Option<Box<dyn Operator>> {
        self.spec().operator(context)
    }

    /// See [`LayerSpec::single_sample_op`].
    pub(crate) fn single_sample_op(
        &self,
        level: Level,
        context: LayerContext,
        parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        self.spec().single_sample_op(level, context, parameters)
    }
}
