//! Gradients of whole networks, where layers are fused, work in place or share memory; and of the loss.

use super::{
    F32_TOLERANCE, assert_close,
    fixtures::{CLASSES, PIXELS, digits, target_row},
    golden, naive, to_f64, to_lanes, to_rows,
};
use crate::{
    AvgPool2d, Conv2d, DataParallel, Dropout, Layer, Linear, MaxPool2d, Network, Normalize, PredictionKind,
    Targets,
    activation_layout::{LANES, zeros},
    loss::{Loss, smooth_targets},
    worker::BatchSlice,
};

/// An activation before any layer, two activations in a row, and dropout after an activation: each must keep the output that
/// its derivative is computed from.
#[test]
fn consecutive_activations_pass_a_finite_difference_check() {
    let architecture = digits("test")
        .layer("tanh1", Layer::Tanh)
        .layer("flatten", Layer::Flatten)
        .layer("fc1", Linear::new(784, 12))
        .layer("tanh2", Layer::Tanh)
        .layer("tanh3", Layer::Tanh)
        .layer("dropout", Dropout::new(0.5))
        .layer("fc2", Linear::new(12, 10));
    let mut network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
    let (images, labels) = (golden::images(), golden::labels());
    let (_, gradient) = network.loss_and_gradient(&images, Targets::Labels(&labels));
    for index in [0, 5 * 784 + 300, 784 * 12 + 3, 784 * 12 + 12 + 7] {
        let mut loss_at = |step: f32| {
            network.parameters_mut()[index] += step;
            let (loss, _) = network.loss_and_gradient(&images, Targets::Labels(&labels));
            network.parameters_mut()[index] -= step;
            f64::from(loss)
        };
        let expected = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2;
        let found = f64::from(gradient[index]);
        assert!((expected - found).abs() < 1e-4, "{index}: expected {expected}, found {found}");
    }
}

/// A dropout layer works in place on the output of the layer before, or on a copy if that layer is a dropout too.
#[test]
fn dropout_in_place_matches_dropout_of_a_copy() {
    let (images, labels) = (golden::images(), golden::labels());
    let gradient = |first: Option<Layer>, layers: &[Layer]| {
        let mut architecture = digits("test");
        if let Some(first) = first {
            architecture = architecture.layer("first", first);
        }
        let mut architecture = architecture.layer("conv", Conv2d::new(1, 3, 5));
        for (i, layer) in layers.iter().enumerate() {
            architecture = architecture.layer(i.to_string(), *layer);
        }
        let architecture =
            architecture.layer("flatten", Layer::Flatten).layer("fc", Linear::new(3 * 24 * 24, 10));
        let network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
        let samples = labels.len();
        let mut data_parallel = DataParallel::with_worker_capacities(&network, &[samples]);
        let slice = BatchSlice { total: samples, dropout_key: Some(7), first_block: 0 };
        data_parallel.compute_gradients_of_slices(&network, &mut [()], |_, worker, ()| {
            let rows = (0..samples).map(|i| target_row(Targets::Labels(&labels), i));
            worker.set_slice(slice);
            worker.load_samples(&network, images.chunks_exact(PIXELS), rows);
        });
        (data_parallel.last_batch_metrics().loss, data_parallel.last_batch_gradient(&network))
    };
    let [half, all] = [0.5, 0.0].map(|p| Layer::from(Dropout::new(p)));
    for (before, after) in [
        (vec![], vec![]),
        (vec![Layer::ReLU], vec![]),
        (vec![], vec![Layer::Tanh]),
        (vec![Layer::ReLU], vec![MaxPool2d::new(1).into()]),
    ] {
        let with = |first, dropout: &[Layer]| gradient(first, &[&before[..], dropout, &after[..]].concat());
        // `half` is the second dropout layer in both networks, because masks differ between layers.
        assert_eq!(with(Some(all), &[half]), with(None, &[all, half]), "{before:?} {after:?}");
        assert_ne!(with(Some(all), &[half]), with(None, &[all]), "{before:?} {after:?}");
    }
}

/// A pooling layer computes the derivative of the activation before it. A dropout layer with p = 0 between the two prevents
/// this.
#[test]
fn pooling_fused_with_activation_matches_separate_layers() {
    let (images, labels) = (golden::images(), golden::labels());
    for activation in [Layer::ReLU, Layer::Tanh] {
        for (pool, side) in [
            (Layer::from(MaxPool2d::new(2)), 12),
            (MaxPool2d::new(2).stride(1).into(), 23),
            (AvgPool2d::new(2).into(), 12),
            (AvgPool2d::new(3).into(), 8),
        ] {
            let [fused, separate] = [false, true].map(|separate| {
                let mut architecture =
                    digits("test").layer("conv", Conv2d::new(1, 3, 5)).layer("activation", activation);
                if separate {
                    architecture = architecture.layer("identity", Dropout::new(0.0));
                }
                let architecture = architecture
                    .layer("pool", pool)
                    .layer("flatten", Layer::Flatten)
                    .layer("fc", Linear::new(3 * side * side, 10));
                let network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
                network.loss_and_gradient(&images, Targets::Labels(&labels))
            });
            assert_eq!(fused, separate, "{activation:?} {pool:?}");
        }
    }
}

