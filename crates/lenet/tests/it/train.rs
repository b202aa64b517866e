//! Training through the public API: errors, reproducibility, interruption and resumption.

use std::ops::ControlFlow;

use lenet::{
    CLASSES, Dataset, PIXELS,
    data::{
        INPUT_SHAPE, MNIST_NORMALIZE,
        augment::Augmentation,
        synthetic::{SyntheticFractions, page},
    },
    image::INK_NETWORK_NORMALIZE,
    models,
    nn::{
        Architecture, BatchNorm2d, Conv2d, Layer, Linear, MaxPool2d, Network, Normalize, PixelShuffle, Shape,
        optim::{Optimizer, Schedule},
    },
    train::{Checkpoint, EpochMetrics, Interrupted, Recipe, Trainer},
};

fn data(images: usize) -> Dataset {
    let pixels = (0..images * PIXELS).map(|i| (i * 7 % 256) as u8).collect();
    Dataset::new(pixels, (0..images).map(|i| (i % CLASSES) as u8).collect()).unwrap()
}

fn run_epoch(trainer: &mut Trainer) -> Option<EpochMetrics> {
    trainer.run_epoch(|_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn rejects_settings_out_of_range() {
    let recipe = Recipe::default;
    let optimizer = |optimizer| Recipe { optimizer, ..Recipe::default() };
    let schedule = |schedule| Recipe { schedule, ..Recipe::default() };
    let one_cycle = |pct_start, div_factor, final_div_factor| {
        schedule(Schedule::OneCycle { pct_start, div_factor, final_div_factor })
    };
    for (recipe, images, error) in [
        (Recipe { epochs: 0, ..recipe() }, 1, "epochs: expected 1 to 100000, found 0"),
        (Recipe { batch_size: 0, ..recipe() }, 1, "batch_size: expected 1 to 4096, found 0"),
        (Recipe { batch_size: 4097, ..recipe() }, 1, "batch_size: expected 1 to 4096, found 4097"),
        (Recipe { warmup: 1.0, ..recipe() }, 1, "warmup: expected at least 0 and below 1, found 1"),
        (Recipe { label_smoothing: -0.1, ..recipe() }, 1, "label_smoothing: expected at least 0 and below 1"),
        (Recipe { ema: f32::NAN, ..recipe() }, 1, "ema: expected at least 0 and below 1, found NaN"),
        (optimizer(Optimizer::Adam { lr: f32::NAN }), 1, "lr: expected a positive number, found NaN"),
        (
            optimizer(Optimizer::Sgd { lr: 0.1, momentum: 1.0, weight_decay: 0.0 }),
            1,
            "momentum: expected at least 0 and below 1, found 1",
        ),
        (
            optimizer(Optimizer::AdamW { lr: 0.1, weight_decay: 10.0 }),
            1,
            "weight_decay: expected at least 0 and below 1 / lr, found 10",
        ),
        (schedule(Schedule::Step { stages: 0, gamma: 0.1 }), 1, "stages: expected at least 1, found 0"),
        (schedule(Schedule::Step { stages: 3, gamma: 1.1 }), 1, "gamma: expected above 0 and at most 1"),
        (one_cycle(1.0, 25.0, 10.0), 1, "pct_start: expected at least 0 and below 1, found 1"),
        (one_cycle(0.3, 0.0, 10.0), 1, "div_factor: expected a number of at least 1, found 0"),
        (one_cycle(0.3, 25.0, f32::INFINITY), 1, "final_div_factor: expected a number of at least 1"),
        (
            Recipe { normalize: Normalize { mean: 0.0, std: 0.0 }, ..recipe() },
            1,
            "normalize: expected a mean and a positive std that keep pixels finite, found 0, 0",
        ),
        (
            Recipe { normalize: Normalize::UNIT, ..recipe() },
            1,
            "normalize: expected the network's Normalize { mean: 0.1307",
        ),
        (
            Recipe { augmentation: Some(Augmentation { scale: 2.0, ..Default::default() }), ..recipe() },
            1,
            "augmentation.scale: expected 0 to 0.9, found 2",
        ),
        (recipe(), 0, "number of images: expected at least 1, found 0"),
    ] {
        let network = Network::new(models::lenet5(), MNIST_NORMALIZE, 0).unwrap();
        let data = data(images);
        let found = Trainer::new(network, &data, recipe, 0).err().map(|error| error.to_string());
        assert!(found.as_ref().is_some_and(|found| found.starts_with(error)), "{error}: {found:?}");
    }
}

/// Trains on 30 images until the recipe ends or the training diverges, and returns the history and the error.
fn train_until_divergence(recipe: Recipe) -> (Vec<EpochMetrics>, Option<String>) {
    let data = data(30);
    let network = Network::new(models::lenet5(), recipe.normalize, 0).unwrap();
    let mut trainer = Trainer::new(network, &data, recipe, 0).unwrap();
    let mut error = trainer.check_divergence().err();
    while error.is_none() && run_epoch(&mut trainer).is_some() {
        error = trainer.check_divergence().err();
    }
    (trainer.checkpoint().history().to_vec(), error.map(|error| error.to_string()))
}

#[test]
fn training_diverges_if_the_loss_is_not_finite_or_twice_above_that_of_equal_probabilities() {
    let recipe = |lr, batch_size| Recipe {
        epochs: 8,
        batch_size,
        optimizer: Optimizer::Sgd { lr, momentum: 0.9, weight_decay: 0.0 },
        ..Recipe::default()
    };
    let (history, error) = train_until_divergence(recipe(1e38, 10));
    assert!(history.len() == 1 && !history[0].loss.is_finite(), "{history:?}");
    let expected = "training diverged: epoch 1: loss: expected at most 2.3026, that of equal probabilities, found NaN; \
                    try another seed or a lower learning rate";
    assert_eq!(error.as_deref(), Some(expected));

    // At higher rates sums overflow to NaN, which the clamp of tanh turns into a number on x86-64, but not on ARM.
    let (history, error) = train_until_divergence(recipe(1e5, 10));
    assert!(history.len() == 2 && history.iter().all(|epoch| epoch.loss.is_finite()), "{history:?}");
    assert!(error.expect("an error").starts_with("training diverged: epoch 2: loss: "));

    // 30 steps in an epoch: the fourth is the first with 100 steps.
    let diverging = Recipe { optimizer: Optimizer::Adam { lr: 0.1 }, ..recipe(0.0, 1) };
    let (history, error) = train_until_divergence(diverging);
    let [.., previous, last] = history.as_slice() else { panic!("{history:?}") };
    assert!(history.len() >= 4 && last.loss < 23.0, "{history:?}");
    assert!(previous.loss > 10_f64.ln() && last.loss > 10_f64.ln(), "{history:?}");
    let error = error.expect("an error");
    assert!(error.starts_with(&format!("training diverged: epoch {}: loss: ", history.len())), "{error}");
}

#[test]
fn training_that_has_only_begun_has_not_diverged() {
    let optimizer = Optimizer::Sgd { lr: 1e-9, momentum: 0.0, weight_decay: 0.0 };
    let (history, error) =
        train_until_divergence(Recipe { epochs: 3, batch_size: 30, optimizer, ..Recipe::default() });
    assert!(history.iter().all(|epoch| epoch.loss > 10_f64.ln()), "{history:?}");
    assert_eq!((history.len(), error), (3, None));
}

/// Returns the network after each of 12 epochs of one step.
fn networks_by_step(recipe: Recipe) -> Vec<Network> {
    let data = data(30);
    let recipe = Recipe { epochs: 12, batch_size: 30, ..recipe };
    let network = Network::new(models::lenet5(), recipe.normalize, 0).unwrap();
    let mut trainer = Trainer::new(network, &data, recipe, 0).unwrap();
    let mut networks = Vec::new();
    while run_epoch(&mut trainer).is_some() {
        networks.push(trainer.trained_network().clone());
    }
    networks
}

#[test]
fn ema_averages_the_parameters() {
    let mut expected = Network::new(models::lenet5(), MNIST_NORMALIZE, 0).unwrap().parameters().to_vec();
    let ema = 0.5;
    let networks = networks_by_step(Recipe::default());
    let averages = networks_by_step(Recipe { ema, ..Recipe::default() });
    for (step, (network, average)) in (1..).zip(networks.iter().zip(&averages)) {
        let decay = ema.min(step as f32 / (9 + step) as f32);
        for ((a, p), found) in expected.iter_mut().zip(network.parameters()).zip(average.parameters()) {
            *a = decay * *a + (1.0 - decay) * p;
            assert!((*a - found).abs() < 1e-6, "step {step}: expected {a}, found {found}");
        }
    }
}

#[test]
fn weight_decay_applies_to_weights_only() {
    let after_a_step = |weight_decay| {
        let optimizer = Optimizer::AdamW { lr: 0.01, weight_decay };
        networks_by_step(Recipe { optimizer, schedule: Schedule::Constant, ..Recipe::default() }).remove(0)
    };
    let start = Network::new(models::lenet5(), MNIST_NORMALIZE, 0).unwrap();
    let (without, with) = (after_a_step(0.0), after_a_step(2.0));
    for ((start, without), with) in start.tensors().zip(without.tensors()).zip(with.tensors()) {
        let decay = if start.name.ends_with("weight") { 0.02 } else { 0.0 };
        for ((p, without), with) in start.values.iter().zip(without.values).zip(with.values) {
            assert!((without - decay * p - with).abs() < 1e-6, "{}", start.name);
        }
    }
}

#[test]
fn label_smoothing_and_outliers_lower_the_probabilities() {
    let last = |label_smoothing, synthetic| {
        networks_by_step(Recipe { label_smoothing, synthetic, ..Recipe::default() }).pop().unwrap()
    };
    let max_probability =
        |network: Network| network.probabilities(data(30).images()).into_iter().fold(0.0, f32::max);
    assert!(max_probability(last(0.5, None)) < max_probability(last(0.0, None)));

    let digits = |outliers| {
        let network =
            last(0.0, Some(SyntheticFractions { glyphs: 0.0, line_crops: 0.0, outliers, low_res: 0.0 }));
        let rows = network.with_implicit_outlier_class().probabilities(data(30).images());
        rows.into_iter().sum::<f32>() / 30.0
    };
    assert!(digits(0.9) < digits(0.1) && digits(0.1) < 1.0);
}

#[test]
fn outlier_recipes_add_the_outlier_class_without_a_rejection_threshold() {
    let data = data(10);
    let trained = |outliers| {
        let synthetic = Some(SyntheticFractions { glyphs: 0.1, line_crops: 0.1, outliers, low_res: 0.0 });
        let recipe = Recipe { synthetic, ..Recipe::default() };
        let network = Network::new(models::lenet5(), recipe.normalize, 0).unwrap();
        Trainer::new(network, &data, recipe, 0).unwrap().into_trained_network()
    };
    assert!(!trained(0.0).architecture().has_outlier_class());
    let network = trained(0.1);
    assert!(network.architecture().has_outlier_class());
    assert_eq!(network.rejection_threshold(), None);
}

#[test]
fn equal_seeds_and_threads_give_equal_bits() {
    let data = data(130);
    let parameters = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let recipe = Recipe { epochs: 2, batch_size: 60, ..Recipe::default() };
            let network = Network::new(models::cnn(), recipe.normalize, seed).unwrap();
            let mut trainer = Trainer::new(network, &data, recipe, seed).unwrap();
            while run_epoch(&mut trainer).is_some() {}
            trainer.trained_network().parameters().to_vec()
        })
    };
    for threads in 1..4 {
        assert!(parameters(threads, 5) == parameters(threads, 5), "{threads} threads");
    }
    assert!(parameters(2, 5) != parameters(2, 6));
}

