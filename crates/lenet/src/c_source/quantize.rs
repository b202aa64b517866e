//! Post-training quantization to 8 bits, as B. Jacob et al. describe it ("Quantization and Training of Neural Networks for
//! Efficient Integer-Arithmetic-Only Inference", 2018, arXiv:1712.05877): `real = scale * (q - zero_point)`.
//!
//! Weights have a scale for each output channel and no zero point (R. Krishnamoorthi, 2018, arXiv:1806.08342), activations one
//! scale and zero point for a layer, which are those of the range that a calibration finds. Sums have 32 bits. Logits are
//! converted to single precision.

use std::collections::HashMap;

use super::steps::{Op, Placement, Step, Weights};
use crate::{
    Error,
    nn::{AvgPool2d, Conv2d, MaxPool2d, Network, Normalize},
};

/// Inputs of `tanh` beyond this have an output within 0.0014 of 1.
const MAX_TANH_INPUT: f32 = 4.0;

/// The largest sum of a layer is `MAX_FAN_IN * 127 * 255`, which 32 bits hold beside a bias of half their range.
const MAX_FAN_IN: usize = 32 << 10;

/// What an 8-bit integer stands for: `scale * (q - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    scale: f32,
    /// An integer, but for pixels, whose scale and zero point follow from their normalization.
    zero_point: f32,
}

/// What a step computes with integers.
pub enum QuantizedOp {
    /// A convolution, also with ReLU.
    Conv2d(Conv2d, QuantizedWeights, Requantization),
    /// A fully connected layer, also with ReLU.
    Linear(QuantizedWeights, Requantization),
    /// The last layer, and the scale of each logit.
    LinearLogits(QuantizedWeights, Vec<f32>),
    MaxPool2d(MaxPool2d),
    AvgPool2d(AvgPool2d),
    /// ReLU after a pooling, with the integer that stands for 0.
    ReLU(i32),
    /// An activation function as its values for -128 to 127.
    LookUp(Vec<i8>),
}

impl QuantizedOp {
    pub fn placement(&self) -> Placement {
        match self {
            Self::Conv2d(..) | Self::Linear(..) | Self::LinearLogits(..) => Placement::Apart,
            Self::MaxPool2d(_) | Self::AvgPool2d(_) => Placement::Before,
            Self::ReLU(_) | Self::LookUp(_) => Placement::InPlace,
        }
    }
}

/// How sums become the integers of the next step.
pub struct Requantization {
    /// The scale of the sums divided by that of the output, for each output channel.
    pub ratios: Vec<FixedPoint>,
    /// The integer that stands for 0 in the output.
    pub zero_point: i32,
}

/// Parameters of a layer as integers.
pub struct QuantizedWeights {
    /// `(outputs, inputs of each)`.
    pub weight: Vec<i8>,
    /// One for each output, with the scale of its sum.
    pub bias: Vec<i32>,
    /// The integer that stands for 0 in the input.
    pub zero_point: i32,
}

/// The number `multiplier / 2^shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedPoint {
    pub multiplier: u16,
    pub shift: u8,
}

impl Quantization {
    /// The output of `tanh`.
    const TANH: Self = Self { scale: 1.0 / 127.0, zero_point: 0.0 };

    /// Covers a range, and 0 with it, so that padding with zeros is exact.
    fn of_range(min: f32, max: f32) -> Self {
        let (min, max) = (min.min(0.0), max.max(0.0));
        // A layer whose outputs are all 0 may have any scale.
        let scale = if max > min { (max - min) / 255.0 } else { 1.0 };
        Self { scale, zero_point: (-128.0 - min / scale).round() }
    }

    /// Describes the integers `pixel - 128`.
    fn of_pixels(normalize: Normalize) -> Self {
        Self { scale: 1.0 / (255.0 * normalize.std), zero_point: 255.0 * normalize.mean - 128.0 }
    }

    /// Returns the integer that stands for 0, or is next to it.
    pub fn integer_zero_point(self) -> i32 {
        self.zero_point.round().clamp(-128.0, 127.0) as i32
    }

    fn quantize(self, value: f32) -> i8 {
        (value / self.scale + self.zero_point).round().clamp(-128.0, 127.0) as i8
    }

    fn dequantize(self, q: i8) -> f32 {
        self.scale * (f32::from(q) - self.zero_point)
    }

    /// Returns the values of a function for all inputs.
    fn table(self, output: Self, function: impl Fn(f32) -> f32) -> Vec<i8> {
        (i8::MIN..=i8::MAX).map(|q| output.quantize(function(self.dequantize(q)))).collect()
    }
}

impl FixedPoint {
    /// Returns a number above 0 to 16 significant bits, rounded down to 0 below 2^-46.
    fn new(value: f64) -> Self {
        let exponent = value.log2().floor().clamp(-46.0, 14.0) as i32;
        let multiplier = (value * f64::from(15 - exponent).exp2()).round();
        Self { multiplier: multiplier.min(f64::from(u16::MAX)) as u16, shift: (15 - exponent) as u8 }
    }
}

