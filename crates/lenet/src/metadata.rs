//! Parts of the JSON metadata that files of weights and checkpoints share.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::json;

use crate::{
    CLASSES, Error,
    data::INPUT_SHAPE,
    nn::{Architecture, Network},
};

/// Returns metadata as JSON.
///
/// # Errors
/// [`Error::Metadata`] if JSON can't hold a value.
pub(crate) fn to_json(metadata: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(metadata)
        .map_err(|source| Error::Metadata { expected: "values that JSON can hold", source })
}

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
pub(crate) fn restore_calibration(
    network: Network,
    temperature: f32,
    threshold: Option<f32>,
) -> Result<Network, Error> {
    let network = if threshold.is_some() { network.with_implicit_outlier_class() } else { network };
    Ok(network.with_temperature(temperature)?.with_rejection_threshold(threshold)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv2d, PixelShuffle, Shape};

    #[test]
    fn architecture_for_dense_prediction_has_labels_instead_of_classes() {
        let input = Shape { channels: 1, height: 8, width: 8 };
        let architecture = Architecture::dense_prediction("dense", input, 2)
            .layer("conv1", Conv2d::new(1, 4, 4).stride(2).padding(1))
            .layer("conv2", Conv2d::new(4, 8, 3).dilation(2).padding(2))
            .layer("shuffle", PixelShuffle::new(2));
        let conv = |inputs, outputs, kernel, stride, padding| {
            json!({
                "type": "Conv2d",
                "in_channels": inputs,
                "out_channels": outputs,
                "kernel_size": kernel,
                "stride": stride,
                "padding": padding,
            })
        };
        let mut dilated = conv(4, 8, 3, 1, 2);
        dilated["dilation"] = json!(2);
        let expected = json!({
            "name": "dense",
            "input": {"channels": 1, "height": 8, "width": 8},
            "labels": 2,
            "layers": [
                ["conv1", conv(1, 4, 4, 2, 1)],
                ["conv2", dilated],
                ["shuffle", {"type": "PixelShuffle", "upscale_factor": 2}],
            ],
        });
        assert_eq!(serde_json::to_value(&architecture).unwrap(), expected);
        assert_eq!(deserialize_architecture(expected.clone()).unwrap(), architecture);
        for (key, value, message) in [
            ("classes", json!(10), "expected either `classes` or `labels`, found both"),
            ("outlier_class", json!(true), "expected no `outlier_class` beside `labels`"),
        ] {
            let mut fields = expected.clone();
            fields[key] = value;
            assert_eq!(deserialize_architecture(fields).unwrap_err().to_string(), message);
        }
    }
}
