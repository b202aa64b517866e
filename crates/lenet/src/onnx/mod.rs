//! Networks as ONNX models, which other programs and languages run.
//!
//! A model takes pixels and returns probabilities: normalization, temperature, outlier class and softmax are in its graph. The
//! metadata say how the network was trained. The names of nodes and constants are those of the layers and of PyTorch's
//! `state_dict`.
//!
//! | | name | shape | elements |
//! |---|---|---|---|
//! | input | `pixels` | `(batch, height, width)` | [`PixelType`], 0 (paper) to 255 (ink) |
//! | output | `probabilities` | `(batch, classes)`, or `(batch, labels, height, width)` in dense prediction | `float` |
//!
//! `batch` is free. With an outlier class, the probabilities of a sample add up to that of its being a digit.

mod graph;
mod schema;

use prost::Message;

use crate::{Error, error::ensure_setting, metadata::to_json, nn::Network, weights::Provenance};
use graph::GraphBuilder;
use schema::{ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The oldest version of ONNX's operators that has all operators of a graph, with the inputs and attributes that it uses.
pub const MIN_OPSET: u32 = 13;
/// The newest version that has been checked.
pub const MAX_OPSET: u32 = 24;
/// The version that most runtimes understand.
pub const DEFAULT_OPSET: u32 = 17;

/// The version of the file format: that of ONNX 1.10, of the year 2021.
const IR_VERSION: i64 = 8;

/// The elements of a model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PixelType {
    /// Bytes.
    #[default]
    Uint8,
    /// 32-bit floats, for runtimes that don't have bytes. They are 0 to 255 as well.
    Float,
}

/// Returns an ONNX model of a network.
///
/// # Errors
/// [`Error::InvalidSetting`] if `opset` is not [`MIN_OPSET`] to [`MAX_OPSET`].
pub fn to_bytes(
    network: &Network,
    provenance: Option<&Provenance>,
    input: PixelType,
    opset: u32,
) -> Result<Vec<u8>, Error> {
    ensure_setting(
        "opset",
        (MIN_OPSET..=MAX_OPSET).contains(&opset),
        format_args!("{MIN_OPSET} to {MAX_OPSET}"),
        opset,
    )?;
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("lenet".to_owned()),
        doc_string: Some(
            "Pixels are 0, paper, to 255, ink. The graph normalizes them, and its output needs no softmax."
                .to_owned(),
        ),
        graph: Some(GraphBuilder::default().build(network, input)),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(opset.into()) }],
        metadata_props: metadata(network, provenance)?,
    };
    Ok(model.encode_to_vec())
}

/// Returns the architecture, the calibration and the provenance, each as JSON.
fn metadata(
    network: &Network,
    provenance: Option<&Provenance>,
) -> Result<Vec<StringStringEntryProto>, Error> {
    let mut entries = vec![
        ("architecture", to_json(network.architecture())?),
        ("normalize", to_json(&network.normalization())?),
        ("temperature", network.temperature().to_string()),
    ];
    if let Some(threshold) = network.rejection_threshold() {
        entries.push(("rejection_threshold", threshold.to_string()));
    }
    if let Some(provenance) = provenance {
        entries.push(("provenance", to_json(provenance)?));
        entries.extend(provenance.test_accuracy.map(|accuracy| ("test_accuracy", accuracy.to_string())));
    }
    let entry = |(key, value): (&str, String)| StringStringEntryProto {
        key: Some(format!("lenet.{key}")),
        value: Some(value),
    };
    Ok(entries.into_iter().map(entry).collect())
}
