//! The result of evaluating a network: of digits, of ink or of marks.

use lenet::{
    data::synthetic::page::LABEL_NAMES,
    image::Mark,
    metrics::{Evaluation, LabelCounts, NO_MARK, PixelEvaluation},
};
use serde_json::{Value, json};

use crate::format::{accuracy_line, percent_or_dash};

/// Page patches that an ink network is evaluated on: 2.4 million pixels, in a second or two.
pub const EVAL_PATCHES: usize = 256;

/// Parts of lines that a network for marks is evaluated on.
pub const EVAL_MARK_SAMPLES: usize = 10_000;

/// The evaluation of a network, by its task.
pub enum Score {
    /// Of digits.
    Digits(Box<Evaluation>),
    /// Of the pixels that show ink and rules.
    Ink(PixelEvaluation),
    /// Of marks.
    Marks(Box<Evaluation>),
}

impl Score {
    /// Returns the figure that stands for the network, a fraction: the accuracy, or the F1 of ink.
    pub fn value(&self) -> f64 {
        match self {
            Self::Digits(evaluation) | Self::Marks(evaluation) => evaluation.accuracy(),
            Self::Ink(evaluation) => evaluation.ink().f1().unwrap_or(0.0),
        }
    }

    /// Returns the name of the figure in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Digits(_) | Self::Marks(_) => "accuracy",
            Self::Ink(_) => "F1 of ink",
        }
    }

    /// Returns the name of the figure in keys of JSON.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Digits(_) | Self::Marks(_) => "accuracy",
            Self::Ink(_) => "ink_f1",
        }
    }

    /// Formats the figure with what belongs to it, in one line.
    pub fn line(&self) -> String {
        match self {
            Self::Digits(evaluation) | Self::Marks(evaluation) => accuracy_line(evaluation),
            Self::Ink(evaluation) => {
                let of_label = |(name, counts): (&&str, &LabelCounts)| {
                    format!(
                        "F1 of {name} {} (precision {}, recall {})",
                        percent_or_dash(counts.f1()),
                        percent_or_dash(counts.precision()),
                        percent_or_dash(counts.recall())
                    )
                };
                LABEL_NAMES.iter().zip(evaluation.labels()).map(of_label).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Formats precision, recall and F1 of each label.
pub fn ink_table(evaluation: &PixelEvaluation) -> String {
    let mut text = "label  precision   recall       F1\n".to_owned();
    for (name, counts) in LABEL_NAMES.iter().zip(evaluation.labels()) {
        let [precision, recall, f1] = [counts.precision(), counts.recall(), counts.f1()].map(percent_or_dash);
        text += &format!("{name:<5}  {precision:>9}  {recall:>7}  {f1:>7}\n");
    }
    text
}

/// Returns precision, recall and F1 of each label as JSON. Those without pixels are null.
pub fn ink_json(evaluation: &PixelEvaluation) -> Value {
    let labels = LABEL_NAMES.iter().zip(evaluation.labels()).map(|(name, counts)| {
        let metrics =
            json!({ "precision": counts.precision(), "recall": counts.recall(), "f1": counts.f1() });
        ((*name).to_owned(), metrics)
    });
    Value::Object(labels.collect())
}

/// Returns the classes of a network for marks, each with its index.
fn mark_classes() -> impl Iterator<Item = (usize, String)> {
    Mark::ALL.iter().map(Mark::to_string).chain(["none".to_owned()]).enumerate().take(NO_MARK + 1)
}

/// Formats the accuracy, and precision and recall of each mark.
pub fn marks_table(evaluation: &Evaluation) -> String {
    let mut text = format!("{}\n\nmark  precision   recall  samples\n", accuracy_line(evaluation));
    for (class, name) in mark_classes() {
        let [precision, recall] =
            [evaluation.precision(class), evaluation.recall(class)].map(percent_or_dash);
        text += &format!("{name:<4}  {precision:>9}  {recall:>7}  {:>7}\n", evaluation.support(class));
    }
    text
}

/// Returns the accuracy, and precision and recall of each mark as JSON. Those without samples are null.
pub fn marks_json(evaluation: &Evaluation) -> Value {
    let marks: Vec<_> = mark_classes()
        .map(|(class, name)| {
            json!({
                "mark": name,
                "precision": evaluation.precision(class),
                "recall": evaluation.recall(class),
                "count": evaluation.support(class),
            })
        })
        .collect();
    json!({ "accuracy": evaluation.accuracy(), "total": evaluation.total(), "per_mark": marks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_without_pixels_has_dashes_and_nulls() {
        let evaluation = PixelEvaluation::default();
        let score = Score::Ink(evaluation);
        assert_eq!(score.value(), 0.0);
        assert!(score.line().starts_with("F1 of ink - (precision -, recall -), F1 of rule -"));
        assert_eq!(ink_table(&evaluation).lines().nth(1), Some("ink            -        -        -"));
        assert_eq!(ink_json(&evaluation)["rule"], json!({ "precision": null, "recall": null, "f1": null }));
    }
}
