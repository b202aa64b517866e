//! `lenet train --report`: a training on one page of HTML that needs nothing beside it.

use std::{env, fmt::Write, fs, thread, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::{
    CLASSES, Dataset,
    metrics::{Evaluation, Mistake},
    nn::Network,
    train::EpochMetrics,
    weights::Provenance,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    eval::{MISTAKES, headline, percent},
    figure,
    summary::{grouped, totals},
};

/// What the page is about.
pub struct Training<'a> {
    pub network: &'a Network,
    pub provenance: &'a Provenance,
    /// At least one epoch.
    pub history: &'a [EpochMetrics],
    /// Images that it learnt from.
    pub images: usize,
    /// The images that it was measured on, and what they are called.
    pub measured: (&'static str, &'a Dataset),
    pub evaluation: &'a Evaluation,
}

impl Training<'_> {
    /// The page.
    ///
    /// All text goes through `html!`, which escapes it: names come from files.
    pub fn page(&self) -> anyhow::Result<String> {
        let Self { network, provenance, history, images, measured: (measured, _), evaluation } = *self;
        let name = network.architecture().name();
        let recipe = &provenance.recipe;
        let (parameters, multiply_adds) = totals(network.architecture())?;
        let mistakes = evaluation.mistakes();
        let seconds: f64 = history.iter().filter_map(|epoch| epoch.seconds).sum();
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (name) ", " (measured) " accuracy " (percent(evaluation.accuracy())) }
                    style { (PreEscaped(include_str!("report.css"))) }
                }
                body { main {
                    header {
                        p.kicker { "A training by lenet " (env!("CARGO_PKG_VERSION")) ", " (now[..10]) " " (now[11..16]) " UTC" }
                        h1 { (name) }
                        p.lead { (measured) " " (headline(evaluation)) "." }
                        @if provenance.interrupted {
                            p.interrupted { "Broken off after " (provenance.epochs) " of " (recipe.epochs) " epochs." }
                        }
                        dl.key {
                            (fact("Mistakes", mistakes.len()))
                            (fact("Parameters", grouped(parameters)))
                            (fact("Multiply-adds an image", grouped(multiply_adds)))
                            (fact("Epochs", provenance.epochs))
                            (fact("Time of training", duration(seconds)))
                        }
                    }
                    section {
                        h2 { "Learning" }
                        p {
                            "Training images count as they were met in the course of an epoch"
                            @if recipe.augmentation.is_some() { ", each warped" }
                            "; " (measured) " images after it. Both scales are logarithmic: where the mistakes are halved, "
                            "accuracy rises by the same height everywhere."
                        }
                        div.pair { (self.accuracy()) (self.loss()) }
                    }
                    section {
                        h2 { "Right and wrong" }
                        p { "How often each digit got each answer, with what part of each digit and of each answer is right." }
                        div.split { (confusion(evaluation)) (confusions(evaluation)) }
                    }
                    section {
                        h2 { "The most confident mistakes" }
                        @if mistakes.is_empty() {
                            p { "There are none." }
                        } @else {
                            p {
                                (mistakes.len().min(MISTAKES)) " of " (mistakes.len()) ", with the confidence in the answer "
                                "and the image's index among the " (measured) " images, from 0."
                            }
                            ul.mistakes {
                                @for mistake in mistakes.iter().take(MISTAKES) { (self.mistake(mistake)?) }
                            }
                        }
                    }
                    section {
                        h2 { "Recipe" }
                        div.pair { pre { (toml::to_string(recipe)?) } (self.learning_rate()) }
                    }
                    section {
                        h2 { "Run and machine" }
                        div.pair {
                            dl.facts {
                                (fact("Model", name))
                                (fact("Recipe", &recipe.name))
                                @if let Some(init_from) = &provenance.init_from { (fact("Begun with", init_from)) }
                                (fact("Seed", provenance.seed))
                                (fact("Learnt from", format!("{} images", grouped(images))))
                                (fact("Measured on", format!("{} {measured} images", grouped(evaluation.total()))))
                                (fact("Speed", format!("{} images/s", grouped((images as f64 * history.len() as f64 / seconds) as usize))))
                            }
                            dl.facts {
                                (fact("Program", concat!("lenet ", env!("CARGO_PKG_VERSION"))))
                                (fact("Processor", cpu()))
                                (fact("Cores", thread::available_parallelism().map_or(0, usize::from)))
                                (fact("Threads", rayon::current_num_threads()))
                                (fact("SIMD", network.simd_level()))
                                (fact("System", format!("{}, {}", system(), env::consts::ARCH)))
                            }
                        }
                    }
                    (self.table())
                } }
            }
        };
        Ok(page.into_string())
    }

    fn accuracy(&self) -> Markup {
        let (measured, _) = self.measured;
        let curves = [
            Curve::of_epochs("training", self.history, |epoch| Some(1.0 - epoch.accuracy)),
            Curve::of_epochs("measured", self.history, |epoch| epoch.measured.map(|accuracy| 1.0 - accuracy)),
        ];
        // Drawn is the share of mistakes, of which little is high.
        let label = |error: f64| format!("{}%", trimmed(100.0 - 100.0 * error));
        let readout = |(number, epoch): (usize, &EpochMetrics)| {
            let after =
                epoch.measured.map_or(String::new(), |part| format!(", {measured} {}", percent(part)));
            format!("epoch {number}: training {}{after}", percent(epoch.accuracy))
        };
        let readouts: Vec<_> = (1..).zip(self.history).map(readout).collect();
        html! {
            figure {
                (chart("Accuracy", &self.epochs_axis(), &Axis::logarithmic(&curves, label).upside_down(), &curves, &readouts))
                figcaption {
                    b { "Accuracy" } " on " span.swatch.training { "training images" } " and "
                    span.swatch.measured { (measured) " images" }
                }
            }
        }
    }

    fn loss(&self) -> Markup {
        let curves = [Curve::of_epochs("training", self.history, |epoch| Some(epoch.loss))];
        let readout = |(number, epoch): (usize, &EpochMetrics)| format!("epoch {number}: {:.4}", epoch.loss);
        let readouts: Vec<_> = (1..).zip(self.history).map(readout).collect();
        html! {
            figure {
                (chart("Loss", &self.epochs_axis(), &Axis::logarithmic(&curves, trimmed), &curves, &readouts))
                figcaption { b { "Loss" } " on " span.swatch.training { "training images" } }
            }
        }
    }

    fn learning_rate(&self) -> Markup {
        let Self { provenance: Provenance { recipe, epochs: done, .. }, history, .. } = *self;
        let (steps, all) = (self.steps(), self.steps() * recipe.epochs);
        // As many points as can be told apart.
        let rate = |step: usize| (step as f64 / steps as f64, recipe.learning_rate(step.min(all - 1), all));
        let points = |from: usize, to: usize| {
            (0..=PLOT.0 as usize).map(move |i| from + i * (to - from) / PLOT.0 as usize).map(rate).collect()
        };
        let mut curves = vec![Curve { class: "rate", dots: false, points: points(0, steps * done) }];
        if *done < recipe.epochs {
            curves.push(Curve { class: "ahead", dots: false, points: points(steps * done, all) });
        }
        let readout =
            |number: usize| format!("end of epoch {number}: {}", trimmed(rate(steps * number - 1).1));
        let readouts: Vec<_> = (1..=history.len()).map(readout).collect();
        html! {
            figure {
                (chart("Learning rate", &self.epochs_axis(), &Axis::linear(&curves), &curves, &readouts))
                figcaption { b { "Learning rate" } ", " (grouped(steps)) " steps an epoch" }
            }
        }
    }

    /// Stages in an epoch.
    fn steps(&self) -> usize {
        self.images.div_ceil(self.provenance.recipe.batch_size)
    }

    fn epochs_axis(&self) -> Axis {
        Axis::counting(self.provenance.recipe.epochs)
    }

    fn mistake(&self, mistake: &Mistake) -> anyhow::Result<Markup> {
        let Mistake { index, label, answer, confidence } = *mistake;
        let png = BASE64_STANDARD.encode(figure::ink(self.measured.1.image(index))?);
        Ok(html! {
            li {
                img src={ "data:image/png;base64," (png) } alt={ "Image " (index) ", a " (label) " that is read as " (answer) };
                b { (label) " read as " (answer) } br;
                (percent(confidence.into())) br;
                span.soft { "#" (index) }
            }
        })
    }

    /// The curves in figures.
    fn table(&self) -> Markup {
        let recipe = &self.provenance.recipe;
        let (steps, all) = (self.steps(), self.steps() * recipe.epochs);
        html! {
            details {
                summary { "The epochs in figures" }
                div.scroll { table.epochs {
                    thead { tr {
                        th scope="col" { "Epoch" } th scope="col" { "Loss" } th scope="col" { "Training" }
                        th scope="col" { (self.measured.0) } th scope="col" { "Learning rate at its end" } th scope="col" { "Time" }
                    } }
                    tbody { @for (number, epoch) in (1..).zip(self.history) { tr {
                        th scope="row" { (number) }
                        td { (format!("{:.4}", epoch.loss)) }
                        td { (percent(epoch.accuracy)) }
                        td { (epoch.measured.map_or("-".to_owned(), percent)) }
                        td { (trimmed(recipe.learning_rate(steps * number - 1, all))) }
                        td { (epoch.seconds.map_or("-".to_owned(), duration)) }
                    } } }
                } }
            }
        }
    }
}

