//! What a network gets right and wrong.

use std::ops::Range;

use crate::{
    CLASSES, Error,
    nn::{argmax, softmax},
};

/// A network's answers to labelled images, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// (true digit, answer)
    confusion: [[usize; CLASSES]; CLASSES],
    mistakes: Vec<Mistake>,
    /// The probability that the network gave to each answer, and whether it was right, the most confident first.
    answers: Vec<(f32, bool)>,
}

/// An image that the network read as another digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mistake {
    /// Position of the image in its dataset.
    pub index: usize,
    /// The true digit.
    pub label: u8,
    /// What the network said.
    pub answer: u8,
    /// The probability that the network gave to its answer.
    pub confidence: f32,
}

impl Evaluation {
    /// Compares `labels` (image) with the network's `probabilities` (image, class). The answer is the most
    /// probable class, the lowest of several.
    ///
    /// # Errors
    /// [`Error::NoImages`] if there are no labels, [`Error::PredictionCount`] if there is not one row of probabilities for
    /// each label, [`Error::LabelOutOfRange`] if a label is not a class, and [`Error::InvalidProbability`] if a probability
    /// is not finite, for example because training diverged.
    pub fn new(labels: &[u8], probabilities: &[[f32; CLASSES]]) -> Result<Self, Error> {
        if labels.is_empty() {
            return Err(Error::NoImages);
        }
        if labels.len() != probabilities.len() {
            return Err(Error::PredictionCount { expected: labels.len(), found: probabilities.len() });
        }
        let mut confusion = [[0; CLASSES]; CLASSES];
        let mut mistakes = Vec::new();
        let mut answers = Vec::with_capacity(labels.len());
        for (index, (&label, probabilities)) in labels.iter().zip(probabilities).enumerate() {
            if usize::from(label) >= CLASSES {
                return Err(Error::LabelOutOfRange { index, label });
            }
            if let Some(&value) = probabilities.iter().find(|probability| !probability.is_finite()) {
                return Err(Error::InvalidProbability { index, value });
            }
            let answer = argmax(probabilities);
            confusion[usize::from(label)][usize::from(answer)] += 1;
            let confidence = probabilities[usize::from(answer)];
            answers.push((confidence, answer == label));
            if answer != label {
                mistakes.push(Mistake { index, label, answer, confidence });
            }
        }
        // A stable sort: equals stay in the order of their images.
        mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        answers.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(Self { confusion, mistakes, answers })
    }

    /// How often each digit got each answer: (true digit, answer).
    pub fn confusion_matrix(&self) -> &[[usize; CLASSES]; CLASSES] {
        &self.confusion
    }

    /// The wrong answers, the most confident first, equally confident ones in the order of their images.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Number of images, at least 1.
    pub fn total(&self) -> usize {
        self.confusion.as_flattened().iter().sum()
    }

    /// Number of right answers.
    pub fn correct(&self) -> usize {
        (0..CLASSES).map(|digit| self.confusion[digit][digit]).sum()
    }

    /// Number of images of a digit.
    ///
    /// # Panics
    /// If `digit` is not below [`CLASSES`].
    pub fn support(&self, digit: usize) -> usize {
        self.confusion[digit].iter().sum()
    }

