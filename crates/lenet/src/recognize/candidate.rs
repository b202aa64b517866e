//! Candidates: components and segments classified as one digit.

use super::params::{LatticeParams, ScoreParams};
use crate::{
    CLASSES,
    image::{NormalizedDigit, Rect},
    nn::argmax,
};

/// Neighboring components or segments, classified as one digit.
pub(super) struct Candidate {
    pub normalized: NormalizedDigit,
    /// Number of pixels of ink of its components.
    pub area: usize,
    /// The probability of each digit.
    pub probabilities: [f32; CLASSES],
    /// The most probable digit, or the one that a constraint requires.
    pub digit: u8,
}

impl Candidate {
    /// Makes a candidate that is the most probable digit.
    pub fn new(normalized: NormalizedDigit, area: usize, probabilities: [f32; CLASSES]) -> Self {
        Self { normalized, area, probabilities, digit: argmax(&probabilities) }
    }

    /// Returns the bounding box in the ink map.
    pub fn bounds(&self) -> Rect {
        self.normalized.bounds
    }

    /// Returns the probability of `digit`.
    pub fn confidence(&self) -> f32 {
        self.probabilities[usize::from(self.digit)]
    }

    /// Returns the digits of at least a probability, and always the most probable one.
    pub fn probable_digits(&self, min_probability: f32) -> impl Iterator<Item = u8> {
        (0..).zip(&self.probabilities).filter_map(move |(digit, &probability)| {
            (digit == self.digit || probability >= min_probability).then_some(digit)
        })
    }

    /// Returns the probability of being a digit at all.
    pub fn any_digit_probability(&self) -> f32 {
        any_digit_probability(&self.probabilities)
    }

    /// Returns whether this is certainly a digit, so that no other segmentation needs to be tried.
    pub fn is_certain(&self, text_height: usize, params: &LatticeParams) -> bool {
        let is_narrow = self.bounds().aspect_ratio() < params.narrow_aspect;
        let min_confidence =
            if is_narrow { params.min_narrow_confidence } else { params.min_wide_confidence };
        self.confidence() > min_confidence && !self.is_below_digit_height(text_height, params)
    }

    /// Returns whether this is lower than any digit of a line with this text height.
    pub fn is_below_digit_height(&self, text_height: usize, params: &LatticeParams) -> bool {
        (self.bounds().height as f64) < params.min_digit_height * text_height as f64
    }

    /// Returns the log-score of the hypothesis that this is `digit`: its log-probability, less a cost for each digit and for
    /// improbable shapes.
    pub fn digit_score(&self, digit: u8, text_height: usize, params: &ScoreParams) -> f32 {
        let relative_height = self.bounds().height as f32 / text_height as f32;
        let missing_height = (params.min_digit_height - relative_height).max(0.0);
        let excess_aspect = (self.bounds().aspect_ratio() - params.max_digit_aspect).max(0.0);
        self.probabilities[usize::from(digit)].max(f32::MIN_POSITIVE).ln()
            - params.digit_cost
            - params.aspect_cost * excess_aspect
            - params.height_cost * missing_height
    }

    /// Returns the log-score of the hypothesis that this is an outlier. It is higher than that of two digits of which one is
    /// doubtful, and falls with the number of digits that would have room.
    pub fn outlier_log_prior(&self, params: &ScoreParams) -> f32 {
        let digits = (self.bounds().aspect_ratio() / params.typical_digit_aspect).max(1.0);
        let score_per_digit = if digits > params.max_narrow_outlier {
            params.wide_outlier_log_prior
        } else {
            params.outlier_log_prior
        };
        digits * score_per_digit
    }
}

/// Returns the probability of being a digit at all: the sum of the probabilities of the digits.
pub(crate) fn any_digit_probability(probabilities: &[f32; CLASSES]) -> f32 {
    probabilities.iter().sum()
}
