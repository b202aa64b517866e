//! Shared by the programs of all peers: the command line, the images and the timing.
//!
//! `run.py` starts a program for each measurement. It prints one line of JSON for each result.

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use lenet::{Dataset, PIXELS};
use serde_json::json;

/// The work that a program measures.
#[derive(Debug, Parser)]
pub enum Work {
    /// Measure optimizer steps
    Train {
        /// Network to train
        model: Model,
        /// Threads and duration
        #[command(flatten)]
        run: Run,
    },
    /// Measure calls of LeNet-5 with several batch sizes
    Infer {
        /// LeNet-5 as an ONNX file, for the programs that load one
        #[arg(long, default_value = "cache/lenet5.onnx")]
        onnx: PathBuf,
        /// Threads and duration
        #[command(flatten)]
        run: Run,
    },
}

/// Options of every measurement.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Run {
    /// Number of threads; run.py sets RAYON_NUM_THREADS and OMP_NUM_THREADS to the same number
    #[arg(long)]
    pub threads: usize,
    /// Minimum duration of a measurement
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

/// Images per optimizer step.
pub const BATCH: usize = 100;
/// Optimizer steps before the measurement starts.
pub const WARM_UP: usize = 10;
/// Batch sizes of inference.
pub const BATCHES: [usize; 4] = [1, 8, 100, 1000];

/// Random batches of the training images, which are in memory as `(image, row, column)` between 0 and 1.
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
        Self { images: to_f32(&data), labels: data.labels().to_vec(), random: fastrand::Rng::with_seed(0) }
    }

    /// Returns the pixels and labels of [`BATCH`] random images.
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

/// Returns the first `batch` test images as `(image, row, column)` between 0 and 1.
pub fn test_images(batch: usize) -> Vec<f32> {
    to_f32(&lenet_mnist::test().slice(0..batch))
}

fn to_f32(data: &Dataset) -> Vec<f32> {
    data.images().iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
}

/// Calls `step`, which trains on a batch and returns its loss, for at least `run.seconds`; prints images per second.
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

/// Prints images per second, and the loss, which shows whether the network learned.
pub fn print_training(images: usize, time: Duration, loss: f32) {
    println!("{}", json!({ "batch": BATCH, "rate": images as f64 / time.as_secs_f64(), "loss": loss }));
}

/// Prints the median time of a call for each of [`BATCHES`]. `prepare` returns the function to call for a batch size.
pub fn infer<T, F: FnMut() -> T>(run: Run, mut prepare: impl FnMut(usize) -> F) {
    for batch in BATCHES {
        let mut call = prepare(batch);
        let min_calls = if batch < 100 { 300 } else { 15 };
        let warm_up = Instant::now();
        while warm_up.elapsed().as_secs_f64() < 0.1 * run.seconds {
            black_box(call());
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < min_calls || start.elapsed().as_secs_f64() < run.seconds {
            let start = Instant::now();
            black_box(call());
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{}", json!({ "batch": batch, "rate": batch as f64 / median, "latency_us": median * 1e6 }));
    }
}
