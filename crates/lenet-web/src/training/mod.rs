//! The JavaScript interface of the training: MNIST, architectures and recipes as JSON, and a training step by step.

mod architecture;
mod hand;
mod mnist;
mod run;

use lenet::{
    models,
    train::{Recipe, recipes},
};
use wasm_bindgen::prelude::*;

/// Returns an architecture of `lenet::models` by its name, as JSON.
///
/// # Errors
/// If there is none of this name.
#[wasm_bindgen]
pub fn architecture(name: &str) -> Result<String, JsError> {
    let architecture = models::by_name(name)
        .ok_or_else(|| JsError::new(&format!("architecture: expected a known name, found {name}")))?;
    Ok(serde_json::to_string(&architecture)?)
}

/// Returns the recipe of a name, `default`, `fast`, `tutorial` or `best`, for an architecture, as JSON.
///
/// # Errors
/// If there is no such recipe for the architecture.
#[wasm_bindgen]
pub fn recipe(name: &str, architecture: &str) -> Result<String, JsError> {
    let recipe = match name {
        "default" => Some(Recipe::default()),
        "fast" => Some(recipes::fast()),
        "tutorial" => recipes::tutorial(architecture),
        "best" => recipes::best(architecture),
        _ => None,
    };
    let recipe = recipe.ok_or_else(|| {
        JsError::new(&format!("recipe: {name} is not defined for the architecture {architecture}"))
    })?;
    Ok(serde_json::to_string(&recipe)?)
}
