//! Local contrast normalization.

use super::GrayImage;
use crate::nn::Normalize;

/// Distance from the middle of the window to its edge in pixels: the window has 31x31. It is wider than the strokes of digits up
/// to 100 pixels high, and narrower than most slopes of light.
const WINDOW_RADIUS: usize = 15;
/// The constant `c` in gray levels: a little more than the noise of a camera, so that the noise of plain paper stays small.
const DEVIATION_OFFSET: f32 = 6.0;
/// Levels of the result for one standard deviation: it saturates at 5.3 deviations, the contrast of a stroke that covers 3.4% of
/// its window.
const LEVELS_PER_DEVIATION: f32 = 24.0;
/// Level of the result for the mean.
const MEAN_LEVEL: f32 = 128.0;

/// Normalization of a network's inputs that converts the levels of [`local_contrast`] to standard deviations.
pub const INK_NETWORK_NORMALIZE: Normalize =
    Normalize { mean: MEAN_LEVEL / 255.0, std: LEVELS_PER_DEVIATION / 255.0 };

/// Returns the contrast of each pixel to its neighborhood, `(x - mean) / (deviation + c)`, as levels around 128: a standard
/// deviation is 24 levels, and levels end at 0 and 255.
///
/// Mean and standard deviation are those of the 31x31 pixels around the pixel, without those outside the image. This is the
/// local contrast normalization of K. Jarrett, K. Kavukcuoglu, M. Ranzato and Y. LeCun, "What is the best multi-stage
/// architecture for object recognition?" (2009), with a square window in place of a Gaussian, because sums over squares cost
/// the same for every size of the window. The constant `c` of 6 gray levels keeps the noise of plain paper small.
pub fn local_contrast(image: &GrayImage) -> GrayImage {
    let (width, height) = (image.width, image.height);
    let mut columns = ColumnSums { values: vec![0; width], squares: vec![0; width] };
    // Element `WINDOW_RADIUS + x` is the sum over the columns before `x`. The first and the last element are repeated, so
    // that every window is the difference of two elements.
    let mut prefix = ColumnSums { values: vec![0; width + 2 * WINDOW_RADIUS + 1], ..ColumnSums::default() };
    prefix.squares.clone_from(&prefix.values);
    let clipped =
        |at: usize, len: usize| (at + WINDOW_RADIUS + 1).min(len) - at.saturating_sub(WINDOW_RADIUS);
    let column_weights: Vec<f32> = (0..width).map(|x| 1.0 / clipped(x, width) as f32).collect();

    let mut values = Vec::with_capacity(width * height);
    for y in 0..WINDOW_RADIUS.min(height) {
        columns.add_or_subtract_row(image.row(y), u32::wrapping_add);
    }
    for y in 0..height {
        if y + WINDOW_RADIUS < height {
            columns.add_or_subtract_row(image.row(y + WINDOW_RADIUS), u32::wrapping_add);
        }
        if y > WINDOW_RADIUS {
            columns.add_or_subtract_row(image.row(y - WINDOW_RADIUS - 1), u32::wrapping_sub);
        }
        prefix.set_prefix_sums(&columns);
        let row_weight = 1.0 / clipped(y, height) as f32;
        let pixels = image.row(y).iter().zip(&column_weights);
        let sums = window_sums(&prefix.values).zip(window_sums(&prefix.squares));
        values.extend(pixels.zip(sums).map(|((&value, column_weight), (sum, square_sum))| {
            let weight = row_weight * column_weight;
            let mean = sum as f32 * weight;
            let variance = (square_sum as f32 * weight - mean * mean).max(0.0);
            let deviations = (f32::from(value) - mean) / (variance.sqrt() + DEVIATION_OFFSET);
            // The conversion truncates, and saturates at 0 and 255.
            (MEAN_LEVEL + 0.5 + LEVELS_PER_DEVIATION * deviations) as u8
        }));
    }
    GrayImage { values, ..*image }
}

