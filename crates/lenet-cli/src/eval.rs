//! `lenet eval`: what a network gets right and wrong, as text, JSON and pictures.

use std::{
    fmt::{Display, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::builder::ArgPredicate;
use lenet::{CLASSES, Dataset, image::Stages, metrics::Evaluation, recognize::Recognizer};
use serde_json::json;

use crate::{
    data::{DataArgs, Split},
    eval_images,
    figure::{self, Tile},
    output::{make_folder, print},
    weights_file::{self, FormatArgs},
};

/// Measure a trained network: accuracy, each digit's precision and recall, the confusion matrix
#[derive(clap::Args)]
pub struct Args {
    /// The networks: lenet5, vgg or handwriting, which are inside the program, or .safetensors files
    ///
    /// Files are those that `lenet train` wrote, or hold a PyTorch state_dict. Several networks are measured each by
    /// itself, and together by the mean of their probabilities.
    #[arg(
        value_name = "NETWORK",
        default_value = "lenet5",
        default_value_if("pictures", ArgPredicate::IsPresent, weights_file::RECOGNIZER)
    )]
    networks: Vec<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Measure it on pictures instead: a folder with labels.tsv (file, label, source), or an IDX file of images
    ///
    /// They are read as `lenet recognize` does, with the first of the networks, once finding all digits and once as one.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["split", "data", "json"])]
    pictures: Option<PathBuf>,
    /// With --pictures: leave out a step of what makes digits of a picture, to see what it is worth
    #[arg(long, value_name = "STEP", requires = "pictures")]
    without: Vec<String>,
    /// Images to measure it on
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Also write confusion.png and mistakes.png, the most confident ones, to a folder; with --pictures mistakes.png
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the figures, and writes the pictures if asked to.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(path) = &args.pictures {
        let steps = args.without.iter().try_fold(Stages::default(), |steps, name| {
            steps.without(name).with_context(|| format!("--without: expected a step, found {name}"))
        })?;
        let recognizer = Recognizer::new(args.format.load(&args.networks[0])?).with_stages(steps);
        let readings = eval_images::read(&recognizer, path)?;
        print(readings.table())?;
        if let Some(folder) = &args.out {
            make_folder(folder)?;
            readings.mistakes().save(&folder.join("mistakes.png"))?;
            print(format_args!("\nmistakes.png written to {}\n", folder.display()))?;
        }
        return Ok(());
    }
    let data = args.data.load(args.split)?;
    let mut sums = vec![[0.0; CLASSES]; data.len()];
    let mut members = Vec::new();
    for source in &args.networks {
        let probabilities = args.format.load(source)?.probabilities(data.images());
        let evaluation =
            Evaluation::new(data.labels(), &probabilities).with_context(|| source.display().to_string())?;
        members.push(Member { source, evaluation });
        for (sum, row) in sums.iter_mut().zip(&probabilities) {
            *sum = std::array::from_fn(|class| sum[class] + row[class]);
        }
    }
    let count = members.len() as f32;
    let means: Vec<_> = sums.iter().map(|sum| sum.map(|value| value / count)).collect();
    let evaluation = Evaluation::new(data.labels(), &means)?;
    if args.json {
        let mut object = json(&evaluation);
        if members.len() > 1 {
            object["networks"] = members.iter().map(Member::json).collect();
        }
        print(format_args!("{object}\n"))?;
    } else {
        if members.len() > 1 {
            print(table(&members))?;
        }
        print(text(&evaluation))?;
    }
    if let Some(folder) = &args.out {
        save_pictures(folder, &evaluation, &data)?;
        if !args.json {
            print(format_args!("\nconfusion.png and mistakes.png written to {}\n", folder.display()))?;
        }
    }
    Ok(())
}

/// One of the networks that are measured.
struct Member<'a> {
    source: &'a Path,
    evaluation: Evaluation,
}

impl Member<'_> {
    fn json(&self) -> serde_json::Value {
        json!({
            "network": self.source.display().to_string(),
            "accuracy": self.evaluation.accuracy(),
            "halves": halves(&self.evaluation),
        })
    }
}

