//! Networks in safetensors files, with the tensor names of PyTorch's `state_dict`.
//!
//! The metadata key `lenet` holds one JSON object with all other properties of the network: architecture, normalization,
//! calibration and provenance. `docs/weights-format.md` specifies the format; [`Provenance`] and its fields document the
//! keys of the provenance.

use half::f16;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    metadata::{default_temperature, deserialize_architecture, restore_calibration},
    nn::{Architecture, Network, Normalize},
    pytorch,
    tensor_file::{self, TensorReader},
    train::Recipe,
};

/// How a network was trained and evaluated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The recipe of the training.
    pub recipe: Recipe,
    /// Name of the weights that training started from; `None` if the initial weights were random.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "initial")]
    pub init_from: Option<String>,
    /// Seed of the training, and of the initial weights if they were random.
    pub seed: u64,
    /// Number of completed epochs.
    pub epochs: usize,
    /// Fraction of the test images that the network classifies correctly, or of a network that tells ink from rules the F1
    /// score of the pixels that show ink; `None` if it was not evaluated on test images.
    pub test_accuracy: Option<f64>,
    /// Metrics on held-out training images; `None` if none were held out.
    #[serde(alias = "validation")]
    pub holdout: Option<HoldoutMetrics>,
    /// Whether training was interrupted before the last epoch of the recipe.
    pub interrupted: bool,
}

/// Metrics on training images that were held out: the last ones of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldoutMetrics {
    /// Number of held-out images.
    pub images: usize,
    /// Fraction of them that the network classifies correctly, or the F1 score of ink.
    pub accuracy: f64,
}

/// The JSON object under the metadata key.
#[derive(Serialize, Deserialize)]
struct Metadata {
    #[serde(deserialize_with = "deserialize_architecture")]
    architecture: Architecture,
    #[serde(alias = "scaling")]
    normalize: Normalize,
    #[serde(default = "default_temperature")]
    temperature: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    #[cfg_attr(feature = "training", serde(flatten))]
    #[cfg_attr(not(feature = "training"), serde(skip))]
    provenance: Provenance,
}

/// Writes a network as a safetensors file. Equal networks and provenances give equal bytes.
///
/// Tensors are `F16` if that changes no parameter, as after [`Network::round_to_f16`], and `F32` otherwise.
///
/// # Errors
/// [`Error::Unwritable`] if the format cannot hold the name of a layer.
#[cfg(feature = "training")]
pub fn to_bytes(network: &Network, provenance: &Provenance) -> Result<Vec<u8>, Error> {
    let metadata = Metadata {
        architecture: network.architecture().clone(),
        normalize: network.normalization(),
        temperature: network.temperature(),
        threshold: network.rejection_threshold(),
        provenance: provenance.clone(),
    };
    let half = network.parameters().iter().all(|&value| f16::from_f32(value).to_f32() == value);
    tensor_file::serialize_tensors(network.tensors(), if half { Dtype::F16 } else { Dtype::F32 }, &metadata)
}

/// Reads a network and its provenance from a file that [`to_bytes`] wrote.
///
/// # Errors
/// [`Error::Safetensors`] if `bytes` are not a whole safetensors file; [`Error::MissingMetadata`] or [`Error::Metadata`] if
/// the metadata do not describe a network; [`Error::Network`] if the architecture, the normalization, the temperature or the
/// threshold is invalid; and [`Error::MissingTensor`], [`Error::UnknownTensors`], [`Error::ShapeMismatch`],
/// [`Error::UnsupportedDtype`] or [`Error::InvalidValue`] if the tensors are not those of the architecture.
pub fn from_bytes(bytes: &[u8]) -> Result<(Network, Provenance), Error> {
    if pytorch::is_pytorch(bytes) {
        return Err(Error::MissingMetadata);
    }
    let mut tensors = TensorReader::new(bytes)?;
    let metadata: Metadata = tensors.metadata("a network's description")?;
    let network = tensors.read_network("", metadata.architecture, metadata.normalize)?;
    tensors.ensure_all_read()?;
    let network = restore_calibration(network, metadata.temperature, metadata.threshold)?;
    Ok((network, metadata.provenance))
}

