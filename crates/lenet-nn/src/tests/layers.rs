//! Each layer against its [naive](super::naive) implementation.

use std::collections::BTreeMap;

use fearless_simd::Level;

use super::{
    F32_TOLERANCE, WINOGRAD_TOLERANCE, assert_close, levels,
    naive::{self, Parameters, Tensor, distinct, random_layers},
    to_lanes, to_rows,
};
use crate::{
    AvgPool2d, BatchNorm2d, Conv2d, Dropout, Layer, Linear, MaxPool2d, PixelShuffle, Shape,
    activation_layout::{LANES, Lanes, block_count, zeros},
    operator::{Activation, Direction, LayerContext, PassContext},
};

/// Returns the engine's layer for a naive one.
///
/// # Panics
/// For dropout, whose naive form has a mask instead of a probability.
pub fn engine_layer(naive: &naive::Layer) -> Layer {
    match *naive {
        naive::Layer::Conv2d { inputs, outputs, kernel, stride, padding, dilation } => {
            Conv2d::new(inputs, outputs, kernel).stride(stride).padding(padding).dilation(dilation).into()
        }
        naive::Layer::PixelShuffle { factor } => PixelShuffle::new(factor).into(),
        naive::Layer::Linear { inputs, outputs } => Linear::new(inputs, outputs).into(),
        naive::Layer::MaxPool2d { kernel, stride } => MaxPool2d::new(kernel).stride(stride).into(),
        naive::Layer::AvgPool2d { kernel, stride } => AvgPool2d::new(kernel).stride(stride).into(),
        naive::Layer::BatchNorm2d { channels } => BatchNorm2d::new(channels).into(),
        naive::Layer::Relu => Layer::ReLU,
        naive::Layer::Tanh => Layer::Tanh,
        naive::Layer::Dropout { .. } => panic!("dropout has no counterpart"),
    }
}

/// Compares the forward and backward pass of `layer` with `naive` on random samples, in one call or block by block. The input
/// `shape` is `(batch, channels, height, width)`.
///
/// # Panics
/// If the layer does not accept the shape, so that no case passes without having been compared.
fn check_layer(
    level: Level,
    tolerance: f64,
    naive: &naive::Layer,
    shape: [usize; 4],
    random: &mut fastrand::Rng,
) {
    let layer = engine_layer(naive);
    let [samples, channels, height, width] = shape;
    let input = match layer {
        Layer::Linear(_) => Shape::flat(channels * height * width),
        _ => Shape { channels, height, width },
    };
    let output = layer.output_shape(input).unwrap_or_else(|error| panic!("{naive:?} of {shape:?}: {error}"));
    let (fan_in, outputs) = naive.fans().unwrap_or_default();
    let p = Parameters { weight: distinct(random, fan_in * outputs), bias: distinct(random, outputs) };
    let x = Tensor { shape, data: distinct(random, input.len() * samples) };
    let y = naive.forward(&p, &x);
    // Shifted by 1/2, because sums of values that are symmetric about 0 cancel, and only their rounding errors remain.
    let dy = distinct(random, y.data.len()).into_iter().map(|dy| dy + 0.5).collect();
    let dy = Tensor { shape: y.shape, data: dy };
    let (dx, dp) = naive.backward(&p, &x, &dy);

    let mut parameters: Vec<f32> = [p.weight, p.bias].concat().iter().map(|&v| v as f32).collect();
    let learned = parameters.len();
    if let Layer::BatchNorm2d(_) = layer {
        // Running averages, which training must not read.
        parameters.extend(vec![f32::NAN; learned]);
    }
    layer.reorder_to_engine(input, &parameters.clone(), &mut parameters);
    let mut gradient = vec![f32::NAN; parameters.len()];
    let (x_lanes, dy_lanes) = (to_lanes(&x.data, input.len()), to_lanes(&dy.data, output.len()));
    let (mut y_lanes, mut dx_lanes);
    let pass = PassContext { level, training: true, dropout_key: None, first_block: 0, samples };
    if let Some(activation) = layer.as_activation() {
        (y_lanes, dx_lanes) = (x_lanes, dy_lanes);
        activation.forward(level, &mut y_lanes);
        activation.backward(level, &y_lanes, &mut dx_lanes);
    } else {
        let mut operator = layer
            .operator(LayerContext { input, output, max_blocks: block_count(samples), random_stream: 0 })
            .unwrap();
        (y_lanes, dx_lanes) = (zeros(dy_lanes.len()), zeros(x_lanes.len()));
        dx_lanes.fill(Lanes([f32::NAN; LANES]));
        let blocks_per_call =
            if operator.takes_whole_batch() { block_count(samples) } else { random.usize(1..3) };
        let (inputs, outputs) = (blocks_per_call * input.len(), blocks_per_call * output.len());
        let passes = || {
            (0..).step_by(blocks_per_call * LANES).map(|first| PassContext {
                samples: samples.saturating_sub(first).min(blocks_per_call * LANES),
                ..pass
            })
        };
        // The second step fails if state of the first is left over.
        for _ in 0..2 {
            operator.prepare_parameters(level, &parameters);
            if let Some(statistics) = operator.batch_statistics() {
                for (pass, x) in passes().zip(x_lanes.chunks(inputs)) {
                    statistics.accumulate_blocks(pass, x, None);
                }
                let (local, batch) = statistics.local_and_batch_sums(Direction::Forward);
                batch.copy_from_slice(local);
            }
            for (pass, (x, y)) in passes().zip(x_lanes.chunks(inputs).zip(y_lanes.chunks_mut(outputs))) {
                operator.forward(pass, &parameters, x, y);
            }
            if let Some(statistics) = operator.batch_statistics() {
                for (pass, (x, dy)) in passes().zip(x_lanes.chunks(inputs).zip(dy_lanes.chunks(outputs))) {
                    statistics.accumulate_blocks(pass, x, Some(dy));
                }
                let (local, batch) = statistics.local_and_batch_sums(Direction::Backward);
                batch.copy_from_slice(local);
            }
            let xs = x_lanes.chunks(inputs).zip(dx_lanes.chunks_mut(inputs));
            for (pass, ((x, dx), dy)) in passes().zip(xs.zip(dy_lanes.chunks(outputs))) {
                operator.backward(pass, &parameters, x, dy, Some(dx), &mut gradient);
            }
            operator.write_accumulated_gradient(level, &mut gradient);
        }
        let idle =
            dx_lanes.iter().skip(samples / LANES * input.len()).flat_map(|lanes| &lanes.0[samples % LANES..]);
        assert!(
            samples % LANES == 0 || idle.clone().all(|&dx| dx == 0.0),
            "{naive:?} of {shape:?}, {level:?}"
        );
    }
    let case = format!("{naive:?} of {shape:?}, {level:?}");
    assert_close(&format!("{case} y"), tolerance, &y.data, &to_rows(&y_lanes, output.len(), samples));
    assert_close(&format!("{case} dx"), tolerance, &dx.data, &to_rows(&dx_lanes, input.len(), samples));
    layer.reorder_to_pytorch(input, &gradient.clone(), &mut gradient);
    let gradient: Vec<f64> = gradient.into_iter().take(learned).map(f64::from).collect();
    assert_close(&format!("{case} gradient"), tolerance, &[dp.weight, dp.bias].concat(), &gradient);
}