/// A line for each network, and one for their mean and standard deviation; together they follow.
fn table(members: &[Member]) -> String {
    let mut text = "accuracy  first half  second half  network\n".to_owned();
    let mut line = |[whole, first, second]: [f64; 3], name: &dyn Display| {
        let _ =
            writeln!(text, "{:>8}  {:>10}  {:>11}  {name}", percent(whole), percent(first), percent(second));
    };
    let rows: Vec<[f64; 3]> = members
        .iter()
        .map(|member| {
            let [first, second] = halves(&member.evaluation);
            [member.evaluation.accuracy(), first, second]
        })
        .collect();
    for (row, member) in rows.iter().zip(members) {
        line(*row, &member.source.display());
    }
    let count = rows.len() as f64;
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / count;
    let means = [0, 1, 2].map(mean);
    let deviation = |column: usize| {
        let squares = rows.iter().map(|row| (row[column] - means[column]).powi(2));
        (squares.sum::<f64>() / (count - 1.0)).sqrt()
    };
    line(means, &"mean");
    line([0, 1, 2].map(deviation), &"standard deviation");
    text + "\ntogether\n"
}

/// The accuracy on the first half of the images and on the second: MNIST's test images come from two groups of writers.
fn halves(evaluation: &Evaluation) -> [f64; 2] {
    let (middle, end) = (evaluation.total() / 2, evaluation.total());
    [evaluation.accuracy_in(0..middle), evaluation.accuracy_in(middle..end)]
}

/// Shares of the answers that are left when the least confident are refused.
const COVERAGES: [f64; 3] = [0.99, 0.95, 0.9];

/// Mistakes in a picture, at most.
pub const MISTAKES: usize = 48;

/// The result in one line: `accuracy 98.87% (95% interval 98.64% to 99.06%), 9887 of 10000`.
pub fn headline(evaluation: &Evaluation) -> String {
    let (low, high) = evaluation.wilson_interval();
    format!(
        "accuracy {} (95% interval {} to {}), {} of {}",
        percent(evaluation.accuracy()),
        percent(low),
        percent(high),
        evaluation.correct(),
        evaluation.total()
    )
}

/// The headline, calibration, a table of the digits, and the confusion matrix, where "." is none.
pub fn text(evaluation: &Evaluation) -> String {
    let [first, second] = halves(evaluation).map(percent);
    let mut text = format!("{}\nfirst half {first}, second half {second}\n", headline(evaluation));
    let _ = writeln!(text, "calibration error {}", percent(evaluation.calibration_error()));
    let right = |share| format!("{:.0}%: {}", 100.0 * share, percent(evaluation.accuracy_at(share)));
    let _ = write!(text, "accuracy of the most confident {}", COVERAGES.map(right).join(", "));
    text += "\n\ndigit  precision   recall  images\n";
    let part = |part: Option<f64>| part.map_or("-".to_owned(), percent);
    for digit in 0..CLASSES {
        let _ = writeln!(
            text,
            "{digit:>5}  {:>9}  {:>7}  {:>6}",
            part(evaluation.precision(digit)),
            part(evaluation.recall(digit)),
            evaluation.support(digit)
        );
    }
    text += "\nanswer";
    for digit in 0..CLASSES {
        let _ = write!(text, " {digit:>6}");
    }
    for (digit, answers) in evaluation.confusion_matrix().iter().enumerate() {
        let _ = write!(text, "\ntrue {digit}");
        for &count in answers {
            let _ = match count {
                0 => write!(text, " {:>6}", "."),
                _ => write!(text, " {count:>6}"),
            };
        }
    }
    text + "\n"
}

