//! The JavaScript interface of the recognizer. Its results equal those of `POST /v1/recognize?details=true`.

use lenet::{
    image::{Drawing, ImageView},
    recognize::{self, Constraint, Pattern, Reading},
    weights,
};
use wasm_bindgen::prelude::*;

/// Recognizes digits in images and drawings.
#[wasm_bindgen]
pub struct Recognizer(recognize::Recognizer);

#[wasm_bindgen]
impl Recognizer {
    /// Creates a recognizer from the bytes of a weights file (safetensors).
    ///
    /// # Errors
    /// If the bytes are no weights file.
    #[wasm_bindgen(constructor)]
    pub fn new(weights: &[u8]) -> Result<Self, JsError> {
        Ok(Self(recognize::Recognizer::new(weights::from_bytes(weights)?.0)?))
    }

    /// Sets the pattern that each line has from now on, such as `dd/dd/dddd`. An empty one is any.
    ///
    /// # Errors
    /// If the text is no pattern. Then the last one remains.
    #[wasm_bindgen(js_name = setPattern)]
    pub fn set_pattern(&mut self, pattern: &str) -> Result<(), JsError> {
        let pattern = if pattern.is_empty() { None } else { Some(pattern.parse::<Pattern>()?) };
        self.0 = self.0.clone().with_constraint(Constraint { pattern, ..Constraint::default() })?;
        Ok(())
    }

    /// Recognizes a drawing, given in JSON. Returns the reading with details in JSON.
    ///
    /// # Errors
    /// If the JSON is no drawing.
    #[wasm_bindgen(js_name = recognizeDrawing)]
    pub fn recognize_drawing(&self, drawing: &str) -> Result<String, JsError> {
        let drawing: Drawing = serde_json::from_str(drawing)?;
        self.reading_to_json(self.0.read_drawing(&drawing, false))
    }

    /// Recognizes an image of `(height, width, channels)`: gray, gray with alpha, RGB or RGBA. Returns the reading with
    /// details in JSON.
    ///
    /// # Errors
    /// If the number of bytes does not match the size.
    #[wasm_bindgen(js_name = recognizeImage)]
    pub fn recognize_image(&self, width: usize, height: usize, pixels: &[u8]) -> Result<String, JsError> {
        self.reading_to_json(self.0.read(&ImageView::new(width, height, pixels)?))
    }

    fn reading_to_json(&self, reading: Reading) -> Result<String, JsError> {
        Ok(serde_json::to_string(&self.0.add_activations(reading))?)
    }
}
