//! A network at work on one image, whose lanes are eight neighbouring *channels*: in blocks seven of eight would be idle.
//!
//! Here an activation is `(channel / 8, height, width, lane = channel % 8)`, which makes a row of features plain
//! contiguous numbers; nobody reads the lanes after the last channel. Activation functions and pooling don't care what
//! lanes are. Two layers do:
//!
//! - convolution, [`correlate`]: lanes are output channels. A pixel is broadcast and multiplied by the weights of eight or
//!   sixteen output channels, which are put side by side once; as in `conv2d.rs` a tile of up to six columns stays in
//!   registers while the taps go by. Where `winograd.rs` is quicker [`OneImage`] is, too.
//! - fully connected layer, [`multiply`]: lanes are inputs, so that the weights of an output can be read as they are. A
//!   few outputs go together, and the lanes are added up at the end.
//!
//! Each weight of a fully connected layer is used once, so several images are better read as a block, which fetches it
//! once for all.

use std::ops::Range;

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch, f32x8};

use super::{
    Conv2d, FeatureMaps, Layer, Network, Shape,
    batchnorm::running_scale,
    conv2d::{Geometry, pad},
    lanes::{Buffer, LANES, Lanes, MAX_TILE, even_chunk, with_const, zeros},
    linear::PANEL,
    operator::{Activation, Operator, Pass},
    winograd::{Filtering, OneImage},
};
use crate::{CLASSES, PIXELS, SIDE};

/// `y = bias (group) + weight (group, in_channels, kernel_size, kernel_size) * x`, for groups of eight output channels.
#[inline(always)]
fn correlate<S: Simd>(
    simd: S,
    shape: &Geometry,
    weight: &[Lanes],
    bias: &[Lanes],
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let Shape { height, width, .. } = shape.output;
    let tiles = shape.tiles();
    for i in 0..height {
        for group in (0..bias.len()).step_by(2) {
            for tile in 0..tiles {
                let (j, columns) = even_chunk(width, tiles, tile);
                let at = (group, i, j);
                if group + 1 < bias.len() {
                    with_const!(P = columns => correlate_tile::<S, 2, P>(simd, shape, weight, bias, x, y, at));
                } else {
                    with_const!(P = columns => correlate_tile::<S, 1, P>(simd, shape, weight, bias, x, y, at));
                }
            }
        }
    }
}

#[inline(always)]
fn correlate_tile<S: Simd, const G: usize, const P: usize>(
    simd: S,
    shape: &Geometry,
    weight: &[Lanes],
    bias: &[Lanes],
    x: &[Lanes],
    y: &mut [Lanes],
    (first, i, j): (usize, usize, usize),
) {
    let Geometry { input, output, kernel_size, stride, .. } = *shape;
    let taps = input.channels * kernel_size * kernel_size;
    let mut sums = [[f32x8::splat(simd, 0.0); P]; G];
    let mut kernels = [&weight[..0]; G];
    for g in 0..G {
        sums[g] = [bias[first + g].load(simd); P];
        kernels[g] = &weight[(first + g) * taps..][..taps];
    }
    for channel in 0..input.channels {
        for u in shape.kernel_rows(i) {
            let start = shape.input_row(channel / LANES, i, u) * input.width + j * stride;
            let row = &x[start..][..kernel_size + P - 1];
            let mut weights = [&weight[..0]; G];
            for g in 0..G {
                weights[g] = &kernels[g][(channel * kernel_size + u) * kernel_size..][..kernel_size];
            }
            for (v, pixels) in row.windows(P).enumerate() {
                let mut vectors = [f32x8::splat(simd, 0.0); G];
                for g in 0..G {
                    vectors[g] = weights[g][v].load(simd);
                }
                for p in 0..P {
                    let pixel = f32x8::splat(simd, pixels[p].0[channel % LANES]);
                    for g in 0..G {
                        sums[g][p] = vectors[g].mul_add(pixel, sums[g][p]);
                    }
                }
            }
        }
    }
    for g in 0..G {
        let row = &mut y[((first + g) * output.height + i) * output.width + j..][..P];
        for p in 0..P {
            row[p].store(sums[g][p]);
        }
    }
}

