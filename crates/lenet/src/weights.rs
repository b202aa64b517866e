//! Networks as bytes: safetensors, with the tensor names of PyTorch's `state_dict`.
//!
//! The metadata key `lenet` holds all else as one JSON object: the architecture and the normalize that rebuild the
//! network, and where it comes from. (One key, because the format doesn't keep the order of several, and the same
//! network shall be the same bytes.)

use std::{collections::HashMap, fmt::Display};

use half::f16;
use safetensors::{
    Dtype, SafeTensorError, SafeTensors,
    tensor::{TensorView, serialize},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error,
    nn::{Architecture, Network, Normalize, Tensor},
    train::Recipe,
};

/// Where a network comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What it was trained with.
    pub recipe: Recipe,
    /// What the network is called that training began with, if not with random parameters.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "initial")]
    pub init_from: Option<String>,
    /// The seed of its first weights, where they were random, and of its training.
    pub seed: u64,
    /// Epochs that were finished.
    pub epochs: usize,
    /// BatchSlice of the test images that it answers right, from 0 to 1; `None` if it was not measured on them.
    pub test_accuracy: Option<f64>,
    /// What it was measured on instead.
    pub validation: Option<Validation>,
    /// Whether training was broken off before the recipe's end.
    pub interrupted: bool,
}

/// Training images that were held out to measure on, the last ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// How many.
    pub images: usize,
    /// BatchSlice of them that the network answers right, from 0 to 1.
    pub accuracy: f64,
}

const KEY: &str = "lenet";

/// What the metadata holds.
#[derive(Serialize, Deserialize)]
struct Metadata {
    architecture: Architecture,
    #[serde(alias = "scaling")]
    normalize: Normalize,
    #[serde(default = "untempered")]
    temperature: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    #[serde(flatten)]
    provenance: Provenance,
}

/// The temperature of a network that none was fitted to.
pub(crate) fn untempered() -> f32 {
    1.0
}

/// The network as a safetensors file: the same bytes for the same network and provenance. It is in half precision if
/// that changes no parameter, as after [`Network::round_to_f16`].
///
/// # Errors
/// [`Error::Malformed`] if a layer's name can't stand in the file.
pub fn to_bytes(network: &Network, provenance: &Provenance) -> Result<Vec<u8>, Error> {
    let metadata = Metadata {
        architecture: network.architecture().clone(),
        normalize: network.normalize(),
        temperature: network.temperature(),
        threshold: network.threshold(),
        provenance: provenance.clone(),
    };
    let half = network.parameters().iter().all(|&value| f16::from_f32(value).to_f32() == value);
    write(network.tensors(), if half { Dtype::F16 } else { Dtype::F32 }, &metadata)
}

/// A network that [`to_bytes`] wrote, and where it comes from.
///
/// # Errors
/// [`Error::Malformed`] if `bytes` are not such a file, whole and undamaged; [`Error::Architecture`] if its layers
/// don't fit together; [`Error::Setting`] if its normalize, temperature or threshold can't be.
pub fn from_bytes(bytes: &[u8]) -> Result<(Network, Provenance), Error> {
    let mut tensors = Tensors::read(bytes)?;
    let metadata: Metadata = tensors.metadata("a network's description")?;
    let network = tensors.network("", metadata.architecture, metadata.normalize)?;
    tensors.end()?;
    let network = network.with_temperature(metadata.temperature)?.with_threshold(metadata.threshold)?;
    Ok((network, metadata.provenance))
}

/// A network of the given architecture with the weights of a safetensors file that holds a `state_dict` and doesn't
/// tell what network it is of, such as one that PyTorch saved.
///
/// # Errors
/// [`Error::Malformed`] if `bytes` are not such a file, or its tensors are not exactly those of the architecture,
/// in single or half precision and finite; [`Error::Architecture`] if its layers don't fit together.
pub fn from_state_dict(
    bytes: &[u8],
    architecture: Architecture,
    normalize: Normalize,
) -> Result<Network, Error> {
    let mut tensors = Tensors::read(bytes)?;
    if tensors.metadata.is_some() {
        let expected = "none, as the architecture is given";
        return Err(Error::malformed("metadata", expected, format!("`{KEY}`, which tells it")));
    }
    let network = tensors.network("", architecture, normalize)?;
    tensors.end()?;
    Ok(network)
}

/// A safetensors file of `tensors`, in half or single precision, with `metadata` under our key.
pub(crate) fn write(
    tensors: impl Iterator<Item = Tensor>,
    precision: Dtype,
    metadata: &impl Serialize,
) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn Display| Error::malformed("network", "what safetensors can hold", error);
    let metadata = serde_json::to_string(metadata).map_err(|error| failed(&error))?;
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|tensor| {
            let values = tensor.values.iter();
            let bytes = match precision {
                Dtype::F16 => values.flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
                _ => values.flat_map(|value| value.to_le_bytes()).collect(),
            };
            (tensor.name, tensor.shape, bytes)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(precision, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .map_err(|error| failed(&error))?;
    serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).map_err(|error| failed(&error))
}

