//! The metrics of an evaluation as text, JSON and figures.

use std::{fmt::Write, path::Path};

use lenet::{CLASSES, Dataset, metrics::Evaluation};
use lenet_report::format::{MAX_MISTAKES_SHOWN, accuracy_line, percent, percent_or_dash};
use serde_json::json;

use crate::{
    figure::{self, CaptionedImage},
    output::create_folder,
};

/// Fractions of the predictions that are kept when the least confident ones are rejected.
const SELECTIVE_ACCURACY_COVERAGES: [f64; 3] = [0.99, 0.95, 0.9];

/// Returns the accuracy on the first and on the second half of the images, because MNIST's test images come from two groups of
/// writers.
pub fn half_accuracies(evaluation: &Evaluation) -> [f64; 2] {
    let (middle, end) = (evaluation.total() / 2, evaluation.total());
    [evaluation.accuracy_in_range(0..middle), evaluation.accuracy_in_range(middle..end)]
}

/// Formats accuracy, calibration, a table of the digits, and the confusion matrix, in which "." is 0.
pub fn to_text(evaluation: &Evaluation) -> String {
    let [first, second] = half_accuracies(evaluation).map(percent);
    let mut text = format!("{}\nfirst half {first}, second half {second}\n", accuracy_line(evaluation));
    let _ = writeln!(text, "calibration error {}", percent(evaluation.calibration_error()));
    let accuracy_at = |coverage| {
        format!("{:.0}%: {}", 100.0 * coverage, percent(evaluation.accuracy_at_coverage(coverage)))
    };
    let _ = write!(
        text,
        "accuracy of the most confident {}",
        SELECTIVE_ACCURACY_COVERAGES.map(accuracy_at).join(", ")
    );
    text += "\n\ndigit  precision   recall  images\n";
    for digit in 0..CLASSES {
        let _ = writeln!(
            text,
            "{digit:>5}  {:>9}  {:>7}  {:>6}",
            percent_or_dash(evaluation.precision(digit)),
            percent_or_dash(evaluation.recall(digit)),
            evaluation.support(digit)
        );
    }
    text += "\npredicted";
    for digit in 0..CLASSES {
        let _ = write!(text, " {digit:>6}");
    }
    for (label, counts) in evaluation.confusion_matrix().iter().enumerate() {
        let _ = write!(text, "\nlabel {label}  ");
        for &count in counts {
            let _ = match count {
                0 => write!(text, " {:>6}", "."),
                _ => write!(text, " {count:>6}"),
            };
        }
    }
    text + "\n"
}

/// Returns all metrics as JSON. A precision or recall without images is null.
pub fn to_json(evaluation: &Evaluation) -> serde_json::Value {
    let per_digit: Vec<_> = (0..CLASSES)
        .map(|digit| {
            json!({
                "digit": digit,
                "precision": evaluation.precision(digit),
                "recall": evaluation.recall(digit),
                "count": evaluation.support(digit),
            })
        })
        .collect();
    json!({
        "accuracy": evaluation.accuracy(),
        "interval": evaluation.wilson_interval(),
        "halves": half_accuracies(evaluation),
        "calibration_error": evaluation.calibration_error(),
        "accuracy_at_coverage": SELECTIVE_ACCURACY_COVERAGES.map(|coverage| json!([coverage, evaluation.accuracy_at_coverage(coverage)])),
        "correct": evaluation.correct(),
        "total": evaluation.total(),
        "per_digit": per_digit,
        "confusion": evaluation.confusion_matrix(),
    })
}

