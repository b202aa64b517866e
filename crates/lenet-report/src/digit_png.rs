//! Images of digits as PNG.

use lenet::SIDE;

/// Encodes a 28x28 image (row, column) as PNG: black ink on a transparent background.
///
/// # Errors
/// If the image has another size.
pub fn encode(image: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let pixels: Vec<u8> = image.iter().flat_map(|&value| [0, value]).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::GrayscaleAlpha);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(bytes)
}
