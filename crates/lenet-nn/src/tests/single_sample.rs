//! Inference on one sample, which has a layout and kernels of its own.

use super::{
    WINOGRAD_TOLERANCE, assert_close,
    fixtures::{CLASSES, INPUT, PIXELS, SIDE, digits},
    golden, levels,
    naive::{self, Parameters, Tensor},
    to_f64,
};
use crate::{
    AvgPool2d, BatchNorm2d, Conv2d, Dropout, Layer, Linear, MaxPool2d, Network, Normalize, Shape,
    single_sample::SingleSampleWorkspace,
};

/// Returns a network with random layers in random order. Layers that do not accept the output of the layer before are left out.
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
        // Changes the running variances from 1, and keeps them positive.
        *parameter *= 0.75 + 0.5 * random.f32();
    }
    network
}

#[test]
fn single_sample_matches_blocks() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..60 {
        check_single_sample(&random_network(&mut random));
    }
}

/// One or several groups of eight channels, whole or partial, as input and as output.
#[test]
fn single_sample_winograd_matches_blocks() {
    let mut random = fastrand::Rng::with_seed(4);
    for kernel in [3, 5] {
        for outputs in [8, 11, 24, 33, 40, 57] {
            let (inputs, padding) = (random.usize(4..40), random.usize(..kernel));
            let conv = Layer::from(Conv2d::new(inputs, outputs, kernel).padding(padding));
            let features =
                conv.output_shape(Shape { channels: inputs, height: 13, width: 13 }).unwrap().len();
            let architecture = digits("winograd")
                .layer("first", Conv2d::new(1, inputs, 3))
                .layer("pool", MaxPool2d::new(2))
                .layer("winograd", conv)
                .layer("flatten", Layer::Flatten)
                .layer("fc", Linear::new(features, CLASSES));
            check_single_sample(
                &Network::new(architecture, Normalize { mean: 0.1307, std: 0.3081 }, random.u64(..)).unwrap(),
            );
        }
    }
}

/// Asserts that the logits of one image are those of a block, at every SIMD level.
fn check_single_sample(network: &Network) {
    let images = golden::images();
    let block = network.logits(&images);
    for level in levels() {
        let mut single = SingleSampleWorkspace::new(network, level);
        // The second image fails if state of the first is left over.
        for (image, expected) in images.chunks_exact(PIXELS).zip(block.chunks_exact(CLASSES)).take(2) {
            let case = format!("{:?}, {level:?}", network.architecture());
            let mut logits = [0.0; CLASSES];
            single.infer(network, image, &mut logits);
            assert_close(&case, WINOGRAD_TOLERANCE, &to_f64(expected), &logits.map(f64::from));
        }
    }
}

#[test]
fn feature_maps_match_naive_layers() {
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
        // Changes all parameters, those of batch normalization too, from their initial values, and keeps running variances
        // positive.
        for (i, value) in network.parameters_mut().iter_mut().enumerate() {
            *value += 0.01 * (1 + i % 7) as f32;
        }
        let values = |layer: &str, param_name: &str| -> Option<Vec<f64>> {
            let tensor = network.tensors().find(|tensor| tensor.name == format!("{layer}.{param_name}"))?;
            Some(to_f64(&tensor.values))
        };
        let maps = network.feature_maps(image);
        assert_eq!(maps.iter().map(|maps| maps.layer.as_str()).collect::<Vec<_>>(), names);
        let Normalize { mean, std } = network.normalization();
        let pixels = image.iter().map(|&pixel| f64::from((f32::from(pixel) / 255.0 - mean) / std));
        let mut x = Tensor { shape: [1, 1, SIDE, SIDE], data: pixels.collect() };
        // The first two convolutions. In vgg no pooling is before them; in lenet5 an average pooling is between them.
        for (maps, row) in maps.iter().zip(1..=2) {
            let conv = format!("conv{row}");
            let p =
                Parameters { weight: values(&conv, "weight").unwrap(), bias: values(&conv, "bias").unwrap() };
            let (inputs, outputs) = (x.shape[1], p.bias.len());
            let kernel = (p.weight.len() / inputs / outputs).isqrt();
            let padding = if conv == "conv2" && kernel == 5 { 0 } else { kernel / 2 };
            x = naive::Layer::Conv2d { inputs, outputs, kernel, stride: 1, padding, dilation: 1 }
                .forward(&p, &x);
            let area = x.shape[2] * x.shape[3];
            if let Some(weight) = values(&format!("bn{row}"), "weight") {
                let [bias, mean, var] = ["bias", "running_mean", "running_var"]
                    .map(|name| values(&format!("bn{row}"), name).unwrap());
                for (i, value) in x.data.iter_mut().enumerate() {
                    let c = i / area;
                    let normalized = (*value - mean[c]) / (var[c] + 1e-5).sqrt();
                    *value = (weight[c] * normalized + bias[c]).max(0.0);
                }
            } else {
                x.data.iter_mut().for_each(|value| *value = value.tanh());
            }
            assert_eq!([1, maps.shape.channels, maps.shape.height, maps.shape.width], x.shape);
            assert_close(&conv, WINOGRAD_TOLERANCE, &x.data, &to_f64(&maps.values));
            if kernel == 5 {
                x = naive::Layer::AvgPool2d { kernel: 2, stride: 2 }.forward(&Parameters::default(), &x);
            }
        }
    }
}

#[test]
fn output_ranges_are_those_of_feature_maps_and_logits() {
    let images = &golden::images()[..3 * PIXELS];
    let [_, _, lenet5] = golden::architectures();
    let network = Network::new(lenet5, Normalize { mean: 0.13, std: 0.31 }, 1).unwrap();
    let ranges = network.output_ranges(images);
    let layers: Vec<_> = ranges.iter().map(|range| range.layer.as_str()).collect();
    assert_eq!(layers, ["conv1", "conv2", "conv3", "fc1", "fc2"]);
    let min_and_max = |values: Vec<f32>| {
        [
            values.iter().copied().fold(f32::INFINITY, f32::min),
            values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        ]
    };
    let maps: Vec<_> = images.chunks_exact(PIXELS).map(|image| network.feature_maps(image)).collect();
    for (index, range) in ranges.iter().take(2).enumerate() {
        let values = maps.iter().flat_map(|maps| maps[index].values.clone()).collect();
        assert_eq!([range.min, range.max], min_and_max(values), "{}", range.layer);
    }
    let logits = images.chunks_exact(PIXELS).flat_map(|image| network.logits(image)).collect();
    assert_eq!([ranges[4].min, ranges[4].max], min_and_max(logits));
}
