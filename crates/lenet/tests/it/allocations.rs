//! Allocations of training and inference, which reuse memory that is allocated in advance.

use std::ops::ControlFlow;

use allocation_counter::{AllocationInfo, measure};
use lenet::{
    CLASSES, Dataset, PIXELS,
    data::{MNIST_NORMALIZE, augment::Augmentation, synthetic::SyntheticFractions},
    models,
    nn::{Network, optim::Optimizer},
    train::{Recipe, Trainer},
};

/// Measures the second epoch over `images` in batches of 20, on one thread.
fn measure_epoch(images: usize, synthetic: Option<SyntheticFractions>) -> AllocationInfo {
    let labels = (0..images).map(|i| (i % CLASSES) as u8).collect();
    let pixels = (0..images * PIXELS).map(|i| if i % 28 / 3 == 4 { 255 } else { 0 }).collect();
    let data = Dataset::new(pixels, labels).unwrap();
    let optimizer = Optimizer::AdamW { lr: 0.001, weight_decay: 0.1 };
    let recipe = Recipe {
        batch_size: 20,
        label_smoothing: 0.1,
        ema: 0.9,
        optimizer,
        synthetic,
        augmentation: Some(Augmentation::default()),
        ..Recipe::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let network = Network::new(models::cnn(), MNIST_NORMALIZE, 0).unwrap();
        let mut trainer = Trainer::new(network, &data, recipe, 0).unwrap();
        let mut run = || trainer.run_epoch(|_| ControlFlow::Continue(())).map(|_| ()).unwrap();
        run();
        measure(run)
    })
}

#[test]
fn training_steps_do_not_allocate() {
    assert_eq!(measure_epoch(20, None).count_total, measure_epoch(200, None).count_total);
}

/// Drawing a synthetic sample allocates canvases. A step frees them, so that the memory in use does not grow with the number of
/// samples.
#[test]
fn synthetic_samples_use_bounded_memory() {
    /// Upper bound of the memory for one sample, in bytes: several times the measured 0.2 MB.
    const MAX_SAMPLE_BYTES: u64 = 1 << 20;
    let synthetic = |fraction| {
        Some(SyntheticFractions {
            glyphs: fraction,
            line_crops: fraction,
            outliers: fraction,
            low_res: fraction,
        })
    };
    assert_eq!(measure_epoch(20, synthetic(0.0)).count_total, measure_epoch(200, synthetic(0.0)).count_total);
    let [few, many] = [20, 400].map(|images| measure_epoch(images, synthetic(0.25)));
    assert!(many.count_total > few.count_total);
    assert_eq!(many.count_current, few.count_current);
    assert_eq!(many.bytes_current, few.bytes_current);
    assert!(many.bytes_max < MAX_SAMPLE_BYTES, "{} bytes", many.bytes_max);
}

#[test]
fn inference_sessions_do_not_allocate() {
    let network = Network::new(models::lenet5(), MNIST_NORMALIZE, 0).unwrap();
    let mut session = network.session(1);
    let images = vec![77; 100 * PIXELS];
    let mut logits = vec![0.0; 100 * CLASSES];
    assert_eq!(measure(|| session.logits(&images[..PIXELS], &mut logits[..CLASSES])).count_total, 0);
    assert_eq!(measure(|| session.logits(&images, &mut logits)).count_total, 0);
    assert_eq!(logits, network.logits(&images));
}