/// Reads a network of a given architecture from a safetensors file without our metadata, or from a file that `torch.save` wrote:
/// a `state_dict`, or a checkpoint that has one ([`pytorch`]).
///
/// # Errors
/// [`Error::UnexpectedMetadata`] if the file contains an architecture, [`Error::PyTorch`], else as [`from_bytes`].
pub fn from_state_dict(
    bytes: &[u8],
    architecture: Architecture,
    normalize: Normalize,
) -> Result<Network, Error> {
    let converted = if pytorch::is_pytorch(bytes) { Some(pytorch::to_safetensors(bytes)?) } else { None };
    let mut tensors = TensorReader::new(converted.as_deref().unwrap_or(bytes))?;
    if tensors.has_metadata() {
        return Err(Error::UnexpectedMetadata);
    }
    let network = tensors.read_network("", architecture, normalize)?;
    tensors.ensure_all_read()?;
    Ok(network)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        CLASSES,
        data::{INPUT_SHAPE, MNIST_NORMALIZE},
        models,
        tensor_file::tests::{changed, zeros},
    };

    fn network() -> Network {
        Network::new(models::lenet5(), MNIST_NORMALIZE, 5).unwrap()
    }

    fn provenance() -> Provenance {
        Provenance { seed: 5, epochs: 3, test_accuracy: Some(0.5), interrupted: true, ..Default::default() }
    }

    #[track_caller]
    fn assert_rejected<T>(result: Result<T, Error>, message: &str) {
        let found = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(found.starts_with(message), "expected {message}, found {found}");
    }

    #[test]
    fn round_trip_keeps_everything() {
        let bytes = to_bytes(&network(), &provenance()).unwrap();
        assert_eq!(bytes, to_bytes(&network(), &provenance()).unwrap());
        let (found, from) = from_bytes(&bytes).unwrap();
        assert_eq!(from, provenance());
        assert_eq!(found.architecture(), network().architecture());
        assert_eq!(found.normalization(), MNIST_NORMALIZE);
        assert_eq!(found.parameters(), network().parameters());
    }

    #[test]
    fn round_trip_keeps_calibration_and_f16() {
        let mut network = network().with_implicit_outlier_class().with_temperature(1.25).unwrap();
        network = network.with_rejection_threshold(Some(0.5)).unwrap();
        let single = to_bytes(&network, &provenance()).unwrap();
        network.round_to_f16();
        let half = to_bytes(&network, &provenance()).unwrap();
        assert!(half.len() < single.len() * 6 / 10, "{} of {} bytes", half.len(), single.len());
        let (found, from) = from_bytes(&half).unwrap();
        assert_eq!((found.temperature(), found.rejection_threshold()), (1.25, Some(0.5)));
        assert_eq!(found.parameters(), network.parameters());
        assert_eq!(to_bytes(&found, &from).unwrap(), half);
    }

    #[test]
    fn reads_old_keys() {
        let holdout = Some(HoldoutMetrics { images: 10, accuracy: 0.5 });
        let expected = Provenance { init_from: Some("vgg".into()), holdout, ..provenance() };
        let new = to_bytes(&network(), &expected).unwrap();
        let renames = [("normalize", "scaling"), ("init_from", "initial"), ("holdout", "validation")];
        let old = changed(
            &new,
            |metadata| {
                let metadata = metadata.as_object_mut().unwrap();
                for (new, old) in renames {
                    let value = metadata.remove(new).unwrap();
                    metadata.insert(old.into(), value);
                }
            },
            |_, _| (),
        );
        assert_eq!(from_bytes(&old).unwrap().1, expected);
        assert_eq!(from_bytes(&new).unwrap().1, expected);
    }

    #[test]
    fn rejects_calibration_out_of_range() {
        for (temperature, threshold, wrong) in [
            (0.0, 0.5, "temperature: expected a finite number above 0, found 0"),
            (1.0, 1.5, "rejection_threshold: expected 0 to 1, found 1.5"),
        ] {
            let change = |metadata: &mut serde_json::Value| {
                metadata["temperature"] = json!(temperature);
                metadata["threshold"] = json!(threshold);
            };
            let bytes = to_bytes(&network(), &provenance()).unwrap();
            assert_rejected(from_bytes(&changed(&bytes, change, |_, _| ())), wrong);
        }
    }

    #[test]
    fn rejects_truncated_files() {
        let bytes = to_bytes(&network(), &provenance()).unwrap();
        for len in (0..bytes.len()).step_by(997) {
            assert_rejected(from_bytes(&bytes[..len]), "content: expected a safetensors file");
        }
    }

    #[test]
    fn rejects_trailing_bytes() {
        let mut bytes = to_bytes(&network(), &provenance()).unwrap();
        bytes.push(0);
        assert_rejected(from_bytes(&bytes), "content: expected a safetensors file");
    }

    #[test]
    fn rejects_header_longer_than_the_file() {
        let bytes = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        assert_rejected(from_bytes(&bytes), "content: expected a safetensors file");
    }

    #[test]
    fn rejects_missing_and_foreign_metadata() {
        assert!(matches!(from_bytes(&zeros(&[], None)), Err(Error::MissingMetadata)));
        let error = from_bytes(&zeros(&[], Some("{}"))).unwrap_err();
        assert_eq!(error.to_string(), "metadata: expected a network's description");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("missing field `architecture`"), "{source}");
    }

    #[test]
    fn rejects_an_architecture_beside_that_of_the_file() {
        let bytes = to_bytes(&network(), &provenance()).unwrap();
        let found = from_state_dict(&bytes, models::lenet5(), Normalize::UNIT);
        assert!(matches!(found, Err(Error::UnexpectedMetadata)));
    }

    #[test]
    fn rejects_an_architecture_larger_than_the_file_before_allocating() {
        let huge = Architecture::new("huge", INPUT_SHAPE, CLASSES)
            .layer("flatten", crate::nn::Layer::Flatten)
            .layer("a", crate::nn::Linear::new(784, 60_000))
            .layer("b", crate::nn::Linear::new(60_000, 10));
        let found = from_state_dict(&zeros(&[], None), huge, Normalize::UNIT);
        assert_rejected(found, "parameters: expected 47700010 for huge, found at most");
    }

    #[test]
    fn rejects_missing_misshapen_and_unknown_tensors() {
        let mlp = |first: (&'static str, Dtype, &'static [usize]),
                   more: &[(&'static str, Dtype, &'static [usize])]| {
            let rest: [(&str, Dtype, &[usize]); 3] = [
                ("layer1.bias", Dtype::F32, &[20]),
                ("layer2.weight", Dtype::F32, &[10, 20]),
                ("layer2.bias", Dtype::F32, &[10]),
            ];
            let architecture = Architecture::new("mlp", INPUT_SHAPE, CLASSES)
                .layer("flatten", crate::nn::Layer::Flatten)
                .layer("layer1", crate::nn::Linear::new(784, 20))
                .layer("layer2", crate::nn::Linear::new(20, 10));
            from_state_dict(
                &zeros(&[&[first], &rest[..], more].concat(), None),
                architecture,
                Normalize::UNIT,
            )
        };
        let right: (&str, Dtype, &[usize]) = ("layer1.weight", Dtype::F32, &[20, 784]);
        assert!(mlp(right, &[]).is_ok());
        assert_rejected(
            mlp(("layer1.weight", Dtype::F32, &[784, 20]), &[]),
            "layer1.weight: expected shape [20, 784], found [784, 20]",
        );
        assert_rejected(
            mlp(("layer1.weight", Dtype::I64, &[20, 784]), &[]),
            "layer1.weight: expected F32, F16, BF16 or F64, found I64",
        );
        let missing = "layer1.weight: expected a tensor of this name, found none";
        assert_rejected(mlp(("layer3.weight", Dtype::F32, &[20, 784]), &[]), missing);
        let extra: (&str, Dtype, &[usize]) = ("layer3.bias", Dtype::F32, &[1]);
        assert_rejected(mlp(right, &[extra]), "tensors: expected 4, found also layer3.bias");
    }

    #[test]
    fn rejects_values_that_are_not_finite() {
        let mut network = network();
        network.parameters_mut()[200] = f32::NAN;
        let bytes = to_bytes(&network, &provenance()).unwrap();
        assert_rejected(from_bytes(&bytes), "conv2.weight: expected finite numbers, found NaN");
    }

    #[test]
    fn reads_architecture_without_input_and_classes() {
        let change = |metadata: &mut serde_json::Value| {
            let architecture = metadata["architecture"].as_object_mut().unwrap();
            assert!(architecture.remove("input").is_some() && architecture.remove("classes").is_some());
        };
        let bytes = changed(&to_bytes(&network(), &provenance()).unwrap(), change, |_, _| ());
        assert_eq!(from_bytes(&bytes).unwrap().0.architecture(), network().architecture());
    }

    #[test]
    fn threshold_implies_the_outlier_class() {
        let change = |metadata: &mut serde_json::Value| metadata["threshold"] = json!(0.5);
        let bytes = changed(&to_bytes(&network(), &provenance()).unwrap(), change, |_, _| ());
        let (found, _) = from_bytes(&bytes).unwrap();
        assert!(found.architecture().has_outlier_class());
        assert_eq!(found.rejection_threshold(), Some(0.5));
    }

    #[test]
    fn round_trip_keeps_outlier_class_without_threshold() {
        let bytes = to_bytes(&network().with_implicit_outlier_class(), &provenance()).unwrap();
        let (found, _) = from_bytes(&bytes).unwrap();
        assert!(found.architecture().has_outlier_class());
        assert_eq!(found.rejection_threshold(), None);
    }

    #[test]
    fn rejects_networks_for_other_images() {
        let shape = crate::nn::Shape { channels: 3, height: 2, width: 2 };
        let architecture = Architecture::new("other", shape, 4)
            .layer("flatten", crate::nn::Layer::Flatten)
            .layer("fc", crate::nn::Linear::new(12, 4));
        let network = Network::new(architecture, MNIST_NORMALIZE, 0).unwrap();
        let error = from_bytes(&to_bytes(&network, &provenance()).unwrap()).unwrap_err();
        let output = crate::nn::Shape::flat(4);
        assert!(
            matches!(error, Error::WrongTask { expected: crate::data::Task::Digits, input, output: found } if (input, found) == (shape, output)),
            "{error}"
        );
    }
}
