//! A network as the steps of its inference: batch normalization is folded into the layer before it, and layers that change
//! nothing in inference are left out.

use crate::{
    Error,
    nn::{AvgPool2d, BatchNorm2d, Conv2d, Layer, LayerSummary, MaxPool2d, Network, PredictionKind, Shape},
};

/// One step, which computes an activation from the one before.
pub struct Step<O> {
    /// Name of the layer.
    pub name: String,
    pub op: O,
    /// Shape of the activation before.
    pub input: Shape,
    pub output: Shape,
}

/// Where a step may write its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Over its input, element by element.
    InPlace,
    /// Anywhere from the start of the memory to its input, because an element of the output never comes after the elements of
    /// the input that are read later.
    Before,
    /// Not over its input.
    Apart,
}

/// What a step computes.
pub enum Op {
    Conv2d(Conv2d, Weights),
    /// Also a convolution whose kernel covers its whole input.
    Linear(Weights),
    /// Batch normalization that doesn't follow a convolution or fully connected layer with as many outputs.
    BatchNorm2d {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    MaxPool2d(MaxPool2d),
    AvgPool2d(AvgPool2d),
    ReLU,
    Tanh,
}

/// The parameters of a convolution or fully connected layer.
pub struct Weights {
    /// `(outputs, inputs of each)`.
    pub weight: Vec<f32>,
    /// One for each output.
    pub bias: Vec<f32>,
}

impl Weights {
    /// Returns the number of weights of an output.
    pub fn fan_in(&self) -> usize {
        self.weight.len() / self.bias.len()
    }
}

impl Op {
    pub fn placement(&self) -> Placement {
        match self {
            Self::Conv2d(..) | Self::Linear(_) => Placement::Apart,
            Self::MaxPool2d(_) | Self::AvgPool2d(_) => Placement::Before,
            Self::BatchNorm2d { .. } | Self::ReLU | Self::Tanh => Placement::InPlace,
        }
    }
}

/// Returns the steps of a classifier.
///
/// # Errors
/// [`Error::CSource`] for a network that predicts labels of pixels, or has a layer that C code isn't written for.
pub fn steps(network: &Network) -> Result<Vec<Step<Op>>, Error> {
    let network = network.with_folded_batch_norm();
    let architecture = network.architecture();
    if let PredictionKind::Dense { .. } = architecture.prediction_kind() {
        let expected = "a network that classifies whole images";
        return Err(Error::CSource { layer: architecture.name().to_owned(), expected });
    }
    let mut tensors = network.tensors().map(|tensor| tensor.values);
    let mut steps: Vec<Step<Op>> = Vec::new();
    let mut input = architecture.input_shape();
    for LayerSummary { name, layer, output, .. } in architecture.summary()? {
        let mut tensor = || tensors.next().expect("`tensors` has all parameters of the layers");
        let op = match *layer {
            Layer::Conv2d(conv) => {
                let weights = Weights { weight: tensor(), bias: tensor() };
                Some(if conv.kernel_covers_input(input) {
                    Op::Linear(weights)
                } else {
                    Op::Conv2d(conv, weights)
                })
            }
            Layer::Linear(_) => Some(Op::Linear(Weights { weight: tensor(), bias: tensor() })),
            Layer::BatchNorm2d(_) => {
                let parameters = [tensor(), tensor(), tensor(), tensor()];
                let channels = 0..parameters[0].len();
                let (scale, shift) = channels
                    .map(|channel| {
                        let parameters = parameters.each_ref().map(|values| values[channel]);
                        BatchNorm2d::inference_scale_and_shift(parameters)
                    })
                    .unzip();
                Some(Op::BatchNorm2d { scale, shift })
            }
            Layer::MaxPool2d(pool) => Some(Op::MaxPool2d(pool)),
            Layer::AvgPool2d(pool) => Some(Op::AvgPool2d(pool)),
            Layer::ReLU => Some(Op::ReLU),
            Layer::Tanh => Some(Op::Tanh),
            Layer::Flatten | Layer::Dropout(_) => None,
            Layer::PixelShuffle(_) => {
                let expected = "a layer other than PixelShuffle";
                return Err(Error::CSource { layer: name.to_owned(), expected });
            }
        };
        steps.extend(op.map(|op| Step { name: name.to_owned(), op, input, output }));
        input = output;
    }
    Ok(steps)
}