#[test]
fn one_hot_soft_targets_equal_labels() {
    let data = data(50);
    let mut rows = vec![[0.0; CLASSES]; data.len()];
    for (row, &label) in rows.iter_mut().zip(data.labels()) {
        row[usize::from(label)] = 1.0;
    }
    let recipe = Recipe { epochs: 2, batch_size: 20, ..Recipe::default() };
    let network = Network::new(models::lenet5(), recipe.normalize, 0).unwrap();
    let parameters = |mut trainer: Trainer| {
        while run_epoch(&mut trainer).is_some() {}
        trainer.into_trained_network().parameters().to_vec()
    };
    let trainer = || Trainer::new(network.clone(), &data, recipe.clone(), 0).unwrap();
    let by_labels = parameters(trainer());
    assert!(by_labels == parameters(trainer().with_soft_targets(&rows)));
    rows.fill([0.1; CLASSES]);
    assert!(by_labels != parameters(trainer().with_soft_targets(&rows)));
}

#[test]
fn resumed_training_gives_equal_bits() {
    let data = data(70);
    let sgd = |momentum| Optimizer::Sgd { lr: 0.1, momentum, weight_decay: 0.1 };
    let adamw = Optimizer::AdamW { lr: 0.001, weight_decay: 1.0 };
    for (threads, optimizer, ema) in [(1, sgd(0.0), 0.9), (2, sgd(0.9), 0.0), (3, adamw, 0.9)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let recipe =
                Recipe { epochs: 4, batch_size: 30, warmup: 0.3, ema, optimizer, ..Recipe::default() };
            let network = Network::new(models::cnn(), recipe.normalize, 0).unwrap();
            let mut trainer = Trainer::new(network, &data, recipe, 5).unwrap();
            let mut resumed = Trainer::resume(trainer.checkpoint().clone(), &data).unwrap();
            while run_epoch(&mut trainer).is_some() {
                run_epoch(&mut resumed).unwrap();
                let bytes = resumed.checkpoint().to_bytes().unwrap();
                assert!(bytes == trainer.checkpoint().to_bytes().unwrap(), "{threads} threads");
                resumed = Trainer::resume(Checkpoint::from_bytes(&bytes).unwrap(), &data).unwrap();
            }
            assert!(run_epoch(&mut resumed).is_none());
            assert!(resumed.trained_network().parameters() == trainer.trained_network().parameters());
        });
    }
}

