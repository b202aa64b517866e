//! The texts that a line may have, with their probabilities.

use super::{
    Recognizer,
    assemble::InkReading,
    lattice::{Hypothesis, Meaning},
    marks::MarkCandidate,
    paths::Path,
    reading::Alternative,
    reject::Verdict,
    text::Token,
};
use crate::image::Rect;

/// What the paths through a line say of its text.
pub(super) struct LineTexts {
    /// The texts of the paths, each once, from the most probable to the least. The first is that of the chosen path.
    pub texts: Vec<LineText>,
    /// How much lower the score of the chosen path is than that of the best path without a constraint.
    pub constraint_cost: f32,
    /// Whether the chosen path meets the constraint, if there is one.
    pub is_constraint_met: bool,
}

/// The text of a path.
pub(super) struct LineText {
    /// Its digits, and its marks if the constraint says which there may be, with their bounding boxes in the ink map.
    pub characters: Vec<(char, Rect)>,
    /// The sum of the probabilities of the paths with this text, where those of all paths that were found add up to 1.
    pub posterior: f32,
}

impl LineTexts {
    /// Makes the texts of paths, which are sorted by their scores. `bounds` returns the bounding box of a hypothesis.
    pub fn new(
        paths: &[Path],
        hypotheses: &[Hypothesis],
        bounds: impl Fn(&Hypothesis) -> Rect,
        constraint_cost: f32,
        is_constraint_met: bool,
    ) -> Self {
        let best = paths.first().map_or(0.0, |path| path.score);
        let total: f32 = paths.iter().map(|path| (path.score - best).exp()).sum();
        let mut texts: Vec<LineText> = Vec::new();
        for path in paths {
            let posterior = (path.score - best).exp() / total;
            let character = |&index: &usize| {
                let hypothesis = &hypotheses[index];
                let char = match hypothesis.meaning {
                    Meaning::Digit { digit, .. } => char::from(b'0' + digit),
                    Meaning::Mark { mark, .. } => mark.char(),
                    Meaning::Fragment { .. } => return None,
                };
                Some((char, bounds(hypothesis)))
            };
            let characters: Vec<_> = path.hypotheses.iter().filter_map(character).collect();
            let has_same_text = |other: &&mut LineText| {
                let chars = characters.iter().map(|(char, _)| char);
                other.characters.iter().map(|(char, _)| char).eq(chars)
            };
            match texts.iter_mut().find(has_same_text) {
                Some(text) => text.posterior += posterior,
                None => texts.push(LineText { characters, posterior }),
            }
        }
        Self { texts, constraint_cost, is_constraint_met }
    }
}

impl Recognizer {
    /// Returns the probability that the first text of a line is right, from the confidences of its digits and certain marks.
    ///
    /// The posterior alone is too high, because no path may be right. A logistic regression corrects it.
    pub(super) fn text_probability(
        &self,
        verdicts: &[Verdict],
        marks: &[MarkCandidate],
        texts: &LineTexts,
    ) -> f32 {
        let params = &self.params.text_probability;
        let log = |probability: f32| probability.max(params.min_probability).ln();
        let confidences = verdicts.iter().map(|verdict| verdict.candidate.confidence());
        let marks = marks.iter().filter(|mark| !self.is_doubtful_mark(mark)).map(|mark| mark.confidence);
        let log_confidence: f32 = confidences.chain(marks).map(log).sum();
        let posterior = texts.texts.first().map_or(0.0, |text| text.posterior);
        let logit = params.intercept
            + params.per_log_confidence * log_confidence
            + params.per_posterior_logit * (log(posterior) - log(1.0 - posterior))
            - params.per_constraint_cost * texts.constraint_cost;
        1.0 / (1.0 + (-logit).exp())
    }

    /// Returns the other texts of a reading with the text `text`, from the most probable to the least. Each differs in one line.
    /// `tokens` has the characters of each line.
    pub(super) fn alternatives(
        &self,
        tokens: &mut [Vec<Token>],
        reading: &InkReading,
        text: &str,
    ) -> Vec<Alternative> {
        let params = &self.params.text_probability;
        let all: f32 = reading.lines.iter().map(|line| line.probability).product();
        let mut texts = Vec::new();
        for (index, line) in reading.lines.iter().enumerate() {
            let Some(chosen) = line.texts.texts.first() else { continue };
            let others = all / line.probability.max(f32::MIN_POSITIVE);
            for line_text in &line.texts.texts {
                let is_chosen = std::ptr::eq(line_text, chosen);
                let of_right = line.probability * line_text.posterior / chosen.posterior;
                let of_wrong = (1.0 - line.probability) * line_text.posterior / (1.0 - chosen.posterior);
                let probability = if is_chosen { line.probability } else { of_right.min(of_wrong) };
                texts.push((others * probability, index, line_text));
            }
        }
        texts.retain(|(probability, ..)| *probability >= params.min_alternative);
        texts.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        let mut alternatives: Vec<Alternative> = Vec::new();
        for (probability, index, line_text) in texts {
            if alternatives.len() == params.max_alternatives {
                break;
            }
            let line = self.tokens_of(line_text, &reading.lines[index], &reading.cells);
            let chosen = std::mem::replace(&mut tokens[index], line);
            let (other, _) = self.write_text(tokens, reading);
            tokens[index] = chosen;
            if other != text && alternatives.iter().all(|alternative| alternative.text != other) {
                alternatives.push(Alternative { text: other, probability });
            }
        }
        alternatives
    }
}