fn fact(name: &str, value: impl maud::Render) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// The confusion matrix with each digit's recall and each answer's precision at its ends.
fn confusion(evaluation: &Evaluation) -> Markup {
    let matrix = evaluation.confusion_matrix();
    let wrong = |truth: usize| {
        (0..CLASSES).filter(move |answer| *answer != truth).map(move |answer| matrix[truth][answer])
    };
    let most_mistaken = (0..CLASSES).flat_map(wrong).max().unwrap_or(0).max(1);
    let share = |part: Option<f64>| part.map_or("-".to_owned(), |part| format!("{:.1}", 100.0 * part));
    html! {
        table.confusion {
            caption { "columns: answer" }
            thead { tr {
                td.corner { "digit" }
                @for answer in 0..CLASSES { th scope="col" { (answer) } }
                th scope="col" { "% right" }
            } }
            tbody { @for (truth, answers) in matrix.iter().enumerate() { tr {
                th scope="row" { (truth) }
                @for (answer, &count) in answers.iter().enumerate() {
                    @if count == 0 {
                        td.none { "·" }
                    } @else if answer == truth {
                        @let part = evaluation.recall(truth).unwrap_or(0.0);
                        td.right.poor[part < 0.6] style={ "--part:" (format!("{part:.3}")) } { (count) }
                    } @else {
                        td.wrong style={ "--part:" (format!("{:.3}", count as f64 / most_mistaken as f64)) } { (count) }
                    }
                }
                td.share { (share(evaluation.recall(truth))) }
            } } }
            tfoot { tr {
                th scope="row" { "%" }
                @for answer in 0..CLASSES { td.share { (share(evaluation.precision(answer))) } }
                td {}
            } }
        }
    }
}