/// Returns the quantized steps of a network, calibrated on `images`.
///
/// # Errors
/// [`Error::NoImages`] without images, [`Error::CSource`] if a layer can't be quantized.
pub fn quantize(
    network: &Network,
    steps: Vec<Step<Op>>,
    images: &[u8],
) -> Result<Vec<Step<QuantizedOp>>, Error> {
    if images.is_empty() {
        return Err(Error::NoImages);
    }
    let ranges = network.output_ranges(images);
    let ranges: HashMap<_, _> = ranges.iter().map(|range| (&*range.layer, [range.min, range.max])).collect();
    let mut x = Quantization::of_pixels(network.normalization());
    let mut quantized: Vec<Step<QuantizedOp>> = Vec::new();
    let mut steps = steps.into_iter().peekable();
    while let Some(Step { name, op, input, output }) = steps.next() {
        let error = |expected| Error::CSource { layer: name.clone(), expected };
        let next = steps.peek().map(|next| &next.op);
        let range = ranges.get(&*name).copied();
        let y = match (range, next) {
            (Some(_), Some(Op::Tanh)) => Quantization::of_range(-MAX_TANH_INPUT, MAX_TANH_INPUT),
            // The smallest integer stands for 0, so that negative sums become 0.
            (Some([_, max]), Some(Op::ReLU)) => Quantization::of_range(0.0, max),
            (Some([min, max]), _) => Quantization::of_range(min, max),
            (None, _) if matches!(op, Op::Tanh) => Quantization::TANH,
            (None, _) => x,
        };
        let follows_sums = matches!(
            quantized.last().map(|step| &step.op),
            Some(QuantizedOp::Conv2d(..) | QuantizedOp::Linear(..))
        );
        let op = match op {
            Op::Linear(weights) if next.is_none() => {
                let (weights, scales) = weights.quantize(x).map_err(error)?;
                QuantizedOp::LinearLogits(weights, scales)
            }
            Op::Linear(weights) => {
                let (weights, scales) = weights.quantize(x).map_err(error)?;
                QuantizedOp::Linear(weights, Requantization::new(&scales, y))
            }
            Op::Conv2d(conv, weights) => {
                let (weights, scales) = weights.quantize(x).map_err(error)?;
                QuantizedOp::Conv2d(conv, weights, Requantization::new(&scales, y))
            }
            Op::BatchNorm2d { .. } => {
                return Err(error("a convolution or fully connected layer before batch normalization"));
            }
            Op::MaxPool2d(pool) => QuantizedOp::MaxPool2d(pool),
            Op::AvgPool2d(pool) => QuantizedOp::AvgPool2d(pool),
            Op::ReLU if follows_sums => continue,
            Op::ReLU => QuantizedOp::ReLU(x.integer_zero_point()),
            Op::Tanh => QuantizedOp::LookUp(x.table(y, f32::tanh)),
        };
        quantized.push(Step { name, op, input, output });
        x = y;
    }
    match quantized.last() {
        Some(Step { op: QuantizedOp::LinearLogits(..), .. }) => Ok(quantized),
        _ => Err(Error::CSource {
            layer: network.architecture().name().to_owned(),
            expected: "a fully connected layer at the end",
        }),
    }
}

impl Requantization {
    /// Returns the ratios of the scales of sums to the scale of an output.
    fn new(scales: &[f32], output: Quantization) -> Self {
        let ratio = |&scale: &f32| FixedPoint::new(f64::from(scale) / f64::from(output.scale));
        Self { ratios: scales.iter().map(ratio).collect(), zero_point: output.integer_zero_point() }
    }
}

impl Weights {
    /// Returns the parameters as integers, and the scale of the sum of each output; or what is expected of the layer.
    fn quantize(&self, input: Quantization) -> Result<(QuantizedWeights, Vec<f32>), &'static str> {
        let fan_in = self.fan_in();
        if fan_in > MAX_FAN_IN {
            return Err("at most 32768 inputs for each output");
        }
        let zero_point = input.integer_zero_point();
        // Where the zero point of pixels was rounded.
        let rounding = zero_point as f32 - input.zero_point;
        let mut quantized = QuantizedWeights { weight: Vec::new(), bias: Vec::new(), zero_point };
        let mut scales = Vec::new();
        for (row, bias) in self.weight.chunks_exact(fan_in).zip(&self.bias) {
            let bias = bias + row.iter().sum::<f32>() * rounding * input.scale;
            let max = row.iter().fold(0.0_f32, |max, weight| max.max(weight.abs()));
            // Of small weights with a large bias, the bias decides the scale.
            let scale = (max / 127.0).max(bias.abs() / input.scale / (1 << 30) as f32);
            let scale = if scale > 0.0 { scale } else { 1.0 };
            quantized.weight.extend(row.iter().map(|weight| (weight / scale).round() as i8));
            quantized.bias.push((bias / (scale * input.scale)).round() as i32);
            scales.push(scale * input.scale);
        }
        Ok((quantized, scales))
    }
}
