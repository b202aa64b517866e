//! Parts of the JSON metadata that files of weights and checkpoints share.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::json;

use crate::{
    CLASSES, Error,
    data::INPUT_SHAPE,
    nn::{Architecture, Network},
};

/// Returns the temperature of a network without calibration.
pub(crate) fn default_temperature() -> f32 {
    1.0
}

/// Deserializes an architecture. Files written before architectures had an input shape and a number of classes have
/// [`INPUT_SHAPE`] and [`CLASSES`]. One for dense prediction has `labels` instead of classes.
pub(crate) fn deserialize_architecture<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Architecture, D::Error> {
    let mut fields = serde_json::Map::deserialize(deserializer)?;
    fields.entry("input").or_insert(json!(INPUT_SHAPE));
    if !fields.contains_key("labels") {
        fields.entry("classes").or_insert(json!(CLASSES));
    }
    Architecture::deserialize(serde_json::Value::Object(fields)).map_err(D::Error::custom)
}

/// Sets the calibration of a network that was read from a file. In files written before architectures had an outlier class, a
/// threshold implies one.
pub(crate) fn calibrate(
    network: Network,
    temperature: f32,
    threshold: Option<f32>,
) -> Result<Network, Error> {
    let network = if threshold.is_some() { network.with_implicit_outlier_class() } else { network };
    Ok(network.with_temperature(temperature)?.with_rejection_threshold(threshold)?)
}
