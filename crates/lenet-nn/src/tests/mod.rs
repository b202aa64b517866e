//! The fast layers against their slow twins, at every SIMD level that this machine has.

mod fixtures;
mod general; // input shapes, outlier class, dropout streams
mod golden; // PyTorch's answers
mod naive; // slow twins of every layer, loss and optimiser
mod profile; // where the time goes

use fearless_simd::Level;

use self::{
    fixtures::{CLASSES, INPUT, PIXELS, SIDE, digits, target_row},
    naive::{Parameters, Tensor, distinct, random_layers},
};
use super::{
    AvgPool2d, BatchNorm2d, BatchSlice, Conv2d, DataParallel, Dropout, Layer, Linear, MaxPool2d, Network,
    Normalize, Shape, Targets,
    layout::{Buffer, LANES, Lanes, blocks, zeros},
    loss::{CrossEntropy, smooth},
    operator::{Activation, Direction, Pass, Placement},
    single_sample::SingleSample,
};

/// The best level of this machine and all below it.
fn levels() -> Vec<Level> {
    let best = Level::new();
    let mut levels = vec![best, Level::baseline(), Level::fallback()];
    #[cfg(target_arch = "x86_64")]
    {
        levels.extend(best.as_avx2().map(Level::Avx2));
        levels.extend(best.as_sse4_2().map(Level::Sse4_2));
    }
    levels
}

/// Samples in rows, (sample, elements), to lanes, (block, element).
fn to_lanes(rows: &[f64], elements: usize) -> Buffer {
    let mut lanes = zeros(blocks(rows.len() / elements) * elements);
    for (i, &value) in rows.iter().enumerate() {
        let (sample, element) = (i / elements, i % elements);
        lanes[sample / LANES * elements + element].0[sample % LANES] = value as f32;
    }
    lanes
}

/// Back again, without the lanes after the last of `samples`.
fn to_rows(lanes: &[Lanes], elements: usize, samples: usize) -> Vec<f64> {
    let value = |sample: usize, element: usize| lanes[sample / LANES * elements + element].0[sample % LANES];
    (0..samples * elements).map(|i| f64::from(value(i / elements, i % elements))).collect()
}

/// What may be rounded off, as a part of the largest magnitude: by the formula, and by Winograd's nine points, of which the
/// largest is taken to the sixth power in each direction.
const EXACT: f64 = 1e-5;
const QUICK: f64 = 1e-4;

fn assert_close(what: &str, tolerance: f64, expected: &[f64], found: &[f64]) {
    assert_eq!(expected.len(), found.len(), "{what}");
    let largest = expected.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
    for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
        let close = (expected - found).abs() <= tolerance * largest;
        assert!(close, "{what}[{i}]: expected {expected}, found {found}");
    }
}

/// The fast layer that `twin` is the twin of, if it has an operator or is an activation.
fn fast(twin: &naive::Layer) -> Option<Layer> {
    Some(match *twin {
        naive::Layer::Conv2d { inputs, outputs, kernel, stride, padding } => {
            Conv2d::new(inputs, outputs, kernel).stride(stride).padding(padding).into()
        }
        naive::Layer::Linear { inputs, outputs } => Linear::new(inputs, outputs).into(),
        naive::Layer::MaxPool2d { kernel, stride } => MaxPool2d::new(kernel).stride(stride).into(),
        naive::Layer::AvgPool2d { kernel, stride } => AvgPool2d::new(kernel).stride(stride).into(),
        naive::Layer::BatchNorm2d { channels } => BatchNorm2d::new(channels).into(),
        naive::Layer::Relu => Layer::ReLU,
        naive::Layer::Tanh => Layer::Tanh,
        naive::Layer::Dropout { .. } => return None,
    })
}

