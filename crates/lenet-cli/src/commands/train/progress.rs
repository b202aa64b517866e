//! The output of `lenet train`: a progress bar and lines of text, or lines of JSON.

use std::{fmt::Display, io::IsTerminal, path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressState};
use lenet::{
    nn::Network,
    train::{Checkpoint, EpochMetrics},
    weights::Provenance,
};
use lenet_report::{Score, format::percent};
use serde_json::json;

use super::EvalSet;
use crate::{output::print, terminal::bar_style};

/// Prints the progress of a training.
pub struct ProgressLog {
    json: bool,
    epochs: usize,
    /// Training images of an epoch.
    train_images: usize,
    /// Name of the images that the network is evaluated on.
    eval_name: &'static str,
    /// Counts the images of all epochs. Hidden with `--json` and where stdout is no terminal.
    bar: ProgressBar,
}

impl ProgressLog {
    pub fn new(json: bool, epochs: usize, train_images: usize, eval_name: &'static str) -> Self {
        let bar = if json || !std::io::stdout().is_terminal() {
            ProgressBar::hidden()
        } else {
            let style = bar_style("{prefix} [{wide_bar}] {speed}, {eta} left").with_key(
                "speed",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0} images/s", state.per_sec());
                },
            );
            ProgressBar::new(epochs as u64 * train_images as u64).with_style(style)
        };
        Self { json, epochs, train_images, eval_name, bar }
    }

    /// Prints the network, the recipe and the images before training starts; prints nothing with `--json`.
    pub fn print_setup(&self, checkpoint: &Checkpoint, eval_set: &EvalSet) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        let architecture = checkpoint.trained_network().architecture();
        self.print_line(format_args!(
            "{}: {} parameters{}, {} training images, {} {} images{}, threads: {}",
            architecture.name(),
            architecture.complexity()?.parameters,
            checkpoint.init_weights_name().map_or(String::new(), |init_from| format!(" of {init_from}")),
            self.train_images,
            eval_set.data().len(),
            self.eval_name,
            if eval_set.is_holdout() { " (test images not read)" } else { "" },
            rayon::current_num_threads()
        ))
    }

    /// Shows the number of the epoch at the bar, from 1.
    pub fn begin_epoch(&self, number: usize) {
        self.bar.set_prefix(format!("epoch {number:>2}/{}", self.epochs));
    }

    /// Advances the bar to a number of images in an epoch.
    pub fn advance(&self, number: usize, images: usize) {
        self.bar.set_position(((number - 1) * self.train_images + images) as u64);
    }

    /// Prints the metrics of an epoch.
    pub fn end_epoch(
        &self,
        number: usize,
        metrics: &EpochMetrics,
        evaluation: Option<&Score>,
        time: Duration,
    ) -> anyhow::Result<()> {
        let (seconds, eval_name) = (time.as_secs_f64(), self.eval_name);
        if self.json {
            let mut line = json!({
                "epoch": number,
                "loss": metrics.loss,
                "train_accuracy": metrics.train_accuracy,
                "seconds": seconds,
                "images_per_second": self.train_images as f64 / seconds,
            });
            if let Some(evaluation) = evaluation {
                line[format!("{eval_name}_{}", evaluation.key())] = evaluation.value().into();
            }
            self.print_line(line)
        } else {
            let accuracy = evaluation.map_or(String::new(), |evaluation| {
                format!("{eval_name} {} {}, ", evaluation.name(), percent(evaluation.value()))
            });
            self.print_line(format_args!(
                "epoch {number:>2}/{}: loss {:.4}, {accuracy}{seconds:.1} s",
                self.epochs, metrics.loss
            ))
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints the result.
    pub fn print_result(
        &self,
        network: &Network,
        provenance: &Provenance,
        evaluation: &Score,
        time: Duration,
        path: &Path,
    ) -> anyhow::Result<()> {
        let eval_name = self.eval_name;
        if self.json {
            let mut line = json!({
                "model": network.architecture().name(),
                "recipe": provenance.recipe.name,
                "seed": provenance.seed,
                "threads": rayon::current_num_threads(),
                "epochs": provenance.epochs,
                "interrupted": provenance.interrupted,
                "seconds": time.as_secs_f64(),
                "file": path.display().to_string(),
            });
            line[format!("{eval_name}_{}", evaluation.key())] = evaluation.value().into();
            if let Some(init_from) = &provenance.init_from {
                line["init"] = init_from.as_str().into();
            }
            self.print_line(line)
        } else {
            self.print_line(format_args!(
                "{eval_name} {}\n{}saved {} after {} of {} epochs, {:.1} s",
                evaluation.line(),
                if provenance.interrupted { "interrupted; " } else { "" },
                path.display(),
                provenance.epochs,
                self.epochs,
                time.as_secs_f64(),
            ))
        }
    }

    /// Prints how to continue an interrupted training. There is no JSON for it.
    pub fn hint_resume(&self, checkpoint_dir: &Path) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        self.print_line(format_args!("continue with --resume {}", checkpoint_dir.display()))
    }

    /// Prints a line above the bar.
    fn print_line(&self, line: impl Display) -> anyhow::Result<()> {
        self.bar.suspend(|| print(format_args!("{line}\n")))
    }
}
