//! Adapts pretrained weights to another style of digits with a few images per class.
//!
//! ```text
//! cargo run --release -p lenet --example fine_tune
//! ```

mod digits;

use std::{error::Error, ops::ControlFlow};

use lenet::{
    Dataset,
    data::augment::Augmentation,
    metrics::Evaluation,
    nn::{Network, optim::Optimizer},
    pretrained,
    train::{Recipe, Trainer},
};

fn accuracy(network: &Network, data: &Dataset) -> Result<f64, lenet::Error> {
    Ok(Evaluation::new(data.labels(), &network.probabilities(data.images()))?.accuracy())
}

fn main() -> Result<(), Box<dyn Error>> {
    // Ten images of each class of a pixel font, which looks unlike MNIST's handwriting.
    let (train, test) = (digits::draw(100, 1)?, digits::draw(1000, 2)?);
    let (network, _) = pretrained::lenet5();
    println!("before: {:.1}%", 100.0 * accuracy(&network, &test)?);

    let recipe = Recipe {
        epochs: 30,
        batch_size: 20,
        // A low learning rate and augmentation keep a few images from being memorized.
        optimizer: Optimizer::Adam { lr: 0.0005 },
        augmentation: Some(Augmentation::default()),
        // Pixels have to be normalized as in the first training.
        normalize: network.normalization(),
        ..Recipe::default()
    };
    let mut trainer = Trainer::new(network, &train, recipe, 0)?.with_init_weights_name("lenet5");
    while trainer.run_epoch(|_| ControlFlow::Continue(()))?.is_some() {}
    println!("after:  {:.1}%", 100.0 * accuracy(trainer.trained_network(), &test)?);
    Ok(())
}
