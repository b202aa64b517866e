//! Time of each layer in a training step, and its share of the peak speed of a core: `cargo bench -p lenet-nn`.
//!
//! A worker's slice of a batch of 100 on two threads: 50 samples in seven blocks. The networks are those of the tutorial
//! (`docs/tutorial.md`) without dropout, and one for dense prediction, with 8 samples of 96x96 pixels. The latter is also
//! measured in inference, on one sample of 256x256 and of 512x512 pixels.

use std::{hint::black_box, time::Instant};

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch};
use lenet_nn::{
    Architecture, AvgPool2d, BatchNorm2d, Conv2d, Layer, Linear, MaxPool2d, Network, Normalize, PixelShuffle,
    Shape,
    profile::{LayerProfile, profile_layers},
};

const SAMPLES: usize = 50;

fn main() {
    // `cargo bench` passes --bench. `cargo test --benches` does not, and only checks that the benchmark runs.
    let runs = if std::env::args().any(|argument| argument == "--bench") { 30 } else { 1 };
    let level = Level::new();
    let mut multiply_adds = 0.0;
    let seconds =
        min_seconds(runs, &mut || multiply_adds = dispatch!(level, simd => run_multiply_adds(simd, 100_000)));
    let peak = multiply_adds / seconds;
    println!("{level:?}: peak {:.1} GFLOP/s on one thread", 2e-9 * peak);
    for architecture in architectures() {
        let layers = profile_layers(&architecture, SAMPLES, |run| min_seconds(runs, run))
            .expect("the architecture is valid");
        print_table(&architecture, &layers, peak);
    }
    let dense = dense();
    let layers = profile_layers(&dense, 8, |run| min_seconds(runs, run)).expect("the architecture is valid");
    print_table(&dense, &layers, peak);
    let network = Network::new(dense, Normalize::UNIT, 0).expect("the architecture is valid");
    for side in [256, 512] {
        let network = network.with_input_size(side, side).expect("the side is even");
        let image = vec![100; side * side];
        let mut logits = vec![0.0; network.architecture().output_shape().len()];
        let mut session = network.session(1);
        let seconds = min_seconds(runs, &mut || session.logits(&image, &mut logits));
        let layers = network.architecture().summary().expect("the architecture is valid");
        let multiply_adds: usize = layers.iter().map(|layer| layer.multiply_adds).sum();
        println!(
            "inference of {side}x{side} pixels: {:.2} ms, {:.1} GFLOP/s",
            1e3 * seconds,
            2e-9 * multiply_adds as f64 / seconds
        );
    }
}

/// Returns a fully convolutional network at half the resolution of its input.
fn dense() -> Architecture {
    const CHANNELS: usize = 24;
    let input = Shape { channels: 1, height: 96, width: 96 };
    let mut architecture = Architecture::dense_prediction("dense", input, 2)
        .layer("conv0", Conv2d::new(1, CHANNELS, 4).stride(2).padding(1))
        .layer("bn0", BatchNorm2d::new(CHANNELS))
        .layer("relu0", Layer::ReLU);
    for (i, dilation) in [1, 2, 4, 8, 1].into_iter().enumerate() {
        let conv = Conv2d::new(CHANNELS, CHANNELS, 3).dilation(dilation).padding(dilation);
        architecture = architecture
            .layer(format!("conv{}", i + 1), conv)
            .layer(format!("bn{}", i + 1), BatchNorm2d::new(CHANNELS))
            .layer(format!("relu{}", i + 1), Layer::ReLU);
    }
    architecture.layer("conv6", Conv2d::new(CHANNELS, 8, 3).padding(1)).layer("shuffle", PixelShuffle::new(2))
}

fn architectures() -> [Architecture; 3] {
    let input = Shape { channels: 1, height: 28, width: 28 };
    [
        Architecture::new("mlp", input, 10)
            .layer("flatten", Layer::Flatten)
            .layer("fc1", Linear::new(784, 784))
            .layer("relu", Layer::ReLU)
            .layer("fc2", Linear::new(784, 10)),
        Architecture::new("cnn", input, 10)
            .layer("conv", Conv2d::new(1, 10, 5).padding(2))
            .layer("relu1", Layer::ReLU)
            .layer("pool", MaxPool2d::new(2).stride(1))
            .layer("flatten", Layer::Flatten)
            .layer("fc1", Linear::new(7290, 128))
            .layer("relu2", Layer::ReLU)
            .layer("fc2", Linear::new(128, 10)),
        Architecture::new("lenet5", input, 10)
            .layer("conv1", Conv2d::new(1, 6, 5).padding(2))
            .layer("tanh1", Layer::Tanh)
            .layer("pool1", AvgPool2d::new(2))
            .layer("conv2", Conv2d::new(6, 16, 5))
            .layer("tanh2", Layer::Tanh)
            .layer("pool2", AvgPool2d::new(2))
            .layer("conv3", Conv2d::new(16, 120, 5))
            .layer("tanh3", Layer::Tanh)
            .layer("flatten", Layer::Flatten)
            .layer("fc1", Linear::new(120, 84))
            .layer("tanh4", Layer::Tanh)
            .layer("fc2", Linear::new(84, 10)),
    ]
}

fn print_table(architecture: &Architecture, layers: &[LayerProfile], peak: f64) {
    println!(
        "\n{:<10} {:>12} {:>6} {:>13} {:>6}",
        architecture.name(),
        "forward us",
        "peak",
        "backward us",
        "peak"
    );
    let share_of_peak = |multiply_adds: usize, seconds: f64| {
        if multiply_adds == 0 {
            String::new()
        } else {
            format!("{:.0}%", 100.0 * multiply_adds as f64 / seconds / peak)
        }
    };
    for layer in layers {
        println!(
            "{:<10} {:>12.1} {:>6} {:>13.1} {:>6}",
            layer.name,
            1e6 * layer.forward_seconds,
            share_of_peak(layer.forward_multiply_adds, layer.forward_seconds),
            1e6 * layer.backward_seconds,
            share_of_peak(layer.backward_multiply_adds, layer.backward_seconds)
        );
    }
    let seconds: f64 = layers.iter().map(|layer| layer.forward_seconds + layer.backward_seconds).sum();
    let multiply_adds =
        layers.iter().map(|layer| layer.forward_multiply_adds + layer.backward_multiply_adds).sum();
    println!("{:<10} {:>12.1} {:>6}", "all", 1e6 * seconds, share_of_peak(multiply_adds, seconds));
}

/// Returns the shortest time of several runs, in seconds.
fn min_seconds(runs: usize, run: &mut dyn FnMut()) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Runs twelve independent chains of multiply-adds, which hide their latency. Returns the number of multiply-adds.
#[inline(always)]
fn run_multiply_adds<S: Simd>(simd: S, rounds: usize) -> f64 {
    let mut sums = [S::f32s::splat(simd, 1.0); 12];
    let (factor, term) = (S::f32s::splat(simd, black_box(0.5)), S::f32s::splat(simd, black_box(0.25)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, term);
        }
    }
    black_box(sums.map(|sum| sum.reduce_sum()));
    (rounds * sums.len() * S::f32s::LEN) as f64
}
