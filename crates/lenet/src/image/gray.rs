//! Images of one channel.

use super::{ImageView, resample};

/// An image with one 8-bit value for each pixel: light, or ink from 0 (paper) to 255.
///
/// `values` has `width * height` elements, and at least one: the image stages panic otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrayImage {
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// The values in the order `(row, column)`.
    pub values: Vec<u8>,
    /// The reduction relative to the picture: this many pixels of the picture, along each axis, for one of the image.
    pub scale: usize,
}

impl GrayImage {
    /// Makes an image in which the pixel at column `x` and row `y` has the value `value(x, y)`.
    pub fn from_fn(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Self {
        let values = (0..width * height).map(|index| value(index % width, index / width)).collect();
        Self { width, height, values, scale: 1 }
    }

    /// Returns row `y`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.values[y * self.width..][..self.width]
    }

    /// Returns a view of the image as a picture.
    pub fn view(&self) -> ImageView<'_> {
        ImageView::from_gray(self)
    }

    /// Reduces the image by an integer `factor`: each value is the mean of a square of `factor * factor` values, or of the
    /// part of the square inside the image at the right and the bottom.
    ///
    /// # Panics
    /// If `factor` is 0.
    pub fn downscale(&self, factor: usize) -> Self {
        let mut reduced = resample::downscale_to_gray(&self.view(), factor);
        reduced.scale *= self.scale;
        reduced
    }

    /// Rotates the image by 90 degrees clockwise.
    #[must_use]
    pub fn rotate90(&self) -> Self {
        let columns = (0..self.width).flat_map(|x| (0..self.height).rev().map(move |y| (x, y)));
        let values = columns.map(|(x, y)| self.values[y * self.width + x]).collect();
        Self { width: self.height, height: self.width, values, scale: self.scale }
    }

    /// Resizes the image to any size, by area averaging or linear interpolation along each axis. The result has a `scale` of
    /// 1, because the reduction needs not be an integer.
    pub fn resize(&self, width: usize, height: usize) -> Self {
        let resized = resample::FloatImage::from(self).resize(width, height);
        let values = resized.values.iter().map(|&value| (value * 255.0).round() as u8).collect();
        Self { width, height, values, scale: 1 }
    }
}
