//! PyTorch's results for weights and images that a formula defines, and the naive implementations and the engine compared
//! with them.
//!
//! `testdata/goldens.py` repeats the formula, writes `testdata/goldens.safetensors` and describes the names in that file.

use std::ops::Range;

use fearless_simd::Level;
use safetensors::SafeTensors;

use super::{
    fixtures::{INPUT, PIXELS, digits, target_row},
    layers::engine_layer,
    naive::{
        Layer, Layer::*, Parameters, Tensor, adam, binary_cross_entropy, cross_entropy, one_hot, sgd, smooth,
    },
};
use crate::{
    self as nn, Architecture, DataParallel, Network, Normalize, Targets,
    activation_layout::block_count,
    optim::{Optimizer, OptimizerState, Schedule},
    worker::BatchSlice,
};

/// Number of images.
pub const IMAGES: usize = 16;

/// Hashes an index: lowbias32 of Chris Wellons' hash-prospector (<https://github.com/skeeto/hash-prospector>).
fn mix(mut x: u32) -> u32 {
    x = (x ^ x >> 16).wrapping_mul(0x7feb_352d);
    x = (x ^ x >> 15).wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

/// Returns `len` random numbers, different for each `stream`.
fn bits(stream: u32, len: usize) -> impl Iterator<Item = u32> {
    (0..len as u32).map(move |i| mix(i.wrapping_add(mix(stream))))
}

/// Returns multiples of 2^-23 in [-1, 1), which are exact in single precision.
pub fn uniform(stream: u32, len: usize) -> Vec<f64> {
    bits(stream, len).map(|bits| f64::from(bits >> 8) / f64::from(1 << 23) - 1.0).collect()
}

/// Returns the images `(16, 28, 28)`: rings of noise on black.
pub fn images() -> Vec<u8> {
    let random: Vec<i32> = bits(100, IMAGES * 3).map(|bits| (bits % 6) as i32).collect();
    bits(101, IMAGES * 28 * 28)
        .enumerate()
        .map(|(i, noise)| {
            let (y, x) = ((i / 28 % 28) as i32, (i % 28) as i32);
            let [row, column, radius] = [0, 1, 2].map(|k| random[i / (28 * 28) * 3 + k]);
            let radius = radius + 4;
            let distance = (y - row - 11).pow(2) + (x - column - 11).pow(2) - radius.pow(2);
            if distance.abs() <= 2 * radius { (noise % 201 + 55) as u8 } else { 0 }
        })
        .collect()
}

/// Returns the labels of the images: 0 to 9, then 0 to 5.
pub fn labels() -> Vec<u8> {
    (0..IMAGES).map(|i| (i % 10) as u8).collect()
}

/// Returns the parameters of each layer, uniform in +-3/sqrt(fan_in) and exact in single precision. Each tensor has its own
/// stream, in the order of PyTorch's `state_dict`.
pub fn parameters<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> Vec<Parameters> {
    let mut streams = 0..;
    let mut tensor = |len, fan_in: usize| {
        let values = uniform(streams.next().expect("endless"), len).into_iter();
        values.map(|v| f64::from((3.0 * v / (fan_in as f64).sqrt()) as f32)).collect()
    };
    layers
        .into_iter()
        .map(|layer| match layer.fans() {
            Some((fan_in, outputs)) => {
                Parameters { weight: tensor(fan_in * outputs, fan_in), bias: tensor(outputs, fan_in) }
            }
            None => Parameters::default(),
        })
        .collect()
}

/// Returns the networks as naive layers without dropout, with the names of the layers that have parameters.
pub fn networks() -> [(&'static str, Vec<(&'static str, Layer)>); 3] {
    [
        (
            "mlp",
            vec![
                ("layer1", Linear { inputs: 784, outputs: 784 }),
                ("", Relu),
                ("layer2", Linear { inputs: 784, outputs: 10 }),
            ],
        ),
        (
            "cnn",
            vec![
                ("conv", Conv2d { inputs: 1, outputs: 10, kernel: 5, stride: 1, padding: 2, dilation: 1 }),
                ("", Relu),
                ("", MaxPool2d { kernel: 2, stride: 1 }),
                ("fc", Linear { inputs: 7290, outputs: 128 }),
                ("", Relu),
                ("output", Linear { inputs: 128, outputs: 10 }),
            ],
        ),
        (
            "lenet5",
            vec![
                ("conv1", Conv2d { inputs: 1, outputs: 6, kernel: 5, stride: 1, padding: 2, dilation: 1 }),
                ("", Tanh),
                ("", AvgPool2d { kernel: 2, stride: 2 }),
                ("conv2", Conv2d { inputs: 6, outputs: 16, kernel: 5, stride: 1, padding: 0, dilation: 1 }),
                ("", Tanh),
                ("", AvgPool2d { kernel: 2, stride: 2 }),
                ("conv3", Conv2d { inputs: 16, outputs: 120, kernel: 5, stride: 1, padding: 0, dilation: 1 }),
                ("", Tanh),
                ("fc1", Linear { inputs: 120, outputs: 84 }),
                ("", Tanh),
                ("fc2", Linear { inputs: 84, outputs: 10 }),
            ],
        ),
    ]
}