/// Compares forward and backward of `samples` random samples, in one call or block by block.
fn check_layer(
    level: Level,
    tolerance: f64,
    twin: &naive::Layer,
    shape: [usize; 4],
    random: &mut fastrand::Rng,
) {
    let Some(layer) = fast(twin) else { return };
    let [samples, channels, height, width] = shape;
    let input = match layer {
        Layer::Linear(_) => Shape::flat(channels * height * width),
        _ => Shape { channels, height, width },
    };
    let Ok(output) = layer.output_shape(input) else { return };
    let (fan_in, outputs) = twin.fans().unwrap_or_default();
    let p = Parameters { weight: distinct(random, fan_in * outputs), bias: distinct(random, outputs) };
    let x = Tensor { shape, data: distinct(random, input.len() * samples) };
    let y = twin.forward(&p, &x);
    // Shifted, for sums of what is symmetric about 0 cancel to nothing but rounding.
    let dy = distinct(random, y.data.len()).into_iter().map(|dy| dy + 0.5).collect();
    let dy = Tensor { shape: y.shape, data: dy };
    let (dx, dp) = twin.backward(&p, &x, &dy);

    let mut parameters: Vec<f32> = [p.weight, p.bias].concat().iter().map(|&v| v as f32).collect();
    let learned = parameters.len();
    if let Layer::BatchNorm2d(_) = layer {
        // Running averages, which training doesn't look at.
        parameters.extend(vec![f32::NAN; learned]);
    }
    layer.to_engine_order(input, &parameters.clone(), &mut parameters);
    let mut gradient = vec![f32::NAN; parameters.len()];
    let (fast_x, fast_dy) = (to_lanes(&x.data, input.len()), to_lanes(&dy.data, output.len()));
    let (mut fast_y, mut fast_dx);
    let pass = Pass { level, training: true, dropout_key: None, first_block: 0, samples };
    if let Some(activation) = layer.activation() {
        (fast_y, fast_dx) = (fast_x, fast_dy);
        activation.forward(level, &mut fast_y);
        activation.backward(level, &fast_y, &mut fast_dx);
    } else {
        let mut operator = layer
            .operator(Placement { input, output, max_blocks: blocks(samples), random_stream: 0 })
            .unwrap();
        (fast_y, fast_dx) = (zeros(fast_dy.len()), zeros(fast_x.len()));
        fast_dx.fill(Lanes([f32::NAN; LANES]));
        let at_once = if operator.takes_whole_batch() { blocks(samples) } else { random.usize(1..3) };
        let (inputs, outputs) = (at_once * input.len(), at_once * output.len());
        let passes = || {
            (0..)
                .step_by(at_once * LANES)
                .map(|first| Pass { samples: samples.saturating_sub(first).min(at_once * LANES), ..pass })
        };
        // The second step shows what the first has left behind.
        for _ in 0..2 {
            operator.prepare(level, &parameters);
            if let Some(statistics) = operator.batch_statistics() {
                for (pass, x) in passes().zip(fast_x.chunks(inputs)) {
                    statistics.accumulate(pass, x, None);
                }
                let (local, batch) = statistics.sums(Direction::Forward);
                batch.copy_from_slice(local);
            }
            for (pass, (x, y)) in passes().zip(fast_x.chunks(inputs).zip(fast_y.chunks_mut(outputs))) {
                operator.forward(pass, &parameters, x, y);
            }
            if let Some(statistics) = operator.batch_statistics() {
                for (pass, (x, dy)) in passes().zip(fast_x.chunks(inputs).zip(fast_dy.chunks(outputs))) {
                    statistics.accumulate(pass, x, Some(dy));
                }
                let (local, batch) = statistics.sums(Direction::Backward);
                batch.copy_from_slice(local);
            }
            let xs = fast_x.chunks(inputs).zip(fast_dx.chunks_mut(inputs));
            for (pass, ((x, dx), dy)) in passes().zip(xs.zip(fast_dy.chunks(outputs))) {
                operator.backward(pass, &parameters, x, dy, Some(dx), &mut gradient);
            }
            operator.reduce_gradient(level, &mut gradient);
        }
        let idle =
            fast_dx.iter().skip(samples / LANES * input.len()).flat_map(|lanes| &lanes.0[samples % LANES..]);
        assert!(
            samples % LANES == 0 || idle.clone().all(|&dx| dx == 0.0),
            "{twin:?} of {shape:?}, {level:?}"
        );
    }
    let what = format!("{twin:?} of {shape:?}, {level:?}");
    assert_close(&format!("{what} y"), tolerance, &y.data, &to_rows(&fast_y, output.len(), samples));
    assert_close(&format!("{what} dx"), tolerance, &dx.data, &to_rows(&fast_dx, input.len(), samples));
    layer.to_pytorch_order(input, &gradient.clone(), &mut gradient);
    let gradient: Vec<f64> = gradient.into_iter().take(learned).map(f64::from).collect();
    assert_close(&format!("{what} gradient"), tolerance, &[dp.weight, dp.bias].concat(), &gradient);
}

