//! Source that computes with 8-bit integers.

use super::{
    CSource,
    quantize::{QuantizedOp, QuantizedWeights, Requantization},
    steps::Step,
    writer::{ActivationOffsets, Float, SourceWriter, pooling},
};
use crate::nn::{Network, Shape};

/// Writes the source of a network.
pub fn write(mut writer: SourceWriter, network: &Network, steps: &[Step<QuantizedOp>]) -> CSource {
    let shape = network.architecture().input_shape();
    let offsets = ActivationOffsets::new(shape, steps, QuantizedOp::placement);
    writer.function(include_str!("kernels/int8/quantize_pixels.c"));
    writer.statement("input", shape, format_args!("quantize_pixels(pixels, {}, x)", shape.len()));
    for (step, &[x, y]) in steps.iter().zip(&offsets.steps) {
        let call = write_step(&mut writer, step, x, y);
        writer.statement(&step.name, step.output, call);
    }
    let description = "A network that computes with 8-bit integers.";
    writer.finish(network, "int8_t", size_of::<i8>(), offsets.len, description)
}

/// Adds the constants and the function of a step. Returns its call, which reads at the offset `x` and writes at `y`.
fn write_step(writer: &mut SourceWriter, step: &Step<QuantizedOp>, x: usize, y: usize) -> String {
    let Shape { channels, height, width } = step.input;
    let (name, output) = (&step.name, step.output);
    match &step.op {
        QuantizedOp::Conv2d(conv, weights, requantization) => {
            writer.function(include_str!("kernels/int8/requantize.c"));
            writer.function(include_str!("kernels/int8/conv2d.c"));
            let [weight, bias] = write_weights(writer, name, weights);
            let [multiplier, shift] = write_ratios(writer, name, requantization);
            format!(
                "conv2d(x + {x}, {}, {channels}, {height}, {width}, {weight}, {bias}, {multiplier}, {shift}, \
                 {}, {}, {}, {}, x + {y}, {}, {}, {}, {})",
                weights.zero_point,
                conv.kernel_size,
                conv.stride,
                conv.padding,
                conv.dilation,
                requantization.zero_point,
                output.channels,
                output.height,
                output.width
            )
        }
        QuantizedOp::Linear(weights, requantization) => {
            writer.function(include_str!("kernels/int8/requantize.c"));
            writer.function(include_str!("kernels/int8/dot.c"));
            writer.function(include_str!("kernels/int8/linear.c"));
            let [weight, bias] = write_weights(writer, name, weights);
            let [multiplier, shift] = write_ratios(writer, name, requantization);
            format!(
                "linear(x + {x}, {}, {}, {weight}, {bias}, {multiplier}, {shift}, x + {y}, {}, {})",
                weights.zero_point,
                step.input.len(),
                requantization.zero_point,
                output.len()
            )
        }
        QuantizedOp::LinearLogits(weights, scales) => {
            writer.function(include_str!("kernels/int8/dot.c"));
            writer.function(include_str!("kernels/int8/linear_logits.c"));
            let [weight, bias] = write_weights(writer, name, weights);
            let scale = writer.constant(name, "scale", "float", scales.iter().copied().map(Float));
            let (zero_point, inputs, outputs) = (weights.zero_point, step.input.len(), output.len());
            format!(
                "linear_logits(x + {x}, {zero_point}, {inputs}, {weight}, {bias}, {scale}, logits, {outputs})"
            )
        }
        QuantizedOp::MaxPool2d(pool) => {
            writer.function(include_str!("kernels/max_pool2d.c"));
            pooling("max_pool2d", step.input, [pool.kernel_size, pool.stride], [x, y])
        }
        QuantizedOp::AvgPool2d(pool) => {
            writer.function(include_str!("kernels/int8/avg_pool2d.c"));
            pooling("avg_pool2d", step.input, [pool.kernel_size, pool.stride], [x, y])
        }
        QuantizedOp::ReLU(zero_point) => {
            writer.function(include_str!("kernels/int8/relu.c"));
            format!("relu(x + {x}, {zero_point}, {})", output.len())
        }
        QuantizedOp::LookUp(table) => {
            writer.function(include_str!("kernels/int8/look_up.c"));
            let table = writer.constant(name, "table", "int8_t", table.iter().copied());
            format!("look_up(x + {x}, {}, {table})", output.len())
        }
    }
}

/// Adds the parameters of a layer. Returns the names of weight and bias.
fn write_weights(writer: &mut SourceWriter, layer: &str, weights: &QuantizedWeights) -> [String; 2] {
    [
        writer.constant(layer, "weight", "int8_t", weights.weight.iter().copied()),
        writer.constant(layer, "bias", "int32_t", weights.bias.iter().copied()),
    ]
}

/// Adds the ratios of a requantization. Returns the names of multiplier and shift.
fn write_ratios(writer: &mut SourceWriter, layer: &str, requantization: &Requantization) -> [String; 2] {
    let ratios = &requantization.ratios;
    [
        writer.constant(layer, "multiplier", "uint16_t", ratios.iter().map(|ratio| ratio.multiplier)),
        writer.constant(layer, "shift", "uint8_t", ratios.iter().map(|ratio| ratio.shift)),
    ]
}