#[test]
fn training_by_steps_and_resuming_within_an_epoch_give_equal_bits() {
    let data = data(70);
    let recipe = Recipe { epochs: 2, batch_size: 30, ema: 0.9, ..Recipe::default() };
    let network = || Network::new(models::cnn(), recipe.normalize, 0).unwrap();
    let mut by_epoch = Trainer::new(network(), &data, recipe.clone(), 5).unwrap();
    let mut by_step = Trainer::new(network(), &data, recipe.clone(), 5).unwrap();
    while let Some(epoch) = run_epoch(&mut by_epoch) {
        let mut loss = 0.0;
        for (step, images) in [30, 30, 10].into_iter().enumerate() {
            let progress = by_step.run_step().unwrap();
            assert_eq!((progress.images, progress.is_epoch_end()), (30 * step + images, step == 2));
            loss += images as f64 * progress.loss / 70.0;
            let bytes = by_step.checkpoint().to_bytes().unwrap();
            by_step = Trainer::resume(Checkpoint::from_bytes(&bytes).unwrap(), &data).unwrap();
        }
        assert!((loss - epoch.loss).abs() < 1e-12, "{loss} {}", epoch.loss);
        assert!(by_step.checkpoint().to_bytes().unwrap() == by_epoch.checkpoint().to_bytes().unwrap());
    }
    assert_eq!(by_step.run_step(), None);
    assert_eq!(by_step.checkpoint().completed_epochs(), 2);

    // `run_epoch` finishes an epoch of which there are steps, and restores it if it is interrupted.
    let mut by_both = Trainer::new(network(), &data, recipe.clone(), 5).unwrap();
    by_both.run_step().unwrap();
    let before = by_both.checkpoint().to_bytes().unwrap();
    assert_eq!(by_both.run_epoch(|_| ControlFlow::Break(())), Err(Interrupted { epoch: 1 }));
    assert!(by_both.checkpoint().to_bytes().unwrap() == before);
    while run_epoch(&mut by_both).is_some() {}
    assert!(by_both.checkpoint().to_bytes().unwrap() == by_epoch.checkpoint().to_bytes().unwrap());
}

