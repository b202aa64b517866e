//! Low-resolution bitmaps.

use super::{GrayImage, resample::FloatImage};

/// Crops the ink of a map, resizes it and thresholds it: pixels whose mean ink is at least `threshold` (0 to 1) become 255,
/// others 0. `size` maps the width and height of the ink to those of the bitmap. Returns a map without ink as it is.
pub fn crop_to_bitmap(ink: &GrayImage, size: impl FnOnce([f32; 2]) -> [f32; 2], threshold: f32) -> GrayImage {
    let cropped = FloatImage::from(ink).trim();
    if cropped.values.is_empty() {
        return ink.clone();
    }
    let size = size([cropped.width as f32, cropped.height as f32]);
    let [width, height] = size.map(|length| length.round().max(1.0) as usize);
    let resized = cropped.resize(width, height);
    let values = resized.values.iter().map(|&value| if value >= threshold { 255 } else { 0 }).collect();
    GrayImage { width, height, values, scale: 1 }
}
