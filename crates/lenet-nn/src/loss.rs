//! What a network predicts, with its probabilities and its loss.
//!
//! Of classes: softmax cross-entropy over `K` classes,
//!
//! `loss = mean over the samples of -sum over k of t[k] * log(softmax(z)[k])`, `softmax(z)[k] = exp(z[k]) / sum over j of
//! exp(z[j])`
//!
//! An architecture [with an outlier class](crate::Architecture::with_implicit_outlier_class) has an implicit class `K` with
//! the fixed logit `z[K] = 0`. Its target is what a row of targets lacks to 1, `t[K] = 1 - sum over k < K of t[k]`.
//!
//! Of binary labels: the mean over the samples, and over the `K` logits of a sample, of the binary cross-entropy with
//! probability `sigmoid(z) = 1 / (1 + exp(-z))`, as PyTorch's `BCEWithLogitsLoss`,
//!
//! `loss = mean of -t * log(sigmoid(z)) - (1 - t) * log(1 - sigmoid(z)) = mean of max(z, 0) - z * t + log(1 + exp(-|z|))`
//!
//! The second form overflows for no logit (<https://www.tensorflow.org/api_docs/python/tf/nn/sigmoid_cross_entropy_with_logits>).
//!
//! ```
//! use lenet_nn::{argmax, softmax};
//!
//! let mut row = [0.0, 2.0, 0.0];
//! softmax(&mut row, false);
//! assert_eq!(argmax(&row), 1);
//! assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
//! ```

use crate::activation_layout::{LANES, Lanes};

/// What a network predicts of a sample. It decides the shape of the logits and the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionKind {
    /// One of some classes. The loss is the softmax cross-entropy.
    Class {
        /// Number of classes, without the outlier class.
        classes: usize,
        /// Whether there is an [outlier class](crate::Architecture::with_implicit_outlier_class).
        outlier_class: bool,
    },
    /// Some binary labels of each pixel (dense prediction). They don't exclude each other. The loss is the binary cross-entropy,
    /// averaged over labels and pixels.
    Dense {
        /// Number of labels of a pixel.
        labels: usize,
    },
}

impl PredictionKind {
    /// Returns whether there is an outlier class.
    pub fn has_outlier_class(self) -> bool {
        matches!(self, Self::Class { outlier_class: true, .. })
    }

    /// Returns the loss of a network that gives all classes, or both values of a label, the same probability.
    pub fn uniform_loss(self) -> f64 {
        let outcomes = match self {
            Self::Class { classes, outlier_class } => classes + usize::from(outlier_class),
            Self::Dense { .. } => 2,
        };
        (outcomes as f64).ln()
    }

    /// Adds an outlier class to classes.
    pub(crate) fn with_implicit_outlier_class(self) -> Self {
        match self {
            Self::Class { classes, .. } => Self::Class { classes, outlier_class: true },
            Self::Dense { .. } => self,
        }
    }

    /// Replaces a sample's row of logits by probabilities: their softmax, or the sigmoid of each.
    pub(crate) fn logits_to_probabilities(self, row: &mut [f32]) {
        match self {
            Self::Class { outlier_class, .. } => softmax(row, outlier_class),
            Self::Dense { .. } => row.iter_mut().for_each(|value| *value = sigmoid(*value)),
        }
    }
}

/// The targets of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// `(batch)`: the class of each sample.
    Labels(&'a [u8]),
    /// A row of probabilities for each sample: `(batch, classes)`, or `(batch, labels, height, width)` in dense prediction. With
    /// an outlier class, rows may sum to less than 1.
    Probabilities(&'a [f32]),
}

impl Targets<'_> {
    /// Returns the number of samples, where a row has `row_len` probabilities.
    pub fn len(&self, row_len: usize) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Probabilities(rows) => rows.len() / row_len,
        }
    }

    /// Writes the target probabilities of `sample` to `row`, which has an element for each logit.
    ///
    /// # Panics
    /// If there are fewer samples, or the sample's label is not below the number of classes.
    pub fn write_row(&self, sample: usize, row: &mut [f32]) {
        match self {
            Self::Labels(labels) => {
                let (label, classes) = (usize::from(labels[sample]), row.len());
                assert!(label < classes, "sample {sample}: expected a label below {classes}, found {label}");
                row.fill(0.0);
                row[label] = 1.0;
            }
            Self::Probabilities(rows) => row.copy_from_slice(&rows[sample * row.len()..][..row.len()]),
        }
    }
}