/// Writes `confusion.png` and `mistakes.png` (the most confident mistakes) to `folder`, which is created if it is missing.
/// `dataset` is the one that the evaluation is about.
pub fn save_figures(folder: &Path, evaluation: &Evaluation, dataset: &Dataset) -> anyhow::Result<()> {
    create_folder(folder)?;
    let title = accuracy_line(evaluation);
    figure::confusion_matrix(&title, evaluation).save(&folder.join("confusion.png"))?;

    let mistakes = evaluation.mistakes();
    let images: Vec<_> = mistakes
        .iter()
        .take(MAX_MISTAKES_SHOWN)
        .map(|mistake| {
            let caption = format!(
                "label {}, read {}\n{}  #{}",
                mistake.label,
                mistake.prediction,
                percent(mistake.confidence.into()),
                mistake.index
            );
            CaptionedImage::from_digit(dataset.image(mistake.index), caption)
        })
        .collect();
    let title = format!(
        "{} of {} mistakes in {} images, the most confident first",
        images.len(),
        mistakes.len(),
        evaluation.total()
    );
    figure::image_grid(&title, &images, 8).save(&folder.join("mistakes.png"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use lenet::PIXELS;
    use snapbox::{assert_data_eq, str};

    /// The evaluation of 200 images, 25 of each digit below 8. Every fifth 3 is predicted as 8.
    fn evaluation() -> (Evaluation, Dataset) {
        let labels: Vec<u8> = (0..200).map(|index| index % 8).collect();
        let rows: Vec<_> = labels
            .iter()
            .enumerate()
            .map(|(index, &label)| {
                let mut row = [0.0; CLASSES];
                row[if label == 3 && index % 5 == 0 { 8 } else { usize::from(label) }] = 0.9995;
                row
            })
            .collect();
        let evaluation = Evaluation::new(&labels, rows.as_flattened()).unwrap();
        (evaluation, Dataset::new(vec![99; labels.len() * PIXELS], labels).unwrap())
    }

    #[test]
    fn formats_all_metrics_as_text() {
        assert_data_eq!(
            to_text(&evaluation().0),
            str![[r#"
accuracy 97.50% (95% interval 94.28% to 98.93%), 195 of 200
first half 98.00%, second half 97.00%
calibration error 2.45%
accuracy of the most confident 99%: 97.47%, 95%: 97.89%, 90%: 97.78%

digit  precision   recall  images
    0    100.00%  100.00%      25
    1    100.00%  100.00%      25
    2    100.00%  100.00%      25
    3    100.00%   80.00%      25
    4    100.00%  100.00%      25
    5    100.00%  100.00%      25
    6    100.00%  100.00%      25
    7    100.00%  100.00%      25
    8      0.00%        -       0
    9          -        -       0

predicted      0      1      2      3      4      5      6      7      8      9
label 0       25      .      .      .      .      .      .      .      .      .
label 1        .     25      .      .      .      .      .      .      .      .
label 2        .      .     25      .      .      .      .      .      .      .
label 3        .      .      .     20      .      .      .      .      5      .
label 4        .      .      .      .     25      .      .      .      .      .
label 5        .      .      .      .      .     25      .      .      .      .
label 6        .      .      .      .      .      .     25      .      .      .
label 7        .      .      .      .      .      .      .     25      .      .
label 8        .      .      .      .      .      .      .      .      .      .
label 9        .      .      .      .      .      .      .      .      .      .

"#]]
        );
    }

    #[test]
    fn json_has_the_documented_keys() {
        let mut confusion = [[0; CLASSES]; CLASSES];
        for digit in [0, 1, 2, 4, 5, 6, 7] {
            confusion[digit][digit] = 25;
        }
        (confusion[3][3], confusion[3][8]) = (20, 5);
        let per_digit: Vec<_> = (0..10)
            .map(|digit| match digit {
                3 => json!({"digit": 3, "precision": 1.0, "recall": 0.8, "count": 25}),
                8 => json!({"digit": 8, "precision": 0.0, "recall": null, "count": 0}),
                9 => json!({"digit": 9, "precision": null, "recall": null, "count": 0}),
                _ => json!({"digit": digit, "precision": 1.0, "recall": 1.0, "count": 25}),
            })
            .collect();
        let (evaluation, _) = evaluation();
        let (low, high) = evaluation.wilson_interval();
        assert_eq!(
            to_json(&evaluation),
            json!({
                "accuracy": 0.975,
                "interval": [low, high],
                "halves": [0.98, 0.97],
                "calibration_error": evaluation.calibration_error(),
                "accuracy_at_coverage": SELECTIVE_ACCURACY_COVERAGES.map(|coverage| json!([coverage, evaluation.accuracy_at_coverage(coverage)])),
                "correct": 195,
                "total": 200,
                "per_digit": per_digit,
                "confusion": confusion,
            })
        );
    }

    #[test]
    fn figures_have_the_size_of_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        // Width and height are in the first chunk of a PNG file.
        let size = |name: &str| {
            let bytes = fs::read(folder.join(name)).unwrap();
            [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
        };
        let (evaluation, dataset) = evaluation();
        save_figures(&folder, &evaluation, &dataset).unwrap();
        assert_eq!(size("confusion.png"), [708, 700]);
        assert_eq!(size("mistakes.png"), [5 * (140 + 14) - 14 + 2 * 28, 28 + 20 + 14 + 140 + 2 * 13 + 28]);

        let all_correct = Evaluation::new(&[0], &[0.1; CLASSES]).unwrap();
        save_figures(&folder, &all_correct, &dataset).unwrap();
        assert_eq!(size("mistakes.png")[1], 28 + 20 + 28);
    }
}
