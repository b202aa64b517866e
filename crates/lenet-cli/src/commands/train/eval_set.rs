//! The images that a network is evaluated on during training.

use anyhow::{Context, ensure};
use lenet::{
    Dataset,
    data::Task,
    metrics::{Evaluation, PixelEvaluation, evaluate_marks},
    nn::Network,
};
use lenet_report::{EVAL_MARK_SAMPLES, EVAL_PATCHES, Score};

use super::DIVERGED_MESSAGE;
use crate::{args::DataArgs, data::Split};

/// The test images, or training images that are held out.
pub struct EvalSet {
    data: Dataset,
    is_holdout: bool,
}

impl EvalSet {
    /// Loads the training images and the images to evaluate on: the last `holdout` training images if it is given, and otherwise
    /// the test images.
    pub fn load_train_and_eval(data: &DataArgs, holdout: Option<usize>) -> anyhow::Result<(Dataset, Self)> {
        let train = data.load_split(Split::Train)?;
        let Some(holdout) = holdout else {
            return Ok((train, Self { data: data.load_split(Split::Test)?, is_holdout: false }));
        };
        let total = train.len();
        ensure!(
            holdout < total,
            "--holdout: expected fewer than the {total} training images, found {holdout}"
        );
        let held_out = train.slice(total - holdout..total);
        Ok((train.slice(0..total - holdout), Self { data: held_out, is_holdout: true }))
    }

    /// Returns the images.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Returns whether the images are held-out training images.
    pub fn is_holdout(&self) -> bool {
        self.is_holdout
    }

    /// Returns the name in messages and in the keys of JSON.
    pub fn name(&self) -> &'static str {
        if self.is_holdout { "validation" } else { "test" }
    }

    /// Evaluates a network: on the images, or on page patches or parts of lines with digits of the images.
    ///
    /// # Errors
    /// If a probability is not finite, because the training diverged.
    pub fn evaluate(&self, network: &Network) -> anyhow::Result<Score> {
        let score = match Task::of(network) {
            Some(Task::Ink) => PixelEvaluation::of_network(network, &self.data, EVAL_PATCHES).map(Score::Ink),
            Some(Task::Marks) => {
                evaluate_marks(network, &self.data, EVAL_MARK_SAMPLES).map(Box::new).map(Score::Marks)
            }
            Some(Task::Digits) | None => {
                let probabilities = network.probabilities(self.data.images());
                Evaluation::new(self.data.labels(), &probabilities).map(Box::new).map(Score::Digits)
            }
        };
        score.context(DIVERGED_MESSAGE)
    }
}
