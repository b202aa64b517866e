//! Architectures that are edited layer by layer.

use lenet::nn::{Architecture, Layer, Shape};
use lenet_report::{format::with_thousands_separators, network_diagram};
use serde::Serialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

/// A layer in [`ArchitectureSummary`].
#[derive(Serialize)]
struct LayerRow {
    name: String,
    /// Type and settings, as in an architecture.
    layer: Map<String, Value>,
    /// Empty after the first error.
    output: String,
    parameters: String,
    multiply_adds: String,
    /// Why the layer is impossible; empty if it is not.
    error: String,
}

/// What the page shows of an architecture.
#[derive(Serialize, Default)]
struct ArchitectureSummary {
    /// The architecture with input sizes that fit; null if a layer is impossible.
    architecture: Option<Architecture>,
    layers: Vec<LayerRow>,
    parameters: String,
    multiply_adds: String,
    /// SVG; empty if a layer is impossible.
    diagram: String,
}

/// Sets the input sizes of all layers of an architecture, given in JSON, to the output sizes of the layers before them, and
/// returns the architecture with the shape, the parameters and the multiply-adds of each layer, or with the error of the first
/// impossible one, as JSON.
///
/// # Errors
/// If the JSON is no architecture.
#[wasm_bindgen(js_name = summarizeArchitecture)]
pub fn summarize_architecture(architecture: &str) -> Result<String, JsError> {
    let mut json: Value = serde_json::from_str(architecture)?;
    let mut layers: Vec<(String, Map<String, Value>)> = serde_json::from_value(json["layers"].take())?;
    let mut shape = Some(serde_json::from_value(json["input"].clone())?);
    let mut rows = Vec::new();
    for (name, settings) in &mut layers {
        let output = connect(settings, shape);
        rows.push(LayerRow {
            name: name.clone(),
            layer: settings.clone(),
            output: output.as_ref().map_or(String::new(), Shape::to_string),
            parameters: String::new(),
            multiply_adds: String::new(),
            error: output.as_ref().err().cloned().unwrap_or_default(),
        });
        shape = output.ok();
    }
    json["layers"] = serde_json::to_value(layers)?;
    let mut summary = ArchitectureSummary::default();
    if shape.is_some() || rows.is_empty() {
        match summarize(&json, &mut rows) {
            Ok(of_architecture) => summary = of_architecture,
            Err(error) => match rows.last_mut() {
                Some(row) => row.error = error,
                None => return Err(JsError::new(&error)),
            },
        }
    }
    Ok(serde_json::to_string(&ArchitectureSummary { layers: rows, ..summary })?)
}

/// Sets the input size of a layer, and returns the shape of its output, or why it is impossible: nothing after an impossible
/// layer, because the shape of the input is unknown.
fn connect(settings: &mut Map<String, Value>, input: Option<Shape>) -> Result<Shape, String> {
    if let Some(input) = input {
        let sizes =
            [("in_channels", input.channels), ("num_features", input.channels), ("in_features", input.len())];
        for (key, size) in sizes {
            settings.entry(key).and_modify(|value| *value = size.into());
        }
    }
    let layer: Layer =
        serde_json::from_value(Value::Object(settings.clone())).map_err(|error| error.to_string())?;
    layer.output_shape(input.ok_or("")?).map_err(|error| error.to_string())
}

/// Adds parameters and multiply-adds to the rows.
fn summarize(json: &Value, rows: &mut [LayerRow]) -> Result<ArchitectureSummary, String> {
    let architecture: Architecture =
        serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
    let count = |number: usize| if number == 0 { String::new() } else { with_thousands_separators(number) };
    let summary = architecture.summary().map_err(|error| error.to_string())?;
    for (row, layer) in rows.iter_mut().zip(&summary) {
        (row.parameters, row.multiply_adds) = (count(layer.parameters), count(layer.multiply_adds));
    }
    let complexity = architecture.complexity().map_err(|error| error.to_string())?;
    let diagram = network_diagram(&architecture).map_err(|error| error.to_string())?;
    Ok(ArchitectureSummary {
        parameters: count(complexity.parameters),
        multiply_adds: count(complexity.multiply_adds),
        diagram,
        layers: Vec::new(),
        architecture: Some(architecture),
    })
}