/// `y[o] = bias[o] + sum over i of weight[o, i] * x[i]`, `x` and `y` rows of features.
///
/// Weights lie in panels, as in `linear.rs`.
#[inline(always)]
fn multiply<S: Simd>(simd: S, weight: &[f32], bias: &[f32], x: &[Lanes], y: &mut [Lanes]) {
    let outputs = bias.len();
    let tiles = outputs.div_ceil(MAX_TILE);
    for tile in 0..tiles {
        let (first, rows) = even_chunk(outputs, tiles, tile);
        with_const!(R = rows => multiply_rows::<S, R>(simd, weight, bias, x, y, first));
    }
}

#[inline(always)]
fn multiply_rows<S: Simd, const R: usize>(
    simd: S,
    weight: &[f32],
    bias: &[f32],
    x: &[Lanes],
    y: &mut [Lanes],
    first: usize,
) {
    let outputs = bias.len();
    let (mut sums, mut rests) = ([f32x8::splat(simd, 0.0); R], [0.0; R]);
    for (weight, x) in weight.chunks(PANEL * outputs).zip(x.chunks(PANEL / LANES)) {
        match weight.len() / outputs {
            // The compiler makes no loop of what it can count.
            PANEL => add_panel(simd, PANEL, &weight[first * PANEL..], x, &mut sums, &mut rests),
            inputs => add_panel(simd, inputs, &weight[first * inputs..], x, &mut sums, &mut rests),
        }
    }
    for r in 0..R {
        let sum = bias[first + r] + sums[r].reduce_sum() + rests[r];
        y[(first + r) / LANES].0[(first + r) % LANES] = sum;
    }
}

/// Adds the products of a panel's `inputs`: those of whole vectors to `sums`, the others to `rests`.
#[inline(always)]
fn add_panel<S: Simd, const R: usize>(
    simd: S,
    inputs: usize,
    weight: &[f32],
    x: &[Lanes],
    sums: &mut [f32x8<S>; R],
    rests: &mut [f32; R],
) {
    let (x, x_rest) = x.split_at(inputs / LANES);
    let mut rows = [weight.as_chunks::<LANES>().0; R];
    for r in 0..R {
        let (row, rest) = weight[r * inputs..][..inputs].as_chunks();
        rows[r] = row;
        for (weight, x) in rest.iter().zip(x_rest.iter().flat_map(|x| x.0)) {
            rests[r] += weight * x;
        }
    }
    for k in 0..inputs / LANES {
        let x = x[k].load(simd);
        for r in 0..R {
            sums[r] = f32x8::load_array_ref(simd, &rows[r][k]).mul_add(x, sums[r]);
        }
    }
}

/// `x = scale (group) * x + shift (group)`
#[inline(always)]
fn scale_groups<S: Simd>(simd: S, scale: &[Lanes], shift: &[Lanes], plane: usize, x: &mut [Lanes]) {
    for ((x, scale), shift) in x.chunks_exact_mut(plane).zip(scale).zip(shift) {
        let (scale, shift) = (scale.load(simd), shift.load(simd));
        for x in x {
            x.store(scale.mul_add(x.load(simd), shift));
        }
    }
}

/// `x` of `shape` to a row of features.
fn flatten(shape: Shape, x: &[Lanes], y: &mut [Lanes]) {
    let plane = shape.height * shape.width;
    let mut feature = 0;
    for channel in 0..shape.channels {
        for pixel in &x[channel / LANES * plane..][..plane] {
            y[feature / LANES].0[feature % LANES] = pixel.0[channel % LANES];
            feature += 1;
        }
    }
}

