//! Training through the library: what can't be is refused, and the same seed gives the same bits.

use std::ops::ControlFlow;

use lenet::{
    CLASSES, Dataset, PIXELS,
    augment::Augmentation,
    models,
    nn::{Network, Scaling},
    optim::Optimizer,
    train::{Recipe, Trainer},
};

fn data(images: usize) -> Dataset {
    let pixels = (0..images * PIXELS).map(|i| (i * 7 % 256) as u8).collect();
    Dataset::new(pixels, (0..images).map(|i| (i % CLASSES) as u8).collect()).unwrap()
}

#[test]
fn impossible_recipes_are_refused() {
    let recipe = Recipe::default;
    for (recipe, images, error) in [
        (Recipe { epochs: 0, ..recipe() }, 1, "epochs: expected at least 1, found 0"),
        (Recipe { batch_size: 0, ..recipe() }, 1, "batch_size: expected 1 to 4096, found 0"),
        (Recipe { batch_size: 4097, ..recipe() }, 1, "batch_size: expected 1 to 4096, found 4097"),
        (
            Recipe { optimizer: Optimizer::Adam { lr: f32::NAN }, ..recipe() },
            1,
            "lr: expected a positive number, found NaN",
        ),
        (
            Recipe { optimizer: Optimizer::Sgd { lr: 0.1, momentum: 1.0 }, ..recipe() },
            1,
            "momentum: expected at least 0 and below 1, found 1",
        ),
        (
            Recipe { scaling: Scaling::UNIT, ..recipe() },
            1,
            "scaling: expected the network's Scaling { mean: 0.1307",
        ),
        (
            Recipe { augmentation: Some(Augmentation { scale: 2.0, ..Default::default() }), ..recipe() },
            1,
            "augmentation.scale: expected 0 to 0.9, found 2",
        ),
        (recipe(), 0, "data: expected at least one image, found none"),
    ] {
        let network = Network::new(models::lenet5(), Scaling::STANDARD, 0).unwrap();
        let data = data(images);
        let found = Trainer::new(network, &data, recipe, 0).err().map(|error| error.to_string());
        assert!(found.as_ref().is_some_and(|found| found.starts_with(error)), "{error}: {found:?}");
    }
}

#[test]
fn the_same_seed_and_threads_give_the_same_bits() {
    let data = data(130);
    let parameters = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let recipe = Recipe { epochs: 2, batch_size: 60, ..Recipe::default() };
            let network = Network::new(models::cnn(), recipe.scaling, seed).unwrap();
            let mut trainer = Trainer::new(network, &data, recipe, seed).unwrap();
            while trainer.epoch(|_| ControlFlow::Continue(())).is_some() {}
            trainer.network().parameters().to_vec()
        })
    };
    for threads in 1..4 {
        assert!(parameters(threads, 5) == parameters(threads, 5), "{threads} threads");
    }
    assert!(parameters(2, 5) != parameters(2, 6));
}

#[test]
fn rows_that_name_one_class_each_teach_what_labels_teach() {
    let data = data(50);
    let mut rows = vec![[0.0; CLASSES]; data.len()];
    for (row, &label) in rows.iter_mut().zip(data.labels()) {
        row[usize::from(label)] = 1.0;
    }
    let recipe = Recipe { epochs: 2, batch_size: 20, ..Recipe::default() };
    let network = Network::new(models::lenet5(), recipe.scaling, 0).unwrap();
    let parameters = |mut trainer: Trainer| {
        while trainer.epoch(|_| ControlFlow::Continue(())).is_some() {}
        trainer.into_network().parameters().to_vec()
    };
    let trainer = || Trainer::new(network.clone(), &data, recipe.clone(), 0).unwrap();
    let by_labels = parameters(trainer());
    assert!(by_labels == parameters(trainer().with_probabilities(&rows)));
    rows.fill([0.1; CLASSES]);
    assert!(by_labels != parameters(trainer().with_probabilities(&rows)));
}

#[test]
fn images_are_warped_anew_in_each_epoch_whatever_the_threads() {
    let data = data(130);
    let losses = |augmentation, threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            // So slow that the network stays as it is, and the loss tells of the images alone.
            let optimizer = Optimizer::Sgd { lr: 1e-30, momentum: 0.0 };
            let recipe = Recipe { optimizer, epochs: 2, batch_size: 60, augmentation, ..Recipe::default() };
            let network = Network::new(models::lenet5(), recipe.scaling, 0).unwrap();
            let mut trainer = Trainer::new(network, &data, recipe, seed).unwrap();
            [(); 2].map(|()| trainer.epoch(|_| ControlFlow::Continue(())).unwrap().loss)
        })
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-7;
    let plain = losses(None, 1, 5);
    assert!(near(plain[0], plain[1]));
    let warped = losses(Some(Augmentation::default()), 1, 5);
    for (a, b) in [(plain[0], warped[0]), (warped[0], warped[1])] {
        assert!(!near(a, b), "{a} and {b}");
    }
    assert!(!near(warped[0], losses(Some(Augmentation::default()), 1, 6)[0]));
    for threads in 2..5 {
        let again = losses(Some(Augmentation::default()), threads, 5);
        assert!(near(warped[0], again[0]) && near(warped[1], again[1]), "{threads} threads: {again:?}");
    }
}