#[test]
fn fast_layers_agree_with_their_twins() {
    let mut random = fastrand::Rng::with_seed(1);
    for level in levels() {
        for _ in 0..20 {
            let samples = random.usize(1..40);
            for (twin, shape) in random_layers(&mut random, samples) {
                check_layer(level, EXACT, &twin, shape, &mut random);
            }
        }
    }
}

/// Every size of register tile, and what is left over beside it.
#[test]
fn wide_layers_agree_with_their_twins() {
    let mut random = fastrand::Rng::with_seed(2);
    for level in levels() {
        for size in 1..20 {
            let (kernel, inputs, outputs) = (1 + size % 8, 1 + size % 3, 1 + size % 5);
            let conv = naive::Layer::Conv2d { inputs, outputs, kernel, stride: 1, padding: size % kernel };
            check_layer(level, EXACT, &conv, [9, inputs, kernel + 1, kernel + size], &mut random);
            let linear = naive::Layer::Linear { inputs: 15 * size, outputs: size };
            check_layer(level, EXACT, &linear, [8 * size - 3, 15 * size, 1, 1], &mut random);
        }
    }
}

/// Whole tiles and parts of tiles, with and without something around the map.
#[test]
fn quick_convolutions_agree_with_their_twins() {
    let mut random = fastrand::Rng::with_seed(3);
    for level in levels() {
        for kernel in [3, 5] {
            for size in kernel..kernel + 9 {
                let (inputs, outputs) = (random.usize(4..15), random.usize(1..15));
                let conv =
                    naive::Layer::Conv2d { inputs, outputs, kernel, stride: 1, padding: size % kernel };
                check_layer(level, QUICK, &conv, [11, inputs, size, 2 * kernel + 9 - size], &mut random);
            }
        }
    }
}

/// A network in which layers follow each other in many ways, those left out that don't fit.
fn random_network(random: &mut fastrand::Rng) -> Network {
    let mut shape = INPUT;
    let mut layers: Vec<Layer> = Vec::new();
    let mut add = |layer: Layer| {
        if let Ok(output) = layer.output_shape(shape) {
            layers.push(layer);
            shape = output;
        }
        shape
    };
    let activations = [Layer::Tanh, Layer::ReLU, Layer::Dropout(Dropout::new(0.5))];
    for _ in 0..3 {
        let inputs = add(activations[random.usize(..3)]).channels;
        if random.bool() {
            add(BatchNorm2d::new(inputs).into());
        }
        let (kernel, stride, padding) = (random.usize(1..7), random.usize(1..3), random.usize(..3));
        add(Conv2d::new(inputs, random.usize(1..20), kernel).stride(stride).padding(padding).into());
        add(activations[random.usize(..3)]);
        let (kernel, stride) = (random.usize(1..4), random.usize(1..3));
        let pools =
            [MaxPool2d::new(kernel).stride(stride).into(), AvgPool2d::new(kernel).stride(stride).into()];
        add(pools[random.usize(..2)]);
    }
    if random.bool() {
        let Shape { channels, height, .. } = add(Layer::Tanh);
        add(Conv2d::new(channels, random.usize(1..20), height).into());
    }
    let hidden = random.usize(1..40);
    let features = add(Layer::Flatten).len();
    add(Linear::new(features, hidden).into());
    add(activations[random.usize(..3)]);
    add(Linear::new(hidden, CLASSES).into());
    let architecture = layers
        .into_iter()
        .enumerate()
        .fold(digits("random"), |architecture, (i, layer)| architecture.layer(i.to_string(), layer));
    let mut network =
        Network::new(architecture, Normalize { mean: 0.1307, std: 0.3081 }, random.u64(..)).unwrap();
    for parameter in network.parameters_mut() {
        // So that a running variance is not 1, and stays positive.
        *parameter *= 0.75 + 0.5 * random.f32();
    }
    network
}

#[test]
fn one_image_agrees_with_a_block() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..60 {
        check_single(&random_network(&mut random));
    }
}

