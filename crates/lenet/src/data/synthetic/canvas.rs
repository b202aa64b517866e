//! Canvases on which samples are drawn before normalization.

use crate::{Dataset, SIDE, image::GrayImage};

/// Height of a canvas, and the width of a square one, in pixels.
pub(super) const CANVAS_SIDE: usize = 2 * SIDE;

/// Returns a canvas without ink.
pub(super) fn blank_canvas(width: usize) -> GrayImage {
    GrayImage { width, height: CANVAS_SIDE, values: vec![0; width * CANVAS_SIDE], scale: 1 }
}

/// Draws `image` `(row, column)` with its upper left corner at column `x` and row `y`. Where it overlaps other ink, the maximum
/// stays.
pub(super) fn overlay(canvas: &mut GrayImage, image: &[u8], x: usize, y: usize) {
    for (row, values) in image.chunks(SIDE).enumerate() {
        let start = (y + row) * canvas.width + x;
        for (old, new) in canvas.values[start..start + SIDE].iter_mut().zip(values) {
            *old = (*old).max(*new);
        }
    }
}

/// Returns a square canvas with the image `index` of `digits` in its middle.
pub(super) fn centered_digit_canvas(digits: &Dataset, index: usize) -> GrayImage {
    let mut canvas = blank_canvas(CANVAS_SIDE);
    overlay(&mut canvas, digits.image(index), SIDE / 2, SIDE / 2);
    canvas
}
