//! The JavaScript interface of the recognizer. Its results equal those of `POST /v1/recognize`.

use std::io::Cursor;

use lenet::{
    image::{Drawing, ImageView},
    recognize, weights,
};
use lenet_decode::ImageFile;
use wasm_bindgen::prelude::*;

mod options;

use options::ReadOptions;

/// Recognizes digits in images and drawings.
#[wasm_bindgen]
pub struct Recognizer {
    recognizer: recognize::Recognizer,
    options: ReadOptions,
}

#[wasm_bindgen]
impl Recognizer {
    /// Creates a recognizer from the bytes of a weights file (safetensors).
    ///
    /// # Errors
    /// If the bytes are no weights file of a network for digits.
    #[wasm_bindgen(constructor)]
    pub fn new(weights: &[u8]) -> Result<Self, JsError> {
        let recognizer = recognize::Recognizer::new(weights::from_bytes(weights)?.0)?;
        Ok(Self { recognizer, options: ReadOptions::default() })
    }

    /// Sets the options of the recognitions from now on, given in JSON: `{"pattern": "dd/dd/dddd", "details": true}`. Options
    /// that it leaves out have their defaults.
    ///
    /// # Errors
    /// If an option is unknown or invalid, or nothing can meet the constraint. Then the last options remain.
    #[wasm_bindgen(js_name = setOptions)]
    pub fn set_options(&mut self, options: &str) -> Result<(), JsError> {
        let options = ReadOptions::from_json(options)?;
        let recognizer = self.recognizer.clone().with_params(options.params());
        self.recognizer = recognizer.with_constraint(options.constraint())?;
        self.options = options;
        Ok(())
    }

    /// Recognizes a drawing, given in JSON. Returns the reading in JSON.
    ///
    /// # Errors
    /// If the JSON is no drawing.
    #[wasm_bindgen(js_name = recognizeDrawing)]
    pub fn recognize_drawing(&self, drawing: &str) -> Result<String, JsError> {
        let drawing: Drawing = serde_json::from_str(drawing)?;
        self.reading_to_json(self.recognizer.read_drawing(&drawing, self.options.single))
    }

    /// Recognizes an image of `(height, width, channels)`: gray, gray with alpha, RGB or RGBA. Returns the reading in JSON.
    ///
    /// # Errors
    /// If the number of bytes does not match the size, or the region is not within the image.
    #[wasm_bindgen(js_name = recognizeImage)]
    pub fn recognize_image(&self, width: usize, height: usize, pixels: &[u8]) -> Result<String, JsError> {
        self.recognize_view(&ImageView::new(width, height, pixels)?)
    }

    /// Recognizes the first page of an image file in one of the formats of [`can_decode`]. Returns the reading in JSON.
    ///
    /// # Errors
    /// If the file can't be decoded or is too large, or the region is not within the image.
    #[wasm_bindgen(js_name = recognizeFile)]
    pub fn recognize_file(&self, file: &[u8]) -> Result<String, JsError> {
        let decoded = lenet_decode::decode(Cursor::new(file), self.options.max_megapixels)?;
        self.recognize_view(&decoded.view()?)
    }

    fn recognize_view(&self, image: &ImageView) -> Result<String, JsError> {
        let (recognizer, single) = (&self.recognizer, self.options.single);
        let trace = match self.options.region {
            Some(region) => recognizer.trace_region(image, region, single)?,
            None => recognizer.trace(image, single),
        };
        self.reading_to_json(trace.reading)
    }

    fn reading_to_json(&self, mut reading: recognize::Reading) -> Result<String, JsError> {
        if self.options.digits_only {
            reading.text = reading.digits_only();
        }
        Ok(if self.options.details {
            serde_json::to_string(&self.recognizer.add_activations(reading))?
        } else {
            serde_json::to_string(&reading)?
        })
    }
}

/// Returns whether a file begins like one of a format that [`Recognizer::recognize_file`] decodes. A browser may decode others.
#[wasm_bindgen(js_name = canDecode)]
pub fn can_decode(file: &[u8]) -> bool {
    ImageFile::new(Cursor::new(file)).is_ok()
}

/// Returns the maximum size of an encoded image, in millions of pixels, if the options have none.
#[wasm_bindgen(js_name = defaultMaxMegapixels)]
pub fn default_max_megapixels() -> u32 {
    ReadOptions::default().max_megapixels
}
