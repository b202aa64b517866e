//! Safetensors files with one metadata key, `lenet`, which holds a JSON object.
//!
//! There is one key because the format does not keep the order of several keys, and equal networks must give equal bytes.

use std::collections::HashMap;

use half::{bf16, f16};
use safetensors::{
    Dtype, SafeTensors,
    tensor::{TensorView, serialize},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    data::Task,
    metadata::to_json,
    nn::{Architecture, NamedTensor, Network, Normalize},
};

/// The metadata key.
const METADATA_KEY: &str = "lenet";

/// Returns a safetensors file of `tensors` as `dtype`, which is `F16` or `F32`, with `metadata` under the key.
///
/// # Errors
/// [`Error::Unwritable`] if the format cannot hold the tensors.
pub(crate) fn serialize_tensors(
    tensors: impl Iterator<Item = NamedTensor>,
    dtype: Dtype,
    metadata: &impl Serialize,
) -> Result<Vec<u8>, Error> {
    let metadata = to_json(metadata)?;
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|tensor| {
            let values = tensor.values.iter();
            let bytes = match dtype {
                Dtype::F16 => values.flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
                _ => values.flat_map(|value| value.to_le_bytes()).collect(),
            };
            (tensor.name, tensor.shape, bytes)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::Unwritable)?;
    serialize(views, Some(HashMap::from([(METADATA_KEY.to_owned(), metadata)]))).map_err(Error::Unwritable)
}

/// Reads the tensors of a safetensors file and checks that all are used.
pub(crate) struct TensorReader<'a> {
    file: SafeTensors<'a>,
    /// The value of the metadata key.
    metadata: Option<String>,
    /// Names of the tensors that were read.
    read: Vec<String>,
}

impl<'a> TensorReader<'a> {
    /// Parses the header.
    ///
    /// # Errors
    /// [`Error::Safetensors`] if `bytes` are not a whole safetensors file.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(Error::Safetensors)?;
        let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY)).cloned();
        let file = SafeTensors::deserialize(bytes).map_err(Error::Safetensors)?;
        Ok(Self { file, metadata, read: Vec::new() })
    }

    /// Returns whether the file has the metadata key.
    pub fn has_metadata(&self) -> bool {
        self.metadata.is_some()
    }

    /// Parses the metadata, which are called `expected` in errors.
    ///
    /// # Errors
    /// [`Error::MissingMetadata`] or [`Error::Metadata`].
    pub fn metadata<M: DeserializeOwned>(&self, expected: &'static str) -> Result<M, Error> {
        let metadata = self.metadata.as_ref().ok_or(Error::MissingMetadata)?;
        serde_json::from_str(metadata).map_err(|source| Error::Metadata { expected, source })
    }

    /// Reads the tensors of a network, whose names have the prefix `prefix`.
    ///
    /// # Errors
    /// [`Error::Network`] if the architecture is invalid, [`Error::WrongTask`], [`Error::MissingParameters`], or an error of
    /// [`read_tensor`](Self::read_tensor).
    pub fn read_network(
        &mut self,
        prefix: &str,
        architecture: Architecture,
        normalize: Normalize,
    ) -> Result<Network, Error> {
        // Checked before memory for the parameters is allocated, because the file may declare a huge architecture.
        let expected: usize = architecture.summary()?.iter().map(|row| row.parameters + row.buffers).sum();
        let found = self.file.iter().map(|(_, view)| view.data().len()).sum::<usize>() / size_of::<f16>();
        if expected > found {
            let mut names = architecture.tensor_shapes().map(|(name, _)| format!("{prefix}{name}"));
            return Err(Error::MissingParameters {
                architecture: architecture.name().to_owned(),
                expected,
                found,
                missing: names.find(|name| self.file.tensor(name).is_err()),
            });
        }
        let mut network = Network::new(architecture, normalize, 0)?;
        if Task::of(&network).is_none() {
            Task::Digits.check(&network)?;
        }
        let mut rows = Vec::with_capacity(expected);
        for (name, shape) in network.architecture().tensor_shapes() {
            rows.extend(self.read_tensor(format!("{prefix}{name}"), &shape)?);
        }
        let parameters = network.to_engine_order(&rows);
        network.parameters_mut().copy_from_slice(&parameters);
        Ok(network)
    }

    /// Reads a tensor, in row-major order.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::ShapeMismatch`], [`Error::UnsupportedDtype`], or [`Error::InvalidValue`] if a value
    /// is not finite.
    pub fn read_tensor(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let Ok(view) = self.file.tensor(&name) else { return Err(Error::MissingTensor { name }) };
        if view.shape() != shape {
            return Err(Error::ShapeMismatch {
                name,
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => view.data().as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            Dtype::F16 => {
                view.data().as_chunks().0.iter().map(|word| f16::from_le_bytes(*word).to_f32()).collect()
            }
            Dtype::BF16 => {
                view.data().as_chunks().0.iter().map(|word| bf16::from_le_bytes(*word).to_f32()).collect()
            }
            Dtype::F64 => {
                view.data().as_chunks().0.iter().map(|word| f64::from_le_bytes(*word) as f32).collect()
            }
            found => return Err(Error::UnsupportedDtype { name, found }),
        };
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::InvalidValue { name, expected: "finite numbers", value });
        }
        self.read.push(name);
        Ok(values)
    }

    /// Checks that all tensors of the file were read.
    ///
    /// # Errors
    /// [`Error::UnknownTensors`].
    pub fn ensure_all_read(self) -> Result<(), Error> {
        let mut names = self.file.names();
        // PyTorch counts the batches of a batch normalization, but the count has no effect with its default momentum.
        names.retain(|name| {
            !name.ends_with(".num_batches_tracked") && self.read.iter().all(|read| read != name)
        });
        if names.is_empty() {
            return Ok(());
        }
        names.sort_unstable();
        let names = names.into_iter().map(str::to_owned).collect();
        Err(Error::UnknownTensors { expected: self.read.len(), names })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a file with tensors of zeros and with the text `metadata` under the key.
    pub fn zeros(tensors: &[(&str, Dtype, &[usize])], metadata: Option<&str>) -> Vec<u8> {
        let zeros = vec![0; 1 << 20];
        let views = tensors.iter().map(|(name, dtype, shape)| {
            let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            (*name, TensorView::new(*dtype, shape.to_vec(), &zeros[..len]).unwrap())
        });
        serialize(views, metadata.map(|text| HashMap::from([(METADATA_KEY.into(), text.into())]))).unwrap()
    }

    /// Returns the file `bytes` of `F32` tensors after a change of its metadata and of each tensor's name and values. A tensor
    /// of changed length becomes one-dimensional.
    pub fn changed(
        bytes: &[u8],
        change_metadata: impl Fn(&mut serde_json::Value),
        change_tensor: impl Fn(&mut String, &mut Vec<f32>),
    ) -> Vec<u8> {
        let reader = TensorReader::new(bytes).unwrap();
        let mut metadata = reader.metadata("JSON").unwrap();
        change_metadata(&mut metadata);
        let tensors = reader.file.iter().map(|(name, view)| {
            let mut name = name.to_owned();
            let words = view.data().as_chunks().0.iter();
            let mut values: Vec<f32> = words.map(|word| f32::from_le_bytes(*word)).collect();
            let len = values.len();
            change_tensor(&mut name, &mut values);
            let shape = if values.len() == len { view.shape().to_vec() } else { vec![values.len()] };
            NamedTensor { name, shape, values }
        });
        serialize_tensors(tensors, Dtype::F32, &metadata).unwrap()
    }
}
