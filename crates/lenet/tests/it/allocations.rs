//! Memory is planned when a network is readied: a step of training or reading takes none.

use std::ops::ControlFlow;

use allocation_counter::measure;
use lenet::{
    CLASSES, Dataset, PIXELS,
    data::augment::Augmentation,
    models,
    nn::optim::Optimizer,
    nn::{Network, Normalize},
    train::{Recipe, Trainer},
};

/// Allocations of an epoch over `images` in batches of 20, on one thread, after a first epoch.
fn epoch(images: usize) -> u64 {
    let labels = (0..images).map(|i| (i % CLASSES) as u8).collect();
    let data = Dataset::new(vec![77; images * PIXELS], labels).unwrap();
    let optimizer = Optimizer::AdamW { lr: 0.001, weight_decay: 0.1 };
    let recipe = Recipe {
        batch_size: 20,
        label_smoothing: 0.1,
        ema: 0.9,
        optimizer,
        augmentation: Some(Augmentation::default()),
        ..Recipe::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let network = Network::new(models::cnn(), Normalize::MNIST, 0).unwrap();
        let mut trainer = Trainer::new(network, &data, recipe, 0).unwrap();
        let mut run = || trainer.epoch(|_| ControlFlow::Continue(())).map(|_| ()).unwrap();
        run();
        measure(run).count_total
    })
}

#[test]
fn a_training_step_takes_no_memory() {
    assert_eq!(epoch(20), epoch(200));
}

#[test]
fn reading_takes_no_memory() {
    let network = Network::new(models::lenet5(), Normalize::MNIST, 0).unwrap();
    let mut reader = network.session(1);
    let images = vec![77; 100 * PIXELS];
    let mut logits = vec![[0.0; CLASSES]; 100];
    assert_eq!(measure(|| reader.logits(&images[..PIXELS], &mut logits[..1])).count_total, 0);
    assert_eq!(measure(|| reader.logits(&images, &mut logits)).count_total, 0);
    assert_eq!(logits, network.logits(&images));
}
