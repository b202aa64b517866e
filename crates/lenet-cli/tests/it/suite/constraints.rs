//! Numbers of which something is known: dates, and numbers with a check digit. What constraints mend, and whether the probability
//! of a text is the fraction of texts that are right.

use fastrand::Rng;
use lenet::{
    Dataset,
    image::ImageView,
    pretrained,
    recognize::{Constraint, Reading, Recognizer, RecognizerParams, RejectParams, TextProbabilityParams},
};
use rayon::prelude::*;

use super::{
    Canvas,
    numbers::{FORMS, numbers},
    pages::{PageKind, pages},
    photo_of_line, strings, strings_with_gaps,
};

/// The form of dates for the generator, which is also their pattern.
pub const DATE: &str = "dd/dd/dddd";

/// Returns `count` photos of twelve digits by the Luhn algorithm, with their labels. Seven of ten are read right without a
/// constraint.
pub fn luhn_numbers(data: &Dataset, count: usize, seed: u64) -> impl Iterator<Item = (Canvas, String)> {
    let mut random = Rng::with_seed(seed);
    (0..count).map(move |_| {
        let mut indices: Vec<_> = (0..11).map(|_| random.usize(..data.len())).collect();
        let digits = |index: &usize| u32::from(data.labels()[*index]);
        // From the right, the digit before the check digit is doubled first.
        let double = |digit: u32| 2 * digit / 10 + 2 * digit % 10;
        let weighted = indices.iter().map(digits).enumerate();
        let sum: u32 = weighted.map(|(at, digit)| if at % 2 == 0 { double(digit) } else { digit }).sum();
        let check = (10 - sum % 10) % 10;
        let of_check =
            std::iter::repeat_with(|| random.usize(..data.len())).find(|index| digits(index) == check);
        indices.extend(of_check);
        photo_of_line(data, &indices, &(-3..=4), &mut random)
    })
}

fn read(recognizer: &Recognizer, canvas: &Canvas) -> Reading {
    recognizer.read(&ImageView::new(canvas.width, canvas.height, &canvas.bytes()).unwrap())
}

fn recognizer() -> Recognizer {
    Recognizer::new(pretrained::handwriting().0).unwrap()
}

/// Samples that show when a text is right: lines with and without marks, printed pages, and lines under constraints.
fn samples(data: &Dataset, count: usize, seed: u64) -> Vec<(Constraint, Vec<(Canvas, String)>)> {
    let dates = Constraint { pattern: Some(DATE.parse().unwrap()), ..Constraint::default() };
    let luhn = Constraint { checksum: Some("luhn".parse().unwrap()), ..Constraint::default() };
    vec![
        (Constraint::default(), strings(data, count, seed).collect()),
        (Constraint::default(), strings_with_gaps(data, count / 4, seed + 1, -5..=2).collect()),
        (Constraint::default(), numbers(data, &FORMS, count / 2, seed + 2).collect()),
        (Constraint::default(), pages(data, PageKind::Ruled, count / 8, seed + 3).collect()),
        (Constraint::default(), pages(data, PageKind::Boxed, count / 8, seed + 4).collect()),
        (dates, numbers(data, &[DATE], count / 2, seed + 5).collect()),
        (luhn, luhn_numbers(data, count / 2, seed + 6).collect()),
    ]
}

/// Fits the coefficients of [`TextProbabilityParams`] by Newton's method.
#[test]
#[ignore = "prints the coefficients of the probability of a text, fitted on the last training images"]
fn fit_text_probability() {
    let held_out = lenet_mnist::train().slice(50_000..60_000);
    let none = TextProbabilityParams {
        intercept: 0.0,
        per_log_confidence: 0.0,
        per_posterior_logit: 0.0,
        per_constraint_cost: 0.0,
        ..TextProbabilityParams::default()
    };
    // With one coefficient of 1 and the others 0, the logit of the probability is the feature.
    let parts = [
        TextProbabilityParams { per_log_confidence: 1.0, ..none },
        TextProbabilityParams { per_posterior_logit: 1.0, ..none },
        TextProbabilityParams { per_constraint_cost: 1.0, ..none },
    ];
    let recognizers = parts.map(|text_probability| {
        let reject = RejectParams { min_constrained_probability: 0.0, ..RejectParams::default() };
        recognizer().with_params(RecognizerParams { text_probability, reject, ..RecognizerParams::default() })
    });
    let mut rows: Vec<([f64; 4], bool)> = Vec::new();
    for (constraint, samples) in samples(&held_out, 480, 100) {
        let recognizers = recognizers.clone().map(|it| it.with_constraint(constraint.clone()).unwrap());
        let features = |(canvas, label): &(Canvas, String)| {
            let readings = recognizers.each_ref().map(|recognizer| read(recognizer, canvas));
            let is_right = readings[0].text == *label;
            let logits = readings.map(|reading| {
                let probability = f64::from(reading.probability.unwrap_or(0.0));
                (probability / (1.0 - probability)).ln()
            });
            let [confidence, posterior, cost] = logits;
            logits
                .iter()
                .all(|logit| logit.is_finite())
                .then_some(([1.0, confidence, posterior, cost], is_right))
        };
        let of_kind: Vec<_> = samples.par_iter().filter_map(features).collect();
        let right = of_kind.iter().filter(|(_, is_right)| *is_right).count();
        println!("{constraint:?}: {right} of {} of {} right", of_kind.len(), samples.len());
        rows.extend(of_kind);
    }
    println!("{:?}", logistic_regression(&rows));
}

