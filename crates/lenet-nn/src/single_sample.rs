//! Inference and feature maps of one sample, whose lanes are eight neighboring *channels*: in the layout of blocks seven of
//! eight lanes would be idle.
//!
//! An activation is `(channel / 8, height, width, lane = channel % 8)`, in which a row of features is contiguous numbers. The
//! lanes after the last channel have any value. Activation functions and pooling treat all lanes alike and run as on blocks;
//! convolution, batch normalization, flattening and fully connected layer have kernels of their own.

use std::ops::Range;

use fearless_simd::Level;

use crate::{
    Layer, Network, Shape,
    activation_layout::{AlignedBuffer, LANES, Lanes, zeros},
    operator::{LayerContext, SingleSampleOp, channel_packed_shape},
};

/// Output of a convolution for one sample, after the batch normalization and activation function that follow it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMaps {
    /// Name of the convolution.
    pub layer: String,
    /// Number, height and width of the maps.
    pub shape: Shape,
    /// Values `(channel, row, column)`.
    pub values: Vec<f32>,
}

/// Smallest and largest output of a convolution or fully connected layer, after the batch normalization and activation function
/// that follow it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRange {
    /// Name of the layer.
    pub layer: String,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

/// A layer with its output.
struct SingleSampleLayer {
    name: String,
    kind: LayerKind,
    operator: Box<dyn SingleSampleOp>,
    /// Range of the layer's parameters among those of the network.
    parameters: Range<usize>,
    output_shape: Shape,
    /// Empty if the operator works in place.
    output: AlignedBuffer,
}

/// What the output of a layer is used for, besides inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LayerKind {
    /// A convolution, whose outputs are [`FeatureMaps`].
    FeatureMaps,
    /// A layer that multiplies all its inputs by weights.
    FullyConnected,
    WithoutWeights,
}

/// A network on one sample, with all the memory that it needs.
pub(crate) struct SingleSampleWorkspace {
    level: Level,
    normalize: [f32; 256],
    /// Shapes of a sample and of its logits.
    shape: Shape,
    output: Shape,
    input: AlignedBuffer,
    stages: Vec<SingleSampleLayer>,
}

impl SingleSampleWorkspace {
    /// Copies some of the parameters of `network`, so that others may not be used with it.
    pub fn new(network: &Network, level: Level) -> Self {
        let mut stages = Vec::new();
        let (mut start, shape) = (0, network.architecture().input_shape());
        let mut input = shape;
        for row in network.layer_summaries() {
            let output = row.output;
            let parameters = start..start + row.parameters + row.buffers;
            start = parameters.end;
            let context = LayerContext { input, output, max_blocks: 0, random_stream: 0 };
            if let Some(operator) =
                row.layer.single_sample_op(level, context, &network.parameters()[parameters.clone()])
            {
                let kind = match row.layer {
                    Layer::Conv2d(layer) if !layer.kernel_covers_input(input) => LayerKind::FeatureMaps,
                    Layer::Conv2d(_) | Layer::Linear(_) => LayerKind::FullyConnected,
                    _ => LayerKind::WithoutWeights,
                };
                let len = if operator.is_in_place() { 0 } else { channel_packed_shape(output).len() };
                let (name, output_shape, output) = (row.name.to_owned(), output, zeros(len));
                stages.push(SingleSampleLayer { name, kind, operator, parameters, output_shape, output });
            }
            input = output;
        }
        Self {
            level,
            normalize: network.normalization().lookup_table(),
            shape,
            output: network.architecture().output_shape(),
            input: zeros(channel_packed_shape(shape).len()),
            stages,
        }
    }

    /// Writes the logits `(output of the architecture)` of `image` `(channels, height, width)`. `network` is the one that this
    /// was made of.
    pub fn infer(&mut self, network: &Network, image: &[u8], logits: &mut [f32]) {
        let plane = self.shape.height * self.shape.width;
        for (channel, pixels) in image.chunks_exact(plane).enumerate() {
            for (lanes, &pixel) in self.input[channel / LANES * plane..].iter_mut().zip(pixels) {
                lanes.0[channel % LANES] = self.normalize[usize::from(pixel)];
            }
        }
        let mut x = &mut self.input;
        for SingleSampleLayer { operator, parameters, output, .. } in &mut self.stages {
            operator.forward(self.level, &network.parameters()[parameters.clone()], x, output);
            if !operator.is_in_place() {
                x = output;
            }
        }
        copy_channels(self.output, x, logits);
    }

    /// Returns the feature maps of the last sample. The layers after a convolution have worked in place on its output.
    fn feature_maps(&self) -> impl Iterator<Item = FeatureMaps> {
        self.stages.iter().filter(|stage| stage.kind == LayerKind::FeatureMaps).map(|stage| FeatureMaps {
            layer: stage.name.clone(),
            shape: stage.output_shape,
            values: stage.output_values(),
        })
    }
}

impl SingleSampleLayer {
    /// Returns the output for the last sample, after the layers that worked in place on it.
    fn output_values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.output_shape.len()];
        copy_channels(self.output_shape, &self.output, &mut values);
        values
    }
}

/// Copies `x` of `shape`, whose lanes are channels, to `values` `(channel, row, column)`.
fn copy_channels(shape: Shape, x: &[Lanes], values: &mut [f32]) {
    let plane = shape.height * shape.width;
    for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
        for (value, lanes) in values.iter_mut().zip(&x[channel / LANES * plane..]) {
            *value = lanes.0[channel % LANES];
        }
    }
}

impl Network {
    /// Returns the feature maps of each convolution for `image` `(channels, height, width)`, in the order of the layers.
    /// Convolutions whose kernel covers their whole input have no maps and are left out.
    ///
    /// # Panics
    /// If `image` isn't exactly one sample.
    pub fn feature_maps(&self, image: &[u8]) -> Vec<FeatureMaps> {
        assert_eq!(self.count_samples(image), 1, "expected one sample");
        let mut single = SingleSampleWorkspace::new(self, self.simd_level());
        single.infer(self, image, &mut vec![0.0; self.architecture().output_shape().len()]);
        single.feature_maps().collect()
    }

    /// Returns the range of the outputs of each convolution and fully connected layer over `images` `(batch, channels, height,
    /// width)`, in the order of the layers. Quantization needs it.
    ///
    /// # Panics
    /// If `images` is empty or has an incomplete sample.
    pub fn output_ranges(&self, images: &[u8]) -> Vec<OutputRange> {
        assert!(self.count_samples(images) > 0, "expected at least one sample");
        let mut single = SingleSampleWorkspace::new(self, self.simd_level());
        let mut logits = vec![0.0; self.architecture().output_shape().len()];
        let with_weights = |stage: &&SingleSampleLayer| stage.kind != LayerKind::WithoutWeights;
        let empty = |stage: &SingleSampleLayer| OutputRange {
            layer: stage.name.clone(),
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        };
        let mut ranges: Vec<_> = single.stages.iter().filter(with_weights).map(empty).collect();
        for image in images.chunks_exact(self.architecture().input_shape().len()) {
            single.infer(self, image, &mut logits);
            for (range, stage) in ranges.iter_mut().zip(single.stages.iter().filter(with_weights)) {
                for value in stage.output_values() {
                    range.min = range.min.min(value);
                    range.max = range.max.max(value);
                }
            }
        }
        ranges
    }
}
