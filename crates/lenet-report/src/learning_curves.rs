//! Learning curves: accuracy and loss over the epochs of a training.

use lenet::train::EpochMetrics;
use maud::{Markup, html};

use crate::{
    axis::Axis,
    chart::{Chart, PLOT_WIDTH},
    curve::Curve,
    format::{percent, trim_trailing_zeros},
};

/// The metrics of a training, finished or not.
#[derive(Debug, Clone, Copy)]
pub struct LearningCurves<'a> {
    /// The metrics of each epoch.
    pub history: &'a [EpochMetrics],
    /// Number of epochs in the recipe.
    pub epochs: usize,
    /// Name of the images that the network is evaluated on: `test` or `validation`.
    pub eval_name: &'a str,
    /// The mean loss of each step; empty if only those of the epochs are drawn.
    pub step_losses: &'a [f32],
    /// Number of steps in an epoch.
    pub steps_per_epoch: usize,
    /// Accuracies after each epoch that somebody else published, fractions; empty without any.
    pub published: &'a [f64],
}

impl LearningCurves<'_> {
    /// Returns the accuracies as SVG with a caption, in HTML.
    pub fn accuracy_figure(&self) -> String {
        self.accuracy_markup().into_string()
    }

    /// Returns the losses as SVG with a caption, in HTML.
    pub fn loss_figure(&self) -> String {
        self.loss_markup().into_string()
    }

    pub(crate) fn accuracy_markup(&self) -> Markup {
        let Self { history, epochs, eval_name, published, .. } = *self;
        // The charts draw error rates on an upside-down axis, so that the logarithmic scale resolves small differences.
        let mut curves = vec![
            Curve::of_epochs("training", history, |epoch| Some(1.0 - epoch.train_accuracy)),
            Curve::of_epochs("measured", history, |epoch| epoch.eval_accuracy.map(|accuracy| 1.0 - accuracy)),
        ];
        if !published.is_empty() {
            let points =
                (1..=epochs).zip(published).map(|(number, accuracy)| (number as f64, 1.0 - accuracy));
            curves.push(Curve { class: "ahead", dots: false, points: points.collect() });
        }
        let tick_label = |error_rate: f64| format!("{}%", trim_trailing_zeros(100.0 - 100.0 * error_rate));
        let y = Axis::logarithmic(&curves, tick_label).upside_down();
        let readout = |(number, epoch): (usize, &EpochMetrics)| {
            let eval = epoch
                .eval_accuracy
                .map_or(String::new(), |accuracy| format!(", {eval_name} {}", percent(accuracy)));
            format!("epoch {number}: training {}{eval}", percent(epoch.train_accuracy))
        };
        let readouts: Vec<_> = (1..).zip(history).map(readout).collect();
        let x = Axis::of_epochs(epochs);
        let chart = Chart { name: "Accuracy", x: &x, y: &y, curves: &curves, readouts: &readouts };
        html! {
            figure {
                (chart.svg())
                figcaption {
                    b { "Accuracy" } " on " span.swatch.training { "training images" } " and "
                    span.swatch.measured { (eval_name) " images" }
                    @if !published.is_empty() { ", " span.swatch.published { "published" } }
                }
            }
        }
    }

    pub(crate) fn loss_markup(&self) -> Markup {
        let mut curves = Vec::new();
        if !self.step_losses.is_empty() {
            curves.push(Curve { class: "step", dots: false, points: self.smoothed_step_losses() });
        }
        curves.push(Curve::of_epochs("training", self.history, |epoch| Some(epoch.loss)));
        let y = Axis::logarithmic(&curves, trim_trailing_zeros);
        let readout = |(number, epoch): (usize, &EpochMetrics)| format!("epoch {number}: {:.4}", epoch.loss);
        let readouts: Vec<_> = (1..).zip(self.history).map(readout).collect();
        let x = Axis::of_epochs(self.epochs);
        let chart = Chart { name: "Loss", x: &x, y: &y, curves: &curves, readouts: &readouts };
        html! {
            figure {
                (chart.svg())
                figcaption {
                    b { "Loss" } " on " span.swatch.training { "training images" }
                    @if !self.step_losses.is_empty() { ", " span.swatch.step { "each step" } }
                }
            }
        }
    }

    /// Returns the means of the losses of neighboring steps, with at most one point for each unit of the plot's width.
    fn smoothed_step_losses(&self) -> Vec<(f64, f64)> {
        let group = (self.steps_per_epoch * self.epochs).div_ceil(PLOT_WIDTH as usize).max(1);
        let groups = self.step_losses.chunks(group).enumerate();
        let point = |(index, losses): (usize, &[f32])| {
            let steps = index * group + losses.len();
            let mean = losses.iter().copied().map(f64::from).sum::<f64>() / losses.len() as f64;
            (steps as f64 / self.steps_per_epoch as f64, mean)
        };
        groups.map(point).collect()
    }
}