/// A safetensors file that is being read.
pub(crate) struct Tensors<'a> {
    pub file: SafeTensors<'a>,
    /// What the metadata holds under our key.
    metadata: Option<String>,
    /// The names of the tensors that were asked for.
    known: Vec<String>,
}

impl<'a> Tensors<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let not_safetensors =
            |error: SafeTensorError| Error::malformed("content", "a safetensors file", error);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).cloned();
        let file = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        Ok(Self { file, metadata, known: Vec::new() })
    }

    /// What [`write()`] was given, `expected` to be that.
    pub fn metadata<M: DeserializeOwned>(&self, expected: &str) -> Result<M, Error> {
        let metadata = self.metadata.as_ref().ok_or_else(|| {
            Error::malformed("metadata", format!("a key `{KEY}` that tells the architecture"), "none")
        })?;
        serde_json::from_str(metadata).map_err(|error| Error::malformed("metadata", expected, error))
    }

    /// The network whose tensors have these names after `prefix`.
    pub fn network(
        &mut self,
        prefix: &str,
        architecture: Architecture,
        normalize: Normalize,
    ) -> Result<Network, Error> {
        let expected: usize = architecture.summary()?.iter().map(|row| row.parameters + row.buffers).sum();
        let found = self.file.iter().map(|(_, view)| view.data().len()).sum::<usize>() / size_of::<f16>();
        if expected > found {
            return Err(Error::malformed(
                "parameters",
                format!("{expected} for {}", architecture.name()),
                format!("at most {found}"),
            ));
        }
        let mut network = Network::new(architecture, normalize, 0)?;
        let mut rows = Vec::with_capacity(expected);
        for (name, shape) in network.architecture().tensors() {
            rows.extend(self.tensor(format!("{prefix}{name}"), &shape)?);
        }
        let parameters = network.to_panels(&rows);
        network.parameters_mut().copy_from_slice(&parameters);
        Ok(network)
    }

    /// The values of a tensor, row by row.
    pub fn tensor(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let view =
            self.file.tensor(&name).map_err(|_| Error::malformed(&name, "a tensor of this name", "none"))?;
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 if view.shape() == shape => {
                view.data().as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
            }
            Dtype::F16 if view.shape() == shape => {
                view.data().as_chunks().0.iter().map(|word| f16::from_le_bytes(*word).to_f32()).collect()
            }
            dtype => {
                let found = format!("{dtype} of {:?}", view.shape());
                return Err(Error::malformed(&name, format!("F32 or F16 of {shape:?}"), found));
            }
        };
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::malformed(name, "finite numbers", value));
        }
        self.known.push(name);
        Ok(values)
    }

    /// Makes sure that there are no other tensors than those that were asked for.
    pub fn end(self) -> Result<(), Error> {
        let mut names = self.file.names();
        // A batch normalisation's count of batches changes nothing at PyTorch's momentum.
        names.retain(|name| {
            !name.ends_with(".num_batches_tracked") && self.known.iter().all(|known| known != name)
        });
        if names.is_empty() {
            return Ok(());
        }
        names.sort_unstable();
        Err(Error::malformed("tensors", self.known.len(), format!("also {}", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    fn network() -> Network {
        Network::new(models::lenet5(), Normalize::MNIST, 5).unwrap()
    }

    fn provenance() -> Provenance {
        Provenance { seed: 5, epochs: 3, test_accuracy: Some(0.5), interrupted: true, ..Default::default() }
    }

    /// A file with these tensors, all zeros, and this metadata.
    fn file(tensors: &[(&str, Dtype, &[usize])], metadata: Option<&str>) -> Vec<u8> {
        let zeros = vec![0; 1 << 20];
        let views = tensors.iter().map(|(name, dtype, shape)| {
            let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            (*name, TensorView::new(*dtype, shape.to_vec(), &zeros[..len]).unwrap())
        });
        serialize(views, metadata.map(|text| HashMap::from([(KEY.into(), text.into())]))).unwrap()
    }

    #[track_caller]
    fn assert_refused<T>(result: Result<T, Error>, message: &str) {
        let found = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(found.starts_with(message), "expected {message}, found {found}");
    }

    #[test]
    fn round_trip() {
        let bytes = to_bytes(&network(), &provenance()).unwrap();
        assert_eq!(bytes, to_bytes(&network(), &provenance()).unwrap());
        let (found, from) = from_bytes(&bytes).unwrap();
        assert_eq!(from, provenance());
        assert_eq!(found.architecture(), network().architecture());
        assert_eq!(found.normalize(), Normalize::MNIST);
        assert_eq!(found.parameters(), network().parameters());
    }

    #[test]
    fn calibration_and_half_precision_come_back() {
        let mut network = network().with_temperature(1.25).unwrap().with_threshold(Some(0.5)).unwrap();
        let single = to_bytes(&network, &provenance()).unwrap();
        network.round_to_f16();
        let half = to_bytes(&network, &provenance()).unwrap();
        assert!(half.len() < single.len() * 6 / 10, "{} of {} bytes", half.len(), single.len());
        let (found, from) = from_bytes(&half).unwrap();
        assert_eq!((found.temperature(), found.threshold()), (1.25, Some(0.5)));
        assert_eq!(found.parameters(), network.parameters());
        assert_eq!(to_bytes(&found, &from).unwrap(), half);
    }

    #[test]
    fn an_impossible_calibration_is_refused() {
        for (temperature, threshold, wrong) in [
            (0.0, 0.5, "temperature: expected a finite number above 0, found 0"),
            (1.0, 1.5, "threshold: expected 0 to 1, found 1.5"),
        ] {
            let text = serde_json::json!({
                "architecture": models::lenet5(), "scaling": Normalize::MNIST,
                "temperature": temperature, "threshold": threshold,
                "recipe": Recipe::default(), "seed": 0, "epochs": 1, "interrupted": false,
            });
            let network = network();
            let tensors = network.tensors();
            let zeros = vec![0; 1 << 20];
            let views = tensors.map(|tensor| {
                let bytes = &zeros[..4 * tensor.values.len()];
                (tensor.name, TensorView::new(Dtype::F32, tensor.shape, bytes).unwrap())
            });
            let bytes = serialize(views, Some(HashMap::from([(KEY.into(), text.to_string())]))).unwrap();
            assert_refused(from_bytes(&bytes), wrong);
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = to_bytes(&network(), &provenance()).unwrap();
        for len in (0..bytes.len()).step_by(997) {
            assert_refused(from_bytes(&bytes[..len]), "content: expected a safetensors file");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = to_bytes(&network(), &provenance()).unwrap();
        bytes.push(0);
        assert_refused(from_bytes(&bytes), "content: expected a safetensors file");
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused() {
        let bytes = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        assert_refused(from_bytes(&bytes), "content: expected a safetensors file");
    }

    #[test]
    fn foreign_metadata_is_refused() {
        assert_refused(from_bytes(&file(&[], None)), "metadata: expected a key `lenet`");
        assert_refused(from_bytes(&file(&[], Some("{}"))), "metadata: expected a network's description");
    }

    #[test]
    fn a_file_that_tells_its_architecture_is_not_given_another() {
        let bytes = to_bytes(&network(), &provenance()).unwrap();
        let found = from_state_dict(&bytes, models::lenet5(), Normalize::UNIT);
        assert_refused(found, "metadata: expected none, as the architecture is given, found `lenet`");
    }

    #[test]
    fn an_architecture_beyond_the_file_takes_no_memory() {
        let huge = Architecture::new("huge")
            .layer("flatten", crate::nn::Layer::Flatten)
            .layer("a", crate::nn::Linear::new(784, 60_000))
            .layer("b", crate::nn::Linear::new(60_000, 10));
        let found = from_state_dict(&file(&[], None), huge, Normalize::UNIT);
        assert_refused(found, "parameters: expected 47700010 for huge, found at most");
    }

    #[test]
    fn wrong_tensors_are_refused() {
        let mlp = |first: (&'static str, Dtype, &'static [usize]),
                   more: &[(&'static str, Dtype, &'static [usize])]| {
            let rest: [(&str, Dtype, &[usize]); 3] = [
                ("layer1.bias", Dtype::F32, &[20]),
                ("layer2.weight", Dtype::F32, &[10, 20]),
                ("layer2.bias", Dtype::F32, &[10]),
            ];
            let architecture = Architecture::new("mlp")
                .layer("flatten", crate::nn::Layer::Flatten)
                .layer("layer1", crate::nn::Linear::new(784, 20))
                .layer("layer2", crate::nn::Linear::new(20, 10));
            from_state_dict(&file(&[&[first], &rest[..], more].concat(), None), architecture, Normalize::UNIT)
        };
        let right: (&str, Dtype, &[usize]) = ("layer1.weight", Dtype::F32, &[20, 784]);
        assert!(mlp(right, &[]).is_ok());
        let shape = "layer1.weight: expected F32 or F16 of [20, 784], found ";
        assert_refused(
            mlp(("layer1.weight", Dtype::F32, &[784, 20]), &[]),
            &format!("{shape}F32 of [784, 20]"),
        );
        assert_refused(
            mlp(("layer1.weight", Dtype::F64, &[20, 784]), &[]),
            &format!("{shape}F64 of [20, 784]"),
        );
        let missing = "layer1.weight: expected a tensor of this name, found none";
        assert_refused(mlp(("layer3.weight", Dtype::F32, &[20, 784]), &[]), missing);
        let extra: (&str, Dtype, &[usize]) = ("layer3.bias", Dtype::F32, &[1]);
        assert_refused(mlp(right, &[extra]), "tensors: expected 4, found also layer3.bias");
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let mut network = network();
        network.parameters_mut()[200] = f32::NAN;
        let bytes = to_bytes(&network, &provenance()).unwrap();
        assert_refused(from_bytes(&bytes), "conv2.weight: expected finite numbers, found NaN");
    }
}
