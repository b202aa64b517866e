//! What a layer is: its settings, the shape it makes of its input, its parameters, and who does its work.

use serde::{Deserialize, Serialize};

use super::{
    AvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Shape,
    batchnorm::BatchNormOp,
    conv2d::Conv2dOp,
    dropout::DropoutOp,
    linear::LinearOp,
    operator::{Activation, Operator},
    pool::{PoolKind, PoolOp},
    winograd::{Filtering, Winograd},
};

/// One layer of a network, named and set as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Layer {
    /// 2-D convolution.
    Conv2d(Conv2d),
    /// Fully connected layer.
    Linear(Linear),
    /// Batch normalisation.
    BatchNorm2d(BatchNorm2d),
    /// The largest of each window.
    MaxPool2d(MaxPool2d),
    /// The mean of each window.
    AvgPool2d(AvgPool2d),
    /// `max(x, 0)`
    ReLU,
    /// Hyperbolic tangent.
    Tanh,
    /// Zeroes elements at random in training.
    Dropout(Dropout),
    /// Channels, rows and columns become one row of features.
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
layer_from!(Conv2d Linear BatchNorm2d MaxPool2d AvgPool2d Dropout);

/// Dimensions beyond this are refused: no digit needs them, and products of a few of them can't overflow.
const LIMIT: usize = 1 << 16;

/// Names of PyTorch's buffers: what training averages rather than learns.
pub(super) const RUNNING: [&str; 2] = ["running_mean", "running_var"];

