//! A person's digits: adaptation of a network to them, and their export as files.

use std::{
    io::{Cursor, Write},
    ops::ControlFlow,
};

use lenet::{
    Dataset,
    metrics::DigitErrors,
    train::adapt::{self, AdaptParams},
    weights,
};
use lenet_report::encode_digit_png;
use wasm_bindgen::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A network that was adapted to the handwriting of one person.
#[wasm_bindgen]
pub struct Adaptation {
    weights: Vec<u8>,
    summary: String,
}

#[wasm_bindgen]
impl Adaptation {
    /// Returns the weights file (safetensors).
    #[wasm_bindgen(getter)]
    pub fn weights(&self) -> Vec<u8> {
        self.weights.clone()
    }

    /// Returns how many of the digits are read right before and after, in words.
    #[wasm_bindgen(getter)]
    pub fn summary(&self) -> String {
        self.summary.clone()
    }
}

/// Adapts the network of a weights file to digits of one person: `pixels` `(digit, row, column)` and `labels`. The same digits give
/// the same network.
///
/// The rehearsed images are of MNIST: its training images and their labels, compressed with Brotli.
///
/// # Errors
/// If the weights are those of another task, there are fewer than ten digits, or a file is damaged.
#[wasm_bindgen]
pub fn adapt(
    weights: &[u8],
    pixels: Vec<u8>,
    labels: Vec<u8>,
    mnist_images: &[u8],
    mnist_labels: &[u8],
) -> Result<Adaptation, JsError> {
    const SEED: u64 = 0;
    let (network, _) = weights::from_bytes(weights)?;
    let digits = Dataset::new(pixels, labels)?;
    let rehearsal = lenet_mnist::decode(mnist_images, mnist_labels)?;
    let params = AdaptParams::default();
    let observe = |_| ControlFlow::Continue(());
    let adapted = adapt::adapt(&network, &digits, &rehearsal, &params, SEED, observe)?;
    let [before, after] =
        [DigitErrors::of_network(&network, &digits)?, DigitErrors::of_network(&adapted, &digits)?];
    let provenance = params.provenance(&adapted, "the network of the page".to_owned(), SEED);
    let summary = format!(
        "Your hand is learned. Of your {} digits, {} were misread and {} rejected before, {} and {} are now.",
        digits.len(),
        before.misread,
        before.rejected,
        after.misread,
        after.rejected
    );
    Ok(Adaptation { weights: weights::to_bytes(&adapted, &provenance)?, summary })
}

/// Returns a ZIP archive with a PNG file for each digit, in folders 0 to 9, which `lenet train --data` and `lenet adapt --data`
/// take when it is unpacked.
///
/// # Errors
/// If there is not one label from 0 to 9 for each image.
#[wasm_bindgen(js_name = exportDigits)]
pub fn export_digits(pixels: Vec<u8>, labels: Vec<u8>) -> Result<Vec<u8>, JsError> {
    let digits = Dataset::new(pixels, labels)?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // PNG files are compressed already.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (index, label) in digits.labels().iter().enumerate() {
        archive.start_file(format!("my-digits/{label}/{index:04}.png"), options)?;
        archive.write_all(&encode_digit_png(digits.image(index))?)?;
    }
    Ok(archive.finish()?.into_inner())
}
