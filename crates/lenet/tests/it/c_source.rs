//! C source, compiled by a C compiler without warnings, against the networks that it was written of.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lenet::{
    Error,
    c_source::{self, CSource},
    nn::{
        Architecture, AvgPool2d, BatchNorm2d, Conv2d, Layer, Linear, MaxPool2d, Network, Normalize,
        PixelShuffle, Shape, argmax,
    },
    pretrained,
};

/// Reads images from standard input, and writes the probabilities of each and the class that `predict` returns.
const MAIN: &str = r#"
#include "net.h"
#include <stdio.h>

int main(void) {
    static struct net_workspace workspace;
    uint8_t pixels[NET_PIXELS];
    float probabilities[NET_CLASSES];
    while (fread(pixels, 1, NET_PIXELS, stdin) == NET_PIXELS) {
        const int class = net_probabilities(&workspace, pixels, probabilities);
        if (class != net_predict(&workspace, pixels)) return 1;
        fwrite(probabilities, sizeof probabilities[0], NET_CLASSES, stdout);
    }
    return 0;
}
"#;

/// Compiles the source, and runs it on images. Returns the probabilities `(image, class)`.
fn run(folder: &str, CSource { header, source, .. }: &CSource, images: &[u8]) -> Vec<f32> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in [("net.h", header.as_str()), ("net.c", source), ("main.c", MAIN)] {
        fs::write(folder.join(name), text).unwrap();
    }
    let program: PathBuf = folder.join("main");
    let compile = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-ffp-contract=off"])
        .args(["main.c", "net.c", "-o", "main", "-lm"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(compile.status.success(), "{}", String::from_utf8_lossy(&compile.stderr));
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(images).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "`predict` returned another class than `probabilities`");
    output.stdout.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Returns a network with random parameters, also of batch normalization.
fn network(architecture: Architecture, seed: u64) -> Network {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut network = Network::new(architecture, Normalize { mean: 0.13, std: 0.31 }, seed).unwrap();
    network.parameters_mut().iter_mut().for_each(|value| *value += 0.2 * random.f32());
    network.with_temperature(1.3).unwrap()
}

fn random_images(network: &Network, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let len = count * network.architecture().input_shape().len();
    // Half of the pixels are paper.
    (0..len).map(|_| random.u8(..).saturating_sub(128) * 2).collect()
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |max, (a, b)| max.max((a - b).abs()))
}

const INPUT: Shape = Shape { channels: 2, height: 13, width: 11 };

/// Adds each layer, in each place that C source is written for, to an architecture for [`INPUT`].
fn with_all_layers(architecture: Architecture) -> Architecture {
    architecture
        .layer("conv 1", Conv2d::new(2, 5, 3).padding(2).dilation(2)) // (5, 13, 11)
        .layer("conv-1", Layer::ReLU)
        .layer("pool1", MaxPool2d::new(3).stride(2)) // (5, 6, 5)
        .layer("relu", Layer::ReLU)
        .layer("conv_1", Conv2d::new(5, 4, 2).stride(2).padding(1)) // (4, 4, 3)
        .layer("bn", BatchNorm2d::new(4))
        .layer("tanh1", Layer::Tanh)
        .layer("pool2", AvgPool2d::new(2)) // (4, 2, 1)
        .layer("tanh2", Layer::Tanh)
        .layer("flatten", Layer::Flatten)
        .layer("0", Linear::new(8, 3))
}

fn all_layers() -> Network {
    network(with_all_layers(Architecture::new("all_layers", INPUT, 3)), 1)
}

fn with_batch_norm_first() -> Network {
    let first = Architecture::new("batch_norm_first", INPUT, 3).layer("bn.first", BatchNorm2d::new(2));
    network(with_all_layers(first), 2)
}

fn with_batch_norm_of_features() -> Network {
    let architecture = Architecture::new("features", Shape { channels: 1, height: 6, width: 5 }, 3)
        .layer("conv", Conv2d::new(1, 2, 3)) // (2, 4, 3)
        .layer("flatten", Layer::Flatten)
        .layer("bn", BatchNorm2d::new(24))
        .layer("fc", Linear::new(24, 3));
    network(architecture, 5)
}