/// Returns the same networks as architectures of the engine.
pub fn architectures() -> [Architecture; 3] {
    networks().map(|(name, layers)| {
        let (mut architecture, mut flat) = (digits(name), false);
        for (i, (key, layer)) in layers.iter().enumerate() {
            if matches!(layer, Linear { .. }) && !flat {
                architecture = architecture.layer("flatten", nn::Layer::Flatten);
                flat = true;
            }
            let key = if key.is_empty() { format!("unnamed{i}") } else { (*key).to_owned() };
            architecture = architecture.layer(key, engine_layer(layer));
        }
        architecture
    })
}

/// Returns single layers with the shape of their input. The input is [`layer_input`], the gradient of the output
/// [`layer_gradient`].
pub fn layers() -> [(&'static str, Layer, [usize; 4]); 11] {
    let conv = |inputs, outputs, kernel, [stride, padding, dilation]: [usize; 3]| Conv2d {
        inputs,
        outputs,
        kernel,
        stride,
        padding,
        dilation,
    };
    [
        ("conv_stride_2", conv(2, 3, 3, [2, 1, 1]), [3, 2, 5, 6]),
        ("conv_padding_2", conv(3, 2, 3, [1, 2, 1]), [2, 3, 4, 3]),
        ("conv_kernel_4", conv(2, 3, 4, [2, 1, 1]), [2, 2, 6, 8]),
        ("conv_dilation_2", conv(4, 3, 3, [1, 2, 2]), [2, 4, 6, 5]),
        ("conv_dilation_3", conv(3, 2, 2, [2, 3, 3]), [2, 3, 5, 6]),
        ("pixel_shuffle_2", PixelShuffle { factor: 2 }, [2, 8, 3, 2]),
        ("max_pool_2_1", MaxPool2d { kernel: 2, stride: 1 }, [2, 3, 4, 5]),
        ("max_pool_3_2", MaxPool2d { kernel: 3, stride: 2 }, [3, 2, 7, 6]),
        ("avg_pool_3_2", AvgPool2d { kernel: 3, stride: 2 }, [3, 2, 6, 7]),
        ("avg_pool_2_3", AvgPool2d { kernel: 2, stride: 3 }, [2, 2, 8, 6]),
        ("relu", Relu, [2, 3, 4, 5]),
    ]
}

/// Returns whole numbers from -2 to 1, because then maxima tie and inputs of ReLU are 0.
pub fn layer_input(shape: [usize; 4]) -> Tensor {
    let data = uniform(110, shape.iter().product()).into_iter().map(|v| (2.0 * v).floor()).collect();
    Tensor { shape, data }
}

/// Returns the gradient of a layer's output.
pub fn layer_gradient(shape: [usize; 4]) -> Tensor {
    Tensor { shape, data: uniform(111, shape.iter().product()) }
}

/// Returns logits and target probabilities of the case `soft_targets`, both `(16, 10)`.
pub fn soft_targets() -> (Vec<f64>, Vec<f64>) {
    let logits = uniform(130, IMAGES * 10).into_iter().map(|v| 4.0 * v).collect();
    let targets: Vec<f64> = uniform(131, IMAGES * 10).into_iter().map(|v| v + 1.0).collect();
    let sums = targets.chunks(10).flat_map(|row| [row.iter().sum::<f64>(); 10]);
    (logits, targets.iter().zip(sums).map(|(t, sum)| t / sum).collect())
}

/// Parameters with weight decay in the cases of `optim`.
const DECAYED: Range<usize> = 0..40;

/// Asserts that ten calls of `step`, with 64 parameters and their gradients, yield the parameters of `optim/NAME`.
pub fn check_optimizer(name: &str, tolerance: f64, mut step: impl FnMut(&mut [f64], &[f64])) {
    let mut p = uniform(140, 64);
    let mut trajectory = Vec::new();
    for t in 0..10 {
        let g: Vec<f64> =
            uniform(141 + t, 64).iter().zip(0..).map(|(g, i)| g * 0.5f64.powi(i % 32)).collect();
        step(&mut p, &g);
        trajectory.extend_from_slice(&p);
    }
    check(&format!("optim/{name}"), tolerance, &trajectory);
}

/// Asserts that `found` equals the tensor `name` of PyTorch within `tolerance` times its largest magnitude. A large tensor is
/// stored as a sample of its elements, its norm and its largest magnitude.
pub fn check<T: Copy + Into<f64>>(name: &str, tolerance: f64, found: &[T]) {
    let file = SafeTensors::deserialize(include_bytes!("../../testdata/goldens.safetensors")).unwrap();
    let words = |name: &str| -> Option<Vec<[u8; 4]>> {
        Some(file.tensor(name).ok()?.data().chunks(4).map(|word| word.try_into().unwrap()).collect())
    };
    let floats = |name: &str| -> Vec<f64> {
        let words = words(name).unwrap_or_else(|| panic!("no golden named {name}"));
        words.into_iter().map(|word| f64::from(f32::from_le_bytes(word))).collect()
    };
    let close = |part: &str, expected: f64, found: f64, largest: f64| {
        let close = (expected - found).abs() <= tolerance * largest;
        assert!(close, "{name} {part}: expected {expected}, found {found}, largest {largest}");
    };
    let max = |values: &[f64]| values.iter().fold(0.0, |a: f64, b| a.max(b.abs()));

    let expected = floats(name);
    let mut found: Vec<f64> = found.iter().map(|&v| v.into()).collect();
    let mut largest = max(&expected);
    if let Some(index) = words(&format!("{name}/index")) {
        largest = floats(&format!("{name}/max"))[0];
        let norm = floats(&format!("{name}/norm"))[0];
        close("max", largest, max(&found), largest);
        close("norm", norm, found.iter().map(|v| v * v).sum::<f64>().sqrt(), norm);
        found = index.into_iter().map(|word| found[u32::from_le_bytes(word) as usize]).collect();
    }
    assert_eq!(expected.len(), found.len(), "{name}");
    for (i, (&expected, &found)) in expected.iter().zip(&found).enumerate() {
        close(&format!("[{i}]"), expected, found, largest);
    }
}

/// Tolerance of the naive implementations. PyTorch computes in double precision too, but its results are stored in single
/// precision.
const NAIVE_TOLERANCE: f64 = 1e-6;

#[test]
fn naive_layers_match_pytorch() {
    for (name, layer, shape) in layers() {
        let p = parameters([&layer]).remove(0);
        let x = layer_input(shape);
        let y = layer.forward(&p, &x);
        let (dx, dp) = layer.backward(&p, &x, &layer_gradient(y.shape));
        check(&format!("layers/{name}/y"), NAIVE_TOLERANCE, &y.data);
        check(&format!("layers/{name}/dx"), NAIVE_TOLERANCE, &dx.data);
        if layer.fans().is_some() {
            check(&format!("layers/{name}/weight"), NAIVE_TOLERANCE, &dp.weight);
            check(&format!("layers/{name}/bias"), NAIVE_TOLERANCE, &dp.bias);
        }
    }
}

#[test]
fn naive_networks_match_pytorch() {
    for (name, layers) in networks() {
        let parameters = parameters(layers.iter().map(|(_, layer)| layer));
        let pixels = images().into_iter().map(|pixel| f64::from(pixel) / 255.0).collect();
        let mut activations = vec![Tensor { shape: [IMAGES, 1, 28, 28], data: pixels }];
        for ((_, layer), p) in layers.iter().zip(&parameters) {
            activations.push(layer.forward(p, &activations[activations.len() - 1]));
        }

        let logits = activations.pop().expect("the last layer's");
        let (loss, gradient) = cross_entropy(&logits.data, &one_hot(&labels(), 10), 10);
        check(&format!("{name}/logits"), NAIVE_TOLERANCE, &logits.data);
        check(&format!("{name}/loss"), NAIVE_TOLERANCE, &[loss]);

        let mut dy = Tensor { shape: logits.shape, data: gradient };
        for (((key, layer), p), x) in layers.iter().zip(&parameters).zip(&activations).rev() {
            let (dx, dp) = layer.backward(p, x, &dy);
            if layer.fans().is_some() {
                check(&format!("{name}/{key}.weight"), NAIVE_TOLERANCE, &dp.weight);
                check(&format!("{name}/{key}.bias"), NAIVE_TOLERANCE, &dp.bias);
            }
            dy = dx;
        }
    }
}

#[test]
fn naive_loss_matches_pytorch() {
    let (logits, soft) = soft_targets();
    for (name, targets) in [
        ("soft_targets", soft.clone()),
        ("smoothed_soft_targets", smooth(&soft, 0.2, 10)),
        ("smoothed_classes", smooth(&one_hot(&labels(), 10), 0.1, 10)),
    ] {
        let (loss, gradient) = cross_entropy(&logits, &targets, 10);
        check(&format!("{name}/loss"), NAIVE_TOLERANCE, &[loss]);
        check(&format!("{name}/gradient"), NAIVE_TOLERANCE, &gradient);
    }
    let targets: Vec<f64> = uniform(131, logits.len()).into_iter().map(|v| (v + 1.0) / 2.0).collect();
    let (loss, gradient) = binary_cross_entropy(&logits, &targets);
    check("binary_targets/loss", NAIVE_TOLERANCE, &[loss]);
    check("binary_targets/gradient", NAIVE_TOLERANCE, &gradient);
}

/// Returns the weight decay of each of the 64 parameters.
fn decay(weight_decay: f64) -> Vec<f64> {
    (0..64).map(|i| if DECAYED.contains(&i) { weight_decay } else { 0.0 }).collect()
}

#[test]
fn naive_optimizers_match_pytorch() {
    check_optimizer("sgd", NAIVE_TOLERANCE, sgd(0.1, 0.0, decay(0.0)));
    check_optimizer("momentum", NAIVE_TOLERANCE, sgd(0.1, 0.9, decay(0.0)));
    check_optimizer("sgd_decay", NAIVE_TOLERANCE, sgd(0.1, 0.9, decay(0.2)));
    check_optimizer("adam", NAIVE_TOLERANCE, adam(0.01, decay(0.0)));
    check_optimizer("adamw", NAIVE_TOLERANCE, adam(0.01, decay(2.0)));
}

/// Tolerance of the engine, which computes in single precision.
const ENGINE_TOLERANCE: f64 = 1e-4;

#[test]
fn networks_match_pytorch() {
    for ((name, layers), architecture) in networks().into_iter().zip(architectures()) {
        let mut network = Network::new(architecture, Normalize::UNIT, 0).unwrap();
        let values: Vec<f32> = parameters(layers.iter().map(|(_, layer)| layer))
            .into_iter()
            .flat_map(|p| [p.weight, p.bias].concat())
            .map(|value| value as f32)
            .collect();
        let values = network.to_engine_order(&values);
        network.parameters_mut().copy_from_slice(&values);

        check(&format!("{name}/logits"), ENGINE_TOLERANCE, &network.logits(&images()));
        let one_at_a_time: Vec<_> = images().chunks(PIXELS).flat_map(|image| network.logits(image)).collect();
        check(&format!("{name}/logits"), ENGINE_TOLERANCE, &one_at_a_time);
        let (loss, gradient) = network.loss_and_gradient(&images(), Targets::Labels(&labels()));
        check(&format!("{name}/loss"), ENGINE_TOLERANCE, &[loss]);
        network.parameters_mut().copy_from_slice(&gradient);
        for tensor in network.tensors() {
            check(&format!("{name}/{}", tensor.name), ENGINE_TOLERANCE, &tensor.values);
        }
    }
}

/// Compares a step of training, and inference after it, with the results `name`. `naive_layers` are the layers with parameters,
/// and `normalized` the convolutions before a batch normalization.
///
/// The batch is divided between two workers, whose sums must be added for the statistics of the batch.
fn check_training(
    name: &str,
    architecture: Architecture,
    naive_layers: &[Layer],
    normalized: &[&str],
    (images, targets): (&[u8], &[Vec<f32>]),
) {
    let mut network = Network::new(architecture, Normalize::UNIT, 0).unwrap();
    let values: Vec<f32> = parameters(naive_layers)
        .into_iter()
        .zip(naive_layers)
        .flat_map(|(p, layer)| {
            let buffers = if let BatchNorm2d { channels } = *layer { channels } else { 0 };
            [p.weight, p.bias, vec![0.0; buffers], vec![1.0; buffers]].concat()
        })
        .map(|value| value as f32)
        .collect();
    let values = network.to_engine_order(&values);
    network.parameters_mut().copy_from_slice(&values);

    let samples = targets.len();
    let first = samples * 2 / 3;
    let mut data_parallel = DataParallel::with_worker_capacities(&network, &[first, samples - first]);
    data_parallel.compute_gradients_of_slices(
        &network,
        &mut [0..first, first..samples],
        |i, worker, samples| {
            let slice =
                BatchSlice { total: targets.len(), dropout_key: None, first_block: i * block_count(first) };
            let pixels = &images[samples.start * PIXELS..samples.end * PIXELS];
            worker.set_slice(slice);
            worker.load_samples(&network, pixels.chunks_exact(PIXELS), targets[samples.clone()].iter());
        },
    );
    check(
        &format!("{name}/loss"),
        ENGINE_TOLERANCE,
        &[data_parallel.last_batch_metrics().loss / samples as f64],
    );
    data_parallel.update_running_stats(network.parameters_mut());
    let mut gradient = network.clone();
    gradient.parameters_mut().copy_from_slice(&data_parallel.last_batch_gradient(&network));
    for (tensor, gradient) in network.tensors().zip(gradient.tensors()) {
        if tensor.name.contains("running") {
            check(&format!("{name}/running/{}", tensor.name), ENGINE_TOLERANCE, &tensor.values);
            assert!(gradient.values.iter().all(|&value| value == 0.0), "{}", tensor.name);
        } else if normalized.iter().any(|conv| tensor.name == format!("{conv}.bias")) {
            // Batch normalization subtracts the bias with the mean.
            assert!(gradient.values.iter().all(|value| value.abs() < 1e-6), "{}", tensor.name);
        } else {
            check(&format!("{name}/{}", tensor.name), ENGINE_TOLERANCE, &gradient.values);
        }
    }
    check(&format!("{name}/logits"), ENGINE_TOLERANCE, &network.logits(images));
    let one_at_a_time: Vec<_> = images.chunks(PIXELS).flat_map(|image| network.logits(image)).collect();
    check(&format!("{name}/logits"), ENGINE_TOLERANCE, &one_at_a_time);
}

#[test]
fn batch_norm_matches_pytorch() {
    let architecture = digits("test")
        .layer("conv1", nn::Conv2d::new(1, 3, 5).stride(2))
        .layer("bn1", nn::BatchNorm2d::new(3))
        .layer("relu1", nn::Layer::ReLU)
        .layer("conv2", nn::Conv2d::new(3, 5, 3).stride(2))
        .layer("bn2", nn::BatchNorm2d::new(5))
        .layer("tanh2", nn::Layer::Tanh)
        .layer("flatten", nn::Layer::Flatten)
        .layer("fc", nn::Linear::new(125, 10));
    let layers = [
        Conv2d { inputs: 1, outputs: 3, kernel: 5, stride: 2, padding: 0, dilation: 1 },
        BatchNorm2d { channels: 3 },
        Conv2d { inputs: 3, outputs: 5, kernel: 3, stride: 2, padding: 0, dilation: 1 },
        BatchNorm2d { channels: 5 },
        Linear { inputs: 125, outputs: 10 },
    ];
    let labels = labels();
    let targets: Vec<Vec<f32>> =
        (0..IMAGES).map(|i| target_row(Targets::Labels(&labels), i).to_vec()).collect();
    check_training("batchnorm", architecture, &layers, &["conv1", "conv2"], (&images(), &targets));
}

#[test]
fn dense_prediction_matches_pytorch() {
    let architecture = Architecture::dense_prediction("test", INPUT, 1)
        .layer("conv1", nn::Conv2d::new(1, 5, 4).stride(2).padding(1))
        .layer("bn1", nn::BatchNorm2d::new(5))
        .layer("relu1", nn::Layer::ReLU)
        .layer("conv2", nn::Conv2d::new(5, 4, 3).dilation(2).padding(2))
        .layer("shuffle", nn::PixelShuffle::new(2));
    let layers = [
        Conv2d { inputs: 1, outputs: 5, kernel: 4, stride: 2, padding: 1, dilation: 1 },
        BatchNorm2d { channels: 5 },
        Conv2d { inputs: 5, outputs: 4, kernel: 3, stride: 1, padding: 2, dilation: 2 },
    ];
    let images = &images()[..4 * PIXELS];
    let is_bright = |&pixel: &u8| if pixel > 128 { 1.0 } else { 0.0 };
    let targets: Vec<Vec<f32>> =
        images.chunks(PIXELS).map(|image| image.iter().map(is_bright).collect()).collect();
    check_training("dense", architecture, &layers, &["conv1"], (images, &targets));
}

#[test]
fn optimizers_match_pytorch() {
    for (name, optimizer) in [
        ("sgd", Optimizer::Sgd { lr: 0.1, momentum: 0.0, weight_decay: 0.0 }),
        ("momentum", Optimizer::Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0 }),
        ("sgd_decay", Optimizer::Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.2 }),
        ("adam", Optimizer::Adam { lr: 0.01 }),
        ("adamw", Optimizer::AdamW { lr: 0.01, weight_decay: 2.0 }),
    ] {
        let mut state = OptimizerState::new(optimizer, 64, vec![DECAYED]);
        check_optimizer(name, 1e-5, |p, g| {
            let to_f32 = |values: &[f64]| -> Vec<f32> { values.iter().map(|&v| v as f32).collect() };
            let mut parameters = to_f32(p);
            state.begin_step(optimizer.lr(), &mut parameters, None).apply(Level::new(), &mut to_f32(g));
            p.iter_mut().zip(parameters).for_each(|(p, value)| *p = f64::from(value));
        });
    }
}

#[test]
fn schedules_match_pytorch() {
    let one_cycle = Schedule::OneCycle { pct_start: 0.3, div_factor: 20.0, final_div_factor: 2.0 };
    for (name, warmup, schedule) in [
        ("cosine", 0.0, Schedule::Cosine),
        ("step", 0.0, Schedule::Step { stages: 4, gamma: 0.3 }),
        ("one_cycle", 0.0, one_cycle),
        ("warmup", 0.2, Schedule::Cosine),
    ] {
        let rates: Vec<f64> = (0..40).map(|step| schedule.factor_with_warmup(warmup, step, 40)).collect();
        check(&format!("schedules/{name}"), NAIVE_TOLERANCE, &rates);
    }
}
