//! Images of one channel.

use super::{ImageView, resample};

/// Number of means along the shorter side of an image that [`GrayImage::rotate`] continues it with.
const BORDER_MEANS: usize = 8;

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

    /// Returns width and height.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
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

    /// Rotates the image by any angle, in degrees clockwise, by bilinear interpolation. The result contains the whole image. Around
    /// it are the mean values of what is near its border, so that neither noise nor strokes are drawn out to lines.
    #[must_use]
    pub fn rotate(&self, degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let [old_width, old_height] = [self.width, self.height].map(|side| side as f64);
        // The sine and cosine of right angles are rounded.
        let extent = |a: f64, b: f64| (a * cos.abs() + b * sin.abs() - 1e-6).ceil() as usize;
        let (width, height) = (extent(old_width, old_height), extent(old_height, old_width));
        let factor = self.width.min(self.height).div_ceil(BORDER_MEANS);
        let means = self.downscale(factor);
        let mut values = Vec::with_capacity(width * height);
        for row in 0..height {
            let dy = row as f64 + 0.5 - 0.5 * height as f64;
            values.extend((0..width).map(|column| {
                let dx = column as f64 + 0.5 - 0.5 * width as f64;
                let (x, y) = (cos * dx + sin * dy + 0.5 * old_width, cos * dy - sin * dx + 0.5 * old_height);
                if (0.0..old_width).contains(&x) && (0.0..old_height).contains(&y) {
                    self.interpolate(x - 0.5, y - 0.5)
                } else {
                    means.interpolate(x / factor as f64 - 0.5, y / factor as f64 - 0.5)
                }
            }));
        }
        Self { width, height, values, scale: self.scale }
    }

    /// Returns the value at a position by bilinear interpolation. Outside the image it is that of the nearest pixel.
    pub(super) fn interpolate(&self, x: f64, y: f64) -> u8 {
        let [x, y] =
            [(x, self.width), (y, self.height)].map(|(at, side)| at.clamp(0.0, (side - 1) as f64) as f32);
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let value = |x: usize, y: usize| f32::from(self.values[y * self.width + x]);
        let between = |y: usize| value(left, y) + (value(right, y) - value(left, y)) * x.fract();
        (between(top) + (between(bottom) - between(top)) * y.fract()).round() as u8
    }

    /// Resizes the image to any size, by area averaging or linear interpolation along each axis. The result has a `scale` of
    /// 1, because the reduction needs not be an integer.
    pub fn resize(&self, width: usize, height: usize) -> Self {
        let resized = resample::FloatImage::from(self).resize(width, height);
        let values = resized.values.iter().map(|&value| (value * 255.0).round() as u8).collect();
        Self { width, height, values, scale: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Rect;

    #[test]
    fn rotation_by_right_angles_moves_pixels() {
        let image = GrayImage::from_fn(9, 6, |x, y| (x * 13 + y * 29) as u8);
        assert_eq!(image.rotate(0.0), image);
        assert_eq!(image.rotate(90.0).values, image.rotate90().values);
    }

    #[test]
    fn rotation_keeps_the_whole_image_and_is_undone_for_rectangles() {
        // A dot of 3 x 3 pixels near a corner.
        let dot = Rect { x: 4, y: 30, width: 3, height: 3 };
        let is_dot = |x: usize, y: usize| dot.contains(&Rect { x, y, width: 1, height: 1 });
        let image = GrayImage::from_fn(60, 40, |x, y| if is_dot(x, y) { 0 } else { 200 });
        for degrees in [-20.0, -3.0, 11.0] {
            let rotated = image.rotate(degrees);
            let dark = rotated.values.iter().position(|&value| value < 60).expect("the dot");
            let found = Rect { x: dark % rotated.width, y: dark / rotated.width, width: 1, height: 1 };
            let [new_size, old_size] = [&rotated, &image].map(|image| [image.width, image.height]);
            let undone = found.undo_rotate(degrees, new_size, old_size);
            assert!(undone.x.abs_diff(5) <= 2 && undone.y.abs_diff(31) <= 2, "{degrees}: {undone:?}");
            assert!(rotated.values.iter().all(|&value| value <= 200));
        }
    }

    #[test]
    fn rectangle_outside_of_the_image_before_the_rotation_keeps_its_nearest_pixel() {
        let (degrees, old_size, new_size) = (20.0, [60, 40], [71, 59]);
        for (x, y, nearest) in [(0, 0, [0, 0]), (69, 57, [59, 39]), (0, 57, [0, 39]), (69, 0, [59, 0])] {
            let corner = Rect { x, y, width: 2, height: 2 };
            let Rect { x, y, width, height } = corner.undo_rotate(degrees, new_size, old_size);
            assert!(width > 0 && height > 0 && x + width <= 60 && y + height <= 40);
            assert!(x == nearest[0] || y == nearest[1], "{x}, {y}");
        }
    }

    #[test]
    fn rotation_continues_the_border_without_drawing_out_strokes() {
        // A stripe that touches the left border, on paper that darkens to the right.
        let image =
            GrayImage::from_fn(80, 80, |x, y| if y.abs_diff(40) < 2 && x < 40 { 20 } else { 220 - x as u8 });
        let rotated = image.rotate(10.0);
        let (sin, cos) = 10.0_f64.to_radians().sin_cos();
        let outside = |x: usize, y: usize| {
            let (dx, dy) = (x as f64 - 0.5 * rotated.width as f64, y as f64 - 0.5 * rotated.height as f64);
            (cos * dx + sin * dy).abs() > 41.0
        };
        for (at, &value) in rotated.values.iter().enumerate() {
            assert!(!outside(at % rotated.width, at / rotated.width) || value > 100, "{at}: {value}");
        }
    }
}
