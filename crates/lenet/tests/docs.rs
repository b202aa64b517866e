//! The examples of `docs/weights-format.md` are valid metadata. The test is not part of the published crate.

use std::{collections::HashMap, fs, path::Path};

use lenet::{
    nn::{Architecture, NamedTensor, Network},
    train::Checkpoint,
    weights,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// Returns the JSON examples of the specification.
fn examples() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/weights-format.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

fn network(metadata: &Value) -> Network {
    let architecture: Architecture = serde_json::from_value(metadata["architecture"].clone()).unwrap();
    Network::new(architecture, lenet::data::MNIST_NORMALIZE, 0).unwrap()
}

/// Returns a safetensors file with this metadata.
fn file(tensors: Vec<NamedTensor>, metadata: &Value) -> Vec<u8> {
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|tensor| {
            let bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (tensor.name, tensor.shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, Some(HashMap::from([("lenet".into(), metadata.to_string())]))).unwrap()
}

/// Returns the metadata of a file.
fn metadata(bytes: &[u8]) -> Value {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["lenet"]).unwrap()
}

#[test]
fn weights_example_round_trips() {
    let example = &examples()[0];
    let bytes = file(network(example).tensors().collect(), example);
    let (network, provenance) = weights::from_bytes(&bytes).unwrap();
    assert_eq!(&metadata(&weights::to_bytes(&network, &provenance).unwrap()), example);
}

#[test]
fn checkpoint_example_round_trips() {
    let example = &examples()[1];
    let network = network(example);
    let prefixed = |prefix: &'static str| {
        network
            .tensors()
            .map(move |tensor| NamedTensor { name: format!("{prefix}{}", tensor.name), ..tensor })
    };
    let parameters = network.parameters().len();
    let moments = ["first_moment", "second_moment"].map(|name| NamedTensor {
        name: name.into(),
        shape: vec![parameters],
        values: vec![0.0; parameters],
    });
    let tensors = prefixed("network/").chain(prefixed("average/")).chain(moments).collect();
    let checkpoint = Checkpoint::from_bytes(&file(tensors, example)).unwrap();
    assert_eq!(&metadata(&checkpoint.to_bytes().unwrap()), example);
}
