//! Folding of batch normalization into the convolution or linear layer before it.
//!
//! In inference, batch normalization is `y = scale * x + shift` for each channel. A layer with the weights `scale * w` and the bias
//! `scale * b + shift` computes the same.

use std::array;

use crate::{BatchNorm2d, Conv2d, Layer, Linear, Network};

impl Network {
    /// Returns a network with the same logits, but for rounding, that has no batch normalization after a convolution or a linear
    /// layer with as many outputs.
    ///
    /// Its training uses the averages that batch normalization uses in inference: fine-tuning with a few images, whose statistics
    /// are not those of the first training.
    pub fn with_folded_batch_norm(&self) -> Self {
        let old = self.to_pytorch_order(self.parameters());
        let (mut values, mut is_folded, mut start) = (Vec::with_capacity(old.len()), vec![], 0);
        // Where the parameters of the layer begin whose outputs are next, and the number of its outputs.
        let mut weighted: Option<(usize, usize)> = None;
        for row in self.layer_summaries() {
            let parameters = &old[start..start + row.parameters + row.buffers];
            start += parameters.len();
            let first = values.len();
            match (row.layer, weighted) {
                // After flattening a convolution's output, each feature has a scale of its own.
                (&Layer::BatchNorm2d(BatchNorm2d { num_features }), Some((first, outputs)))
                    if num_features == outputs =>
                {
                    fold(parameters, &mut values[first..], outputs);
                    is_folded.push(true);
                    continue;
                }
                (&Layer::Conv2d(Conv2d { out_channels: outputs, .. }), _)
                | (&Layer::Linear(Linear { out_features: outputs, .. }), _) => {
                    weighted = Some((first, outputs))
                }
                (Layer::Flatten | Layer::Dropout(_), _) => {}
                _ => weighted = None,
            }
            values.extend_from_slice(parameters);
            is_folded.push(false);
        }
        let mut is_folded = is_folded.into_iter();
        let architecture = self.architecture().clone().without_layers(|| is_folded.next() == Some(true));
        self.with_architecture(architecture, &values)
    }
}

/// Folds batch normalization of `outputs` channels, with weight, bias, running mean and running variance, each `(channel)`, into the
/// weights `(output, input)` and biases of the layer before it.
fn fold(batch_norm: &[f32], layer: &mut [f32], outputs: usize) {
    let (weights, biases) = layer.split_at_mut(layer.len() - outputs);
    let fan_in = weights.len() / outputs;
    for (channel, (weights, bias)) in weights.chunks_exact_mut(fan_in).zip(biases).enumerate() {
        let of_channel = array::from_fn(|tensor| batch_norm[tensor * outputs + channel]);
        let (scale, shift) = BatchNorm2d::inference_scale_and_shift(of_channel);
        weights.iter_mut().for_each(|weight| *weight *= scale);
        *bias = *bias * scale + shift;
    }
}

#[cfg(test)]
mod tests {
    use crate::{Architecture, BatchNorm2d, Conv2d, Dropout, Layer, Linear, Network, Normalize, Shape};

    #[test]
    fn folded_network_has_the_same_logits_and_calibration() {
        let input = Shape { channels: 1, height: 6, width: 6 };
        let architecture = Architecture::new("small", input, 3)
            .with_implicit_outlier_class()
            .layer("bn0", BatchNorm2d::new(1))
            .layer("conv1", Conv2d::new(1, 4, 3).padding(1))
            .layer("bn1", BatchNorm2d::new(4))
            .layer("relu1", Layer::ReLU)
            .layer("conv2", Conv2d::new(4, 5, 3))
            .layer("bn2", BatchNorm2d::new(5))
            .layer("flatten", Layer::Flatten)
            // Each feature has a scale of its own.
            .layer("bn3", BatchNorm2d::new(5 * 16))
            .layer("fc1", Linear::new(5 * 16, 6))
            .layer("dropout", Dropout::new(0.2))
            .layer("bn4", BatchNorm2d::new(6))
            .layer("fc2", Linear::new(6, 3));
        let mut network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
        for (index, value) in network.parameters_mut().iter_mut().enumerate() {
            *value += 0.1 * (index % 7) as f32;
        }
        let network = network.with_temperature(1.5).unwrap().with_rejection_threshold(Some(0.25)).unwrap();
        let folded = network.with_folded_batch_norm();
        let names: Vec<_> = folded.architecture().summary().unwrap().iter().map(|row| row.name).collect();
        assert_eq!(names, ["bn0", "conv1", "relu1", "conv2", "flatten", "bn3", "fc1", "dropout", "fc2"]);
        assert_eq!((folded.temperature(), folded.rejection_threshold()), (1.5, Some(0.25)));
        assert!(folded.architecture().has_outlier_class());
        let image: Vec<u8> = (0..36).map(|pixel| (pixel * 53 % 256) as u8).collect();
        for (found, expected) in folded.logits(&image).iter().zip(network.logits(&image)) {
            assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found} {expected}");
        }
    }
}
