//! Networks of other shapes than those of digits, the outlier class, and random streams of dropout layers.

use super::fixtures::{CLASSES, PIXELS, digits};
use crate::{
    Architecture, BatchContext, BatchNorm2d, Conv2d, DataParallel, Dropout, Error, Layer, Linear, MaxPool2d,
    Network, Normalize, Shape, Targets, argmax,
    optim::{Optimizer, OptimizerState},
};

const RGB: Shape = Shape { channels: 3, height: 12, width: 20 };

/// A network of 3x12x20 images and 4 classes, with every kind of layer but dropout.
fn rgb_network() -> Network {
    let architecture = Architecture::new("rgb", RGB, 4)
        .layer("conv1", Conv2d::new(3, 6, 3).padding(1)) // (6, 12, 20)
        .layer("bn1", BatchNorm2d::new(6))
        .layer("tanh1", Layer::Tanh)
        .layer("pool", MaxPool2d::new(2)) // (6, 6, 10)
        .layer("conv2", Conv2d::new(6, 5, 3)) // (5, 4, 8)
        .layer("tanh2", Layer::Tanh)
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(5 * 4 * 8, 4));
    Network::new(architecture, Normalize { mean: 0.5, std: 0.5 }, 3).unwrap()
}

/// Noise, brighter in the channel, or in the half of the columns, that the label says.
fn rgb_images(samples: usize) -> (Vec<u8>, Vec<u8>) {
    let mut random = fastrand::Rng::with_seed(5);
    let labels: Vec<u8> = (0..samples).map(|sample| (sample % 4) as u8).collect();
    let mut images = Vec::new();
    for &label in &labels {
        for i in 0..RGB.len() {
            let (channel, column) = (i / (RGB.height * RGB.width), i % RGB.width);
            let bright = channel == usize::from(label) || label == 3 && column < RGB.width / 2;
            images.push(random.u8(0..100) + if bright { 120 } else { 0 });
        }
    }
    (images, labels)
}

/// Asserts that elements of the gradient agree with central differences of the loss.
fn check_gradient(network: &mut Network, images: &[u8], targets: Targets) {
    let (_, gradient) = network.loss_and_gradient(images, targets);
    let scale = gradient.iter().fold(0.0, |max: f32, value| max.max(value.abs()));
    for index in (0..gradient.len()).step_by(13) {
        let mut loss_at = |step: f32| {
            network.parameters_mut()[index] += step;
            let (loss, _) = network.loss_and_gradient(images, targets);
            network.parameters_mut()[index] -= step;
            loss
        };
        let expected = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2;
        let found = gradient[index];
        assert!((expected - found).abs() < 0.02 * scale, "{index}: expected {expected}, found {found}");
    }
}

#[test]
fn gradient_of_other_shapes_passes_a_finite_difference_check() {
    let (images, labels) = rgb_images(13);
    check_gradient(&mut rgb_network(), &images, Targets::Labels(&labels));
}

#[test]
fn single_samples_of_other_shapes_agree_with_a_batch() {
    let (network, (images, _)) = (rgb_network(), rgb_images(9));
    let batch = network.logits(&images);
    for (image, expected) in images.chunks_exact(RGB.len()).zip(batch.chunks_exact(4)) {
        for (found, expected) in network.logits(image).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "expected {expected}, found {found}");
        }
    }
}

#[test]
fn learns_images_of_other_shapes() {
    let (mut network, (images, labels)) = (rgb_network(), rgb_images(40));
    let optimizer = Optimizer::Adam { lr: 0.01 };
    let mut state = OptimizerState::new(optimizer, network.parameters().len(), Vec::new());
    let mut data_parallel = DataParallel::new(&network, 40, 2);
    for step in 0..30 {
        let batch = BatchContext { len: 40, dropout_key: Some(step) };
        data_parallel.compute_gradients(&network, batch, &mut [(); 2], |samples, worker, ()| {
            let pixels = images[samples.start * RGB.len()..samples.end * RGB.len()].chunks_exact(RGB.len());
            let targets = samples.map(|sample| {
                let mut row = [0.0; 4];
                Targets::Labels(&labels).write_row(sample, &mut row);
                row
            });
            worker.load_samples(&network, pixels, targets);
        });
        data_parallel.update_running_stats(network.parameters_mut());
        let level = network.simd_level();
        data_parallel.update(level, state.begin_step(optimizer.lr(), network.parameters_mut(), None));
    }
    assert_eq!(data_parallel.last_batch_metrics().correct, 40.0);
    for (row, &label) in network.probabilities(&images).chunks_exact(4).zip(&labels) {
        assert_eq!(argmax(row), label);
    }
}

