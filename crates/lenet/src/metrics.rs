//! Metrics of a classifier: accuracy with a confidence interval, confusion matrix, precision, recall, calibration error.
//! Metrics of the labels of pixels.

use std::ops::Range;

use crate::{CLASSES, Error, nn::argmax};

mod digit_errors;
mod marks;
mod pixels;

pub use {
    digit_errors::DigitErrors,
    marks::{NO_MARK, evaluate_marks},
    pixels::{LabelCounts, PixelEvaluation},
};

/// The comparison of a network's predictions with the labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// `(label, prediction)`.
    confusion_matrix: [[usize; CLASSES]; CLASSES],
    mistakes: Vec<Mistake>,
    /// From the most to the least confident.
    predictions: Vec<Prediction>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Prediction {
    /// The probability of the predicted class.
    confidence: f32,
    is_correct: bool,
}

/// An image that was predicted as another digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mistake {
    /// Index of the image in its dataset.
    pub index: usize,
    /// The label.
    pub label: u8,
    /// The predicted digit.
    pub prediction: u8,
    /// The probability of the predicted digit.
    pub confidence: f32,
}

impl Evaluation {
    /// Compares `labels`, `(batch)`, with `probabilities`, `(batch, classes)`. The prediction is the most probable class,
    /// the lowest of several.
    ///
    /// # Errors
    /// [`Error::NoImages`] if there are no labels, [`Error::PredictionCount`] if there is not one row of probabilities for
    /// each label, [`Error::LabelOutOfRange`] if a label is not a class, and [`Error::InvalidProbability`] if a probability
    /// is not finite, for example because training diverged.
    pub fn new(labels: &[u8], probabilities: &[f32]) -> Result<Self, Error> {
        if labels.is_empty() {
            return Err(Error::NoImages);
        }
        let (rows, rest) = probabilities.as_chunks::<CLASSES>();
        if rows.len() != labels.len() || !rest.is_empty() {
            return Err(Error::PredictionCount { expected: labels.len(), found: rows.len() });
        }
        let mut confusion_matrix = [[0; CLASSES]; CLASSES];
        let mut mistakes = Vec::new();
        let mut predictions = Vec::with_capacity(labels.len());
        for (index, (&label, probabilities)) in labels.iter().zip(rows).enumerate() {
            if usize::from(label) >= CLASSES {
                return Err(Error::LabelOutOfRange { index, label });
            }
            if let Some(&value) = probabilities.iter().find(|probability| !probability.is_finite()) {
                return Err(Error::InvalidProbability { index, value });
            }
            let prediction = argmax(probabilities);
            confusion_matrix[usize::from(label)][usize::from(prediction)] += 1;
            let confidence = probabilities[usize::from(prediction)];
            predictions.push(Prediction { confidence, is_correct: prediction == label });
            if prediction != label {
                mistakes.push(Mistake { index, label, prediction, confidence });
            }
        }
        // Stable sorts keep equally confident images in the order of the dataset.
        mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        predictions.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        Ok(Self { confusion_matrix, mistakes, predictions })
    }

    /// Returns the confusion matrix, `(label, prediction)`.
    pub fn confusion_matrix(&self) -> &[[usize; CLASSES]; CLASSES] {
        &self.confusion_matrix
    }

    /// Returns the mistakes from the most to the least confident, equally confident ones in the order of their images.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Returns the number of images, at least 1.
    pub fn total(&self) -> usize {
        self.confusion_matrix.as_flattened().iter().sum()
    }

    /// Returns the number of correct predictions.
    pub fn correct(&self) -> usize {
        (0..CLASSES).map(|digit| self.confusion_matrix[digit][digit]).sum()
    }

    /// Returns the number of images with the label `digit`.
    ///
    /// # Panics
    /// If `digit` is not below [`CLASSES`].
    pub fn support(&self, digit: usize) -> usize {
        self.confusion_matrix[digit].iter().sum()
    }

