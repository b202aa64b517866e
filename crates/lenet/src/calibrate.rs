//! Calibration of a trained network on held-out images: the temperature of its softmax and its rejection threshold.

use crate::{
    CLASSES, image,
    nn::{Network, softmax},
    recognize::{any_digit_probability, geometric_mean},
};

/// Returns the temperature `T`, from 0.01 to 100, that maximizes the likelihood of `labels` under `softmax(logits / T)` (C.
/// Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", 2017, section 4.2). A network
/// without mistakes gets the lowest.
///
/// The mean loss is convex in `b = 1/T`, and its derivative is the mean of `Σ_k p_k logit_k - logit_label`, so the
/// temperature is found by bisection.
///
/// # Panics
/// If `logits`, `(batch, classes)`, doesn't hold one row for each of `labels`, `(batch)`, or a label is not a class.
pub fn fit_temperature(labels: &[u8], logits: &[f32]) -> f32 {
    /// Each iteration halves the range of `ln b`: after 30 it is below the rounding of the result.
    const ITERATIONS: usize = 30;
    const MAX_TEMPERATURE: f64 = 100.0;
    assert_eq!(labels.len() * CLASSES, logits.len(), "one row of logits for each label");
    let (logits, _) = logits.as_chunks::<CLASSES>();
    let derivative = |b: f64| -> f64 {
        let rows = labels.iter().zip(logits);
        rows.map(|(&label, logits)| {
            let mut probabilities = logits.map(|logit| (b * f64::from(logit)) as f32);
            softmax(&mut probabilities, false);
            let mean: f64 =
                probabilities.iter().zip(logits).map(|(p, z)| f64::from(*p) * f64::from(*z)).sum();
            mean - f64::from(logits[usize::from(label)])
        })
        .sum()
    };
    let (mut low, mut high) = (MAX_TEMPERATURE.recip().ln(), MAX_TEMPERATURE.ln());
    for _ in 0..ITERATIONS {
        let middle = (low + high) / 2.0;
        if derivative(middle.exp()) <= 0.0 { low = middle } else { high = middle }
    }
    (-(low + high) / 2.0).exp() as f32
}

/// Returns the largest rejection threshold at which a [`Recognizer`](crate::recognize::Recognizer) rejects at most a `fraction`,
/// 0 to 1, of `images`, `(batch, 28, 28)`, all of digits. As in recognition, the probability of being a digit is the
/// geometric mean of those of the image and of the blurred image.
///
/// # Panics
/// If `images` doesn't hold whole images.
pub fn fit_rejection_threshold(network: &Network, images: &[u8], fraction: f64) -> f32 {
    quantile(any_digit_probabilities(network, images), fraction)
}

/// Returns the probability of being a digit of each of `images`, `(batch, 28, 28)`: the geometric mean of those of the image and
/// of the blurred image, as in recognition.
///
/// # Panics
/// If `images` doesn't hold whole images.
pub(crate) fn any_digit_probabilities(network: &Network, images: &[u8]) -> Vec<f32> {
    let blurred: Vec<u8> = images.as_chunks().0.iter().flat_map(image::blur_as_upscaled).collect();
    let (sharp, blurred) = (network.probabilities(images), network.probabilities(&blurred));
    let pairs = sharp.as_chunks().0.iter().zip(blurred.as_chunks().0);
    pairs
        .map(|(first, second)| geometric_mean(any_digit_probability(first), any_digit_probability(second)))
        .collect()
}

/// Returns the largest of `values` below which at most a `fraction`, 0 to 1, of them are, or 0 if there are none.
fn quantile(mut values: Vec<f32>, fraction: f64) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let below = (fraction * values.len() as f64) as usize;
    values.get(below).or(values.last()).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three of four predictions are right at a logit `z` over the nine others: `softmax` is 3/4 where `z / T = ln 27`.
    #[test]
    fn fitted_temperature_makes_confidence_equal_accuracy() {
        let logits = [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let found = fit_temperature(&[1, 1, 1, 2], [logits; 4].as_flattened());
        // The wrong label is one of nine other classes, so the likelihood depends only on the probability of the predicted one.
        assert!((found - 5.0 / 27_f32.ln()).abs() < 1e-4, "{found}");
        assert!(fit_temperature(&[1], &logits) < 0.0101);
        assert!(fit_temperature(&[0], &logits) > 99.0);
    }

    #[test]
    fn quantile_has_at_most_the_fraction_below() {
        let values: Vec<_> = (0..200).map(|i| 0.005 * (i * 77 % 200) as f32).collect();
        let below = |fraction| {
            let quantile = quantile(values.clone(), fraction);
            values.iter().filter(|&&value| value < quantile).count()
        };
        assert_eq!([0.0, 0.005, 0.1, 1.0].map(below), [0, 1, 20, 199]);
        assert_eq!(quantile(Vec::new(), 0.5), 0.0);
    }
}