/// Smooths a row of target probabilities as PyTorch's `label_smoothing`: `t[k] = (1 - smoothing) * t[k] + smoothing / K`.
pub fn smooth_targets(row: &mut [f32], smoothing: f32) {
    let classes = row.len() as f32;
    for t in row {
        *t = (1.0 - smoothing) * *t + smoothing / classes;
    }
}

/// Replaces a row of logits by probabilities. With `outlier_class` they sum to the probability of being no outlier.
pub fn softmax(row: &mut [f32], outlier_class: bool) {
    log_softmax(row, outlier_class);
    for value in row {
        *value = value.exp();
    }
}

/// Replaces a row of logits by log-probabilities, finite for finite logits. Returns the log-probability of the outlier class, or
/// 0 without one.
fn log_softmax(row: &mut [f32], outlier_class: bool) -> f32 {
    let max = row.iter().copied().fold(if outlier_class { 0.0 } else { f32::NEG_INFINITY }, f32::max);
    let outlier = if outlier_class { (-max).exp() } else { 0.0 };
    let sum = outlier + row.iter().map(|z| (z - max).exp()).sum::<f32>();
    let log_sum = sum.ln();
    for z in row {
        *z = *z - max - log_sum;
    }
    if outlier_class { -max - log_sum } else { 0.0 }
}

/// Copies the logits of one sample of `logits` `(block, class)` to `row`.
pub(crate) fn copy_sample_logits(logits: &[Lanes], sample: usize, row: &mut [f32]) {
    let block = &logits[sample / LANES * row.len()..];
    for (value, lanes) in row.iter_mut().zip(block) {
        *value = lanes.0[sample % LANES];
    }
}

/// Loss and correctness, both summed over samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BatchMetrics {
    /// Sum of the losses of the samples.
    pub loss: f64,
    /// Number of samples whose most probable class is that of their target. In dense prediction, the sum over the samples of the
    /// fraction of labels, over all pixels, that are on the same side of probability 1/2 as their target.
    pub correct: f64,
}

/// Returns `1 / (1 + exp(-z))`.
fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

/// The loss of some samples of a batch.
pub(crate) struct Loss<'a> {
    pub prediction: PredictionKind,
    /// `(batch, logits of a sample)`: target probabilities.
    pub targets: &'a [f32],
    /// Number of samples of the whole batch, over which the loss is averaged.
    pub total: usize,
    /// Scratch memory, an element for each logit of a sample.
    pub row: &'a mut [f32],
}

impl Loss<'_> {
    /// Writes the gradient of the mean loss to `gradient` `(block, logit)`, 0 in idle lanes, and returns the metrics of the
    /// samples.
    pub fn backward(self, logits: &[Lanes], gradient: &mut [Lanes]) -> BatchMetrics {
        let Self { prediction, targets, total, row } = self;
        match prediction {
            PredictionKind::Class { outlier_class, .. } => {
                CrossEntropy { targets, total, outlier_class, row }.backward(logits, gradient)
            }
            PredictionKind::Dense { .. } => {
                binary_cross_entropy_backward(targets, total, row.len(), logits, gradient)
            }
        }
    }
}