#[test]
fn layers_match_naive_layers() {
    const ROUNDS: usize = 20;
    let mut random = fastrand::Rng::with_seed(1);
    for level in levels() {
        let mut checked: BTreeMap<&str, usize> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let samples = random.usize(1..40);
            for (naive, shape) in random_layers(&mut random, samples) {
                // Tested by `dropout_keeps_the_mean_and_repeats_its_mask_backward`.
                if let naive::Layer::Dropout { .. } = naive {
                    continue;
                }
                check_layer(level, F32_TOLERANCE, &naive, shape, &mut random);
                *checked.entry(engine_layer(&naive).type_name()).or_default() += 1;
            }
        }
        let layers = ["AvgPool2d", "BatchNorm2d", "Linear", "MaxPool2d", "PixelShuffle", "ReLU", "Tanh"];
        let mut expected: BTreeMap<&str, usize> = layers.map(|layer| (layer, ROUNDS)).into();
        // With and without dilation.
        expected.insert("Conv2d", 2 * ROUNDS);
        assert_eq!(checked, expected, "{level:?}");
    }
}

/// Sizes cover every register tile and every remainder beside the tiles.
#[test]
fn conv2d_and_linear_of_all_tile_sizes_match_naive_layers() {
    let mut random = fastrand::Rng::with_seed(2);
    for level in levels() {
        for size in 1..20 {
            let (kernel, inputs, outputs) = (1 + size % 8, 1 + size % 3, 1 + size % 5);
            let conv = naive::Layer::Conv2d {
                inputs,
                outputs,
                kernel,
                stride: 1,
                padding: size % kernel,
                dilation: 1,
            };
            check_layer(level, F32_TOLERANCE, &conv, [9, inputs, kernel + 1, kernel + size], &mut random);
            let linear = naive::Layer::Linear { inputs: 15 * size, outputs: size };
            check_layer(level, F32_TOLERANCE, &linear, [8 * size - 3, 15 * size, 1, 1], &mut random);
        }
    }
}

