//! Softmax cross-entropy over `K` classes:
//!
//! `loss = mean over the samples of -sum over k of t[k] * log(softmax(z)[k])`, `softmax(z)[k] = exp(z[k]) / sum over j of exp(z[j])`
//!
//! An architecture [with an outlier class](crate::Architecture::with_implicit_outlier_class) has an implicit class `K` with the fixed
//! logit `z[K] = 0`. Its target is what a row of targets lacks to 1, `t[K] = 1 - sum over k < K of t[k]`.
//!
//! ```
//! use lenet_nn::{argmax, softmax};
//!
//! let mut row = [0.0, 2.0, 0.0];
//! softmax(&mut row, false);
//! assert_eq!(argmax(&row), 1);
//! assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
//! ```

use crate::layout::{LANES, Lanes};

/// The targets of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// `(batch)`: the class of each sample.
    Labels(&'a [u8]),
    /// `(batch, classes)`: a row of probabilities for each sample. With an outlier class, rows may sum to less than 1.
    Probabilities(&'a [f32]),
}

impl Targets<'_> {
    /// Returns the number of samples.
    pub fn len(&self, classes: usize) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Probabilities(rows) => rows.len() / classes,
        }
    }

    /// Writes the target probabilities of `sample` to `row`, which has an element for each class.
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
pub(crate) fn copy_row(logits: &[Lanes], sample: usize, row: &mut [f32]) {
    let block = &logits[sample / LANES * row.len()..];
    for (value, lanes) in row.iter_mut().zip(block) {
        *value = lanes.0[sample % LANES];
    }
}

/// Loss and number of correctly classified samples, both summed over samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BatchMetrics {
    /// Sum of the losses of the samples.
    pub loss: f64,
    /// Number of samples whose most probable class is that of their target.
    pub correct: usize,
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
        let BatchMetrics { mut loss, mut correct } = BatchMetrics::default();
        for (sample, target) in targets.chunks_exact(classes).enumerate() {
            copy_row(logits, sample, row);
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
        BatchMetrics { loss, correct }
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
        assert_eq!(metrics([3.0, 1.0], outlier, true).correct, 0);
        assert_eq!(metrics([-3.0, -1.0], outlier, true).correct, 1);
        assert_eq!(metrics([1.0, 3.0], [0.0, 1.0], true).correct, 1);
        assert_eq!(metrics([3.0, 1.0], [0.0, 1.0], true).correct, 0);
    }

    #[test]
    #[should_panic(expected = "sample 1: expected a label below 10, found 10")]
    fn panics_on_label_beyond_classes() {
        Targets::Labels(&[9, 10]).write_row(1, &mut [0.0; 10]);
    }
}