#[test]
fn resume_rejects_other_images_and_thread_counts() {
    let data = data(20);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let network = Network::new(models::lenet5(), MNIST_NORMALIZE, 0).unwrap();
    let trainer = pool(2).install(|| Trainer::new(network, &data, Recipe::default(), 0).unwrap());
    let checkpoint = trainer.checkpoint().clone();
    assert_eq!((checkpoint.threads(), checkpoint.completed_epochs()), (2, 0));
    let resume = |threads, data: &Dataset| {
        let error = pool(threads).install(|| Trainer::resume(checkpoint.clone(), data).err());
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(resume(2, &data), "");
    assert_eq!(resume(3, &data), "threads: expected 2, as at the start of training, found 3");
    let fewer = data.slice(0..19);
    assert_eq!(resume(2, &fewer), "data: expected the images that training started with, found 19 others");
    let mut labels = data.labels().to_vec();
    labels.swap(0, 1);
    let relabeled = Dataset::new(data.images().to_vec(), labels).unwrap();
    assert_eq!(
        resume(2, &relabeled),
        "data: expected the images that training started with, found 20 others"
    );
}

#[test]
fn transformed_samples_differ_by_epoch_but_not_by_thread_count() {
    let data = data(130);
    let losses = |recipe: &Recipe, threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            // The learning rate is so small that the network does not change: the loss depends on the images only.
            let optimizer = Optimizer::Sgd { lr: 1e-30, momentum: 0.0, weight_decay: 0.0 };
            let recipe = Recipe { optimizer, epochs: 2, batch_size: 60, ..recipe.clone() };
            let network = Network::new(models::lenet5(), recipe.normalize, 0).unwrap();
            let mut trainer = Trainer::new(network, &data, recipe, seed).unwrap();
            [(); 2].map(|()| run_epoch(&mut trainer).unwrap().loss)
        })
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-7;
    let plain = losses(&Recipe::default(), 1, 5);
    assert!(near(plain[0], plain[1]));
    let (warped, mixed) = (
        Augmentation::default(),
        SyntheticFractions { glyphs: 0.2, line_crops: 0.2, outliers: 0.2, low_res: 0.2 },
    );
    for (augmentation, synthetic) in [(Some(warped), None), (None, Some(mixed)), (Some(warped), Some(mixed))]
    {
        let recipe = Recipe { augmentation, synthetic, ..Recipe::default() };
        let changed = losses(&recipe, 1, 5);
        for (a, b) in [(plain[0], changed[0]), (changed[0], changed[1])] {
            assert!(!near(a, b), "{a} and {b}");
        }
        assert!(!near(changed[0], losses(&recipe, 1, 6)[0]));
        for threads in 2..5 {
            let again = losses(&recipe, threads, 5);
            assert!(near(changed[0], again[0]) && near(changed[1], again[1]), "{threads} threads: {again:?}");
        }
    }
}