/// One group of eight channels or several, whole or in part, before and after.
#[test]
fn quick_convolutions_of_one_image_agree_with_a_block() {
    let mut random = fastrand::Rng::with_seed(4);
    for kernel in [3, 5] {
        for outputs in [8, 11, 24, 33, 40, 57] {
            let (inputs, padding) = (random.usize(4..40), random.usize(..kernel));
            let quick = Layer::from(Conv2d::new(inputs, outputs, kernel).padding(padding));
            let features =
                quick.output_shape(Shape { channels: inputs, height: 13, width: 13 }).unwrap().len();
            let architecture = digits("quick")
                .layer("first", Conv2d::new(1, inputs, 3))
                .layer("pool", MaxPool2d::new(2))
                .layer("quick", quick)
                .layer("flatten", Layer::Flatten)
                .layer("fc", Linear::new(features, CLASSES));
            check_single(
                &Network::new(architecture, Normalize { mean: 0.1307, std: 0.3081 }, random.u64(..)).unwrap(),
            );
        }
    }
}

fn check_single(network: &Network) {
    let images = golden::images();
    let block = network.logits(&images);
    for level in levels() {
        let mut single = SingleSample::new(network, level);
        // The second image shows what the first has left behind.
        for (image, expected) in images.chunks_exact(PIXELS).zip(block.chunks_exact(CLASSES)).take(2) {
            let what = format!("{:?}, {level:?}", network.architecture());
            let mut logits = [0.0; CLASSES];
            single.logits(network, image, &mut logits);
            let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
            assert_close(&what, QUICK, &expected, &logits.map(f64::from));
        }
    }
}

