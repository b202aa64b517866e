//! Metrics of the labels of pixels: precision, recall and F1.

use super::ratio;
use crate::{
    Dataset, Error,
    data::{
        Task,
        synthetic::page::{self, LABEL_NAMES, PagePatch},
    },
    nn::Network,
};

/// The comparison of a network's labels of pixels with those of page patches.
///
/// A pixel has a label if its probability is at least 0.5, in the targets as in the network's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PixelEvaluation {
    /// Of each of [`LABEL_NAMES`].
    counts: [LabelCounts; LABEL_NAMES.len()],
}

/// How often a label is right and wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelCounts {
    /// Pixels that have the label and are given it.
    pub true_positives: usize,
    /// Pixels that are given the label without having it.
    pub false_positives: usize,
    /// Pixels that have the label and are not given it.
    pub false_negatives: usize,
}

impl LabelCounts {
    /// Returns the fraction of the given labels that are right, 0 to 1, or `None` if none was given.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Returns the fraction of the pixels with the label that are given it, 0 to 1, or `None` if there are none.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Returns the harmonic mean of precision and recall, 0 to 1, or `None` if no pixel has the label or is given it. It is
    /// also the Dice coefficient of the pixels that have the label and those that are given it.
    pub fn f1(&self) -> Option<f64> {
        let Self { true_positives, false_positives, false_negatives } = self;
        ratio(2 * true_positives, 2 * true_positives + false_positives + false_negatives)
    }
}

/// The key of the first patch of an evaluation. Those of a training are random.
const FIRST_PATCH_KEY: u64 = 1 << 63;

impl PixelEvaluation {
    /// Evaluates a network on page patches that are always the same: the first `patches` of a series, with digits of `data`.
    ///
    /// # Errors
    /// [`Error::WrongTask`] if the network doesn't tell ink from rules, and [`Error::InvalidProbability`] if a probability is not
    /// finite, for example because training diverged.
    pub fn of_network(network: &Network, data: &Dataset, patches: usize) -> Result<Self, Error> {
        /// Patches that are drawn before the network runs on them. They bound the memory.
        const BATCH: usize = 64;
        Task::Ink.check(network)?;
        let network = network.with_input_size(page::PATCH_SIDE, page::PATCH_SIDE)?;
        let mut evaluation = Self::default();
        for start in (0..patches).step_by(BATCH) {
            let batch: Vec<_> = (start..patches.min(start + BATCH))
                .map(|patch| PagePatch::draw(FIRST_PATCH_KEY + patch as u64, data))
                .collect();
            let pixels: Vec<u8> = batch.iter().flat_map(|patch| &patch.pixels).copied().collect();
            let probabilities = network.probabilities(&pixels);
            let rows = probabilities.chunks_exact(LABEL_NAMES.len() * page::PATCH_SIDE * page::PATCH_SIDE);
            for (index, (patch, row)) in (start..).zip(batch.iter().zip(rows)) {
                if let Some(&value) = row.iter().find(|probability| !probability.is_finite()) {
                    return Err(Error::InvalidProbability { index, value });
                }
                evaluation.add(&patch.targets, row);
            }
        }
        Ok(evaluation)
    }

    /// Counts the pixels of a patch. Both arguments are `(label, row, column)`.
    fn add(&mut self, targets: &[f32], probabilities: &[f32]) {
        let labels = targets.chunks(targets.len() / LABEL_NAMES.len());
        let labels = labels.zip(probabilities.chunks(probabilities.len() / LABEL_NAMES.len()));
        for (counts, (targets, probabilities)) in self.counts.iter_mut().zip(labels) {
            for (&target, &probability) in targets.iter().zip(probabilities) {
                match (target >= 0.5, probability >= 0.5) {
                    (true, true) => counts.true_positives += 1,
                    (false, true) => counts.false_positives += 1,
                    (true, false) => counts.false_negatives += 1,
                    (false, false) => {}
                }
            }
        }
    }

    /// Returns the counts of ink.
    pub fn ink(&self) -> &LabelCounts {
        &self.counts[0]
    }

    /// Returns the counts of each of [`LABEL_NAMES`].
    pub fn labels(&self) -> &[LabelCounts; LABEL_NAMES.len()] {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::INK_NETWORK_NORMALIZE, models};

    #[test]
    fn counts_match_those_by_hand() {
        let mut evaluation = PixelEvaluation::default();
        evaluation.add(&[1.0, 0.7, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0], &[0.9, 0.3, 0.6, 0.1, 0.0, 0.1, 0.2, 0.3]);
        evaluation.add(&[1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], &[0.5, 0.9, 0.4, 0.0, 0.1, 0.0, 0.0, 0.0]);
        let [ink, rule] = evaluation.labels();
        assert_eq!(ink, &LabelCounts { true_positives: 3, false_positives: 1, false_negatives: 1 });
        assert_eq!((ink.precision(), ink.recall(), ink.f1()), (Some(0.75), Some(0.75), Some(0.75)));
        assert_eq!((rule.precision(), rule.recall(), rule.f1()), (None, Some(0.0), Some(0.0)));
        assert_eq!(LabelCounts::default().f1(), None);
    }

    #[test]
    fn evaluation_takes_ink_networks_of_any_size() {
        let digits = Dataset::new(Vec::new(), Vec::new()).unwrap();
        let network = Network::new(models::ink(), INK_NETWORK_NORMALIZE, 0).unwrap();
        let evaluation = PixelEvaluation::of_network(&network, &digits, 3).unwrap();
        let large = network.with_input_size(128, 160).unwrap();
        assert_eq!(PixelEvaluation::of_network(&large, &digits, 3).unwrap(), evaluation);
        assert!(evaluation.labels().iter().all(|counts| counts.true_positives + counts.false_negatives > 0));
        let digit_network = Network::new(models::mlp(), INK_NETWORK_NORMALIZE, 0).unwrap();
        let found = PixelEvaluation::of_network(&digit_network, &digits, 3);
        assert!(matches!(found, Err(Error::WrongTask { .. })));
    }
}