    /// Returns the fraction of correct predictions, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.total() as f64
    }

    /// Returns the fraction of correct predictions in a range of the images, 0 to 1, or 0 if the range is empty.
    pub fn accuracy_in_range(&self, images: Range<usize>) -> f64 {
        let mistakes = self.mistakes.iter().filter(|mistake| images.contains(&mistake.index)).count();
        (images.len() - mistakes) as f64 / images.len().max(1) as f64
    }

    /// Returns the 95% confidence interval of the accuracy: lower and upper bound, 0 to 1.
    ///
    /// This is the score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    /// Journal of the American Statistical Association 22 (1927). It also holds near 100%, where the normal approximation
    /// `p ± z √(p (1 - p) / n)` is too narrow. For an accuracy of p on n images and z = 1.96 it is
    ///
    /// ```text
    /// (p + z²/2n ± z √(p (1 - p) / n + z²/4n²)) / (1 + z²/n)
    /// ```
    pub fn wilson_interval(&self) -> (f64, f64) {
        /// The 97.5% quantile of the standard normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (self.total() as f64, self.accuracy());
        let center = p + Z * Z / (2.0 * n);
        let half_width = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        // Rounding could leave the range.
        (((center - half_width) / scale).max(0.0), ((center + half_width) / scale).min(1.0))
    }

    /// Returns the accuracy, 0 to 1, of the most confident predictions: of the fraction `coverage` (0 to 1) of all, and of one at
    /// least.
    pub fn accuracy_at_coverage(&self, coverage: f64) -> f64 {
        let count = (coverage * self.total() as f64).round().clamp(1.0, self.total() as f64) as usize;
        count_correct(&self.predictions[..count]) / count as f64
    }

    /// Returns the expected calibration error, 0 to 1: the mean difference of confidence and accuracy.
    ///
    /// It is equation 3 of C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks"
    /// (2017), with their 15 bins of equal width: `Σ_bins n_bin / n |accuracy(bin) - mean confidence(bin)|`.
    pub fn calibration_error(&self) -> f64 {
        const BINS: f32 = 15.0;
        let bin = |prediction: &Prediction| (prediction.confidence * BINS).min(BINS - 1.0) as usize;
        let gaps = self.predictions.chunk_by(|a, b| bin(a) == bin(b)).map(|predictions| {
            let confidence: f64 = predictions.iter().map(|prediction| f64::from(prediction.confidence)).sum();
            (count_correct(predictions) - confidence).abs()
        });
        gaps.sum::<f64>() / self.total() as f64
    }

    /// Returns the fraction of the predictions of `digit` that are correct, 0 to 1, or `None` if there are none.
    ///
    /// # Panics
    /// If `digit` is not below [`CLASSES`].
    pub fn precision(&self, digit: usize) -> Option<f64> {
        let predicted = self.confusion_matrix.iter().map(|row| row[digit]).sum();
        ratio(self.confusion_matrix[digit][digit], predicted)
    }

    /// Returns the fraction of the images of `digit` that are predicted correctly, 0 to 1, or `None` if there are none.
    ///
    /// # Panics
    /// If `digit` is not below [`CLASSES`].
    pub fn recall(&self, digit: usize) -> Option<f64> {
        ratio(self.confusion_matrix[digit][digit], self.support(digit))
    }
}

fn count_correct(predictions: &[Prediction]) -> f64 {
    predictions.iter().filter(|prediction| prediction.is_correct).count() as f64
}

