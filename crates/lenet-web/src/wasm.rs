//! The library for JavaScript: what `POST /v1/recognize?explain=true` answers, without a server.

use lenet::{
    image::{Drawing, ImageView},
    recognize::{Reading, Recognizer},
    weights,
};
use wasm_bindgen::prelude::*;

/// Reads with one network.
#[wasm_bindgen]
pub struct Reader(Recognizer);

#[wasm_bindgen]
impl Reader {
    /// Takes the bytes of a network's file.
    #[wasm_bindgen(constructor)]
    pub fn new(network: &[u8]) -> Result<Self, JsError> {
        Ok(Self(Recognizer::new(weights::from_bytes(network)?.0)))
    }

    /// The reading, in JSON, of a drawing in JSON.
    pub fn drawing(&self, drawing: &str) -> Result<String, JsError> {
        let drawing: Drawing = serde_json::from_str(drawing)?;
        self.details(self.0.read_drawing(&drawing, false))
    }

    /// The reading, in JSON, of a picture: (row, column, RGBA).
    pub fn picture(&self, width: usize, height: usize, pixels: &[u8]) -> Result<String, JsError> {
        self.details(self.0.read(&ImageView::new(width, height, pixels)?))
    }

    fn details(&self, reading: Reading) -> Result<String, JsError> {
        Ok(serde_json::to_string(&self.0.details(reading))?)
    }
}