#[test]
fn feature_maps_agree_with_their_twins() {
    let image = &golden::images()[..PIXELS];
    let [_, _, lenet5] = golden::architectures();
    let vgg = digits("vgg")
        .layer("conv1", Conv2d::new(1, 12, 3).padding(1))
        .layer("bn1", BatchNorm2d::new(12))
        .layer("relu1", Layer::ReLU)
        .layer("conv2", Conv2d::new(12, 9, 3).padding(1))
        .layer("bn2", BatchNorm2d::new(9))
        .layer("relu2", Layer::ReLU)
        .layer("pool", MaxPool2d::new(2))
        .layer("conv3", Conv2d::new(9, 5, 3).padding(1))
        .layer("bn3", BatchNorm2d::new(5))
        .layer("relu3", Layer::ReLU)
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(5 * 14 * 14, 10));
    for (architecture, names) in [(lenet5, vec!["conv1", "conv2"]), (vgg, vec!["conv1", "conv2", "conv3"])] {
        let mut network = Network::new(architecture, Normalize { mean: 0.13, std: 0.31 }, 1).unwrap();
        // No parameter, of batch normalisation too, keeps its init_from value; running variances stay positive.
        for (i, value) in network.parameters_mut().iter_mut().enumerate() {
            *value += 0.01 * (1 + i % 7) as f32;
        }
        let values = |layer: &str, part: &str| -> Option<Vec<f64>> {
            let tensor = network.tensors().find(|tensor| tensor.name == format!("{layer}.{part}"))?;
            Some(tensor.values.iter().copied().map(f64::from).collect())
        };
        let maps = network.feature_maps(image);
        assert_eq!(maps.iter().map(|maps| maps.layer.as_str()).collect::<Vec<_>>(), names);
        let Normalize { mean, std } = network.normalize();
        let pixels = image.iter().map(|&pixel| f64::from((f32::from(pixel) / 255.0 - mean) / std));
        let mut x = Tensor { shape: [1, 1, SIDE, SIDE], data: pixels.collect() };
        // Up to the first pooling of vgg, which lenet5 has before its second convolution.
        for (maps, row) in maps.iter().zip(1..=2) {
            let conv = format!("conv{row}");
            let p =
                Parameters { weight: values(&conv, "weight").unwrap(), bias: values(&conv, "bias").unwrap() };
            let (inputs, outputs) = (x.shape[1], p.bias.len());
            let kernel = (p.weight.len() / inputs / outputs).isqrt();
            let padding = if conv == "conv2" && kernel == 5 { 0 } else { kernel / 2 };
            x = naive::Layer::Conv2d { inputs, outputs, kernel, stride: 1, padding }.forward(&p, &x);
            let area = x.shape[2] * x.shape[3];
            if let Some(weight) = values(&format!("bn{row}"), "weight") {
                let [bias, mean, var] = ["bias", "running_mean", "running_var"]
                    .map(|part| values(&format!("bn{row}"), part).unwrap());
                for (i, value) in x.data.iter_mut().enumerate() {
                    let c = i / area;
                    let unit = (*value - mean[c]) / (var[c] + 1e-5).sqrt();
                    *value = (weight[c] * unit + bias[c]).max(0.0);
                }
            } else {
                x.data.iter_mut().for_each(|value| *value = value.tanh());
            }
            assert_eq!([1, maps.shape.channels, maps.shape.height, maps.shape.width], x.shape);
            let found: Vec<_> = maps.values.iter().copied().map(f64::from).collect();
            assert_close(&conv, QUICK, &x.data, &found);
            if kernel == 5 {
                x = naive::Layer::AvgPool2d { kernel: 2, stride: 2 }.forward(&Parameters::default(), &x);
            }
        }
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
fn dropout_keeps_the_mean_and_repeats_its_mask() {
    let layer = Layer::from(Dropout::new(0.2));
    let shape = Shape::flat(1000);
    let mut operator =
        layer.operator(Placement { input: shape, output: shape, max_blocks: 3, random_stream: 0 }).unwrap();
    let ones = vec![Lanes([1.0; LANES]); 3000];
    for level in levels() {
        let pass = Pass { level, training: true, dropout_key: Some(7), first_block: 4, samples: 24 };
        let (mut y, mut dx) = (zeros(3000), zeros(3000));
        operator.forward(pass, &[], &ones, &mut y);
        operator.backward(pass, &[], &ones, &ones, Some(&mut dx), &mut []);
        assert_eq!(y[..], dx[..]);
        let values: Vec<f32> = y.iter().flat_map(|lanes| lanes.0).collect();
        assert!(values.iter().all(|&v| v == 0.0 || v == 1.25));
        let kept = values.iter().filter(|&&v| v > 0.0).count() as f64 / values.len() as f64;
        assert!((kept - 0.8).abs() < 0.01, "kept {kept}");
        assert_ne!(y[..1000], y[1000..2000]);

        // Later blocks of a batch draw the same numbers, whoever runs them.
        let mut last = zeros(1000);
        operator.forward(Pass { first_block: 6, ..pass }, &[], &ones[..1000], &mut last);
        assert_eq!(last[..], y[2000..]);

        operator.forward(Pass { dropout_key: None, ..pass }, &[], &ones, &mut y);
        assert_eq!(y[..], ones[..]);
    }
}

#[test]
fn networks_that_cannot_be_are_refused() {
    let network = |layers: &[(&str, Layer)], normalize| {
        let architecture = digits("test");
        let architecture =
            layers.iter().fold(architecture, |architecture, (name, layer)| architecture.layer(*name, *layer));
        Network::new(architecture, normalize, 0).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let linear = |inputs, outputs| Layer::from(Linear::new(inputs, outputs));
    for (layers, error) in [
        (vec![], "layer (none): expected 10 logits, found (1, 28, 28)"),
        (vec![("a", Layer::Flatten)], "layer a: expected 10 logits, found (784, 1, 1)"),
        (vec![("a", linear(784, 10))], "layer a: expected 784 features, found (1, 28, 28)"),
        (
            vec![("a", Layer::ReLU), ("a", Layer::ReLU)],
            "layer a: expected a name of its own, found another layer",
        ),
        (vec![("a", Conv2d::new(3, 6, 5).into())], "layer a: expected 3 channels, found (1, 28, 28)"),
        (
            vec![("a", Conv2d::new(1, 6, 29).into())],
            "layer a: expected at least 29 x 29 pixels, found (1, 28, 28)",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).padding(5).into())],
            "layer a: expected padding below kernel_size 5, found 5",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).stride(0).into())],
            "layer a: expected stride from 1 to 65536, found 0",
        ),
        (vec![("a", Conv2d::new(1, 65536, 5).into())], "layer a: expected at most 1048576 elements and"),
        (
            // Of few parameters, and each layer within bounds.
            vec![("a", Conv2d::new(1, 1000, 1).into()), ("b", MaxPool2d::new(1).into())],
            "layer b: expected at most 1048576 elements and",
        ),
        (vec![("a", MaxPool2d::new(0).into())], "layer a: expected kernel_size from 1 to 65536, found 0"),
        (vec![("a", Dropout::new(1.0).into())], "layer a: expected p of at least 0 and below 1, found 1"),
    ] {
        let found = network(&layers, Normalize::UNIT);
        assert!(found.starts_with(error), "expected {error}, found {found}");
    }
    let names: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let deep: Vec<(&str, Layer)> = names.iter().map(|name| (name.as_str(), Layer::Tanh)).collect();
    assert_eq!(network(&deep, Normalize::UNIT), "layer 256: expected at most 256 layers, found 300");
    let good = [("flatten", Layer::Flatten), ("fc", linear(784, 10))];
    assert_eq!(network(&good, Normalize::UNIT), "");
    for std in [0.0, -1.0, 1e-44, f32::NAN] {
        let found = network(&good, Normalize { mean: 0.5, std });
        assert!(found.starts_with("normalize: expected a mean and a positive std"), "{std}: {found}");
    }
}