/// Everything as JSON; a precision or recall without images to measure it on is null.
pub fn json(evaluation: &Evaluation) -> serde_json::Value {
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
        "halves": halves(evaluation),
        "calibration_error": evaluation.calibration_error(),
        "accuracy_at_coverage": COVERAGES.map(|share| json!([share, evaluation.accuracy_at(share)])),
        "correct": evaluation.correct(),
        "total": evaluation.total(),
        "per_digit": per_digit,
        "confusion": evaluation.confusion_matrix(),
    })
}

/// Writes `confusion.png` and `mistakes.png` (the most confident ones) to `folder`, which is made if need be.
/// `dataset` is what the network was evaluated on.
pub fn save_pictures(folder: &Path, evaluation: &Evaluation, dataset: &Dataset) -> anyhow::Result<()> {
    make_folder(folder)?;
    figure::confusion(&headline(evaluation), evaluation).save(&folder.join("confusion.png"))?;

    let mistakes = evaluation.mistakes();
    let tiles: Vec<_> = mistakes
        .iter()
        .take(MISTAKES)
        .map(|mistake| {
            let caption = format!(
                "label {}, answer {}\n{}  #{}",
                mistake.label,
                mistake.answer,
                percent(mistake.confidence.into()),
                mistake.index
            );
            Tile::digit(dataset.image(mistake.index), caption)
        })
        .collect();
    let title = format!(
        "{} of {} mistakes in {} images, the most confident first",
        tiles.len(),
        mistakes.len(),
        evaluation.total()
    );
    figure::sheet(&title, &tiles, 8).save(&folder.join("mistakes.png"))
}

/// `98.87%`
pub fn percent(part: f64) -> String {
    format!("{:.2}%", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use lenet::PIXELS;
    use snapbox::{assert_data_eq, str};

    /// A network that reads 200 images, 25 of each digit below 8, and takes every fifth 3 for an 8.
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
        let evaluation = Evaluation::new(&labels, &rows).unwrap();
        (evaluation, Dataset::new(vec![99; labels.len() * PIXELS], labels).unwrap())
    }

    #[test]
    fn text_is_readable() {
        assert_data_eq!(
            text(&evaluation().0),
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

answer      0      1      2      3      4      5      6      7      8      9
true 0     25      .      .      .      .      .      .      .      .      .
true 1      .     25      .      .      .      .      .      .      .      .
true 2      .      .     25      .      .      .      .      .      .      .
true 3      .      .      .     20      .      .      .      .      5      .
true 4      .      .      .      .     25      .      .      .      .      .
true 5      .      .      .      .      .     25      .      .      .      .
true 6      .      .      .      .      .      .     25      .      .      .
true 7      .      .      .      .      .      .      .     25      .      .
true 8      .      .      .      .      .      .      .      .      .      .
true 9      .      .      .      .      .      .      .      .      .      .

"#]]
        );
    }

    #[test]
    fn json_has_the_promised_keys() {
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
            json(&evaluation),
            json!({
                "accuracy": 0.975,
                "interval": [low, high],
                "halves": [0.98, 0.97],
                "calibration_error": evaluation.calibration_error(),
                "accuracy_at_coverage": COVERAGES.map(|share| json!([share, evaluation.accuracy_at(share)])),
                "correct": 195,
                "total": 200,
                "per_digit": per_digit,
                "confusion": confusion,
            })
        );
    }

    #[test]
    fn pictures_are_as_large_as_what_they_show() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        // Width and height stand in the first chunk of a PNG file.
        let size = |name: &str| {
            let bytes = fs::read(folder.join(name)).unwrap();
            [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
        };
        let (evaluation, dataset) = evaluation();
        save_pictures(&folder, &evaluation, &dataset).unwrap();
        assert_eq!(size("confusion.png"), [708, 700]);
        assert_eq!(size("mistakes.png"), [5 * (140 + 14) - 14 + 2 * 28, 28 + 20 + 14 + 140 + 2 * 13 + 28]);

        let right = Evaluation::new(&[0], &[[0.1; CLASSES]]).unwrap();
        save_pictures(&folder, &right, &dataset).unwrap();
        assert_eq!(size("mistakes.png")[1], 28 + 20 + 28);
    }
}
