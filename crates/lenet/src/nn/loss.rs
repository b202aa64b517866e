//! Softmax cross-entropy: `loss = mean over the samples of -sum over k of t[k] * log(softmax(z)[k])`.

use super::lanes::{LANES, Lanes};
use crate::CLASSES;

/// The right answers of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// One class for each sample, each below [`CLASSES`].
    Classes(&'a [u8]),
    /// One row of probabilities for each sample.
    Probabilities(&'a [[f32; CLASSES]]),
}

impl Targets<'_> {
    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Probabilities(rows) => rows.len(),
        }
    }

    /// The probabilities of one sample.
    pub(crate) fn row(&self, sample: usize) -> [f32; CLASSES] {
        match self {
            Self::Classes(classes) => {
                let mut row = [0.0; CLASSES];
                row[usize::from(classes[sample])] = 1.0;
                row
            }
            Self::Probabilities(rows) => rows[sample],
        }
    }
}

/// A row of probabilities with a share of it spread evenly over the classes, as PyTorch's `label_smoothing` does:
/// `(1 - smoothing) * t[k] + smoothing / CLASSES`.
pub(crate) fn smooth(row: [f32; CLASSES], smoothing: f32) -> [f32; CLASSES] {
    row.map(|t| (1.0 - smoothing) * t + smoothing / CLASSES as f32)
}

/// The probabilities that logits stand for: `exp(z[k]) / sum over j of exp(z[j])`.
pub(crate) fn softmax(logits: [f32; CLASSES]) -> [f32; CLASSES] {
    log_softmax(logits).map(f32::exp)
}

/// `log(softmax(z))`, finite for finite logits.
fn log_softmax(logits: [f32; CLASSES]) -> [f32; CLASSES] {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|z| (z - max).exp()).sum();
    logits.map(|z| z - max - sum.ln())
}

/// The logits of one sample of `logits` (block, class).
pub(crate) fn row(logits: &[Lanes], sample: usize) -> [f32; CLASSES] {
    let block = &logits[sample / LANES * CLASSES..][..CLASSES];
    std::array::from_fn(|class| block[class].0[sample % LANES])
}

/// Writes the gradient of the mean loss over `total` samples to `gradient` (block, class), zero in lanes without
/// a sample, and returns the summed loss and the number of right answers of these.
pub(crate) fn cross_entropy(
    logits: &[Lanes],
    samples: impl Iterator<Item = [f32; CLASSES]>,
    total: usize,
    gradient: &mut [Lanes],
) -> (f64, usize) {
    gradient.fill(Lanes::default());
    let (mut loss, mut correct) = (0.0, 0);
    for (sample, target) in samples.enumerate() {
        let logarithms = log_softmax(row(logits, sample));
        let probabilities = logarithms.map(f32::exp);
        let mass: f32 = target.iter().sum();
        let block = &mut gradient[sample / LANES * CLASSES..][..CLASSES];
        for class in 0..CLASSES {
            loss -= f64::from(target[class] * logarithms[class]);
            block[class].0[sample % LANES] = (probabilities[class] * mass - target[class]) / total as f32;
        }
        correct += usize::from(answer(&probabilities) == answer(&target));
    }
    (loss, correct)
}

/// The class with the largest logit or probability, the lowest of several.
pub fn answer(row: &[f32; CLASSES]) -> u8 {
    (1..CLASSES).fold(0, |best, class| if row[class] > row[best] { class } else { best }) as u8
}