/// Two activations in a row, one before any layer, dropout after an activation: each keeps what its gradient needs.
#[test]
fn activations_in_a_row_have_the_right_gradient() {
    let architecture = digits("test")
        .layer("tanh1", Layer::Tanh)
        .layer("flatten", Layer::Flatten)
        .layer("fc1", Linear::new(784, 12))
        .layer("tanh2", Layer::Tanh)
        .layer("tanh3", Layer::Tanh)
        .layer("dropout", Dropout::new(0.5))
        .layer("fc2", Linear::new(12, 10));
    let mut network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
    let (images, labels) = (golden::images(), golden::labels());
    let (_, gradient) = network.gradient(&images, Targets::Labels(&labels));
    for index in [0, 5 * 784 + 300, 784 * 12 + 3, 784 * 12 + 12 + 7] {
        let mut loss_at = |step: f32| {
            network.parameters_mut()[index] += step;
            let (loss, _) = network.gradient(&images, Targets::Labels(&labels));
            network.parameters_mut()[index] -= step;
            f64::from(loss)
        };
        let expected = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2;
        let found = f64::from(gradient[index]);
        assert!((expected - found).abs() < 1e-4, "{index}: expected {expected}, found {found}");
    }
}

/// Dropout in place does what it does on a copy, which a second one in a row has.
#[test]
fn dropout_in_place_is_that_of_a_copy() {
    let (images, labels) = (golden::images(), golden::labels());
    let gradient = |first: Option<Layer>, layers: &[Layer]| {
        let mut architecture = digits("test");
        if let Some(first) = first {
            architecture = architecture.layer("first", first);
        }
        let mut architecture = architecture.layer("conv", Conv2d::new(1, 3, 5));
        for (i, layer) in layers.iter().enumerate() {
            architecture = architecture.layer(i.to_string(), *layer);
        }
        let architecture =
            architecture.layer("flatten", Layer::Flatten).layer("fc", Linear::new(3 * 24 * 24, 10));
        let network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
        let samples = labels.len();
        let mut shards = DataParallel::new(&network, &[samples]);
        let share = BatchSlice { total: samples, dropout_key: Some(7), first_block: 0 };
        shards.step(&network, &mut [()], |_, shard, ()| {
            let rows = (0..samples).map(|i| target_row(Targets::Labels(&labels), i));
            shard.load(&network, share, images.chunks_exact(PIXELS), rows);
        });
        (shards.metrics().loss, shards.gradient(&network))
    };
    let [half, all] = [0.5, 0.0].map(|p| Layer::from(Dropout::new(p)));
    for (before, after) in [
        (vec![], vec![]),
        (vec![Layer::ReLU], vec![]),
        (vec![], vec![Layer::Tanh]),
        (vec![Layer::ReLU], vec![MaxPool2d::new(1).into()]),
    ] {
        let with = |first, dropout: &[Layer]| gradient(first, &[&before[..], dropout, &after[..]].concat());
        // `half` is the second dropout layer in both networks, because masks differ between layers.
        assert_eq!(with(Some(all), &[half]), with(None, &[all, half]), "{before:?} {after:?}");
        assert_ne!(with(Some(all), &[half]), with(None, &[all]), "{before:?} {after:?}");
    }
}

/// Pooling that goes back through the activation before it, too, does what both do with something between them.
#[test]
fn pooling_goes_back_through_an_activation() {
    let (images, labels) = (golden::images(), golden::labels());
    for activation in [Layer::ReLU, Layer::Tanh] {
        for (pool, side) in [
            (Layer::from(MaxPool2d::new(2)), 12),
            (MaxPool2d::new(2).stride(1).into(), 23),
            (AvgPool2d::new(2).into(), 12),
            (AvgPool2d::new(3).into(), 8),
        ] {
            let [together, apart] = [false, true].map(|apart| {
                let mut architecture =
                    digits("test").layer("conv", Conv2d::new(1, 3, 5)).layer("activation", activation);
                if apart {
                    architecture = architecture.layer("nothing", Dropout::new(0.0));
                }
                let architecture = architecture
                    .layer("pool", pool)
                    .layer("flatten", Layer::Flatten)
                    .layer("fc", Linear::new(3 * side * side, 10));
                let network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
                network.gradient(&images, Targets::Labels(&labels))
            });
            assert_eq!(together, apart, "{activation:?} {pool:?}");
        }
    }
}