/// Reads samples under a constraint. Returns for each the probability of its text, 0 if it was rejected, and whether it is right.
fn probabilities(constraint: &Constraint, samples: &[(Canvas, String)]) -> Vec<(f64, bool)> {
    let reject = RejectParams::default().with_thresholds(None, Some(0.0));
    let recognizer = recognizer().with_params(RecognizerParams { reject, ..RecognizerParams::default() });
    let recognizer = recognizer.with_constraint(constraint.clone()).unwrap();
    let read = |(canvas, label): &(Canvas, String)| {
        let reading = read(&recognizer, canvas);
        (f64::from(reading.probability.unwrap_or(0.0)), reading.text == *label)
    };
    samples.par_iter().map(read).collect()
}

/// Returns the number of wrong texts of at least a probability, and of right ones.
fn accepted(probabilities: &[(f64, bool)], min_probability: f64) -> (usize, usize) {
    let accepted =
        || probabilities.iter().filter(|(probability, _)| *probability > min_probability.max(1e-9));
    let right = accepted().filter(|(_, is_right)| *is_right).count();
    (accepted().count() - right, right)
}

/// Probability above which the text of a constrained line counts as accepted.
const MIN_PROBABILITY: f64 = 0.5;

#[test]
fn constraints_mend_mistakes_and_flag_the_others() {
    let data = lenet_mnist::test();
    // With the number of texts that are right without and with the constraint, at least, and of wrong ones that are not rejected,
    // at most, as measured.
    let pattern = Constraint { pattern: Some(DATE.parse().unwrap()), ..Constraint::default() };
    let checksum = Constraint { checksum: Some("luhn".parse().unwrap()), ..Constraint::default() };
    let dates: Vec<_> = numbers(&data, &[DATE], 60, 16).collect();
    let numbers: Vec<_> = luhn_numbers(&data, 60, 17).collect();
    for (constraint, samples, [without, with, max_wrong]) in
        [(pattern, dates, [53, 56, 1]), (checksum, numbers, [40, 45, 4])]
    {
        let (_, free) = accepted(&probabilities(&Constraint::default(), &samples), 0.0);
        let (wrong, right) = accepted(&probabilities(&constraint, &samples), MIN_PROBABILITY);
        assert!(
            free + 1 >= without && right + 1 >= with && wrong <= max_wrong + 1,
            "{constraint:?}: {free} right without, {right} with, {wrong} wrong"
        );
    }
}

/// Prints the tables of `docs/recognition.md`.
#[test]
#[ignore = "prints what constraints mend, and the calibration of the probability of a text, on the test images"]
fn measure_constraints() {
    let data = lenet_mnist::test();
    let strings: Vec<_> = strings(&data, 3000, 200).collect();
    let mut free = probabilities(&Constraint::default(), &strings);
    println!("strings: min probability, wrong, rejected");
    for min in [0.0, 0.5, 0.8, 0.9, 0.95] {
        let (wrong, right) = accepted(&free, min);
        let share = |count: usize| 100.0 * count as f64 / free.len() as f64;
        println!("{min:4.2} {:5.2}% {:5.2}%", share(wrong), share(free.len() - wrong - right));
    }
    free.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("thirds of strings by probability: mean probability, right");
    for third in free.chunks(free.len() / 3) {
        let mean = third.iter().map(|(probability, _)| probability).sum::<f64>() / third.len() as f64;
        let right = third.iter().filter(|(_, is_right)| *is_right).count() as f64 / third.len() as f64;
        println!("{:6.2}% {:6.2}%", 100.0 * mean, 100.0 * right);
    }
    let pattern = Constraint { pattern: Some(DATE.parse().unwrap()), ..Constraint::default() };
    let checksum = Constraint { checksum: Some("luhn".parse().unwrap()), ..Constraint::default() };
    let dates: Vec<_> = numbers(&data, &[DATE], 400, 201).collect();
    let numbers: Vec<_> = luhn_numbers(&data, 400, 202).collect();
    for (constraint, samples) in [(pattern, dates), (checksum, numbers)] {
        let free = probabilities(&Constraint::default(), &samples);
        let (wrong, right) = accepted(&free, 0.0);
        println!("{} without {constraint:?}: {wrong} wrong, {right} right", samples.len());
        let constrained = probabilities(&constraint, &samples);
        for min in [0.0, 0.5, 0.6, 0.7, 0.8, 0.9] {
            println!("with, above {min}: (wrong, right) = {:?}", accepted(&constrained, min));
        }
    }
}

/// Returns the coefficients of the features that maximize the likelihood.
fn logistic_regression(rows: &[([f64; 4], bool)]) -> [f64; 4] {
    let mut weights = [0.0; 4];
    for _ in 0..30 {
        // The gradient in the last column of the Hessian.
        let mut system = [[0.0; 5]; 4];
        for (features, is_right) in rows {
            let logit: f64 = features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum();
            let probability = 1.0 / (1.0 + (-logit).exp());
            for (i, row) in system.iter_mut().enumerate() {
                for (entry, other) in row.iter_mut().zip(features) {
                    *entry += probability * (1.0 - probability) * features[i] * other;
                }
                row[4] += (f64::from(u8::from(*is_right)) - probability) * features[i];
            }
        }
        let step = solve(system);
        weights.iter_mut().zip(step).for_each(|(weight, step)| *weight += step);
    }
    weights
}

/// Solves four linear equations by Gauss-Jordan elimination with pivots on the diagonal, which are positive for a Hessian.
fn solve(mut system: [[f64; 5]; 4]) -> [f64; 4] {
    for pivot in 0..4 {
        let row = system[pivot].map(|entry| entry / system[pivot][pivot]);
        for (at, other) in system.iter_mut().enumerate() {
            if at != pivot {
                let factor = other[pivot];
                other.iter_mut().zip(row).for_each(|(entry, of_pivot)| *entry -= factor * of_pivot);
            }
        }
        system[pivot] = row;
    }
    system.map(|row| row[4])
}
