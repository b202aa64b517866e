//! Dense prediction: loss, gradients, inference and sizes of a network that returns logits for each pixel.

use super::{F32_TOLERANCE, WINOGRAD_TOLERANCE, assert_close, levels, naive, to_f64, to_lanes, to_rows};
use crate::{
    Architecture, BatchContext, BatchNorm2d, Conv2d, DataParallel, Error, Layer, LayerError, Linear, Network,
    Normalize, PixelShuffle, PredictionKind, Shape, Targets,
    activation_layout::zeros,
    loss::Loss,
    optim::{Optimizer, OptimizerState},
    single_sample::SingleSampleWorkspace,
    workspace::{Mode, Workspace},
};

const LABELS: usize = 2;

/// Returns a network of all layers of dense prediction. Its maps have half the height and width of the input.
fn network(height: usize, width: usize) -> Network {
    let architecture = Architecture::dense_prediction("dense", Shape { channels: 1, height, width }, LABELS)
        .layer("conv1", Conv2d::new(1, 11, 4).stride(2).padding(1))
        .layer("bn1", BatchNorm2d::new(11))
        .layer("relu1", Layer::ReLU)
        .layer("conv2", Conv2d::new(11, 9, 3).padding(1))
        .layer("relu2", Layer::ReLU)
        .layer("conv3", Conv2d::new(9, 10, 3).dilation(2).padding(2))
        .layer("bn3", BatchNorm2d::new(10))
        .layer("relu3", Layer::ReLU)
        .layer("conv4", Conv2d::new(10, 4 * LABELS, 3).dilation(4).padding(4))
        .layer("shuffle", PixelShuffle::new(2));
    let mut network = Network::new(architecture, Normalize { mean: 0.5, std: 0.3 }, 3).unwrap();
    for (i, parameter) in network.parameters_mut().iter_mut().enumerate() {
        // Changes the running averages from 0 and 1, and keeps variances positive.
        *parameter += 0.02 * (i % 5) as f32;
    }
    network
}

/// Returns images of noise with a bright row and a dark column, and their targets: whether a pixel lies in either.
fn samples(count: usize, height: usize, width: usize) -> (Vec<u8>, Vec<f32>) {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut images, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (row, column) = (random.usize(..height), random.usize(..width));
        let pixels = || (0..height * width).map(|i| (i / width == row, i % width == column));
        images.extend(pixels().map(|is_on| match is_on {
            (true, _) => random.u8(200..),
            (_, true) => random.u8(..50),
            _ => random.u8(100..150),
        }));
        let is_on = |is_on: bool| if is_on { 1.0 } else { 0.0 };
        targets.extend(pixels().map(|(row, _)| is_on(row)).chain(pixels().map(|(_, column)| is_on(column))));
    }
    (images, targets)
}

#[test]
fn binary_cross_entropy_matches_naive_loss() {
    const SAMPLES: usize = 11;
    const LEN: usize = 6;
    let mut random = fastrand::Rng::with_seed(1);
    let mut logits: Vec<f64> = (0..SAMPLES * LEN).map(|_| 8.0 * random.f64() - 4.0).collect();
    logits[..2].copy_from_slice(&[30.0, -30.0]);
    let targets: Vec<f32> = (0..SAMPLES * LEN)
        .map(|i| if i % 2 == 0 { random.f32() } else { f32::from(random.bool()) })
        .collect();
    let (expected, gradient) = naive::binary_cross_entropy(&logits, &to_f64(&targets));
    let mut found = zeros(2 * LEN);
    let loss = Loss {
        prediction: PredictionKind::Dense { labels: 1 },
        targets: &targets,
        total: SAMPLES,
        row: &mut [0.0; LEN],
    };
    let metrics = loss.backward(&to_lanes(&logits, LEN), &mut found);
    assert_close("loss", F32_TOLERANCE, &[expected], &[metrics.loss / SAMPLES as f64]);
    assert_close("gradient", F32_TOLERANCE, &gradient, &to_rows(&found, LEN, SAMPLES));
    let right = logits.iter().zip(&targets).filter(|&(&z, &t)| (z >= 0.0) == (t >= 0.5)).count();
    assert!((metrics.correct - right as f64 / LEN as f64).abs() < 1e-12);
}