/// Three shares, the second with less than a block and the last with nothing, on fewer threads and on as many, and wide layers
/// of panels that can't be shared evenly.
#[test]
fn wide_layers_have_the_same_gradient_in_shares() {
    let architecture = digits("test")
        .layer("flatten", Layer::Flatten)
        .layer("fc1", Linear::new(784, 203))
        .layer("tanh1", Layer::Tanh)
        .layer("fc2", Linear::new(203, 650))
        .layer("tanh2", Layer::Tanh)
        .layer("fc3", Linear::new(650, 10));
    let network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
    let samples = 13;
    let (images, labels) = (golden::images(), golden::labels());
    let (images, targets) = (&images[..samples * PIXELS], Targets::Labels(&labels[..samples]));
    let (loss, expected) = network.gradient(images, targets);

    let mut shards = DataParallel::new(&network, &[LANES; 3]);
    // Again and again, for what a step leaves behind.
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| {
            shards.step(&network, &mut [0..8, 8..13, 13..13], |i, shard, samples| {
                let share = BatchSlice { total: 13, dropout_key: None, first_block: i };
                let pixels = &images[samples.start * PIXELS..samples.end * PIXELS];
                let rows = samples.clone().map(|i| target_row(targets, i));
                shard.load(&network, share, pixels.chunks_exact(PIXELS), rows);
            });
            shards.gradient(&network)
        });
        let double = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        assert_close("gradient", EXACT, &double(&expected), &double(&found));
        assert_close("loss", EXACT, &[f64::from(loss)], &[shards.metrics().loss / samples as f64]);
    }
}

#[test]
fn loss_agrees_with_its_twin() {
    let (logits, soft) = golden::soft_targets();
    let hard = naive::one_hot(&golden::labels(), CLASSES);
    // Of every third sample half of the target is none.
    let partial: Vec<_> = soft
        .iter()
        .enumerate()
        .map(|(i, t)| if (i / CLASSES).is_multiple_of(3) { t / 2.0 } else { *t })
        .collect();
    for (targets, smoothing, none) in [
        (&soft, 0.0, false),
        (&soft, 0.2, false),
        (&hard, 0.1, false),
        (&partial, 0.0, true),
        (&hard, 0.1, true),
    ] {
        let smoothed = naive::smooth(targets, smoothing, CLASSES);
        let (loss, gradient) = if none {
            // To the twin it is a class like the others, whose gradient nobody asks for.
            let with = |rows: &[f64], last: fn(&[f64]) -> f64| -> Vec<f64> {
                rows.chunks(CLASSES).flat_map(|row| row.iter().copied().chain([last(row)])).collect()
            };
            let (logits, targets) =
                (with(&logits, |_| 0.0), with(&smoothed, |row| 1.0 - row.iter().sum::<f64>()));
            let (loss, gradient) = naive::cross_entropy(&logits, &targets, CLASSES + 1);
            (loss, gradient.chunks(CLASSES + 1).flat_map(|row| row[..CLASSES].to_vec()).collect())
        } else {
            naive::cross_entropy(&logits, &smoothed, CLASSES)
        };
        let rows = targets
            .chunks(CLASSES)
            .flat_map(|row| {
                let mut row: [f32; CLASSES] = std::array::from_fn(|class| row[class] as f32);
                smooth(&mut row, smoothing as f32);
                row
            })
            .collect::<Vec<f32>>();
        let mut found = zeros(2 * CLASSES);
        let fast = CrossEntropy {
            targets: &rows,
            total: golden::IMAGES,
            outlier_class: none,
            row: &mut [0.0; CLASSES],
        };
        let total = fast.backward(&to_lanes(&logits, CLASSES), &mut found).loss;
        assert_close("loss", EXACT, &[loss], &[total / golden::IMAGES as f64]);
        assert_close("gradient", EXACT, &gradient, &to_rows(&found, CLASSES, golden::IMAGES));
    }
}