/// Returns `numerator / denominator`, or `None` if the denominator is 0.
fn ratio(numerator: usize, denominator: usize) -> Option<f64> {
    (denominator > 0).then(|| numerator as f64 / denominator as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns probabilities with `confidence` for the class `prediction` and equal ones for the others.
    fn row(prediction: usize, confidence: f32) -> [f32; CLASSES] {
        let mut row = [(1.0 - confidence) / 9.0; CLASSES];
        row[prediction] = confidence;
        row
    }

    /// Returns an evaluation of `total` images of which `correct` are predicted correctly.
    fn evaluation(correct: usize, total: usize) -> Evaluation {
        let rows: Vec<_> = (0..total).map(|index| row(usize::from(index >= correct), 0.9)).collect();
        Evaluation::new(&vec![0; total], rows.as_flattened()).unwrap()
    }

    #[test]
    fn counts_match_those_by_hand() {
        let labels = [3, 3, 3, 5, 5, 8];
        let rows = [row(3, 0.9), row(5, 0.6), row(3, 0.5), row(5, 0.7), row(3, 0.8), row(5, 0.6)];
        let evaluation = Evaluation::new(&labels, rows.as_flattened()).unwrap();

        assert_eq!((evaluation.correct(), evaluation.total(), evaluation.accuracy()), (3, 6, 0.5));
        assert_eq!(
            [0..3, 3..6, 2..2].map(|part| evaluation.accuracy_in_range(part)),
            [2.0 / 3.0, 1.0 / 3.0, 0.0]
        );
        let mut confusion_matrix = [[0; CLASSES]; CLASSES];
        (confusion_matrix[3][3], confusion_matrix[3][5]) = (2, 1);
        (confusion_matrix[5][5], confusion_matrix[5][3], confusion_matrix[8][5]) = (1, 1, 1);
        assert_eq!(evaluation.confusion_matrix(), &confusion_matrix);

        assert_eq!([3, 5, 8, 0].map(|digit| evaluation.support(digit)), [3, 2, 1, 0]);
        assert_eq!(
            [3, 5, 8, 0].map(|digit| evaluation.precision(digit)),
            [Some(2.0 / 3.0), Some(1.0 / 3.0), None, None]
        );
        assert_eq!(
            [3, 5, 8, 0].map(|digit| evaluation.recall(digit)),
            [Some(2.0 / 3.0), Some(0.5), Some(0.0), None]
        );
        assert_eq!(
            evaluation.mistakes(),
            [
                Mistake { index: 4, label: 5, prediction: 3, confidence: 0.8 },
                Mistake { index: 1, label: 3, prediction: 5, confidence: 0.6 },
                Mistake { index: 5, label: 8, prediction: 5, confidence: 0.6 },
            ]
        );
    }

    /// z² = 3.841459, so for 9 of 10: (0.9 + 0.192073 ± 1.959964 √(0.009 + 0.009604)) / 1.384146.
    #[test]
    fn interval_is_wilsons() {
        for (correct, total, low, high) in [
            (9, 10, 0.595850, 0.982124),
            (0, 10, 0.0, 3.841459 / 13.841459),
            (10, 10, 10.0 / 13.841459, 1.0),
            (1, 1, 1.0 / 4.841459, 1.0),
            (9887, 10000, 0.986433, 0.990592),
        ] {
            let interval = evaluation(correct, total).wilson_interval();
            assert!((interval.0 - low).abs() < 1e-6, "{correct} of {total}: {interval:?}");
            assert!((interval.1 - high).abs() < 1e-6, "{correct} of {total}: {interval:?}");
            assert!(0.0 <= interval.0 && interval.1 <= 1.0);
        }
    }

    /// Two bins: confidences of 0.9 and 0.92 of which half are correct, and one of 0.55 that is correct.
    #[test]
    fn calibration_error_and_coverage_match_those_by_hand() {
        let rows = [row(3, 0.9), row(5, 0.55), row(3, 0.92)];
        let evaluation = Evaluation::new(&[3, 5, 4], rows.as_flattened()).unwrap();
        let expected = ((1.0 - 1.82_f64).abs() + (1.0 - 0.55)) / 3.0;
        assert!((evaluation.calibration_error() - expected).abs() < 1e-7);
        assert_eq!(
            [0.0, 0.5, 0.7, 1.0].map(|c| evaluation.accuracy_at_coverage(c)),
            [0.0, 0.5, 0.5, 2.0 / 3.0]
        );
        let certain = Evaluation::new(&[3, 5], [row(3, 1.0), row(4, 1.0)].as_flattened()).unwrap();
        assert_eq!(certain.calibration_error(), 0.5);
    }

    #[test]
    fn ties_are_predicted_as_the_lowest_class() {
        let evaluation = Evaluation::new(&[0], &[0.1; CLASSES]).unwrap();
        assert_eq!(evaluation.correct(), 1);
    }

    #[test]
    fn rejects_mismatched_lengths_invalid_labels_and_nan() {
        let message = |labels: &[u8], rows: &[[f32; CLASSES]]| {
            Evaluation::new(labels, rows.as_flattened()).expect_err("the input is invalid").to_string()
        };
        assert_eq!(message(&[], &[]), "number of images: expected at least 1, found 0");
        assert_eq!(
            message(&[1, 2], &[row(1, 0.9)]),
            "number of predictions: expected 2 (one for each label), found 1"
        );
        assert!(Evaluation::new(&[1], &[0.1; CLASSES + 1]).is_err());
        assert_eq!(message(&[10], &[row(1, 0.9)]), "label 0: expected 0 to 9, found 10");
        assert_eq!(message(&[1], &[row(1, f32::NAN)]), "probability of image 0: expected 0 to 1, found NaN");
    }
}