/// Whole and partial tiles, with and without a border around the map.
#[test]
fn winograd_convolutions_match_naive_conv2d() {
    let mut random = fastrand::Rng::with_seed(3);
    for level in levels() {
        let mut checked: BTreeMap<String, usize> = BTreeMap::new();
        for kernel in [3, 5] {
            for size in kernel..kernel + 9 {
                let (inputs, outputs) = (random.usize(4..15), random.usize(1..15));
                let conv = naive::Layer::Conv2d {
                    inputs,
                    outputs,
                    kernel,
                    stride: 1,
                    padding: size % kernel,
                    dilation: 1,
                };
                let shape = [11, inputs, size, 2 * kernel + 9 - size];
                check_layer(level, WINOGRAD_TOLERANCE, &conv, shape, &mut random);
                let [_, channels, height, width] = conv.output_shape(shape);
                let tile =
                    Conv2d::new(inputs, outputs, kernel).winograd_tile(Shape { channels, height, width });
                *checked.entry(format!("{:?}", tile.unwrap())).or_default() += 1;
            }
        }
        assert_eq!(checked.keys().collect::<Vec<_>>(), ["F4x3", "F5x5", "F7x3"], "{level:?}");
        assert_eq!(checked.values().sum::<usize>(), 2 * 9, "{level:?}");
    }
}

/// Phases of equal and of different sizes, and paddings that are no multiple of the dilation.
#[test]
fn dilated_winograd_convolutions_match_naive_conv2d() {
    let mut random = fastrand::Rng::with_seed(5);
    for level in levels() {
        let mut tiles = Vec::new();
        for (kernel, dilation, padding, height, width) in
            [(3, 2, 2, 17, 16), (3, 3, 1, 22, 25), (3, 2, 3, 13, 27), (3, 8, 8, 48, 47), (5, 2, 4, 23, 20)]
        {
            let (inputs, outputs) = (random.usize(4..11), random.usize(1..11));
            let conv = naive::Layer::Conv2d { inputs, outputs, kernel, stride: 1, padding, dilation };
            let shape = [9, inputs, height, width];
            check_layer(level, WINOGRAD_TOLERANCE, &conv, shape, &mut random);
            let [_, channels, height, width] = conv.output_shape(shape);
            let layer = Conv2d::new(inputs, outputs, kernel).padding(padding).dilation(dilation);
            tiles.extend(layer.winograd_tile(Shape { channels, height, width }));
        }
        assert_eq!(tiles.len(), 5, "{level:?}: {tiles:?}");
    }
}

#[test]
fn tanh_is_exact_to_single_precision() {
    let points: Vec<f64> = (-400_000..400_000).map(|i| f64::from(i) * 2.5e-5).collect();
    let edges = [0.0, -0.0, 1e-30, -1e-6, 20.0, -1e30, f64::INFINITY];
    let points = [&points[..], &edges].concat();
    for level in levels() {
        let mut y = to_lanes(&points, 1);
        Activation::Tanh.forward(level, &mut y);
        for (x, y) in points.iter().zip(to_rows(&y, 1, points.len())) {
            let expected = f64::from(*x as f32).tanh();
            assert!(
                (y - expected).abs() <= 5e-7 * expected.abs(),
                "tanh {x}: expected {expected}, found {y}"
            );
        }
    }
}

#[test]
fn dropout_keeps_the_mean_and_repeats_its_mask_backward() {
    let layer = Layer::from(Dropout::new(0.2));
    let shape = Shape::flat(1000);
    let mut operator = layer
        .operator(LayerContext { input: shape, output: shape, max_blocks: 3, random_stream: 0 })
        .unwrap();
    let ones = vec![Lanes([1.0; LANES]); 3000];
    for level in levels() {
        let pass = PassContext { level, training: true, dropout_key: Some(7), first_block: 4, samples: 24 };
        let (mut y, mut dx) = (zeros(3000), zeros(3000));
        operator.forward(pass, &[], &ones, &mut y);
        operator.backward(pass, &[], &ones, &ones, Some(&mut dx), &mut []);
        assert_eq!(y[..], dx[..]);
        let values: Vec<f32> = y.iter().flat_map(|lanes| lanes.0).collect();
        assert!(values.iter().all(|&v| v == 0.0 || v == 1.25));
        let kept = values.iter().filter(|&&v| v > 0.0).count() as f64 / values.len() as f64;
        assert!((kept - 0.8).abs() < 0.01, "kept {kept}");
        assert_ne!(y[..1000], y[1000..2000]);

        // The mask of a block depends on its index in the batch, not on the call.
        let mut last = zeros(1000);
        operator.forward(PassContext { first_block: 6, ..pass }, &[], &ones[..1000], &mut last);
        assert_eq!(last[..], y[2000..]);

        operator.forward(PassContext { dropout_key: None, ..pass }, &[], &ones, &mut y);
        assert_eq!(y[..], ones[..]);
    }
}
