//! `lenet train --report`: a self-contained HTML page about a training.

use std::{env, thread, time::SystemTime};

use anyhow::ensure;
use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::{Dataset, metrics::Mistake, nn::Network, train::EpochMetrics, weights::Provenance};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    catalog::model_complexity,
    figure,
    format::{
        MAX_MISTAKES_SHOWN, duration, percent, percent_or_dash, trim_trailing_zeros,
        with_thousands_separators,
    },
    score::{EVAL_MARK_SAMPLES, EVAL_PATCHES, Score},
};

mod axis;
mod chart;
mod confusion;
mod curve;
mod machine;

use axis::Axis;
use chart::Chart;
use curve::Curve;

/// The training that a page is about.
pub struct TrainingReport<'a> {
    pub network: &'a Network,
    pub provenance: &'a Provenance,
    /// The metrics of each epoch.
    pub history: &'a [EpochMetrics],
    /// Number of training images.
    pub train_images: usize,
    /// Name of the images that the network was evaluated on: `test` or `validation`.
    pub eval_name: &'static str,
    /// The images that the network was evaluated on.
    pub eval_data: &'a Dataset,
    /// The evaluation of the final network.
    pub evaluation: &'a Score,
}

impl TrainingReport<'_> {
    /// Renders the page.
    ///
    /// Names that come from files are escaped, because all text goes through `html!`.
    ///
    /// # Errors
    /// If there is no epoch, or an image can't be encoded.
    pub fn page(&self) -> anyhow::Result<String> {
        ensure!(!self.history.is_empty(), "report: expected at least 1 epoch, found none");
        let Self { network, provenance, evaluation, eval_name, .. } = *self;
        let name = network.architecture().name();
        let recipe = &provenance.recipe;
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (name) ", " (eval_name) " " (evaluation.name()) " " (percent(evaluation.value())) }
                    style { (PreEscaped(include_str!("report.css"))) }
                }
                body { main {
                    header {
                        p.kicker { "Trained by lenet " (env!("CARGO_PKG_VERSION")) ", " (now[..10]) " " (now[11..16]) " UTC" }
                        h1 { (name) }
                        p.lead { (eval_name) " " (evaluation.line()) "." }
                        @if provenance.interrupted {
                            p.interrupted { "Interrupted after " (provenance.epochs) " of " (recipe.epochs) " epochs." }
                        }
                        (self.key_facts()?)
                    }
                    section {
                        h2 { "Learning curves" }
                        p {
                            "The training accuracy is measured on the batches during the epoch"
                            @if recipe.augmentation.is_some() { ", after augmentation" }
                            "; the " (eval_name) " " (evaluation.name()) " after the epoch. Both scales are logarithmic in the number of mistakes: "
                            "each halving of the mistakes raises the curve by the same height."
                        }
                        div.pair { (self.accuracy_chart()) (self.loss_chart()) }
                    }
                    @if let Score::Digits(evaluation) = evaluation {
                        section {
                            h2 { "Confusion matrix" }
                            p { "The number of images for each digit and prediction, with the recall of each digit and the precision of each prediction." }
                            div.split { (confusion::matrix(evaluation)) (confusion::most_frequent_mistakes(evaluation)) }
                        }
                        section {
                            h2 { "The most confident mistakes" }
                            (self.mistakes(evaluation.mistakes())?)
                        }
                    }
                    section {
                        h2 { "Recipe" }
                        div.pair { pre { (toml::to_string(recipe)?) } (self.learning_rate_chart()) }
                    }
                    section {
                        h2 { "Run and machine" }
                        div.pair { (self.run_facts()) (self.machine_facts()) }
                    }
                    (self.epoch_table())
                } }
            }
        };
        Ok(page.into_string())
    }

    fn mistakes(&self, mistakes: &[Mistake]) -> anyhow::Result<Markup> {
        Ok(html! {
            @if mistakes.is_empty() {
                p { "There are none." }
            } @else {
                p {
                    (mistakes.len().min(MAX_MISTAKES_SHOWN)) " of " (mistakes.len()) ", with the confidence of the prediction "
                    "and the index of the image among the " (self.eval_name) " images, from 0."
                }
                ul.mistakes {
                    @for mistake in mistakes.iter().take(MAX_MISTAKES_SHOWN) { (self.mistake(mistake)?) }
                }
            }
        })
    }

    fn key_facts(&self) -> anyhow::Result<Markup> {
        let model_complexity = model_complexity(self.network.architecture())?;
        Ok(html! {
            dl.key {
                @if let Score::Digits(evaluation) = self.evaluation { (fact("Mistakes", evaluation.mistakes().len())) }
                (fact("Parameters", with_thousands_separators(model_complexity.parameters)))
                (fact("Multiply-adds per image", with_thousands_separators(model_complexity.multiply_adds)))
                (fact("Epochs", self.provenance.epochs))
                (fact("Training time", duration(self.seconds())))
            }
        })
    }

    fn run_facts(&self) -> Markup {
        let Self { provenance, evaluation, eval_name, .. } = *self;
        let evaluated_on = match evaluation {
            Score::Digits(evaluation) => {
                format!("{} {eval_name} images", with_thousands_separators(evaluation.total()))
            }
            Score::Ink(_) => format!("{EVAL_PATCHES} page patches with digits of the {eval_name} images"),
            Score::Marks(_) => {
                format!("{EVAL_MARK_SAMPLES} parts of lines with digits of the {eval_name} images")
            }
        };
        let images_per_second = (self.train_images * self.history.len()) as f64 / self.seconds();
        html! {
            dl.facts {
                (fact("Architecture", self.network.architecture().name()))
                (fact("Recipe", &provenance.recipe.name))
                @if let Some(init_from) = &provenance.init_from { (fact("Initial weights", init_from)) }
                (fact("Seed", provenance.seed))
                (fact("Trained on", format!("{} images", with_thousands_separators(self.train_images))))
                (fact("Evaluated on", evaluated_on))
                (fact("Speed", format!("{} images/s", with_thousands_separators(images_per_second as usize))))
            }
        }
    }

    fn machine_facts(&self) -> Markup {
        html! {
            dl.facts {
                (fact("Program", concat!("lenet ", env!("CARGO_PKG_VERSION"))))
                (fact("Processor", machine::processor()))
                (fact("Cores", thread::available_parallelism().map_or(0, usize::from)))
                (fact("Threads", rayon::current_num_threads()))
                (fact("SIMD", self.network.simd_level_name()))
                (fact("System", format!("{}, {}", machine::operating_system(), env::consts::ARCH)))
            }
        }
    }

    /// Returns the duration of the epochs, in seconds.
    fn seconds(&self) -> f64 {
        self.history.iter().filter_map(|epoch| epoch.seconds).sum()
    }

    fn accuracy_chart(&self) -> Markup {
        let eval_name = self.eval_name;
        // The charts draw error rates on an upside-down axis, so that the logarithmic scale resolves small differences.
        let curves = [
            Curve::of_epochs("training", self.history, |epoch| Some(1.0 - epoch.train_accuracy)),
            Curve::of_epochs("measured", self.history, |epoch| {
                epoch.eval_accuracy.map(|accuracy| 1.0 - accuracy)
            }),
        ];
        let tick_label = |error_rate: f64| format!("{}%", trim_trailing_zeros(100.0 - 100.0 * error_rate));
        let y = Axis::logarithmic(&curves, tick_label).upside_down();
        let readout = |(number, epoch): (usize, &EpochMetrics)| {
            let eval = epoch
                .eval_accuracy
                .map_or(String::new(), |accuracy| format!(", {eval_name} {}", percent(accuracy)));
            format!("epoch {number}: training {}{eval}", percent(epoch.train_accuracy))
        };
        let readouts: Vec<_> = (1..).zip(self.history).map(readout).collect();
        let chart =
            Chart { name: "Accuracy", x: &self.epoch_axis(), y: &y, curves: &curves, readouts: &readouts };
        html! {
            figure {
                (chart.svg())
                figcaption {
                    b { "Accuracy" } " on " span.swatch.training { "training images" } " and "
                    span.swatch.measured { (eval_name) " images" }
                }
            }
        }
    }

    fn loss_chart(&self) -> Markup {
        let curves = [Curve::of_epochs("training", self.history, |epoch| Some(epoch.loss))];
        let y = Axis::logarithmic(&curves, trim_trailing_zeros);
        let readout = |(number, epoch): (usize, &EpochMetrics)| format!("epoch {number}: {:.4}", epoch.loss);
        let readouts: Vec<_> = (1..).zip(self.history).map(readout).collect();
        let chart =
            Chart { name: "Loss", x: &self.epoch_axis(), y: &y, curves: &curves, readouts: &readouts };
        html! {
            figure {
                (chart.svg())
                figcaption { b { "Loss" } " on " span.swatch.training { "training images" } }
            }
        }
    }

    fn learning_rate_chart(&self) -> Markup {
        let Self { provenance: Provenance { recipe, epochs: done, .. }, history, .. } = *self;
        let (steps, total) = (self.steps_per_epoch(), self.total_steps());
        let rate =
            |step: usize| (step as f64 / steps as f64, recipe.learning_rate(step.min(total - 1), total));
        // One point for each pixel.
        let samples = chart::PLOT_WIDTH as usize;
        let points = |from: usize, to: usize| {
            (0..=samples).map(move |i| from + i * (to - from) / samples).map(rate).collect()
        };
        let mut curves = vec![Curve { class: "rate", dots: false, points: points(0, steps * done) }];
        if *done < recipe.epochs {
            curves.push(Curve { class: "ahead", dots: false, points: points(steps * done, total) });
        }
        let readout = |number: usize| {
            format!("end of epoch {number}: {}", trim_trailing_zeros(rate(steps * number - 1).1))
        };
        let readouts: Vec<_> = (1..=history.len()).map(readout).collect();
        let y = Axis::linear(&curves);
        let chart = Chart {
            name: "Learning rate",
            x: &self.epoch_axis(),
            y: &y,
            curves: &curves,
            readouts: &readouts,
        };
        html! {
            figure {
                (chart.svg())
                figcaption { b { "Learning rate" } ", " (with_thousands_separators(steps)) " steps an epoch" }
            }
        }
    }

    fn steps_per_epoch(&self) -> usize {
        self.train_images.div_ceil(self.provenance.recipe.batch_size)
    }

    /// Returns the number of steps in all epochs of the recipe.
    fn total_steps(&self) -> usize {
        self.steps_per_epoch() * self.provenance.recipe.epochs
    }

    fn epoch_axis(&self) -> Axis {
        Axis::of_epochs(self.provenance.recipe.epochs)
    }

    fn mistake(&self, mistake: &Mistake) -> anyhow::Result<Markup> {
        let Mistake { index, label, prediction, confidence } = *mistake;
        let png = BASE64_STANDARD.encode(figure::encode_digit_png(self.eval_data.image(index))?);
        Ok(html! {
            li {
                img src={ "data:image/png;base64," (png) } alt={ "Image " (index) ", label " (label) ", predicted " (prediction) };
                b { (label) " read as " (prediction) } br;
                (percent(confidence.into())) br;
                span.soft { "#" (index) }
            }
        })
    }

    /// Renders the values of the charts as a table.
    fn epoch_table(&self) -> Markup {
        let recipe = &self.provenance.recipe;
        let (steps, total) = (self.steps_per_epoch(), self.total_steps());
        html! {
            details {
                summary { "All epochs as a table" }
                div.scroll { table.epochs {
                    thead { tr {
                        th scope="col" { "Epoch" } th scope="col" { "Loss" } th scope="col" { "Training" }
                        th scope="col" { (self.eval_name) } th scope="col" { "Final learning rate" } th scope="col" { "Time" }
                    } }
                    tbody { @for (number, epoch) in (1..).zip(self.history) { tr {
                        th scope="row" { (number) }
                        td { (format!("{:.4}", epoch.loss)) }
                        td { (percent(epoch.train_accuracy)) }
                        td { (percent_or_dash(epoch.eval_accuracy)) }
                        td { (trim_trailing_zeros(recipe.learning_rate(steps * number - 1, total))) }
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
