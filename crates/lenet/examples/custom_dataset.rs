//! Trains a network on images that are not digits: 12x20 RGB images of bars in 4 classes.
//!
//! ```text
//! cargo run --release -p lenet --example custom_dataset
//! ```
//!
//! [`Trainer`](lenet::train::Trainer) and [`Dataset`](lenet::Dataset) are for 28x28 digits. The engine, `lenet::nn`, trains any
//! architecture with a loop like this one.

use lenet::nn::{
    Architecture, BatchContext, Conv2d, DataParallel, Layer, Linear, MaxPool2d, Network, Normalize, Shape,
    argmax,
    optim::{Optimizer, OptimizerState},
};

const SHAPE: Shape = Shape { channels: 3, height: 12, width: 20 };
const CLASSES: usize = 4;
const BATCH_SIZE: usize = 50;

/// An image `(channel, row, column)` and its class.
type Sample = (Vec<u8>, usize);

/// Draws noise and a bar: red and horizontal, red and vertical, blue and horizontal, or blue and vertical.
fn draw(class: usize, random: &mut fastrand::Rng) -> Sample {
    let (channel, is_vertical) = ([0, 2][class / 2], class % 2 == 1);
    let (row, column) = (random.usize(0..SHAPE.height - 1), random.usize(0..SHAPE.width - 1));
    let mut image = Vec::with_capacity(SHAPE.len());
    for index in 0..SHAPE.len() {
        let (c, y, x) =
            (index / (SHAPE.height * SHAPE.width), index / SHAPE.width % SHAPE.height, index % SHAPE.width);
        let in_bar = if is_vertical { x.abs_diff(column) < 2 } else { y.abs_diff(row) < 2 };
        image.push(if c == channel && in_bar { random.u8(150..) } else { random.u8(..100) });
    }
    (image, class)
}

fn one_hot(class: usize) -> [f32; CLASSES] {
    std::array::from_fn(|k| if k == class { 1.0 } else { 0.0 })
}

fn accuracy(network: &Network, samples: &[Sample]) -> f64 {
    let images: Vec<u8> = samples.iter().flat_map(|(image, _)| image).copied().collect();
    let probabilities = network.probabilities(&images);
    let predictions = probabilities.chunks_exact(CLASSES).map(|row| usize::from(argmax(row)));
    let correct = predictions.zip(samples).filter(|(prediction, (_, class))| prediction == class).count();
    correct as f64 / samples.len() as f64
}

fn main() -> Result<(), lenet::Error> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut samples: Vec<Sample> = (0..1200).map(|index| draw(index % CLASSES, &mut random)).collect();
    let test = samples.split_off(1000);

    let architecture = Architecture::new("bars", SHAPE, CLASSES)
        .layer("conv1", Conv2d::new(3, 8, 3).padding(1)) // (8, 12, 20)
        .layer("relu1", Layer::ReLU)
        .layer("pool1", MaxPool2d::new(2)) // (8, 6, 10)
        .layer("conv2", Conv2d::new(8, 16, 3).padding(1)) // (16, 6, 10)
        .layer("relu2", Layer::ReLU)
        .layer("pool2", MaxPool2d::new(2)) // (16, 3, 5)
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(16 * 3 * 5, CLASSES));
    let mut network = Network::new(architecture, Normalize::UNIT, 0)?;
    println!("before: {:.1}%", 100.0 * accuracy(&network, &test));

    let optimizer = Optimizer::Adam { lr: 0.005 };
    let mut state = OptimizerState::new(optimizer, network.parameters().len(), Vec::new());
    // One worker, which processes whole batches; several workers run on several threads.
    let mut workers = DataParallel::new(&network, BATCH_SIZE, 1);
    for epoch in 1..=8 {
        random.shuffle(&mut samples);
        let mut loss = 0.0;
        for batch in samples.chunks(BATCH_SIZE) {
            let step = BatchContext { len: batch.len(), dropout_key: None };
            workers.compute_gradients(&network, step, &mut [()], |range, worker, ()| {
                let batch = &batch[range];
                let images = batch.iter().map(|(image, _)| image.as_slice());
                worker.load_samples(&network, images, batch.iter().map(|(_, class)| one_hot(*class)));
            });
            let level = network.simd_level();
            workers.update(level, state.begin_step(optimizer.lr(), network.parameters_mut(), None));
            loss += workers.last_batch_metrics().loss;
        }
        let accuracy = 100.0 * accuracy(&network, &test);
        println!("epoch {epoch}: loss {:.4}, test accuracy {accuracy:.1}%", loss / samples.len() as f64);
    }
    Ok(())
}
