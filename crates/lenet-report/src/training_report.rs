//! The report: a self-contained HTML page about a training.

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::{Dataset, metrics::Mistake, nn::Network, train::EpochMetrics, weights::Provenance};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    axis::Axis,
    chart::{self, Chart},
    confusion,
    curve::Curve,
    digit_png,
    error::Error,
    format::{
        MAX_MISTAKES_SHOWN, duration, percent, percent_or_dash, trim_trailing_zeros,
        with_thousands_separators,
    },
    learning_curves::LearningCurves,
    score::{EVAL_MARK_SAMPLES, EVAL_PATCHES, Score},
};

/// Where a network was trained.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name of the processor, or of the browser.
    pub processor: String,
    /// Number of cores.
    pub cores: usize,
    /// Number of threads.
    pub threads: usize,
    /// Name of the operating system.
    pub system: String,
}

/// The training that a page is about.
pub struct TrainingReport<'a> {
    /// The trained network.
    pub network: &'a Network,
    /// How it was trained.
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
    /// Where it was trained.
    pub machine: &'a Machine,
    /// The current time in UTC: `2026-11-28 17:45`.
    pub time: &'a str,
}

impl TrainingReport<'_> {
    /// Renders the page.
    ///
    /// Names that come from files are escaped, because all text goes through `html!`.
    ///
    /// # Errors
    /// [`Error::NoEpochs`] if there is no epoch.
    pub fn page(&self) -> Result<String, Error> {
        if self.history.is_empty() {
            return Err(Error::NoEpochs);
        }
        let Self { network, provenance, evaluation, eval_name, .. } = *self;
        let name = network.architecture().name();
        let recipe = &provenance.recipe;
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
                        p.kicker { "Trained by lenet " (env!("CARGO_PKG_VERSION")) ", " (self.time) " UTC" }
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
                        div.pair { (self.learning_curves().accuracy_markup()) (self.learning_curves().loss_markup()) }
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

    fn mistakes(&self, mistakes: &[Mistake]) -> Result<Markup, Error> {
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

    fn key_facts(&self) -> Result<Markup, Error> {
        let complexity = self.network.architecture().complexity()?;
        Ok(html! {
            dl.key {
                @if let Score::Digits(evaluation) = self.evaluation { (fact("Mistakes", evaluation.mistakes().len())) }
                (fact("Parameters", with_thousands_separators(complexity.parameters)))
                (fact("Multiply-adds per image", with_thousands_separators(complexity.multiply_adds)))
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
        let Machine { processor, cores, threads, system } = self.machine;
        html! {
            dl.facts {
                (fact("Program", concat!("lenet ", env!("CARGO_PKG_VERSION"))))
                (fact("Processor", processor))
                (fact("Cores", cores))
                (fact("Threads", threads))
                (fact("SIMD", self.network.simd_level_name()))
                (fact("System", system))
            }
        }
    }

    /// Returns the duration of the epochs, in seconds.
    fn seconds(&self) -> f64 {
        self.history.iter().filter_map(|epoch| epoch.seconds).sum()
    }

    fn learning_curves(&self) -> LearningCurves<'_> {
        LearningCurves {
            history: self.history,
            epochs: self.provenance.recipe.epochs,
            eval_name: self.eval_name,
            step_losses: &[],
            steps_per_epoch: self.steps_per_epoch(),
            published: &[],
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
            x: &Axis::of_epochs(recipe.epochs),
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

    fn mistake(&self, mistake: &Mistake) -> Result<Markup, Error> {
        let Mistake { index, label, prediction, confidence } = *mistake;
        let png = BASE64_STANDARD.encode(digit_png::encode(self.eval_data.image(index))?);
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