/// Returns the sum over each window of columns. Prefix sums may wrap around, but a sum over 31x31 squares is below `2^32`.
fn window_sums(prefix: &[u32]) -> impl Iterator<Item = u32> {
    prefix.iter().zip(&prefix[2 * WINDOW_RADIUS + 1..]).map(|(start, end)| end.wrapping_sub(*start))
}

/// Sums of values and of their squares.
#[derive(Default)]
struct ColumnSums {
    values: Vec<u32>,
    squares: Vec<u32>,
}

impl ColumnSums {
    /// Adds a row to the sum of each column, or subtracts it.
    fn add_or_subtract_row(&mut self, row: &[u8], combine: impl Fn(u32, u32) -> u32) {
        for ((sum, square_sum), &value) in self.values.iter_mut().zip(&mut self.squares).zip(row) {
            let value = u32::from(value);
            *sum = combine(*sum, value);
            *square_sum = combine(*square_sum, value * value);
        }
    }

    /// Replaces the elements by sums over the columns before each, from element `WINDOW_RADIUS` on.
    fn set_prefix_sums(&mut self, columns: &Self) {
        for (prefix, columns) in [(&mut self.values, &columns.values), (&mut self.squares, &columns.squares)]
        {
            let (sums, repeated) = prefix[WINDOW_RADIUS + 1..].split_at_mut(columns.len());
            let mut sum = 0_u32;
            for (prefix, column) in sums.iter_mut().zip(columns) {
                sum = sum.wrapping_add(*column);
                *prefix = sum;
            }
            repeated.fill(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the contrast of one pixel by its formula, in double precision.
    fn naive(image: &GrayImage, x: usize, y: usize) -> f64 {
        let near =
            |at: usize, len: usize| at.saturating_sub(WINDOW_RADIUS)..(at + WINDOW_RADIUS + 1).min(len);
        let window = || {
            near(y, image.height).flat_map(|y| near(x, image.width).map(move |x| f64::from(image.row(y)[x])))
        };
        let count = window().count() as f64;
        let mean = window().sum::<f64>() / count;
        let variance = window().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        (f64::from(image.row(y)[x]) - mean) / (variance.sqrt() + f64::from(DEVIATION_OFFSET))
    }

    #[test]
    fn matches_the_naive_form_for_all_sizes() {
        let mut random = fastrand::Rng::with_seed(1);
        for (width, height) in [(1, 1), (1, 70), (70, 1), (15, 16), (31, 32), (90, 47)] {
            let dark = random.u8(..200);
            let values = (0..width * height).map(|_| if random.u8(..5) == 0 { dark } else { 230 }).collect();
            let image = GrayImage { width, height, values, scale: 3 };
            let contrast = local_contrast(&image);
            assert_eq!((contrast.width, contrast.height, contrast.scale), (width, height, 3));
            for (at, &level) in contrast.values.iter().enumerate() {
                let expected = 128.0 + 24.0 * naive(&image, at % width, at / width);
                let difference = (f64::from(level) - expected.clamp(0.0, 255.0)).abs();
                assert!(difference < 0.6, "{width} x {height}, {at}: {level}, {expected}");
            }
        }
    }

    #[test]
    fn does_not_depend_on_light_or_contrast() {
        let page = |paper: f32, ink: f32| {
            local_contrast(&GrayImage::from_fn(120, 60, |x, y| {
                let light = paper * (1.0 - 0.002 * x as f32);
                (light * if x % 40 < 3 && y > 10 { ink } else { 1.0 }) as u8
            }))
        };
        let (bright, dim) = (page(250.0, 0.1), page(150.0, 0.3));
        let difference = |(a, b): (&u8, &u8)| a.abs_diff(*b);
        assert!(bright.values.iter().zip(&dim.values).map(difference).max() < Some(24));
        let plain = local_contrast(&GrayImage::from_fn(50, 50, |_, _| 77));
        assert!(plain.values.iter().all(|&level| level == 128));
    }

    #[test]
    fn long_rows_do_not_overflow() {
        let image = GrayImage { width: 1 << 17, height: 40, values: vec![255; 40 << 17], scale: 1 };
        assert!(local_contrast(&image).values.iter().all(|&level| level == 128));
    }
}