#[test]
fn interruption_restores_the_end_of_the_last_whole_epoch() {
    let data = data(60);
    let optimizer = Optimizer::AdamW { lr: 0.01, weight_decay: 0.1 };
    let recipe = Recipe { epochs: 3, batch_size: 20, ema: 0.9, optimizer, ..Recipe::default() };
    // Batch normalization has running averages, which an interruption restores, too.
    let architecture = Architecture::new("small", INPUT_SHAPE, CLASSES)
        .layer("conv", Conv2d::new(1, 4, 5))
        .layer("bn", BatchNorm2d::new(4))
        .layer("relu", Layer::ReLU)
        .layer("pool", MaxPool2d::new(4))
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(4 * 6 * 6, CLASSES));
    let network = Network::new(architecture, recipe.normalize, 0).unwrap();
    let mut trainer = Trainer::new(network.clone(), &data, recipe.clone(), 1).unwrap();
    let mut uninterrupted = Trainer::new(network, &data, recipe, 1).unwrap();
    for epoch in 1..=3 {
        let before = trainer.checkpoint().to_bytes().unwrap();
        let interrupted = trainer.run_epoch(|progress| match progress.images {
            20 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        });
        assert_eq!(interrupted, Err(Interrupted { epoch }));
        assert!(trainer.checkpoint().to_bytes().unwrap() == before);
        assert_eq!(run_epoch(&mut trainer), run_epoch(&mut uninterrupted));
        assert!(trainer.trained_network().parameters() == uninterrupted.trained_network().parameters());
    }
    assert_eq!(trainer.run_epoch(|_| ControlFlow::Break(())), Ok(None));
    assert!(trainer.checkpoint().to_bytes().unwrap() == uninterrupted.checkpoint().to_bytes().unwrap());
    let error = lenet::Error::from(Interrupted { epoch: 2 });
    assert_eq!(error.to_string(), "training was interrupted in epoch 2");
}

