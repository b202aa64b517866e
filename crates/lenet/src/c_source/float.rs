//! Source that computes in single precision.

use super::{
    CSource,
    steps::{Op, Step, Weights},
    writer::{ActivationOffsets, Float, SourceWriter, pooling},
};
use crate::nn::{Network, Shape};

/// Writes the source of a network.
pub fn write(mut writer: SourceWriter, network: &Network, steps: &[Step<Op>]) -> CSource {
    let shape = network.architecture().input_shape();
    let offsets = ActivationOffsets::new(shape, steps, Op::placement);
    let normalization = network.normalization();
    let (mean, std) = (Float(normalization.mean), Float(normalization.std));
    writer.function(include_str!("kernels/float/normalize.c"));
    writer.statement("input", shape, format_args!("normalize(pixels, {}, {mean}, {std}, x)", shape.len()));
    for (step, &[x, y]) in steps.iter().zip(&offsets.steps) {
        let call = write_step(&mut writer, step, x, y);
        writer.statement(&step.name, step.output, call);
    }
    let logits = network.architecture().output_shape();
    let copy = format!("for (int k = 0; k < {}; k++) logits[k] = x[{} + k]", logits.len(), offsets.last);
    writer.statement("logits", logits, copy);
    writer.finish(
        network,
        "float",
        size_of::<f32>(),
        offsets.len,
        "A network that computes in single precision.",
    )
}

/// Adds the constants and the function of a step. Returns its call, which reads at the offset `x` and writes at `y`.
fn write_step(writer: &mut SourceWriter, step: &Step<Op>, x: usize, y: usize) -> String {
    let Shape { channels, height, width } = step.input;
    let (name, output) = (&step.name, step.output);
    match &step.op {
        Op::Conv2d(conv, weights) => {
            writer.function(include_str!("kernels/float/conv2d.c"));
            let [weight, bias] = write_weights(writer, name, weights);
            format!(
                "conv2d(x + {x}, {channels}, {height}, {width}, {weight}, {bias}, {}, {}, {}, {}, x + {y}, {}, {}, {})",
                conv.kernel_size,
                conv.stride,
                conv.padding,
                conv.dilation,
                output.channels,
                output.height,
                output.width
            )
        }
        Op::Linear(weights) => {
            writer.function(include_str!("kernels/float/linear.c"));
            let [weight, bias] = write_weights(writer, name, weights);
            format!("linear(x + {x}, {}, {weight}, {bias}, x + {y}, {})", step.input.len(), output.len())
        }
        Op::BatchNorm2d { scale, shift } => {
            writer.function(include_str!("kernels/float/batch_norm2d.c"));
            let scale = writer.constant(name, "scale", "float", scale.iter().copied().map(Float));
            let shift = writer.constant(name, "shift", "float", shift.iter().copied().map(Float));
            format!("batch_norm2d(x + {x}, {channels}, {}, {scale}, {shift})", height * width)
        }
        Op::MaxPool2d(pool) => {
            writer.function(include_str!("kernels/max_pool2d.c"));
            pooling("max_pool2d", step.input, [pool.kernel_size, pool.stride], [x, y])
        }
        Op::AvgPool2d(pool) => {
            writer.function(include_str!("kernels/float/avg_pool2d.c"));
            pooling("avg_pool2d", step.input, [pool.kernel_size, pool.stride], [x, y])
        }
        Op::ReLU => {
            writer.function(include_str!("kernels/float/relu.c"));
            format!("relu(x + {x}, {})", output.len())
        }
        Op::Tanh => {
            writer.function(include_str!("kernels/float/hyperbolic_tangent.c"));
            format!("hyperbolic_tangent(x + {x}, {})", output.len())
        }
    }
}

/// Adds the parameters of a layer. Returns the names of weight and bias.
fn write_weights(writer: &mut SourceWriter, layer: &str, weights: &Weights) -> [String; 2] {
    [("weight", &weights.weight), ("bias", &weights.bias)].map(|(parameter, values)| {
        writer.constant(layer, parameter, "float", values.iter().copied().map(Float))
    })
}
