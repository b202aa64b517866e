//! Folding of batch normalization into the convolution before it.
//!
//! In inference, batch normalization is `y = scale * x + shift` for each channel. A convolution with the weights `scale * w` and
//! the bias `scale * b + shift` computes the same.

use std::array;

use crate::{BatchNorm2d, Layer, Network};

impl Network {
    /// Returns a network with the same logits, but for rounding, that has no batch normalization after a convolution.
    ///
    /// Its training uses the averages that batch normalization uses in inference: fine-tuning with a few images, whose statistics
    /// are not those of the first training.
    pub fn with_folded_batch_norm(&self) -> Self {
        let (old, rows) = (self.to_pytorch_order(self.parameters()), self.layer_summaries());
        let (mut values, mut is_folded, mut start) = (Vec::with_capacity(old.len()), vec![], 0);
        for (index, row) in rows.iter().enumerate() {
            let parameters = &old[start..start + row.parameters + row.buffers];
            start += parameters.len();
            let previous = index.checked_sub(1).map(|previous| &rows[previous]);
            let convolution = previous.filter(|row| matches!(row.layer, Layer::Conv2d(_)));
            let (Layer::BatchNorm2d(BatchNorm2d { num_features }), Some(convolution)) =
                (row.layer, convolution)
            else {
                values.extend_from_slice(parameters);
                is_folded.push(false);
                continue;
            };
            let first = values.len() - convolution.parameters;
            let (weights, biases) = values[first..].split_at_mut(convolution.parameters - num_features);
            let fan_in = weights.len() / num_features;
            for (channel, (weights, bias)) in weights.chunks_exact_mut(fan_in).zip(biases).enumerate() {
                // Weight, bias, running mean and running variance, each `(channel)`.
                let of_channel = array::from_fn(|tensor| parameters[tensor * num_features + channel]);
                let (scale, shift) = BatchNorm2d::inference_scale_and_shift(of_channel);
                weights.iter_mut().for_each(|weight| *weight *= scale);
                *bias = *bias * scale + shift;
            }
            is_folded.push(true);
        }
        let mut is_folded = is_folded.into_iter();
        let architecture = self.architecture().clone().without_layers(|| is_folded.next() == Some(true));
        self.with_architecture(architecture, &values)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Architecture, BatchNorm2d, Conv2d, Layer, Linear, Network, Normalize, Shape};

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
            .layer("fc", Linear::new(5 * 16, 3));
        let mut network = Network::new(architecture, Normalize::UNIT, 1).unwrap();
        for (index, value) in network.parameters_mut().iter_mut().enumerate() {
            *value += 0.1 * (index % 7) as f32;
        }
        let network = network.with_temperature(1.5).unwrap().with_rejection_threshold(Some(0.25)).unwrap();
        let folded = network.with_folded_batch_norm();
        let names: Vec<_> = folded.architecture().summary().unwrap().iter().map(|row| row.name).collect();
        assert_eq!(names, ["bn0", "conv1", "relu1", "conv2", "flatten", "fc"]);
        assert_eq!((folded.temperature(), folded.rejection_threshold()), (1.5, Some(0.25)));
        assert!(folded.architecture().has_outlier_class());
        let image: Vec<u8> = (0..36).map(|pixel| (pixel * 53 % 256) as u8).collect();
        for (found, expected) in folded.logits(&image).iter().zip(network.logits(&image)) {
            assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found} {expected}");
        }
    }
}