/// The pairs of digits that are mistaken most often.
fn confusions(evaluation: &Evaluation) -> Markup {
    const MOST: usize = 8;
    let mut pairs: Vec<_> = (0..CLASSES)
        .flat_map(|truth| {
            (0..CLASSES).map(move |answer| (evaluation.confusion_matrix()[truth][answer], truth, answer))
        })
        .filter(|(count, truth, answer)| truth != answer && *count > 0)
        .collect();
    // A stable sort: equals stay in the order of their digits.
    pairs.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    html! {
        aside { @if !pairs.is_empty() {
            "Mistaken most often"
            ol { @for (count, truth, answer) in pairs.iter().take(MOST) {
                li { span { (truth) " read as " (answer) } span.soft { (count) } }
            } }
        } }
    }
}

/// Size of a chart, in the units of its text, and its corners.
const CHART: (f64, f64) = (420.0, 250.0);
const CORNER: (f64, f64) = (52.0, 26.0);
/// Size of the part in which the curves are.
const PLOT: (f64, f64) = (358.0, 180.0);

/// A line through points.
struct Curve {
    class: &'static str,
    dots: bool,
    /// (epochs, value)
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// With a point at the end of each epoch that has a value.
    fn of_epochs(
        class: &'static str,
        history: &[EpochMetrics],
        value: impl Fn(&EpochMetrics) -> Option<f64>,
    ) -> Self {
        let points =
            (1..).zip(history).filter_map(|(number, epoch)| Some((f64::from(number), value(epoch)?)));
        // More would touch each other.
        Self { class, dots: history.len() <= 40, points: points.collect() }
    }
}

/// What lies along a side of a chart.
struct Axis {
    /// What stands at its left or lower end, and at the other.
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to a number of epochs.
    fn counting(epochs: usize) -> Self {
        let high = epochs as f64;
        let step = step(high).max(1.0);
        let ticks = (0..).map(|i| f64::from(i) * step).take_while(|tick| *tick <= high);
        Self { low: 0.0, high, logarithmic: false, ticks: ticks.map(|tick| (tick, trimmed(tick))).collect() }
    }