#[test]
fn binary_cross_entropy_of_extreme_logits_is_finite() {
    let logits = [1e4, -1e4, f64::from(f32::MAX), -f64::from(f32::MAX)];
    let targets = [0.0, 1.0, 1.0, 0.0];
    let prediction = PredictionKind::Dense { labels: 1 };
    let mut gradient = zeros(4);
    let loss = Loss { prediction, targets: &targets, total: 1, row: &mut [0.0; 4] };
    let metrics = loss.backward(&to_lanes(&logits, 4), &mut gradient);
    assert_eq!(metrics.loss, 5e3);
    assert_eq!(to_rows(&gradient, 4, 1), [0.25, -0.25, 0.0, 0.0]);
}

#[test]
fn gradient_passes_a_finite_difference_check() {
    let (mut network, (images, targets)) = (network(12, 16), samples(9, 12, 16));
    let targets = Targets::Probabilities(&targets);
    let (_, gradient) = network.loss_and_gradient(&images, targets);
    let scale = gradient.iter().fold(0.0, |max: f32, value| max.max(value.abs()));
    for index in (0..gradient.len()).step_by(29) {
        let mut loss_at = |step: f32| {
            network.parameters_mut()[index] += step;
            let (loss, _) = network.loss_and_gradient(&images, targets);
            network.parameters_mut()[index] -= step;
            loss
        };
        let expected = (loss_at(5e-3) - loss_at(-5e-3)) / 1e-2;
        let found = gradient[index];
        assert!((expected - found).abs() < 0.02 * scale, "{index}: expected {expected}, found {found}");
    }
}

#[test]
fn single_samples_match_blocks() {
    check_single_samples::<34, 50>();
}

/// Maps that are divided into bands, of which the last one has fewer rows.
#[test]
fn single_samples_of_large_maps_match_blocks() {
    check_single_samples::<178, 150>();
}

fn check_single_samples<const HEIGHT: usize, const WIDTH: usize>() {
    let (network, (images, _)) = (network(HEIGHT, WIDTH), samples(9, HEIGHT, WIDTH));
    let mut workspace = Workspace::new(&network, 9, Mode::Inference);
    workspace.prepare_parameters(&network);
    workspace.load_images(network.normalization(), images.chunks_exact(HEIGHT * WIDTH));
    let block = to_rows(workspace.infer(&network), LABELS * HEIGHT * WIDTH, 9);
    for level in levels() {
        let mut single = SingleSampleWorkspace::new(&network, level);
        let mut logits = vec![0.0; LABELS * HEIGHT * WIDTH];
        let images = images.chunks_exact(HEIGHT * WIDTH);
        // The second image fails if state of the first is left over.
        for (image, expected) in images.zip(block.chunks_exact(logits.len())).take(2) {
            single.infer(&network, image, &mut logits);
            assert_close(&format!("{level:?}"), WINOGRAD_TOLERANCE, expected, &to_f64(&logits));
        }
    }
    let mut logits = vec![0.0; block.len()];
    network.session(2).logits(&images, &mut logits);
    assert_close("session", WINOGRAD_TOLERANCE, &block, &to_f64(&logits));
    assert_close("network", WINOGRAD_TOLERANCE, &block, &to_f64(&network.logits(&images)));
}

#[test]
fn other_input_sizes_give_the_same_logits_far_from_the_border() {
    let small = network(80, 80);
    let large = small.with_input_size(96, 120).unwrap();
    assert_eq!(large.tensors().collect::<Vec<_>>(), small.tensors().collect::<Vec<_>>());
    assert_eq!(large.architecture().output_shape(), Shape { channels: LABELS, height: 96, width: 120 });
    let (image, _) = samples(1, 96, 120);
    // The small image begins at an even row and column of the large one.
    let (top, left) = (10, 20);
    let part: Vec<u8> = (0..80).flat_map(|row| image[(top + row) * 120 + left..][..80].to_vec()).collect();
    let (expected, found) = (large.logits(&image), small.logits(&part));
    // An output depends on pixels up to 2 (1 + 2 + 4) + 3 away.
    for row in 20..60 {
        let expected = to_f64(&expected[(top + row) * 120 + left + 20..][..40]);
        assert_close(
            &format!("row {row}"),
            WINOGRAD_TOLERANCE,
            &expected,
            &to_f64(&found[row * 80 + 20..][..40]),
        );
    }
}