    /// The part of the answers that is right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.total() as f64
    }

    /// The part of the answers to some of the images that is right, 0 to 1; 0 if there are none.
    pub fn accuracy_in(&self, images: Range<usize>) -> f64 {
        let wrong = self.mistakes.iter().filter(|mistake| images.contains(&mistake.index)).count();
        (images.len() - wrong) as f64 / images.len().max(1) as f64
    }

    /// Where the accuracy on endlessly many such images lies, with 95% confidence: low and high end, 0 to 1.
    ///
    /// This is the score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical
    /// inference", Journal of the American Statistical Association 22 (1927), which holds near 100% too, where
    /// p ± z √(p (1 - p) / n) promises too much. For an accuracy of p on n images and z = 1.96 it is
    ///
    /// ```text
    /// (p + z²/2n ± z √(p (1 - p) / n + z²/4n²)) / (1 + z²/n)
    /// ```
    pub fn wilson_interval(&self) -> (f64, f64) {
        // The 97.5% quantile of the normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (self.total() as f64, self.accuracy());
        let middle = p + Z * Z / (2.0 * n);
        let reach = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        // Exactly 0 or 1 at the ends but for rounding.
        (((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0))
    }

    /// The part of the answers that is right when the least confident are refused and `coverage` of them is left (both
    /// 0 to 1); at least one is.
    pub fn accuracy_at(&self, coverage: f64) -> f64 {
        let left = (coverage * self.total() as f64).round().clamp(1.0, self.total() as f64) as usize;
        right(&self.answers[..left]) / left as f64
    }

    /// The expected calibration error: how far confidence and accuracy lie apart, 0 to 1, in the mean over the answers.
    ///
    /// As equation 3 of C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks"
    /// (2017), with their 15 bins of equal width: `Σ_bins n_bin / n |accuracy(bin) - mean confidence(bin)|`.
    pub fn calibration_error(&self) -> f64 {
        const BINS: f32 = 15.0;
        let bin = |answer: &(f32, bool)| (answer.0 * BINS).min(BINS - 1.0) as usize;
        let apart = self.answers.chunk_by(|a, b| bin(a) == bin(b)).map(|answers| {
            let confidence: f64 = answers.iter().map(|answer| f64::from(answer.0)).sum();
            (right(answers) - confidence).abs()
        });
        apart.sum::<f64>() / self.total() as f64
    }

    /// Of the images that the network took for `digit`, the part that is: 0 to 1, `None` if it took none.
    ///
    /// # Panics
    /// If `digit` is not below [`CLASSES`].
    pub fn precision(&self, digit: usize) -> Option<f64> {
        let answered = self.confusion.iter().map(|answers| answers[digit]).sum();
        ratio(self.confusion[digit][digit], answered)
    }

    /// Of the images of `digit`, the part that the network took for it: 0 to 1, `None` if there are none.
    ///
    /// # Panics
    /// If `digit` is not below [`CLASSES`].
    pub fn recall(&self, digit: usize) -> Option<f64> {
        ratio(self.confusion[digit][digit], self.support(digit))
    }
}

/// How many answers are right.
fn right(answers: &[(f32, bool)]) -> f64 {
    answers.iter().filter(|answer| answer.1).count() as f64
}

/// The temperature `T` from 0.01 to 100 at which `softmax(logits / T)` gives `labels` the greatest likelihood (Guo et
/// al. 2017, section 4.2). A network that makes no mistake gets the lowest.
///
/// The mean loss is convex in `b = 1/T`, and its derivative is the mean of `Σ_k p_k logit_k - logit_label`.
///
/// # Panics
/// If there is not one row of logits for each label, or a label is not a class.
pub fn temperature(labels: &[u8], logits: &[[f32; CLASSES]]) -> f32 {
    assert_eq!(labels.len(), logits.len(), "one row of logits for each label");
    let slope = |b: f64| -> f64 {
        let rows = labels.iter().zip(logits);
        rows.map(|(&label, logits)| {
            let probabilities = softmax(logits.map(|logit| (b * f64::from(logit)) as f32), false);
            let mean: f64 =
                probabilities.iter().zip(logits).map(|(p, z)| f64::from(*p) * f64::from(*z)).sum();
            mean - f64::from(logits[usize::from(label)])
        })
        .sum()
    };
    let (mut low, mut high) = (100_f64.recip().ln(), 100_f64.ln());
    // Each step halves the range: after 30 it is below the rounding of the result.
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if slope(middle.exp()) <= 0.0 { low = middle } else { high = middle }
    }
    (-(low + high) / 2.0).exp() as f32
}