/// Rows of `len` values to (group of eight rows, value, lane = row), zeros after the last row.
fn side_by_side(rows: &[f32], len: usize) -> Buffer {
    let mut lanes = zeros((rows.len() / len).div_ceil(LANES) * len);
    for (i, row) in rows.chunks_exact(len).enumerate() {
        for (lanes, value) in lanes[i / LANES * len..].iter_mut().zip(row) {
            lanes.0[i % LANES] = *value;
        }
    }
    lanes
}

/// The shape as others see it, for whom a group of eight channels is one.
fn grouped(shape: Shape) -> Shape {
    Shape { channels: shape.channels.div_ceil(LANES), ..shape }
}

/// Who convolves the image.
trait Convolve: Send {
    fn forward(&mut self, level: Level, x: &[Lanes], y: &mut [Lanes]);
}

/// By the formula.
struct Direct {
    shape: Geometry,
    padded: Buffer,
    /// Of groups of eight output channels each.
    weight: Buffer,
    bias: Buffer,
}

impl Convolve for Direct {
    fn forward(&mut self, level: Level, x: &[Lanes], y: &mut [Lanes]) {
        let Self { shape, padded, weight, bias } = self;
        let x = pad(shape, x, padded);
        dispatch!(level, simd => correlate(simd, shape, weight, bias, x, y));
    }
}

impl<const N: usize, const M: usize, const R: usize> Convolve for OneImage<N, M, R> {
    fn forward(&mut self, level: Level, x: &[Lanes], y: &mut [Lanes]) {
        self.forward(level, x, y);
    }
}

/// Who convolves with `own`, a layer's weights and bias.
fn convolve(layer: Conv2d, input: Shape, output: Shape, own: &[f32]) -> Box<dyn Convolve> {
    let Conv2d { in_channels, out_channels, kernel_size, padding, .. } = layer;
    let (weight, bias) = own.split_at(own.len() - out_channels);
    let weight = side_by_side(weight, in_channels * kernel_size * kernel_size);
    let bias = side_by_side(bias, 1);
    let shapes = (grouped(input), grouped(output));
    match layer.filtering(output) {
        Some(Filtering::Three) => Box::new(OneImage::<6, 4, 3>::new(layer, shapes, &weight, bias)),
        Some(Filtering::WideThree) => Box::new(OneImage::<9, 7, 3>::new(layer, shapes, &weight, bias)),
        Some(Filtering::Five) => Box::new(OneImage::<9, 5, 5>::new(layer, shapes, &weight, bias)),
        None => {
            let shape = Geometry::new(layer, input, output);
            let padded = zeros(if padding > 0 { grouped(shape.input).len() } else { 0 });
            Box::new(Direct { shape, padded, weight, bias })
        }
    }
}

/// What is done to the image.
enum Work {
    Convolve {
        layer: String,
        output: Shape,
        by: Box<dyn Convolve>,
    },
    /// Where weight and bias are among the network's parameters.
    Multiply {
        weight: Range<usize>,
        bias: Range<usize>,
    },
    Flatten(Shape),
    Pool(Box<dyn Operator>),
    /// `x = scale * x + shift`, for each group of channels.
    Scale {
        scale: Buffer,
        shift: Buffer,
        plane: usize,
    },
    Activate(Activation),
}

/// A network at work on one image, with all the memory that it needs.
pub(crate) struct Single {
    level: Level,
    normalize: [f32; 256],
    /// The image, in the first lane.
    input: Buffer,
    /// Each with its output, which is empty where the work is done in place.
    steps: Vec<(Work, Buffer)>,
}