    /// From 0 to beyond the highest value.
    fn linear(curves: &[Curve]) -> Self {
        let highest = values(curves).fold(f64::MIN_POSITIVE, f64::max);
        let step = step(highest);
        // A rate is in single precision.
        let count = (highest / step - 1e-6).ceil() as i32;
        let ticks = (0..=count).map(|i| (f64::from(i) * step, trimmed(f64::from(i) * step))).collect();
        Self { low: 0.0, high: f64::from(count) * step, logarithmic: false, ticks }
    }

    /// From below the lowest value above 0 to beyond the highest, with `label` of each tick. If there are values of 0,
    /// they are at the low end.
    fn logarithmic(curves: &[Curve], label: impl Fn(f64) -> String) -> Self {
        let (lowest, highest) = values(curves)
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)));
        let (lowest, highest) = if lowest <= highest { (lowest, highest) } else { (0.1, 1.0) };
        // The finest ticks of which there is room for all.
        let tenths: Vec<u32> = (10..100).collect();
        let sets = [
            &tenths[..],
            &[10, 12, 15, 20, 25, 30, 40, 50, 60, 80],
            &[10, 20, 30, 50, 70],
            &[10, 20, 50],
            &[10],
        ];
        let decades = lowest.log10().floor() as i32 - 1..=highest.log10().ceil() as i32;
        let marks = |set: &[u32]| -> Vec<f64> {
            let all = decades
                .clone()
                .flat_map(|decade| set.iter().map(move |&m| f64::from(m) / 10.0 * 10f64.powi(decade)));
            let all: Vec<f64> = all.collect();
            let first = all.iter().rposition(|mark| *mark < lowest * (1.0 - 1e-9)).unwrap_or(0);
            let last = all.iter().position(|mark| *mark >= highest * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
            all[first..=last].to_vec()
        };
        let marks = sets.map(marks);
        let marks = marks.iter().find(|marks| marks.len() <= 8).unwrap_or(&marks[sets.len() - 1]);
        let mut ticks: Vec<_> = marks.iter().map(|&mark| (mark, label(mark))).collect();
        if values(curves).any(|value| value <= 0.0) {
            ticks.insert(0, (marks[0] / 2.0, label(0.0)));
        }
        Self { low: ticks[0].0, high: ticks[ticks.len() - 1].0, logarithmic: true, ticks }
    }

    fn upside_down(self) -> Self {
        Self { low: self.high, high: self.low, ..self }
    }

    /// Where `value` is between the ends, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low.min(self.high), self.low.max(self.high));
        if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

fn values(curves: &[Curve]) -> impl Iterator<Item = f64> {
    curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1))
}

/// The smallest of 1, 2, 5, 10, 20, 50 ... and their tenths that goes into `high` at most six times.
fn step(high: f64) -> f64 {
    let decade = 10f64.powf((high / 6.0).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * decade);
    steps.into_iter().find(|step| high / step <= 6.0 + 1e-6).unwrap_or(10.0 * decade)
}