/// The greatest threshold below which at most `share`, from 0 to 1, of `probabilities` are. 0 without any.
pub(crate) fn quantile(mut probabilities: Vec<f32>, share: f64) -> f32 {
    probabilities.sort_unstable_by(f32::total_cmp);
    let below = (share * probabilities.len() as f64) as usize;
    probabilities.get(below).or(probabilities.last()).copied().unwrap_or(0.0)
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network's output that gives `answer` the probability `confidence` and the others equal shares.
    fn row(answer: usize, confidence: f32) -> [f32; CLASSES] {
        let mut row = [(1.0 - confidence) / 9.0; CLASSES];
        row[answer] = confidence;
        row
    }

    /// `correct` right answers among `total`.
    fn evaluation(correct: usize, total: usize) -> Evaluation {
        let rows: Vec<_> = (0..total).map(|index| row(usize::from(index >= correct), 0.9)).collect();
        Evaluation::new(&vec![0; total], &rows).unwrap()
    }

    #[test]
    fn counts_by_hand() {
        let labels = [3, 3, 3, 5, 5, 8];
        let rows = [row(3, 0.9), row(5, 0.6), row(3, 0.5), row(5, 0.7), row(3, 0.8), row(5, 0.6)];
        let evaluation = Evaluation::new(&labels, &rows).unwrap();

        assert_eq!((evaluation.correct(), evaluation.total(), evaluation.accuracy()), (3, 6, 0.5));
        assert_eq!([0..3, 3..6, 2..2].map(|part| evaluation.accuracy_in(part)), [2.0 / 3.0, 1.0 / 3.0, 0.0]);
        let mut confusion = [[0; CLASSES]; CLASSES];
        (confusion[3][3], confusion[3][5]) = (2, 1);
        (confusion[5][5], confusion[5][3], confusion[8][5]) = (1, 1, 1);
        assert_eq!(evaluation.confusion_matrix(), &confusion);

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
                Mistake { index: 4, label: 5, answer: 3, confidence: 0.8 },
                Mistake { index: 1, label: 3, answer: 5, confidence: 0.6 },
                Mistake { index: 5, label: 8, answer: 5, confidence: 0.6 },
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

    /// Two bins: answers of 0.9 and 0.92 of which half are right, and one of 0.55 that is right.
    #[test]
    fn calibration_and_coverage_by_hand() {
        let rows = [row(3, 0.9), row(5, 0.55), row(3, 0.92)];
        let evaluation = Evaluation::new(&[3, 5, 4], &rows).unwrap();
        let expected = ((1.0 - 1.82_f64).abs() + (1.0 - 0.55)) / 3.0;
        assert!((evaluation.calibration_error() - expected).abs() < 1e-7);
        assert_eq!([0.0, 0.5, 0.7, 1.0].map(|c| evaluation.accuracy_at(c)), [0.0, 0.5, 0.5, 2.0 / 3.0]);
        let sure = Evaluation::new(&[3, 5], &[row(3, 1.0), row(4, 1.0)]).unwrap();
        assert_eq!(sure.calibration_error(), 0.5);
    }

    /// Three of four answers right at a logit `z` over the nine others: `softmax` is 3/4 where `z / T = ln 27`.
    #[test]
    fn temperature_makes_confidence_accuracy() {
        let logits = [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let found = temperature(&[1, 1, 1, 2], &[logits; 4]);
        // The wrong label is one of nine: the likelihood asks for 3/4 of the answer only.
        assert!((found - 5.0 / 27_f32.ln()).abs() < 1e-4, "{found}");
        assert!(temperature(&[1], &[logits]) < 0.0101);
        assert!(temperature(&[0], &[logits]) > 99.0);
    }

    #[test]
    fn a_threshold_has_its_share_below() {
        let probabilities: Vec<_> = (0..200).map(|i| 0.005 * (i * 77 % 200) as f32).collect();
        let below = |share| {
            let threshold = quantile(probabilities.clone(), share);
            probabilities.iter().filter(|&&probability| probability < threshold).count()
        };
        assert_eq!([0.0, 0.005, 0.1, 1.0].map(below), [0, 1, 20, 199]);
        assert_eq!(quantile(Vec::new(), 0.5), 0.0);
    }

    #[test]
    fn a_tie_goes_to_the_lowest_class() {
        let evaluation = Evaluation::new(&[0], &[[0.1; CLASSES]]).unwrap();
        assert_eq!(evaluation.correct(), 1);
    }

    #[test]
    fn bad_input_is_an_error() {
        let message = |labels: &[u8], rows: &[[f32; CLASSES]]| {
            Evaluation::new(labels, rows).expect_err("must be refused").to_string()
        };
        assert_eq!(message(&[], &[]), "number of images: expected at least 1, found 0");
        assert_eq!(
            message(&[1, 2], &[row(1, 0.9)]),
            "number of predictions: expected 2 (one for each label), found 1"
        );
        assert_eq!(message(&[10], &[row(1, 0.9)]), "label 0: expected 0 to 9, found 10");
        assert_eq!(message(&[1], &[row(1, f32::NAN)]), "probability of image 0: expected 0 to 1, found NaN");
    }
}
