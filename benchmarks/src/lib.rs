//! What every peer's program shares: the command line, the images, and the clock.
//!
//! A program is started anew for each measurement and prints one line of JSON for each figure.

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use lenet::{Dataset, PIXELS};
use serde_json::json;

/// What a program is asked to measure.
#[derive(Debug, Parser)]
pub enum Work {
    /// Steps of training
    Train {
        /// The network
        model: Model,
        /// How it is run
        #[command(flatten)]
        run: Run,
    },
    /// Calls of LeNet-5 on batches of several sizes
    Infer {
        /// LeNet-5 in ONNX, for programs that read it
        #[arg(long, default_value = "cache/lenet5.onnx")]
        onnx: PathBuf,
        /// How it is run
        #[command(flatten)]
        run: Run,
    },
}

/// How a measurement is made.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Run {
    /// Threads to use; RAYON_NUM_THREADS and OMP_NUM_THREADS say the same
    #[arg(long)]
    pub threads: usize,
    /// How long a measurement lasts, at least
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
}

/// The tutorial's networks.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    Lenet5,
    Cnn,
    Mlp,
}

/// Images in a training step.
pub const BATCH: usize = 100;
/// Steps before the clock starts.
pub const WARM_UP: usize = 10;
/// Images in a call.
pub const BATCHES: [usize; 4] = [1, 8, 100, 1000];

/// Random batches of the training images, all in memory as (image, row, column) between 0 and 1.
pub struct Batches {
    images: Vec<f32>,
    labels: Vec<u8>,
    random: fastrand::Rng,
}

impl Batches {
    /// Decodes the training images.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let data = lenet_mnist::train();
        Self { images: scaled(&data), labels: data.labels().to_vec(), random: fastrand::Rng::with_seed(0) }
    }

    /// Pixels and labels of [`BATCH`] images.
    pub fn draw(&mut self) -> (Vec<f32>, Vec<i64>) {
        let mut pixels = Vec::with_capacity(BATCH * PIXELS);
        let mut labels = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let index = self.random.usize(..self.labels.len());
            pixels.extend(&self.images[index * PIXELS..][..PIXELS]);
            labels.push(self.labels[index].into());
        }
        (pixels, labels)
    }
}

/// The first `batch` test images: (image, row, column), between 0 and 1.
pub fn test_images(batch: usize) -> Vec<f32> {
    scaled(&lenet_mnist::test().slice(0..batch))
}

fn scaled(data: &Dataset) -> Vec<f32> {
    data.images().iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
}

/// Calls `step`, which learns a batch and returns its loss, until the time is over, and prints images a second.
pub fn train(run: Run, mut step: impl FnMut(Vec<f32>, Vec<i64>) -> f32) {
    let mut batches = Batches::new();
    for _ in 0..WARM_UP {
        let (pixels, labels) = batches.draw();
        step(pixels, labels);
    }
    let (start, mut steps, mut loss) = (Instant::now(), 0, f32::NAN);
    while start.elapsed().as_secs_f64() < run.seconds {
        let (pixels, labels) = batches.draw();
        loss = step(pixels, labels);
        steps += 1;
    }
    print_training(steps * BATCH, start.elapsed(), loss);
}

/// Prints images a second, and the loss to show that something was learnt.
pub fn print_training(images: usize, time: Duration, loss: f32) {
    println!("{}", json!({ "batch": BATCH, "rate": images as f64 / time.as_secs_f64(), "loss": loss }));
}

/// Calls what `prepare` makes for each of [`BATCHES`], and prints the median time of a call.
pub fn infer<T, F: FnMut() -> T>(run: Run, mut prepare: impl FnMut(usize) -> F) {
    for batch in BATCHES {
        let mut call = prepare(batch);
        let least = if batch < 100 { 300 } else { 15 };
        let warm = Instant::now();
        while warm.elapsed().as_secs_f64() < 0.1 * run.seconds {
            black_box(call());
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < least || start.elapsed().as_secs_f64() < run.seconds {
            let start = Instant::now();
            black_box(call());
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{}", json!({ "batch": batch, "rate": batch as f64 / median, "latency_us": median * 1e6 }));
    }
}
