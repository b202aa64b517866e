//! Rejection of candidates that are probably not digits.

use super::{
    Recognizer,
    alternatives::LineTexts,
    assemble::{LeftOutInk, LineReading},
    candidate::{Candidate, any_digit_probability},
    marks::MarkCandidate,
    params::{LatticeParams, RejectParams},
    reading::DigitRemark,
};
use crate::image::{LeftOutReason, Stage, blur_as_upscaled};

/// The context of a candidate: the other candidates of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineContext {
    /// Most components of the line are certain digits, so a doubtful one is probably a digit as well.
    MostlyDigits,
    /// The caller says that the picture shows one digit.
    SingleDigit,
    /// Nothing is known.
    Unknown,
}

impl LineContext {
    /// Returns the context of a line from its components as candidates.
    pub fn new(
        per_component: &[Candidate],
        text_height: usize,
        lattice: &LatticeParams,
        reject: &RejectParams,
    ) -> Self {
        let certain =
            per_component.iter().filter(|candidate| candidate.is_certain(text_height, lattice)).count();
        let low = per_component
            .iter()
            .filter(|candidate| candidate.is_below_digit_height(text_height, lattice))
            .count();
        let min_certain = reject.min_certain_fraction * (per_component.len() - low) as f64;
        if certain >= reject.min_certain_digits && certain as f64 >= min_certain {
            Self::MostlyDigits
        } else {
            Self::Unknown
        }
    }
}

/// The candidates and the marks of the best path through a line, from left to right.
pub(super) struct CandidateLine {
    pub candidates: Vec<Candidate>,
    pub context: LineContext,
    pub marks: Vec<MarkCandidate>,
    /// The text height.
    pub height: usize,
    /// The texts of all paths.
    pub texts: LineTexts,
    /// Low components that are no part of the text.
    pub left_out: Vec<LeftOutInk>,
}

/// A candidate with the reason for which it was rejected, if it was.
pub(super) struct Verdict {
    pub candidate: Candidate,
    pub rejection: Option<DigitRemark>,
}

impl Recognizer {
    /// Decides which candidates are rejected, each for itself first, then all of a line of which many are, and then the single
    /// digits of a picture of which many are.
    pub(super) fn reject(&self, lines: Vec<CandidateLine>) -> Vec<LineReading> {
        let mut rescored = self.rescore_blurred(&lines).into_iter();
        let line_reading = |line: CandidateLine| {
            let CandidateLine { candidates, context, marks, height, texts, .. } = line;
            let verdict = |candidate: Candidate| {
                let probability = rescored.next().flatten().unwrap_or(candidate.any_digit_probability());
                let rejection = self.rejection_reason(&candidate, probability, context);
                Verdict { candidate, rejection }
            };
            let mut verdicts: Vec<_> = candidates.into_iter().map(verdict).collect();
            if self.constraint.is_none() {
                self.reject_mostly_rejected_line(&mut verdicts);
                self.reject_tally_marks(&mut verdicts);
            }
            let probability = self.text_probability(&verdicts, &marks, &texts);
            if !texts.is_constraint_met {
                reject_all(&mut verdicts, DigitRemark::ConstraintNotMet);
            } else if probability < self.min_text_probability() {
                reject_all(&mut verdicts, DigitRemark::Unsure);
            }
            LineReading { verdicts, marks, height, texts, probability }
        };
        let mut lines: Vec<_> = lines.into_iter().map(line_reading).collect();
        self.reject_single_among_rejected(&mut lines);
        lines
    }

    /// Returns whether a candidate that is not a whole component is probably not a digit.
    pub(super) fn is_doubtful_segment(&self, candidate: &Candidate, context: LineContext) -> bool {
        match (self.rejection_threshold(), context) {
            (Some(_), LineContext::Unknown) => {
                candidate.any_digit_probability() < self.params.reject.min_segment_probability
            }
            _ => self.rejection_reason(candidate, candidate.any_digit_probability(), context).is_some(),
        }
    }

    /// Returns the reason for which a candidate is rejected, if it is. `any_digit_probability` may be that of rescoring.
    fn rejection_reason(
        &self,
        candidate: &Candidate,
        any_digit_probability: f32,
        context: LineContext,
    ) -> Option<DigitRemark> {
        let params = &self.params.reject;
        let threshold = self.rejection_threshold_in(context);
        if self.constraint.is_none() && threshold.is_some_and(|threshold| any_digit_probability < threshold) {
            return Some(DigitRemark::NotADigit);
        }
        let min_without_outlier_class =
            if threshold.is_none() { params.min_confidence_without_outlier_class } else { 0.0 };
        let min_confidence = params.min_confidence.max(min_without_outlier_class);
        (candidate.confidence() < min_confidence).then_some(DigitRemark::Unsure)
    }

    /// Returns the probability below which all digits of a line are rejected.
    fn min_text_probability(&self) -> f32 {
        let RejectParams { min_text_probability, min_constrained_probability, .. } = self.params.reject;
        let min_constrained = if self.constraint.is_some() { min_constrained_probability } else { 0.0 };
        min_text_probability.max(min_constrained)
    }