impl Layer {
    /// The type's name, as in PyTorch.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Conv2d(_) => "Conv2d",
            Self::Linear(_) => "Linear",
            Self::BatchNorm2d(_) => "BatchNorm2d",
            Self::MaxPool2d(_) => "MaxPool2d",
            Self::AvgPool2d(_) => "AvgPool2d",
            Self::ReLU => "ReLU",
            Self::Tanh => "Tanh",
            Self::Dropout(_) => "Dropout",
            Self::Flatten => "Flatten",
        }
    }

    /// Shapes of weight and bias, and of what PyTorch calls buffers, empty where the layer has none.
    pub(crate) fn parameter_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        match *self {
            Self::Conv2d(Conv2d { in_channels, out_channels, kernel_size, .. }) => vec![
                ("weight", vec![out_channels, in_channels, kernel_size, kernel_size]),
                ("bias", vec![out_channels]),
            ],
            Self::Linear(Linear { in_features, out_features }) => {
                vec![("weight", vec![out_features, in_features]), ("bias", vec![out_features])]
            }
            Self::BatchNorm2d(BatchNorm2d { num_features }) => {
                ["weight", "bias", RUNNING[0], RUNNING[1]].map(|name| (name, vec![num_features])).into()
            }
            _ => Vec::new(),
        }
    }

    /// What a part of a batch normalisation begins with; parts of other layers begin at random.
    pub(crate) fn constant(&self, part: &str) -> Option<f32> {
        let one = part == "weight" || part == RUNNING[1];
        matches!(self, Self::BatchNorm2d(_)).then_some(if one { 1.0 } else { 0.0 })
    }

    /// Inputs that one output is summed from: PyTorch draws weights and biases uniformly from +-1/sqrt of it.
    pub(crate) fn fan_in(&self) -> usize {
        match *self {
            Self::Conv2d(Conv2d { in_channels, kernel_size, .. }) => in_channels * kernel_size * kernel_size,
            Self::Linear(Linear { in_features, .. }) => in_features,
            _ => 0,
        }
    }

    /// Multiplications by a weight that one image takes, forward.
    pub fn multiply_adds(&self, output: Shape) -> usize {
        match self {
            Self::Conv2d(_) | Self::Linear(_) => self.fan_in() * output.len(),
            _ => 0,
        }
    }

    /// The shape of the output, or (expected, found) if the layer can't take `input` or be at all.
    pub(crate) fn output(&self, input: Shape) -> Result<Shape, (String, String)> {
        let positive = |name: &str, value: usize| match value {
            1..=LIMIT => Ok(()),
            _ => Err((format!("{name} from 1 to {LIMIT}"), value.to_string())),
        };
        match *self {
            Self::Conv2d(layer) => {
                let Conv2d { in_channels, out_channels, kernel_size, stride, padding } = layer;
                positive("out_channels", out_channels)?;
                positive("kernel_size", kernel_size)?;
                positive("stride", stride)?;
                if padding >= kernel_size {
                    return Err((format!("padding below kernel_size {kernel_size}"), padding.to_string()));
                }
                if in_channels != input.channels {
                    return Err((format!("{in_channels} channels"), input.to_string()));
                }
                let (height, width) = (input.height + 2 * padding, input.width + 2 * padding);
                windows(height, width, kernel_size, stride, out_channels, input)
            }
            Self::MaxPool2d(MaxPool2d { kernel_size, stride })
            | Self::AvgPool2d(AvgPool2d { kernel_size, stride }) => {
                positive("kernel_size", kernel_size)?;
                positive("stride", stride)?;
                windows(input.height, input.width, kernel_size, stride, input.channels, input)
            }
            Self::Linear(Linear { in_features, out_features }) => {
                positive("out_features", out_features)?;
                if Shape::flat(in_features) != input {
                    return Err((format!("{in_features} features"), input.to_string()));
                }
                Ok(Shape::flat(out_features))
            }
            Self::Dropout(Dropout { p }) if !(0.0..1.0).contains(&p) => {
                Err(("p of at least 0 and below 1".into(), p.to_string()))
            }
            Self::BatchNorm2d(BatchNorm2d { num_features }) if num_features != input.channels => {
                Err((format!("{num_features} channels"), input.to_string()))
            }
            Self::Flatten => Ok(Shape::flat(input.len())),
            Self::BatchNorm2d(_) | Self::ReLU | Self::Tanh | Self::Dropout(_) => Ok(input),
        }
    }

    /// Who does the layer's work on one thread; `None` where there is nothing to do (or it is done in place: see
    /// [`activation`](Self::activation)).
    pub(super) fn operator(&self, input: Shape, output: Shape, blocks: usize) -> Option<Box<dyn Operator>> {
        let pooling =
            |kind, kernel_size, stride| PoolOp { kind, input, output, kernel_size, stride, fused: None };
        if let Some(layer) = self.linear(input) {
            return Some(Box::new(LinearOp::new(layer, blocks)));
        }
        match *self {
            Self::Conv2d(layer) => Some(match layer.filtering(output) {
                Some(Filtering::Three) => Box::new(Winograd::<6, 4, 3>::new(layer, input, output)),
                Some(Filtering::WideThree) => Box::new(Winograd::<9, 7, 3>::new(layer, input, output)),
                Some(Filtering::Five) => Box::new(Winograd::<9, 5, 5>::new(layer, input, output)),
                None => Box::new(Conv2dOp::new(layer, input, output)),
            }),
            Self::MaxPool2d(layer) => Some(Box::new(pooling(PoolKind::Max, layer.kernel_size, layer.stride))),
            Self::AvgPool2d(layer) => {
                Some(Box::new(pooling(PoolKind::Mean, layer.kernel_size, layer.stride)))
            }
            Self::BatchNorm2d(_) => Some(Box::new(BatchNormOp::new(input))),
            Self::Dropout(Dropout { p }) => Some(Box::new(DropoutOp { p, len: input.len() })),
            Self::ReLU | Self::Tanh | Self::Flatten | Self::Linear(_) => None,
        }
    }

    /// The fully connected layer that this is: a convolution that covers its whole input is one, and faster as one.
    pub(super) fn linear(&self, input: Shape) -> Option<Linear> {
        match *self {
            Self::Conv2d(layer) if layer.covers(input) => Some(Linear::new(input.len(), layer.out_channels)),
            Self::Linear(layer) => Some(layer),
            _ => None,
        }
    }

    pub(super) fn activation(&self) -> Option<Activation> {
        match self {
            Self::ReLU => Some(Activation::Relu),
            Self::Tanh => Some(Activation::Tanh),
            _ => None,
        }
    }
}

/// The shape that windows over `(height, width)` make.
fn windows(
    height: usize,
    width: usize,
    kernel_size: usize,
    stride: usize,
    channels: usize,
    input: Shape,
) -> Result<Shape, (String, String)> {
    if height < kernel_size || width < kernel_size {
        return Err((format!("at least {kernel_size} x {kernel_size} pixels"), input.to_string()));
    }
    let output = Shape {
        channels,
        height: (height - kernel_size) / stride + 1,
        width: (width - kernel_size) / stride + 1,
    };
    Ok(output)
}
