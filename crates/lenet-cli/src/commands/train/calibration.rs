//! The calibration of the confidence: temperature and rejection threshold.

use std::path::Path;

use anyhow::{Context, ensure};
use lenet::{
    Dataset, calibrate,
    nn::Network,
    train::Checkpoint,
    weights::{self, Provenance},
};

use crate::bounded_read::read_file;

/// Fraction of the held-out digits that the rejection threshold rejects.
const REJECTED_FRACTION: f64 = 0.005;

/// The temperature and the rejection threshold of a network.
#[derive(Clone, Copy)]
pub struct Calibration {
    temperature: f32,
    threshold: Option<f32>,
}

impl Calibration {
    /// Fits the calibration on held-out images. The threshold is fitted only if the network has an outlier class.
    pub fn fit(network: &Network, holdout: &Dataset) -> anyhow::Result<Self> {
        let temperature = calibrate::fit_temperature(holdout.labels(), &network.logits(holdout.images()));
        let network = network.clone().with_temperature(temperature)?;
        let threshold = network
            .architecture()
            .has_outlier_class()
            .then(|| calibrate::fit_rejection_threshold(&network, holdout.images(), REJECTED_FRACTION));
        Ok(Self { temperature, threshold })
    }

    /// Reads the calibration of a weights file.
    ///
    /// # Errors
    /// If that network was not calibrated on held-out images, or differs from the one of `checkpoint` in the architecture, the
    /// recipe or the initial weights.
    pub fn from_weights_file(path: &Path, checkpoint: &Checkpoint) -> anyhow::Result<Self> {
        let bytes = read_file(path)?;
        let parse = || {
            let (network, Provenance { recipe, init_from, holdout, .. }) = weights::from_bytes(&bytes)?;
            ensure!(holdout.is_some(), "holdout: expected a training with --holdout, found one without");
            let architecture = checkpoint.trained_network().architecture().summary()?;
            let is_same = network.architecture().summary()? == architecture && recipe == *checkpoint.recipe();
            ensure!(is_same, "recipe: expected the same architecture and recipe, found another");
            let expected = checkpoint.init_weights_name().unwrap_or("random weights");
            let found = init_from.as_deref().unwrap_or("random weights");
            ensure!(expected == found, "--init: expected {expected}, found {found}");
            Ok(Self { temperature: network.temperature(), threshold: network.rejection_threshold() })
        };
        parse().with_context(|| path.display().to_string())
    }

    /// Returns the network with this calibration.
    pub fn apply(self, network: Network) -> anyhow::Result<Network> {
        Ok(network.with_temperature(self.temperature)?.with_rejection_threshold(self.threshold)?)
    }
}