/// Three workers, of which the second has a partial block and the last no sample, on one to three threads. The numbers of
/// panels of the layers with deferred weight gradients are not divisible by the number of workers.
#[test]
fn deferred_weight_gradients_do_not_depend_on_the_workers() {
    let architecture = digits("test")
        .layer("flatten", Layer::Flatten)
        .layer("fc1", Linear::new(784, 203))
        .layer("tanh1", Layer::Tanh)
        .layer("fc2", Linear::new(203, 650))
        .layer("tanh2", Layer::Tanh)
        .layer("fc3", Linear::new(650, 10));
    let network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
    let samples = 13;
    let (images, labels) = (golden::images(), golden::labels());
    let (images, targets) = (&images[..samples * PIXELS], Targets::Labels(&labels[..samples]));
    let (loss, expected) = network.loss_and_gradient(images, targets);

    let mut data_parallel = DataParallel::with_worker_capacities(&network, &[LANES; 3]);
    // The later steps fail if state of an earlier one is left over.
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| {
            data_parallel.compute_gradients_of_slices(
                &network,
                &mut [0..8, 8..13, 13..13],
                |i, worker, samples| {
                    let slice = BatchSlice { total: 13, dropout_key: None, first_block: i };
                    let pixels = &images[samples.start * PIXELS..samples.end * PIXELS];
                    let rows = samples.clone().map(|i| target_row(targets, i));
                    worker.set_slice(slice);
                    worker.load_samples(&network, pixels.chunks_exact(PIXELS), rows);
                },
            );
            data_parallel.last_batch_gradient(&network)
        });
        assert_close("gradient", F32_TOLERANCE, &to_f64(&expected), &to_f64(&found));
        assert_close(
            "loss",
            F32_TOLERANCE,
            &[f64::from(loss)],
            &[data_parallel.last_batch_metrics().loss / samples as f64],
        );
    }
}

#[test]
fn cross_entropy_matches_naive_loss() {
    let (logits, soft) = golden::soft_targets();
    let hard = naive::one_hot(&golden::labels(), CLASSES);
    // The other half of the target of every third sample is the outlier class.
    let partial: Vec<_> = soft
        .iter()
        .enumerate()
        .map(|(i, t)| if (i / CLASSES).is_multiple_of(3) { t / 2.0 } else { *t })
        .collect();
    for (targets, smoothing, outlier_class) in [
        (&soft, 0.0, false),
        (&soft, 0.2, false),
        (&hard, 0.1, false),
        (&partial, 0.0, true),
        (&hard, 0.1, true),
    ] {
        let smoothed = naive::smooth(targets, smoothing, CLASSES);
        let (expected, gradient) = if outlier_class {
            // In the naive loss the outlier class is like the others, with a logit of 0. Its gradient is not compared.
            let with = |rows: &[f64], last: fn(&[f64]) -> f64| -> Vec<f64> {
                rows.chunks(CLASSES).flat_map(|row| row.iter().copied().chain([last(row)])).collect()
            };
            let (logits, targets) =
                (with(&logits, |_| 0.0), with(&smoothed, |row| 1.0 - row.iter().sum::<f64>()));
            let (loss, gradient) = naive::cross_entropy(&logits, &targets, CLASSES + 1);
            (loss, gradient.chunks(CLASSES + 1).flat_map(|row| row[..CLASSES].to_vec()).collect())
        } else {
            naive::cross_entropy(&logits, &smoothed, CLASSES)
        };
        let rows = targets
            .chunks(CLASSES)
            .flat_map(|row| {
                let mut row: [f32; CLASSES] = std::array::from_fn(|class| row[class] as f32);
                smooth_targets(&mut row, smoothing as f32);
                row
            })
            .collect::<Vec<f32>>();
        let mut found = zeros(2 * CLASSES);
        let prediction = PredictionKind::Class { classes: CLASSES, outlier_class };
        let loss = Loss { prediction, targets: &rows, total: golden::IMAGES, row: &mut [0.0; CLASSES] };
        let total = loss.backward(&to_lanes(&logits, CLASSES), &mut found).loss;
        assert_close("loss", F32_TOLERANCE, &[expected], &[total / golden::IMAGES as f64]);
        assert_close("gradient", F32_TOLERANCE, &gradient, &to_rows(&found, CLASSES, golden::IMAGES));
    }
}
