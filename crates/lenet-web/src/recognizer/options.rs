//! The options of a recognition, as JavaScript gives them.

use std::str::FromStr;

use lenet::{
    image::Rect,
    recognize::{Charset, Checksum, Constraint, ConstraintError, Length, Pattern, RecognizerParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasm_bindgen::JsError;

/// The options of a recognition. They have the names and defaults of the query parameters of `POST /v1/recognize`, in
/// camel case; `tables` and `max_megapixels` are options of `lenet recognize`.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Whether the result includes each digit's normalized image and feature maps.
    pub details: bool,
    /// Whether all ink in the image belongs to one digit.
    pub single: bool,
    /// Whether spaces and marks are left out of the text.
    pub digits_only: bool,
    /// Whether every image is searched for pale rules of tables.
    tables: bool,
    /// The part of the image that is read.
    pub region: Option<Rect>,
    length: Option<Length>,
    pattern: Option<Pattern>,
    checksum: Option<Checksum>,
    charset: Option<Charset>,
    min_confidence: Option<f32>,
    min_probability: Option<f32>,
    /// The maximum size of an encoded image, in millions of pixels.
    pub max_megapixels: u32,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            details: false,
            single: false,
            digits_only: false,
            tables: false,
            region: None,
            length: None,
            pattern: None,
            checksum: None,
            charset: None,
            min_confidence: None,
            min_probability: None,
            // Decoding takes up to 10 bytes a pixel of WebAssembly's 4 GiB.
            max_megapixels: 50,
        }
    }
}

impl ReadOptions {
    /// Parses a JSON object.
    ///
    /// # Errors
    /// If it is none, or has an unknown key or an invalid value. The message begins with the key. A null is no value.
    pub fn from_json(json: &str) -> Result<Self, JsError> {
        let mut options = Self::default();
        for (key, value) in serde_json::from_str::<serde_json::Map<String, Value>>(json)? {
            if value.is_null() {
                continue;
            }
            options.set(&key, value).map_err(|message| {
                // Constraints name themselves.
                let names_key = message.starts_with(&key);
                JsError::new(&if names_key { message } else { format!("{key}: {message}") })
            })?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        match key {
            "details" => self.details = parse(value)?,
            "single" => self.single = parse(value)?,
            "digitsOnly" => self.digits_only = parse(value)?,
            "tables" => self.tables = parse(value)?,
            "region" => self.region = Some(parse(value)?),
            "length" => self.length = Some(parse(value)?),
            "pattern" => self.pattern = Some(parse_text(value)?),
            "checksum" => self.checksum = Some(parse_text(value)?),
            "charset" => self.charset = Some(parse_text(value)?),
            "minConfidence" => self.min_confidence = Some(parse_probability(value)?),
            "minProbability" => self.min_probability = Some(parse_probability(value)?),
            "maxMegapixels" => self.max_megapixels = parse(value)?,
            _ => return Err(format!("expected one of {KEYS}, found another option")),
        }
        Ok(())
    }

    /// Returns what the caller knows of each line.
    pub fn constraint(&self) -> Constraint {
        let Self { length, pattern, checksum, charset, .. } = self.clone();
        Constraint { length, pattern, checksum, charset }
    }

    /// Returns the parameters of recognition.
    pub fn params(&self) -> RecognizerParams {
        let mut params =
            if self.tables { RecognizerParams::for_tables() } else { RecognizerParams::default() };
        params.reject = params.reject.with_thresholds(self.min_confidence, self.min_probability);
        params
    }
}

/// The keys of [`ReadOptions::from_json`].
const KEYS: &str = "single, digitsOnly, tables, region, length, pattern, checksum, charset, minConfidence, minProbability, \
                    details, maxMegapixels";

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn parse_text<T: FromStr<Err = ConstraintError>>(value: Value) -> Result<T, String> {
    let text: String = parse(value)?;
    text.parse().map_err(|error: ConstraintError| error.to_string())
}

fn parse_probability(value: Value) -> Result<f32, String> {
    let probability: f32 = parse(value)?;
    if (0.0..=1.0).contains(&probability) {
        Ok(probability)
    } else {
        Err(format!("expected a number from 0 to 1, found {probability}"))
    }
}