impl Single {
    pub fn new(network: &Network, level: Level) -> Self {
        let mut steps = Vec::new();
        let mut start = 0;
        let mut input = Shape { channels: 1, height: SIDE, width: SIDE };
        for row in network.rows() {
            let output = row.output;
            let all = start..start + row.parameters + row.buffers;
            start = all.end;
            let own = &network.parameters()[all.clone()];
            let weights = own.len().saturating_sub(output.channels);
            let mut add = |work, output: Shape| steps.push((work, zeros(grouped(output).len())));
            match *row.layer {
                Layer::Conv2d(layer) if !layer.covers(input) => {
                    let (layer, by) = (row.name.to_owned(), convolve(layer, input, output, own));
                    add(Work::Convolve { layer, output, by }, output);
                }
                // A convolution that covers its whole input is a fully connected layer with a flattening of its own.
                Layer::Conv2d(_) | Layer::Linear(_) | Layer::Flatten => {
                    if input.height * input.width > 1 {
                        add(Work::Flatten(input), Shape::flat(input.len()));
                    }
                    if row.parameters > 0 {
                        let middle = all.start + weights;
                        add(Work::Multiply { weight: all.start..middle, bias: middle..all.end }, output);
                    }
                }
                Layer::MaxPool2d(_) | Layer::AvgPool2d(_) => {
                    if let Some(operator) = row.layer.operator(grouped(input), grouped(output), 0) {
                        add(Work::Pool(operator), output);
                    }
                }
                Layer::BatchNorm2d(_) => {
                    let (scale, shift): (Vec<f32>, Vec<f32>) =
                        (0..input.channels).map(|channel| running_scale(own, channel)).unzip();
                    let (scale, shift) = (side_by_side(&scale, 1), side_by_side(&shift, 1));
                    let plane = input.height * input.width;
                    steps.push((Work::Scale { scale, shift, plane }, zeros(0)));
                }
                Layer::ReLU | Layer::Tanh => {
                    if let Some(activation) = row.layer.activation() {
                        steps.push((Work::Activate(activation), zeros(0)));
                    }
                }
                Layer::Dropout(_) => {}
            }
            input = output;
        }
        Self { level, normalize: network.normalize().table(), input: zeros(PIXELS), steps }
    }

    /// The logits of `image` (row, column), with the network of which this was made.
    pub fn logits(&mut self, network: &Network, image: &[u8]) -> [f32; CLASSES] {
        for (lanes, &pixel) in self.input.iter_mut().zip(image) {
            lanes.0[0] = self.normalize[usize::from(pixel)];
        }
        let level = self.level;
        let mut x = &mut self.input;
        for (work, y) in &mut self.steps {
            match work {
                Work::Convolve { by, .. } => by.forward(level, x, y),
                Work::Multiply { weight, bias } => {
                    let weight = &network.parameters()[weight.clone()];
                    let bias = &network.parameters()[bias.clone()];
                    dispatch!(level, simd => multiply(simd, weight, bias, x, y));
                }
                Work::Flatten(shape) => flatten(*shape, x, y),
                Work::Pool(operator) => {
                    operator.forward(
                        Pass { level, training: false, dropout_key: None, first_block: 0, samples: 1 },
                        &[],
                        x,
                        y,
                    );
                }
                Work::Scale { scale, shift, plane } => {
                    dispatch!(level, simd => scale_groups(simd, scale, shift, *plane, x));
                    continue;
                }
                Work::Activate(activation) => {
                    activation.forward(level, x);
                    continue;
                }
            }
            x = y;
        }
        std::array::from_fn(|class| x[class / LANES].0[class % LANES])
    }

    /// What the convolutions made of the last image: what follows them was done in place.
    pub fn feature_maps(&self) -> impl Iterator<Item = FeatureMaps> {
        self.steps.iter().filter_map(|(work, y)| {
            let Work::Convolve { layer, output, .. } = work else { return None };
            let plane = output.height * output.width;
            let value = |i: usize| y[i / plane / LANES * plane + i % plane].0[i / plane % LANES];
            let values = (0..output.len()).map(value).collect();
            Some(FeatureMaps { layer: layer.clone(), shape: *output, values })
        })
    }
}