#[test]
fn gradient_includes_the_outlier_class() {
    let (images, _) = rgb_images(5);
    // Half of the samples are outliers.
    let targets: Vec<f32> = (0..5 * 4).map(|i| if i % 8 == 1 { 1.0 } else { 0.0 }).collect();
    let targets = Targets::Probabilities(&targets);
    let mut network = rgb_network().with_implicit_outlier_class();
    check_gradient(&mut network, &images, targets);
    assert_ne!(
        network.loss_and_gradient(&images, targets).0,
        rgb_network().loss_and_gradient(&images, targets).0
    );
}

#[test]
fn rejection_threshold_does_not_change_probabilities() {
    let (images, _) = rgb_images(5);
    let network = rgb_network().with_implicit_outlier_class();
    let expected = network.probabilities(&images);
    assert!(expected.chunks_exact(4).all(|row| row.iter().sum::<f32>() < 0.99));
    for threshold in [None, Some(0.5)] {
        let network = network.clone().with_rejection_threshold(threshold).unwrap();
        assert_eq!(network.rejection_threshold(), threshold);
        assert_eq!(network.probabilities(&images), expected);
    }
    let error = rgb_network().with_rejection_threshold(Some(0.5)).unwrap_err();
    assert_eq!(error, Error::NoOutlierClass);
}

#[test]
fn dropout_layers_have_different_masks() {
    let mut target = [0.0; CLASSES];
    target[0] = 1.0;
    let layers = |layers: &[Layer]| {
        let mut architecture = digits("dropout").layer("flatten", Layer::Flatten);
        for (i, layer) in layers.iter().enumerate() {
            architecture = architecture.layer(format!("dropout{i}"), *layer);
        }
        let mut network =
            Network::new(architecture.layer("fc", Linear::new(PIXELS, CLASSES)), Normalize::UNIT, 0).unwrap();
        network.parameters_mut().fill(1.0);
        let mut data_parallel = DataParallel::new(&network, 1, 1);
        let batch = BatchContext { len: 1, dropout_key: Some(7) };
        data_parallel.compute_gradients(&network, batch, &mut [()], |_, worker, ()| {
            worker.load_samples(&network, [&[255; PIXELS][..]].into_iter(), [target].into_iter());
        });
        data_parallel.last_batch_gradient(&network)
    };
    let half = Layer::from(Dropout::new(0.5));
    // The gradient of a weight is 0 where its input was dropped.
    let dropped = |gradient: Vec<f32>| gradient.iter().filter(|&&value| value == 0.0).count() as f64;
    let fraction = dropped(layers(&[half, half])) / dropped(layers(&[half]));
    assert!((1.3..1.7).contains(&fraction), "3/4 instead of 1/2 of the inputs are dropped, found {fraction}");
}

#[test]
#[should_panic(expected = "sample 2: expected a label below 4, found 4")]
fn gradient_panics_on_label_beyond_classes() {
    rgb_network().loss_and_gradient(&rgb_images(3).0, Targets::Labels(&[0, 3, 4]));
}

#[test]
fn rejects_impossible_classes_and_inputs() {
    for (input, classes, expected) in [
        (RGB, 0, "classes: expected 1 to 256, found 0"),
        (RGB, 257, "classes: expected 1 to 256, found 257"),
        (Shape { channels: 0, ..RGB }, 4, "channels: expected 1 to 65536, found 0"),
        (Shape { width: 1 << 20, ..RGB }, 4, "width: expected 1 to 65536, found 1048576"),
    ] {
        let architecture = Architecture::new("impossible", input, classes).layer("flatten", Layer::Flatten);
        let error = Network::new(architecture, Normalize::UNIT, 0).unwrap_err().to_string();
        assert_eq!(error, expected);
    }
}