/// Returns a small network that tells ink from rules.
fn ink_network() -> Network {
    let input = Shape { channels: 1, height: page::PATCH_SIDE, width: page::PATCH_SIDE };
    let architecture = Architecture::dense_prediction("small", input, page::LABEL_NAMES.len())
        .layer("conv1", Conv2d::new(1, 8, 4).stride(2).padding(1))
        .layer("relu1", Layer::ReLU)
        .layer("conv2", Conv2d::new(8, 8, 3).padding(1))
        .layer("shuffle", PixelShuffle::new(2));
    Network::new(architecture, INK_NETWORK_NORMALIZE, 0).unwrap()
}

#[test]
fn ink_networks_learn_from_page_patches() {
    let data = data(40);
    let recipe = Recipe {
        epochs: 2,
        batch_size: 8,
        normalize: INK_NETWORK_NORMALIZE,
        optimizer: Optimizer::Adam { lr: 0.01 },
        ..Recipe::default()
    };
    // Any size of the input is changed to that of the patches.
    let network = ink_network().with_input_size(32, 48).unwrap();
    let train = || {
        let mut trainer = Trainer::new(network.clone(), &data, recipe.clone(), 1).unwrap();
        let epochs = [(); 2].map(|()| run_epoch(&mut trainer).unwrap());
        let checkpoint = Checkpoint::from_bytes(&trainer.checkpoint().to_bytes().unwrap()).unwrap();
        assert_eq!(checkpoint.trained_network().architecture(), trainer.trained_network().architecture());
        (epochs, trainer.into_trained_network())
    };
    let (epochs, trained) = train();
    assert!(epochs[1].loss < 0.9 * epochs[0].loss, "{epochs:?}");
    assert!((0.5..1.0).contains(&epochs[1].train_accuracy), "{epochs:?}");
    let (again, trained_again) = train();
    assert_eq!(epochs, again);
    assert!(trained.parameters() == trained_again.parameters());
}

#[test]
fn ink_networks_reject_settings_for_digits() {
    let recipe = || Recipe { normalize: INK_NETWORK_NORMALIZE, ..Recipe::default() };
    let synthetic = SyntheticFractions { glyphs: 0.1, line_crops: 0.1, outliers: 0.0, low_res: 0.0 };
    for (recipe, error) in [
        (
            Recipe { label_smoothing: 0.1, ..recipe() },
            "label_smoothing: expected 0 for drawn samples, found 0.1",
        ),
        (Recipe { synthetic: Some(synthetic), ..recipe() }, "synthetic: expected none for drawn samples"),
        (
            Recipe { augmentation: Some(Augmentation::default()), ..recipe() },
            "augmentation: expected none for drawn samples",
        ),
    ] {
        let data = data(10);
        let found = Trainer::new(ink_network(), &data, recipe, 0).err().map(|error| error.to_string());
        assert!(found.as_ref().is_some_and(|found| found.starts_with(error)), "{error}: {found:?}");
    }
}
