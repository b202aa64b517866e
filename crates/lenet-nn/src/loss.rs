//! Softmax cross-entropy: `loss = mean over the samples of -sum over k of t[k] * log(softmax(z)[k])`.
//!
//! A network that learns what is no digit has one class more, `none`, with a logit that is always 0: as the classes' logits
//! together rise and fall against that, they say how surely a sample is of any class at all. Such an output takes no
//! weights, and all that reads ten logits still does.

use super::lanes::{LANES, Lanes};
use crate::CLASSES;

/// The right answers of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// One class for each sample, each below [`CLASSES`].
    Labels(&'a [u8]),
    /// One row of probabilities for each sample.
    Probabilities(&'a [[f32; CLASSES]]),
}

impl Targets<'_> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Labels(classes) => classes.len(),
            Self::Probabilities(rows) => rows.len(),
        }
    }

    /// The probabilities of one sample.
    pub fn row(&self, sample: usize) -> [f32; CLASSES] {
        match self {
            Self::Labels(classes) => {
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
pub fn smooth(row: [f32; CLASSES], smoothing: f32) -> [f32; CLASSES] {
    row.map(|t| (1.0 - smoothing) * t + smoothing / CLASSES as f32)
}

/// The probabilities that logits stand for: `exp(z[k]) / sum over j of exp(z[j])`. With `none` the sum has one more, of
/// a logit of 0, and the probabilities together are that of any class at all.
pub fn softmax(logits: [f32; CLASSES], none: bool) -> [f32; CLASSES] {
    log_softmax(logits, none).0.map(f32::exp)
}

/// `log(softmax(z))` and the logarithm of the probability of `none`, finite for finite logits; without `none` 0 for it.
fn log_softmax(logits: [f32; CLASSES], none: bool) -> ([f32; CLASSES], f32) {
    let max = logits.iter().copied().fold(if none { 0.0 } else { f32::NEG_INFINITY }, f32::max);
    let rest = if none { (-max).exp() } else { 0.0 };
    let sum = rest + logits.iter().map(|z| (z - max).exp()).sum::<f32>();
    (logits.map(|z| z - max - sum.ln()), if none { -max - sum.ln() } else { 0.0 })
}

/// The logits of one sample of `logits` (block, class).
pub(crate) fn row(logits: &[Lanes], sample: usize) -> [f32; CLASSES] {
    let block = &logits[sample / LANES * CLASSES..][..CLASSES];
    std::array::from_fn(|class| block[class].0[sample % LANES])
}

/// Writes the gradient of the mean loss over `total` samples to `gradient` (block, class), zero in lanes without
/// a sample, and returns the summed loss and the number of right answers of these. With `none`, what a target lacks of 1
/// is the probability of that.
pub(crate) fn cross_entropy(
    logits: &[Lanes],
    samples: impl Iterator<Item = [f32; CLASSES]>,
    total: usize,
    none: bool,
    gradient: &mut [Lanes],
) -> (f64, usize) {
    gradient.fill(Lanes::default());
    let (mut loss, mut correct) = (0.0, 0);
    for (sample, target) in samples.enumerate() {
        let (logarithms, rest) = log_softmax(row(logits, sample), none);
        let probabilities = logarithms.map(f32::exp);
        let of_classes: f32 = target.iter().sum();
        let mass = if none { 1.0 } else { of_classes };
        loss -= f64::from((mass - of_classes) * rest);
        let block = &mut gradient[sample / LANES * CLASSES..][..CLASSES];
        for class in 0..CLASSES {
            loss -= f64::from(target[class] * logarithms[class]);
            block[class].0[sample % LANES] = (probabilities[class] * mass - target[class]) / total as f32;
        }
        correct += usize::from(argmax(&probabilities) == argmax(&target));
    }
    (loss, correct)
}

/// The class with the largest logit or probability, the lowest of several.
pub fn argmax(row: &[f32; CLASSES]) -> u8 {
    (1..CLASSES).fold(0, |best, class| if row[class] > row[best] { class } else { best }) as u8
}
