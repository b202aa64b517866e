//! Recipes: the settings of a training.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    data::{MNIST_NORMALIZE, augment::Augmentation, synthetic::SyntheticFractions},
    error::ensure_setting,
    nn::{
        Normalize,
        optim::{Optimizer, Schedule},
    },
};

/// The settings of a training.
///
/// In a serialized recipe, an omitted optional field disables its feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the recipe.
    pub name: String,
    /// Passes over the training images, 1 to 100,000.
    pub epochs: usize,
    /// Images per optimizer step, 1 to 4,096.
    pub batch_size: usize,
    /// Fraction of all steps in which the learning rate rises linearly to the schedule's initial value. The schedule
    /// spans the remaining steps. At least 0 and below 1.
    #[serde(default)]
    pub warmup: f32,
    /// Fraction of each target's probability that is spread evenly over the classes, as in PyTorch's
    /// `CrossEntropyLoss`. At least 0 and below 1.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Decay of the exponential moving average (EMA) of the parameters: `a = d * a + (1 - d) * p` after step `t`,
    /// counted from 1, with `d = min(ema, t / (9 + t))`. The averaged parameters are the result of training. 0 disables
    /// the average. At least 0 and below 1.
    #[serde(default)]
    pub ema: f32,
    /// Probability that a [`Dropout`](crate::nn::Dropout) layer zeroes an element; it overrides the architecture's. At
    /// least 0 and below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f32>,
    /// Schedule of the learning rate.
    pub schedule: Schedule,
    /// Normalization of pixels before the first layer.
    #[serde(alias = "scaling")]
    pub normalize: Normalize,
    /// The optimizer and its base learning rate.
    pub optimizer: Optimizer,
    /// Synthetic samples that replace some of the training images.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "mixture")]
    pub synthetic: Option<SyntheticFractions>,
    /// Random transformation of the training images; every epoch draws new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

/// Adam with a cosine schedule on normalized pixels, which works for all architectures of [`models`](crate::models).
impl Default for Recipe {
    fn default() -> Self {
        Self {
            name: "default".into(),
            epochs: 10,
            batch_size: 100,
            warmup: 0.0,
            label_smoothing: 0.0,
            ema: 0.0,
            dropout: None,
            schedule: Schedule::Cosine,
            normalize: MNIST_NORMALIZE,
            optimizer: Optimizer::Adam { lr: 0.002 },
            synthetic: None,
            augmentation: None,
        }
    }
}

/// Limits the number of steps and the size of a checkpoint's history.
const MAX_EPOCHS: usize = 100_000;
/// Limits the memory of a step, which grows with the batch, and its duration, because a step cannot be interrupted.
const MAX_BATCH_SIZE: usize = 4096;

impl Recipe {
    /// Checks that all settings are in their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], or [`Error::Network`] for the optimizer, the schedule and the normalization, with the
    /// name of the first field that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, max, value) in
            [("epochs", MAX_EPOCHS, self.epochs), ("batch_size", MAX_BATCH_SIZE, self.batch_size)]
        {
            ensure_setting(name, (1..=max).contains(&value), format!("1 to {max}"), value)?;
        }
        for (name, fraction) in [
            ("warmup", self.warmup),
            ("label_smoothing", self.label_smoothing),
            ("ema", self.ema),
            ("dropout", self.dropout.unwrap_or(0.0)),
        ] {
            ensure_setting(name, (0.0..1.0).contains(&fraction), "at least 0 and below 1", fraction)?;
        }
        self.synthetic.map_or(Ok(()), |synthetic| synthetic.validate())?;
        self.augmentation.map_or(Ok(()), |augmentation| augmentation.validate())?;
        self.schedule.validate()?;
        self.normalize.validate()?;
        Ok(self.optimizer.validate()?)
    }

    /// Returns the learning rate of step `step` of `steps`, counted from 0.
    pub fn learning_rate(&self, step: usize, steps: usize) -> f64 {
        let factor = self.schedule.factor_with_warmup(self.warmup, step, steps);
        f64::from(self.optimizer.lr()) * factor
    }

    /// Returns whether training shows outliers, which need an outlier class in the architecture.
    pub fn trains_outliers(&self) -> bool {
        self.synthetic.is_some_and(|synthetic| synthetic.outliers > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_old_keys_and_writes_new_ones() {
        let old = serde_json::json!({
            "name": "old", "epochs": 1, "batch_size": 10, "schedule": "Constant",
            "scaling": { "mean": 0.5, "std": 0.25 },
            "optimizer": { "Adam": { "lr": 0.5 } },
            "mixture": { "drawn": 0.125, "cut": 0.25, "outliers": 0.375, "bitmaps": 0.5 },
        });
        let recipe: Recipe = serde_json::from_value(old).unwrap();
        let synthetic = SyntheticFractions { glyphs: 0.125, line_crops: 0.25, outliers: 0.375, low_res: 0.5 };
        assert_eq!((recipe.normalize.mean, recipe.normalize.std), (0.5, 0.25));
        assert_eq!(recipe.synthetic, Some(synthetic));
        let written = serde_json::to_value(&recipe).unwrap();
        assert_eq!(
            written["synthetic"],
            serde_json::json!({ "glyphs": 0.125, "line_crops": 0.25, "outliers": 0.375, "low_res": 0.5 })
        );
        assert_eq!(written["normalize"], serde_json::json!({ "mean": 0.5, "std": 0.25 }));
        assert_eq!(serde_json::from_value::<Recipe>(written).unwrap(), recipe);
    }
}
