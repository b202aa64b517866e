//! The history of a training.

use serde::{Deserialize, Serialize};

/// Metrics of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochMetrics {
    /// Mean loss over the training images, each at the step that trained on it.
    pub loss: f64,
    /// Fraction of the training images that were classified correctly, or of the labels of pixels that were right, each at
    /// the step that trained on it.
    #[serde(alias = "accuracy")]
    pub train_accuracy: f64,
    /// Fraction of other images that the network classifies correctly after the epoch, or the F1 score of ink, if
    /// [`Trainer::record_eval`](crate::train::Trainer::record_eval) recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "measured")]
    pub eval_accuracy: Option<f64>,
    /// Duration of the epoch, if [`Trainer::record_eval`](crate::train::Trainer::record_eval) recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}