fn with_convolution_last() -> Network {
    let architecture = Architecture::new("convolution_last", Shape { channels: 1, height: 9, width: 9 }, 4)
        .layer("conv1", Conv2d::new(1, 6, 3).stride(2)) // (6, 4, 4)
        .layer("relu", Layer::ReLU)
        .layer("conv2", Conv2d::new(6, 4, 4)) // (4, 1, 1)
        .layer("flatten", Layer::Flatten)
        .with_implicit_outlier_class();
    network(architecture, 3)
}

fn without_weights() -> Network {
    let architecture = Architecture::new("without_weights", Shape { channels: 1, height: 4, width: 6 }, 6)
        .layer("pool", AvgPool2d::new(2)) // (1, 2, 3)
        .layer("flatten", Layer::Flatten);
    network(architecture, 4)
}

#[test]
fn float_source_agrees_with_networks_of_all_layers() {
    let others = [with_batch_norm_of_features(), with_convolution_last(), without_weights()];
    for network in [all_layers(), with_batch_norm_first()].into_iter().chain(others) {
        let images = random_images(&network, 50);
        let source = c_source::float(&network, "net").unwrap();
        let probabilities = run(&format!("float_{}", network.architecture().name()), &source, &images);
        let difference = max_difference(&probabilities, &network.probabilities(&images));
        assert!(difference < 1e-5, "{}: {difference}", network.architecture().name());
    }
}

#[test]
fn float_source_agrees_with_shipped_networks() {
    for (name, network) in [("handwriting", pretrained::handwriting().0), ("marks", pretrained::marks().0)] {
        let images = random_images(&network, 20);
        let source = c_source::float(&network, "net").unwrap();
        let parameters = network.parameters().len();
        assert!(source.constant_bytes <= 4 * parameters, "{name}: batch normalization is folded");
        let probabilities = run(&format!("float_{name}"), &source, &images);
        let difference = max_difference(&probabilities, &network.probabilities(&images));
        assert!(difference < 1e-5, "{name}: {difference}");
        assert_eq!(source.header.contains("REJECTION_THRESHOLD"), network.rejection_threshold().is_some());
    }
}

#[test]
fn int8_source_is_close_to_networks_of_all_layers() {
    for network in [all_layers(), with_convolution_last(), pretrained::lenet5().0, pretrained::vgg().0] {
        let images = random_images(&network, 20);
        let source = c_source::int8(&network, "net", &images).unwrap();
        let name = format!("int8_{}", network.architecture().name());
        let (actual, expected) = (run(&name, &source, &images), network.probabilities(&images));
        let difference = max_difference(&actual, &expected);
        assert!(difference < 0.1, "{name}: {difference}");
        let classes = network.architecture().output_shape().len();
        let rows = actual.chunks(classes).zip(expected.chunks(classes));
        let equal = rows.filter(|(a, b)| argmax(a) == argmax(b)).count();
        assert!(equal >= 18, "{name}: {equal}");
        let float = c_source::float(&network, "net").unwrap();
        assert!(source.constant_bytes < float.constant_bytes, "{name}: {}", source.constant_bytes);
        assert_eq!(4 * source.workspace_bytes, float.workspace_bytes);
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let message = |source: Result<CSource, Error>| source.unwrap_err().to_string();
    let lenet5 = pretrained::lenet5().0;
    for name in ["", "Net", "1net", "my net", "net.c"] {
        assert!(message(c_source::float(&lenet5, name)).contains("lower-case letters"), "{name}");
    }
    assert_eq!(
        message(c_source::float(&pretrained::ink().0, "ink")),
        "ink: expected a network that classifies whole images"
    );
    let shuffle = Architecture::new("shuffle", Shape { channels: 4, height: 2, width: 2 }, 16)
        .layer("shuffle", PixelShuffle::new(2))
        .layer("flatten", Layer::Flatten);
    assert_eq!(
        message(c_source::float(&network(shuffle, 1), "net")),
        "shuffle: expected a layer other than PixelShuffle"
    );
    assert!(matches!(c_source::int8(&lenet5, "net", &[]), Err(Error::NoImages)));
    for (network, expected) in [
        (
            with_batch_norm_first(),
            "bn.first: expected a convolution or fully connected layer before batch normalization",
        ),
        (without_weights(), "without_weights: expected a fully connected layer at the end"),
    ] {
        assert_eq!(message(c_source::int8(&network, "net", &random_images(&network, 1))), expected);
    }
}