    /// Classifies candidates that may fall on either side of the threshold a second time, blurred. Returns the geometric mean of
    /// both probabilities of being a digit for each candidate of all lines, or `None` for those that are not rescored.
    fn rescore_blurred(&self, lines: &[CandidateLine]) -> Vec<Option<f32>> {
        let candidates = || lines.iter().flat_map(|line| line.candidates.iter().map(|it| (it, line.context)));
        let needs_blur_rescoring =
            |&(candidate, context): &(&Candidate, LineContext)| self.needs_blur_rescoring(candidate, context);
        let blurred: Vec<u8> = candidates()
            .filter(needs_blur_rescoring)
            .flat_map(|(candidate, _)| blur_as_upscaled(&candidate.normalized.pixels))
            .collect();
        let mut blurred = self.classifier.classify_singly(&blurred).into_iter();
        let rescore = |candidate: (&Candidate, LineContext)| {
            let probabilities = if needs_blur_rescoring(&candidate) { blurred.next() } else { None };
            let second = any_digit_probability(&probabilities?);
            Some(geometric_mean(candidate.0.any_digit_probability(), second))
        };
        candidates().map(rescore).collect()
    }

    /// Returns whether a second, blurred classification could change the decision. It can't where the probability is below the
    /// square of the threshold, because the second is at most 1. Upscaled candidates are blurry already.
    fn needs_blur_rescoring(&self, candidate: &Candidate, context: LineContext) -> bool {
        let Some(threshold) = self.rejection_threshold_in(context) else { return false };
        let open = threshold * threshold..=self.params.reject.max_rescored_probability;
        self.stages.contains(Stage::BlurRescore)
            && context != LineContext::MostlyDigits
            && !candidate.normalized.upscaled
            && open.contains(&candidate.any_digit_probability())
    }

    /// Leaves out lines that don't meet the constraint and are much shorter than it demands, if another line meets it.
    pub(super) fn leave_out_stray_lines(&self, lines: &mut Vec<LineReading>, left_out: &mut Vec<LeftOutInk>) {
        let Some(constraint) = &self.constraint else { return };
        if !lines.iter().any(|line| line.texts.is_constraint_met) {
            return;
        }
        let max_stray = (constraint.min_digits() as f64 * self.params.reject.max_stray_fraction) as usize;
        let is_stray =
            |line: &mut LineReading| !line.texts.is_constraint_met && line.verdicts.len() <= max_stray;
        left_out.extend(
            lines
                .extract_if(.., is_stray)
                .flat_map(LineReading::into_left_out_ink)
                .map(|ink| LeftOutInk { reason: LeftOutReason::Stray, ..ink }),
        );
    }

    /// Rejects all candidates of a line of which many are rejected: the others are probably letters that look like digits.
    fn reject_mostly_rejected_line(&self, line: &mut [Verdict]) {
        let rejected = line.iter().filter(|verdict| verdict.rejection.is_some()).count();
        if rejected as f64 >= self.params.reject.max_rejected_fraction * line.len() as f64 {
            reject_all(line, DigitRemark::AmongRejected);
        }
    }

    /// Rejects a line of many strokes and nothing else: they are tally marks, a scale or a bar code rather than 1s.
    fn reject_tally_marks(&self, line: &mut [Verdict]) {
        let is_one = |verdict: &Verdict| verdict.candidate.digit == 1;
        if line.len() >= self.params.reject.min_tally_marks && line.iter().all(is_one) {
            reject_all(line, DigitRemark::NotADigit);
        }
    }

    /// Rejects the only digit of a line in a picture of which many candidates are rejected: it is probably a detail of a photo or
    /// of text.
    fn reject_single_among_rejected(&self, lines: &mut [LineReading]) {
        let params = &self.params.reject;
        let is_rejected = |verdict: &&Verdict| verdict.rejection.is_some();
        let verdicts = || lines.iter().flat_map(|line| &line.verdicts);
        let (count, rejected) = (verdicts().count(), verdicts().filter(is_rejected).count());
        if count < params.min_picture_candidates
            || (rejected as f64) < params.max_rejected_fraction * count as f64
        {
            return;
        }
        for LineReading { verdicts: line, .. } in lines {
            let accepted = line.len() - line.iter().filter(is_rejected).count();
            if accepted < params.min_certain_digits {
                reject_all(line, DigitRemark::AmongRejected);
            }
        }
    }

    /// Returns the rejection threshold of candidates in a context, if the network has an outlier class.
    fn rejection_threshold_in(&self, context: LineContext) -> Option<f32> {
        let params = &self.params.reject;
        self.rejection_threshold().map(|threshold| match context {
            LineContext::MostlyDigits => threshold.min(params.min_digit_probability_among_digits),
            LineContext::SingleDigit => threshold.min(params.min_single_digit_probability),
            LineContext::Unknown => threshold,
        })
    }

    /// Returns the rejection threshold, if the network has an outlier class.
    pub(super) fn rejection_threshold(&self) -> Option<f32> {
        let threshold = || self.network().rejection_threshold().unwrap_or(DEFAULT_REJECTION_THRESHOLD);
        self.network().architecture().has_outlier_class().then(threshold)
    }
}

/// Rejects the candidates of a line that are not rejected yet.
fn reject_all(line: &mut [Verdict], reason: DigitRemark) {
    for verdict in line {
        verdict.rejection.get_or_insert(reason);
    }
}

/// Rejection threshold of a network with an outlier class for which none was fitted.
pub(crate) const DEFAULT_REJECTION_THRESHOLD: f32 = 0.5;

/// Returns the geometric mean, by which the probabilities of being a digit of two classifications are combined: each of them can
/// cause a rejection.
pub(crate) fn geometric_mean(first: f32, second: f32) -> f32 {
    (first * second).sqrt()
}
