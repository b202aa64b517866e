//! Prints the images per second of the predictions of LeNet-5 for MNIST's 10,000 test images, the best of 20 runs, for
//! `benchmarks/python.py`.
//!
//! ```text
//! cargo run --release -p lenet-cli --example inference_rate
//! ```

use std::{hint::black_box, time::Instant};

use lenet::{
    CLASSES,
    nn::{Network, argmax},
};

/// Runs, of which the fastest counts.
const RUNS: usize = 20;

fn predict(network: &Network, images: &[u8]) -> Vec<u8> {
    network.logits(images).chunks_exact(CLASSES).map(argmax).collect()
}

fn main() {
    let (data, network) = (lenet_mnist::test(), lenet::pretrained::lenet5().0);
    let seconds = (0..RUNS).map(|_| {
        let started = Instant::now();
        black_box(predict(&network, black_box(data.images())));
        started.elapsed().as_secs_f64()
    });
    println!("{:.0}", data.len() as f64 / seconds.fold(f64::INFINITY, f64::min));
}
