//! Resampling.
//!
//! [`downscale_to_gray`] takes means of squares of pixels, in integers and in one pass over the picture. [`FloatImage::resize`]
//! resizes to any size: along an axis that becomes shorter each new value is the mean of the interval that it covers
//! (area averaging), along one that becomes longer values are interpolated linearly.

use super::{GrayImage, ImageView};

/// Converts a picture to gray and reduces it by `factor` along both axes: each value is the rounded mean of a square of
/// pixels, or of the part of the square inside the picture.
pub fn downscale_to_gray(picture: &ImageView, factor: usize) -> GrayImage {
    let (width, height) = (picture.width(), picture.height());
    let reduced_width = width.div_ceil(factor);
    let mut values = Vec::with_capacity(reduced_width * height.div_ceil(factor));
    let mut sums = vec![0; reduced_width];
    for top in (0..height).step_by(factor) {
        let rows = top..(top + factor).min(height);
        sums.fill(0);
        for y in rows.clone() {
            picture.accumulate_gray_row(y, factor, &mut sums);
        }
        values.extend(sums.iter().enumerate().map(|(x, sum)| {
            let area = rows.len() * factor.min(width - x * factor);
            ((sum + area as u32 / 2) / area as u32) as u8
        }));
    }
    GrayImage { width: reduced_width, height: height.div_ceil(factor), values, scale: factor }
}

/// An image of real values, usually from 0 to 1.
#[derive(Clone)]
pub struct FloatImage {
    pub width: usize,
    pub height: usize,
    /// `(row, column)`.
    pub values: Vec<f32>,
}

impl From<&GrayImage> for FloatImage {
    /// Divides the values by 255.
    fn from(image: &GrayImage) -> Self {
        let values = image.values.iter().map(|&value| f32::from(value) / 255.0).collect();
        Self { width: image.width, height: image.height, values }
    }
}

impl FloatImage {
    /// Makes an image of zeros.
    pub fn zeros(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// Crops to the bounding box of the positive values.
    pub fn trim(&self) -> Self {
        let rows = || self.values.chunks(self.width.max(1));
        let has_ink = |row: &[f32]| row.iter().any(|&value| value > 0.0);
        let top = rows().position(has_ink).unwrap_or(0);
        let bottom = rows().rposition(has_ink).map_or(0, |y| y + 1);
        let column_has_ink = |x: usize| rows().any(|row| row[x] > 0.0);
        let left = (0..self.width).position(column_has_ink).unwrap_or(0);
        let right = (0..self.width).rposition(column_has_ink).map_or(0, |x| x + 1);
        let values = rows().take(bottom).skip(top).flat_map(|row| &row[left..right]).copied().collect();
        Self { width: right - left, height: bottom - top, values }
    }

    /// Resizes the image by area averaging, or linear interpolation where it becomes larger.
    pub fn resize(&self, width: usize, height: usize) -> Self {
        let (across, down) = (resize_weights(self.width, width), resize_weights(self.height, height));
        let mut resized_rows = Self::zeros(width, self.height);
        for (new, old) in resized_rows.values.chunks_mut(width).zip(self.values.chunks(self.width)) {
            for (value, ResizeWeights { first, weights }) in new.iter_mut().zip(&across) {
                *value = weights.iter().zip(&old[*first..]).map(|(weight, value)| weight * value).sum();
            }
        }
        let mut resized = Self::zeros(width, height);
        for (new, ResizeWeights { first, weights }) in resized.values.chunks_mut(width).zip(&down) {
            for (weight, old) in weights.iter().zip(resized_rows.values[first * width..].chunks(width)) {
                for (value, old) in new.iter_mut().zip(old) {
                    *value += weight * old;
                }
            }
        }
        resized
    }
}

/// What a resized value along one axis is made of: `sum over k of weights[k] * old[first + k]`.
struct ResizeWeights {
    first: usize,
    /// They add up to 1.
    weights: Vec<f32>,
}

/// Returns the kernel of each of `new` values along an axis that had `old`.
///
/// With a pitch `p = old / new` the kernel is the trapezoid `clamp((max(p, 1) + 1) / 2 - |distance|, 0, 1)`: for `p >= 1` the
/// part of each old value that an interval of length `p` covers, for `p <= 1` the triangle of linear interpolation.
fn resize_weights(old: usize, new: usize) -> Vec<ResizeWeights> {
    let pitch = old as f32 / new as f32;
    let radius = (pitch.max(1.0) + 1.0) / 2.0;
    (0..new)
        .map(|index| {
            let center = (index as f32 + 0.5) * pitch - 0.5;
            let first = (center - radius).ceil().max(0.0) as usize;
            let last = ((center + radius).floor() as usize).min(old - 1);
            let weights: Vec<_> =
                (first..=last).map(|old| (radius - (old as f32 - center).abs()).clamp(0.0, 1.0)).collect();
            let sum: f32 = weights.iter().sum();
            ResizeWeights { first, weights: weights.into_iter().map(|weight| weight / sum).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_to_the_same_size_changes_nothing() {
        let image = GrayImage::from_fn(17, 9, |x, y| (x * 13 + y * 29) as u8);
        assert_eq!(image.resize(17, 9), image);
    }

    #[test]
    fn resizing_by_an_integer_takes_means() {
        let image = GrayImage::from_fn(12, 6, |x, y| (x * 7 + y * 31) as u8);
        let (resized, reduced) = (image.resize(4, 2), image.downscale(3));
        assert_eq!((resized.values, reduced.scale), (reduced.values, 3));
    }

    #[test]
    fn enlarging_interpolates_linearly() {
        let image = GrayImage { width: 2, height: 1, values: vec![0, 200], scale: 1 };
        assert_eq!(image.resize(4, 1).values, [0, 50, 150, 200]);
    }
}