#[test]
fn rejects_impossible_input_sizes() {
    let output = |width| Shape { channels: LABELS, height: 40, width };
    // Half of an odd width is rounded down.
    let error = network(40, 40).with_input_size(40, 41).unwrap_err();
    let cause = LayerError::Logits { expected: output(41), output: output(40) };
    assert_eq!(error, Error::Layer { layer: "shuffle".into(), cause });
    let error = network(40, 40).with_input_size(40, 0).unwrap_err().to_string();
    assert_eq!(error, "width: expected 1 to 65536, found 0");
    let error = network(40, 40).with_input_size(2000, 2000).unwrap_err().to_string();
    assert!(error.starts_with("layer conv2: expected at most 33554432 elements"), "{error}");
    let input = Shape { channels: 1, height: 4, width: 4 };
    let flat =
        Architecture::new("flat", input, 3).layer("flatten", Layer::Flatten).layer("fc", Linear::new(16, 3));
    let error = Network::new(flat, Normalize::UNIT, 0).unwrap().with_input_size(4, 5).unwrap_err();
    let cause = LayerError::Features { expected: 16, input: Shape::flat(20) };
    assert_eq!(error, Error::Layer { layer: "fc".into(), cause });
}

/// A convolution that covers its input has its weights in the order of a fully connected layer.
#[test]
fn other_input_sizes_reorder_the_weights_of_a_covering_convolution() {
    let input = Shape { channels: 3, height: 5, width: 5 };
    let architecture = Architecture::new("covering", input, 4).layer("conv", Conv2d::new(3, 4, 5).stride(5));
    let small = Network::new(architecture, Normalize::UNIT, 0).unwrap();
    let large = small.with_input_size(5, 7).unwrap();
    assert_eq!(large.tensors().collect::<Vec<_>>(), small.tensors().collect::<Vec<_>>());
    assert_ne!(large.parameters(), small.parameters());
    let image: Vec<u8> = (0..3 * 5 * 7).map(|i| (i * 37 % 256) as u8).collect();
    let part: Vec<u8> = image.chunks_exact(7).flat_map(|row| row[..5].to_vec()).collect();
    assert_close("logits", F32_TOLERANCE, &to_f64(&large.logits(&image)), &to_f64(&small.logits(&part)));
}

#[test]
fn learns_rows_and_columns() {
    const SAMPLES: usize = 24;
    let (mut network, (images, targets)) = (network(12, 16), samples(SAMPLES, 12, 16));
    let len = 12 * 16;
    let optimizer = Optimizer::Adam { lr: 0.02 };
    let mut state = OptimizerState::new(optimizer, network.parameters().len(), Vec::new());
    let mut data_parallel = DataParallel::new(&network, SAMPLES, 2);
    for _ in 0..200 {
        let batch = BatchContext { len: SAMPLES, dropout_key: None };
        data_parallel.compute_gradients(&network, batch, &mut [(); 2], |samples, worker, ()| {
            let images = images[samples.start * len..samples.end * len].chunks_exact(len);
            worker.load_samples(
                &network,
                images,
                targets.chunks_exact(LABELS * len).skip(samples.start).take(samples.len()),
            );
        });
        data_parallel.update_running_stats(network.parameters_mut());
        let level = network.simd_level();
        data_parallel.update(level, state.begin_step(optimizer.lr(), network.parameters_mut(), None));
    }
    let correct = data_parallel.last_batch_metrics().correct / SAMPLES as f64;
    assert!(correct > 0.99, "{correct}");
    let probabilities = network.probabilities(&images);
    let right = probabilities.iter().zip(&targets).filter(|&(p, t)| (*p >= 0.5) == (*t >= 0.5)).count();
    assert!(right as f64 > 0.98 * targets.len() as f64, "{right} of {}", targets.len());
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
}

#[test]
fn has_no_outlier_class() {
    let network = network(8, 8).with_implicit_outlier_class();
    assert!(!network.architecture().has_outlier_class());
    assert_eq!(network.with_rejection_threshold(Some(0.5)).unwrap_err(), Error::NoOutlierClass);
}

#[test]
#[should_panic(expected = "expected probabilities as targets of dense prediction")]
fn gradient_panics_on_labels() {
    network(8, 8).loss_and_gradient(&[0; 64], Targets::Labels(&[0]));
}