/// Computes the binary cross-entropy of samples of `len` logits: see [`Loss::backward`].
fn binary_cross_entropy_backward(
    targets: &[f32],
    total: usize,
    len: usize,
    logits: &[Lanes],
    gradient: &mut [Lanes],
) -> BatchMetrics {
    gradient.fill(Lanes::default());
    let (mut loss, mut correct) = (0.0, 0);
    let scale = 1.0 / (total as f32 * len as f32);
    for (sample, targets) in targets.chunks_exact(len).enumerate() {
        let (block, lane) = (sample / LANES * len, sample % LANES);
        let lanes = logits[block..].iter().zip(&mut gradient[block..]);
        for ((logit, gradient), &target) in lanes.zip(targets) {
            let z = logit.0[lane];
            let exp = (-z.abs()).exp();
            loss += f64::from(z.max(0.0) - z * target + exp.ln_1p());
            let probability = if z >= 0.0 { 1.0 } else { exp } / (1.0 + exp);
            gradient.0[lane] = (probability - target) * scale;
            correct += usize::from((z >= 0.0) == (target >= 0.5));
        }
    }
    BatchMetrics { loss: loss / len as f64, correct: correct as f64 / len as f64 }
}

/// Cross-entropy of some samples of a batch.
pub(crate) struct CrossEntropy<'a> {
    /// `(batch, classes)`: target probabilities.
    pub targets: &'a [f32],
    /// Number of samples of the whole batch, over which the loss is averaged.
    pub total: usize,
    /// Whether there is an outlier class.
    pub outlier_class: bool,
    /// Scratch memory, an element for each class.
    pub row: &'a mut [f32],
}

impl CrossEntropy<'_> {
    /// Writes the gradient of the mean loss to `gradient` `(block, class)`, 0 in idle lanes, and returns the summed loss and the
    /// number of correctly classified samples.
    ///
    /// A sample whose target is mostly the outlier class is classified correctly if the outlier class is the most probable.
    pub fn backward(self, logits: &[Lanes], gradient: &mut [Lanes]) -> BatchMetrics {
        let Self { targets, total, outlier_class, row } = self;
        let classes = row.len();
        gradient.fill(Lanes::default());
        let (mut loss, mut correct) = (0.0, 0);
        for (sample, target) in targets.chunks_exact(classes).enumerate() {
            copy_sample_logits(logits, sample, row);
            let outlier_log = log_softmax(row, outlier_class);
            let target_sum: f32 = target.iter().sum();
            let mass = if outlier_class { 1.0 } else { target_sum };
            let outlier_target = mass - target_sum;
            loss -= f64::from(outlier_target * outlier_log);
            let block = &mut gradient[sample / LANES * classes..][..classes];
            for class in 0..classes {
                loss -= f64::from(target[class] * row[class]);
                row[class] = row[class].exp();
                block[class].0[sample % LANES] = (row[class] * mass - target[class]) / total as f32;
            }
            let (predicted, expected) = (argmax_index(row), argmax_index(target));
            correct += usize::from(if outlier_target > target[expected] {
                outlier_log.exp() > row[predicted]
            } else {
                predicted == expected
            });
        }
        BatchMetrics { loss, correct: correct as f64 }
    }
}

/// Returns the label with the largest logit or probability, the lowest one of several.
///
/// # Panics
/// If the label is above 255.
pub fn argmax(row: &[f32]) -> u8 {
    u8::try_from(argmax_index(row)).expect("labels are bytes")
}

fn argmax_index(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(logits: [f32; 2], target: [f32; 2], outlier_class: bool) -> BatchMetrics {
        let logits = logits.map(|logit| Lanes([logit; LANES]));
        let (mut row, mut gradient) = ([0.0; 2], [Lanes::default(); 2]);
        CrossEntropy { targets: &target, total: 1, outlier_class, row: &mut row }
            .backward(&logits, &mut gradient)
    }

    #[test]
    fn counts_outlier_as_correct_only_if_predicted_as_outlier() {
        let outlier = [0.0, 0.0];
        assert_eq!(metrics([3.0, 1.0], outlier, true).correct, 0.0);
        assert_eq!(metrics([-3.0, -1.0], outlier, true).correct, 1.0);
        assert_eq!(metrics([1.0, 3.0], [0.0, 1.0], true).correct, 1.0);
        assert_eq!(metrics([3.0, 1.0], [0.0, 1.0], true).correct, 0.0);
    }

    #[test]
    #[should_panic(expected = "sample 1: expected a label below 10, found 10")]
    fn panics_on_label_beyond_classes() {
        Targets::Labels(&[9, 10]).write_row(1, &mut [0.0; 10]);
    }
}