/// A number without needless digits.
fn trimmed(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-4 {
        return format!("{number:.1e}");
    }
    let text = format!("{number:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Curves over epochs. `readouts`, one for each epoch done, appear where the pointer is.
fn chart(name: &str, x: &Axis, y: &Axis, curves: &[Curve], readouts: &[String]) -> Markup {
    let (left, top) = CORNER;
    let (right, bottom) = (left + PLOT.0, top + PLOT.1);
    let place =
        |(epochs, value): (f64, f64)| (left + PLOT.0 * x.place(epochs), bottom - PLOT.1 * y.place(value));
    let number = |number: f64| format!("{number:.1}");
    let line = |curve: &Curve| {
        curve.points.iter().fold(String::new(), |mut line, &point| {
            let (x, y) = place(point);
            let _ = write!(line, "{}{x:.1} {y:.1}", if line.is_empty() { "M" } else { "L" });
            line
        })
    };
    let width = PLOT.0 / x.high;
    html! {
        svg viewBox=(format!("0 0 {} {}", CHART.0, CHART.1)) role="img"
            aria-label={ (name) " by epoch, last: " (readouts[readouts.len() - 1]) } {
            @for (value, label) in &y.ticks {
                @let height = place((0.0, *value)).1;
                line x1=(left) x2=(right) y1=(number(height)) y2=(number(height)) {}
                text.y x=(left - 8.0) y=(number(height + 4.0)) { (label) }
            }
            @for (value, label) in &x.ticks {
                text.x x=(number(place((*value, 0.0)).0)) y=(bottom + 18.0) { (label) }
            }
            text.x x=((left + right) / 2.0) y=(bottom + 36.0) { "epoch" }
            @for curve in curves {
                path class=(curve.class) d=(line(curve)) {}
                @if curve.dots { @for &point in &curve.points {
                    @let (x, y) = place(point);
                    circle class=(curve.class) cx=(number(x)) cy=(number(y)) r="3.5" {}
                } }
            }
            // More would be too narrow to point at.
            @for (epoch, readout) in (1..).zip(readouts).take_while(|_| width > 0.5) {
                @let middle = place((f64::from(epoch), 0.0)).0;
                g.epoch {
                    rect x=(number(middle - width / 2.0)) y=(top) width=(number(width)) height=(PLOT.1) {}
                    line x1=(number(middle)) x2=(number(middle)) y1=(top) y2=(bottom) {}
                    text x=(right) y=(top - 12.0) { (readout) }
                }
            }
        }
    }
}

/// `12.3 s` or `1h 2m 3s`.
fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    humantime::format_duration(std::time::Duration::from_secs(seconds.round() as u64)).to_string()
}

/// The processor's name where the system tells it, else its kind.
fn cpu() -> String {
    let told = value_in("/proc/cpuinfo", "model name", ':').or_else(|| env::var("PROCESSOR_IDENTIFIER").ok());
    told.unwrap_or_else(|| env::consts::ARCH.to_owned())
}

fn system() -> String {
    value_in("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(|| env::consts::OS.to_owned())
}

/// What stands behind a key in a file of lines.
fn value_in(file: &str, key: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    });
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> [Curve; 1] {
        [Curve { class: "training", dots: true, points: values.iter().map(|&value| (0.0, value)).collect() }]
    }

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn logarithmic_ticks_enclose_the_values() {
        for (values, expected) in [
            (&[0.11, 0.009][..], &["0.007", "0.01", "0.02", "0.03", "0.05", "0.07", "0.1", "0.2"][..]),
            (&[0.09, 0.003], &["0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]),
            (&[0.71, 0.5], &["0.4", "0.5", "0.6", "0.8"]),
            (&[1.0], &["0.99", "1"]),
            (&[0.4, 0.0], &["0", "0.39", "0.4"]),
            (&[0.0], &["0", "0.07", "0.1", "0.2", "0.3", "0.5", "0.7", "1"]),
            (&[3e-5, 2.0], &["1.0e-5", "0.0001", "0.001", "0.01", "0.1", "1", "10"]),
        ] {
            let axis = Axis::logarithmic(&curve(values), trimmed);
            assert_eq!(labels(&axis), expected, "{values:?}");
            assert_eq!((axis.place(axis.low), axis.place(axis.high)), (0.0, 1.0));
            for &value in values {
                assert!((0.0..=1.0).contains(&axis.place(value)), "{value} of {values:?}");
            }
        }
        let axis = Axis::logarithmic(&curve(&[0.1, 0.9]), trimmed).upside_down();
        assert!(axis.place(0.9) < 0.2 && axis.place(0.1) > 0.8);
        assert_eq!(axis.place(0.0), 1.0);
    }

    #[test]
    fn linear_ticks_are_few_and_round() {
        for (highest, expected) in [
            (f64::from(0.002f32), &["0", "0.0005", "0.001", "0.0015", "0.002"][..]),
            (0.0042, &["0", "0.001", "0.002", "0.003", "0.004", "0.005"]),
            (30.0, &["0", "5", "10", "15", "20", "25", "30"]),
        ] {
            assert_eq!(labels(&Axis::linear(&curve(&[0.0, highest]))), expected);
        }
        for (epochs, expected) in [
            (1, &["0", "1"][..]),
            (4, &["0", "1", "2", "3", "4"]),
            (13, &["0", "5", "10"]),
            (100_000, &["0", "20000", "40000", "60000", "80000", "100000"]),
        ] {
            assert_eq!(labels(&Axis::counting(epochs)), expected);
        }
    }

    #[test]
    fn times_are_readable() {
        assert_eq!([12.34, 60.2, 3723.0].map(duration), ["12.3 s", "1m", "1h 2m 3s"]);
    }
}
