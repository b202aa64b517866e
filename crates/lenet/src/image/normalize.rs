//! MNIST's normalization of digits.
//!
//! The bounding box of the digit is scaled to fit 20x20 pixels with its aspect ratio kept, and its center of mass is moved to
//! the center of 28x28 (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998).

use std::array::from_fn;

use super::{Component, GrayImage, Rect, STROKE_EDGE_LEVEL, Stage, Stages, resample::FloatImage};
use crate::{PIXELS, SIDE};

/// Side of the box that a normalized digit fits, in pixels: MNIST's.
const DIGIT_BOX_SIDE: usize = 20;

/// How far the soft edges of strokes reach beyond a component, in pixels.
const SOFT_EDGE_PX: usize = 1;

/// Parameters of [`normalize_digit`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DigitNormalizationParams {
    /// Ink level, 0 to 255, below which a pixel beside a stroke is paper. Empirically chosen.
    pub min_edge_level: u8,
    /// Width below which strokes are thickened, in pixels of the normalized digit: few digits of MNIST have thinner ones.
    pub min_stroke_width: f32,
    /// Number of rounds of thickening, at most. Empirically chosen.
    pub max_thickening_rounds: usize,
}

impl Default for DigitNormalizationParams {
    fn default() -> Self {
        Self { min_edge_level: 12, min_stroke_width: 1.3, max_thickening_rounds: 3 }
    }
}

/// A digit normalized as MNIST's are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalizedDigit {
    /// Ink from 0 (paper) to 255, in the order `(row, column)`.
    pub pixels: [u8; PIXELS],
    /// The bounding box of the components, in pixels of the ink map.
    pub bounds: Rect,
    /// Whether the digit was smaller than 20x20 and therefore enlarged, so that its edges are soft.
    pub upscaled: bool,
    /// Whether its strokes were thickened.
    pub thickened: bool,
}

/// Normalizes the digit that `components` of the map `ink` form together.
///
/// # Panics
/// If there are no components, or a component reaches beyond the map.
pub fn normalize_digit<'a>(
    ink: &GrayImage,
    components: impl IntoIterator<Item = &'a Component, IntoIter: Clone>,
    params: &DigitNormalizationParams,
    stages: Stages,
) -> NormalizedDigit {
    let components = components.into_iter();
    let bounds = components.clone().map(Component::bounds).reduce(|a, b| a.union(&b));
    let bounds = bounds.expect("a digit has at least one component");
    assert!(bounds.right() <= ink.width && bounds.bottom() <= ink.height, "components lie in the ink map");
    let cropped = crop_components(ink, components, bounds, params).trim();
    let side = cropped.width.max(cropped.height);
    if side == 0 {
        return NormalizedDigit { pixels: [0; PIXELS], bounds, upscaled: true, thickened: false };
    }
    let scaled = |length: usize| ((length * DIGIT_BOX_SIDE) as f32 / side as f32).round().max(1.0) as usize;
    let mut digit = cropped.resize(scaled(cropped.width), scaled(cropped.height));
    let thickened = stages.contains(Stage::Thicken) && stroke_width(&digit) < params.min_stroke_width;
    if thickened {
        digit = thicken(&digit, params);
    }
    NormalizedDigit { pixels: center_by_mass(&digit), bounds, upscaled: side < DIGIT_BOX_SIDE, thickened }
}

/// Copies the ink of the components with the soft edges of their strokes, and nothing of other components.
fn crop_components<'a>(
    ink: &GrayImage,
    components: impl Iterator<Item = &'a Component>,
    bounds: Rect,
    params: &DigitNormalizationParams,
) -> FloatImage {
    let (left, top) = (bounds.x.saturating_sub(SOFT_EDGE_PX), bounds.y.saturating_sub(SOFT_EDGE_PX));
    let right = (bounds.right() + SOFT_EDGE_PX).min(ink.width);
    let bottom = (bounds.bottom() + SOFT_EDGE_PX).min(ink.height);
    let edge_levels = params.min_edge_level..STROKE_EDGE_LEVEL;
    let mut cropped = FloatImage::zeros(right - left, bottom - top);
    for run in components.flat_map(Component::runs) {
        for y in run.y.saturating_sub(SOFT_EDGE_PX).max(top)..(run.y + SOFT_EDGE_PX + 1).min(bottom) {
            for x in run.x.saturating_sub(SOFT_EDGE_PX).max(left)..(run.end + SOFT_EDGE_PX).min(right) {
                let value = ink.row(y)[x];
                let is_in_run = y == run.y && (run.x..run.end).contains(&x);
                if is_in_run || edge_levels.contains(&value) {
                    cropped.values[(y - top) * cropped.width + x - left] = f32::from(value) / 255.0;
                }
            }
        }
    }
    cropped
}

/// Estimates the width of strokes in pixels: `2 * area / perimeter`, with the sum of gradient magnitudes as the perimeter.
fn stroke_width(digit: &FloatImage) -> f32 {
    let value = |x: usize, y: usize| {
        if x < digit.width && y < digit.height { digit.values[y * digit.width + x] } else { 0.0 }
    };
    let mut perimeter = 0.0;
    // Coordinates are shifted by one: 0 is the empty row or column before the first.
    for y in 0..=digit.height {
        for x in 0..=digit.width {
            let here = value(x.wrapping_sub(1), y.wrapping_sub(1));
            let right = value(x, y.wrapping_sub(1)) - here;
            let below = value(x.wrapping_sub(1), y) - here;
            perimeter += right.hypot(below);
        }
    }
    2.0 * digit.values.iter().sum::<f32>() / perimeter.max(f32::EPSILON)
}

/// Blurs and saturates until strokes are wide enough.
fn thicken(digit: &FloatImage, params: &DigitNormalizationParams) -> FloatImage {
    /// Values above this are ink when the saturation level is measured.
    const MIN_INK: f32 = 0.1;
    let mut thick = digit.clone();
    for _ in 0..params.max_thickening_rounds {
        if stroke_width(&thick) >= params.min_stroke_width {
            break;
        }
        thick = convolve_full(&thick, BINOMIAL_KERNEL);
        let mut values: Vec<_> = thick.values.iter().copied().filter(|&value| value > MIN_INK).collect();
        values.sort_by(f32::total_cmp);
        // The upper tercile of the ink becomes full ink.
        let saturation = values.get(values.len() * 2 / 3).copied().unwrap_or(1.0);
        thick.values.iter_mut().for_each(|value| *value = (*value / saturation).min(1.0));
    }
    thick
}

/// The binomial kernel of three values.
const BINOMIAL_KERNEL: [f32; 3] = [0.25, 0.5, 0.25];

/// The kernel of [`blur_as_upscaled`]. Its variance, 1/6, is the mean variance of bilinear interpolation.
const UPSCALING_BLUR_KERNEL: [f32; 3] = [1.0 / 12.0, 10.0 / 12.0, 1.0 / 12.0];

/// Blurs a normalized digit as much as bilinear enlarging does on the mean.
///
/// Many outliers that a network was trained on had been enlarged and were therefore blurry, so it takes sharp outliers for
/// digits more often.
pub fn blur_as_upscaled(pixels: &[u8; PIXELS]) -> [u8; PIXELS] {
    let values = pixels.iter().copied().map(f32::from).collect();
    let blurred = convolve_full(&FloatImage { width: SIDE, height: SIDE, values }, UPSCALING_BLUR_KERNEL);
    from_fn(|pixel| blurred.values[(pixel / SIDE + 1) * blurred.width + pixel % SIDE + 1].round() as u8)
}

/// Convolves an image with a separable kernel. The result is a pixel wider on each side.
fn convolve_full(image: &FloatImage, kernel: [f32; 3]) -> FloatImage {
    let mut blurred = FloatImage::zeros(image.width + 2, image.height + 2);
    for (y, row) in image.values.chunks(image.width).enumerate() {
        for (x, value) in row.iter().enumerate() {
            for (dy, a) in kernel.into_iter().enumerate() {
                for (dx, b) in kernel.into_iter().enumerate() {
                    blurred.values[(y + dy) * (image.width + 2) + x + dx] += a * b * value;
                }
            }
        }
    }
    blurred
}

/// Places a digit in an image of 28x28, moved by whole pixels so that its center of mass is as near as possible to pixel
/// (14, 14), where MNIST's is. Ink that would be outside is lost.
fn center_by_mass(digit: &FloatImage) -> [u8; PIXELS] {
    let mass: f32 = digit.values.iter().sum();
    let mean = |coordinate: fn(usize, usize) -> usize| {
        let moment: f32 = digit
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| coordinate(index, digit.width) as f32 * value)
            .sum();
        moment / mass.max(f32::EPSILON)
    };
    let middle = (SIDE / 2) as f32;
    let left = (middle - mean(|index, width| index % width)).round() as isize;
    let top = (middle - mean(|index, width| index / width)).round() as isize;
    let mut pixels = [0; PIXELS];
    for (index, value) in digit.values.iter().enumerate() {
        let x = left + (index % digit.width) as isize;
        let y = top + (index / digit.width) as isize;
        let inside = 0..SIDE as isize;
        if inside.contains(&x) && inside.contains(&y) {
            pixels[y as usize * SIDE + x as usize] = (value * 255.0).round() as u8;
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ComponentParams, TextParams, components, find_text};

    /// Normalizes all text of an ink map, without thickening.
    fn normalize(width: usize, height: usize, ink: impl Fn(usize, usize) -> u8) -> [u8; PIXELS] {
        let ink = GrayImage::from_fn(width, height, ink);
        let components = components(&ink, &ComponentParams::default());
        let text = find_text(&ink, components, &TextParams::default(), Stages::ALL);
        let params = DigitNormalizationParams::default();
        normalize_digit(&ink, &text.components, &params, Stages::ALL.without(Stage::Thicken)).pixels
    }

    fn center_of_mass(pixels: &[u8; PIXELS]) -> (f32, f32) {
        let sum = |coordinate: fn(usize) -> usize| -> f32 {
            pixels.iter().enumerate().map(|(index, &value)| coordinate(index) as f32 * f32::from(value)).sum()
        };
        let mass = sum(|_| 1);
        (sum(|index| index % SIDE) / mass, sum(|index| index / SIDE) / mass)
    }

    #[test]
    fn keeps_a_normalized_digit_as_it_is() {
        // An L of 14 x 20 with soft edges, and its center of mass within half a pixel of (14, 14).
        let ink = |x: usize, y: usize| match (x, y) {
            (12..=14, 3..=21) => 255,
            (11, 3..=22) => 120,
            (12..=24, 20..=21) => 255,
            (12..=24, 22) => 60,
            _ => 0,
        };
        let pixels = normalize(SIDE, SIDE, ink);
        let expected: Vec<_> = (0..PIXELS).map(|index| ink(index % SIDE, index / SIDE)).collect();
        assert_eq!(pixels.to_vec(), expected);
    }

    #[test]
    fn fits_any_size_to_the_box_and_centers_its_mass() {
        // A T, higher than wide, then wider than high.
        let t = |width: usize, height: usize, stroke: usize, left: usize, top: usize| {
            normalize(left + width + 9, top + height + 5, |x, y| {
                let (x, y) = (x.wrapping_sub(left), y.wrapping_sub(top));
                let bar = x < width && y < stroke;
                let stem = y < height && x.abs_diff(width / 2) <= stroke / 2;
                if bar || stem { 255 } else { 0 }
            })
        };
        for (width, height, stroke, left, top) in
            [(30, 50, 6, 3, 40), (12, 20, 3, 30, 2), (6, 10, 1, 7, 7), (300, 200, 40, 1, 1)]
        {
            let pixels = t(width, height, stroke, left, top);
            let rows =
                (0..SIDE).filter(|y| pixels[y * SIDE..][..SIDE].iter().any(|&value| value > 0)).count();
            let columns = (0..SIDE).filter(|x| (0..SIDE).any(|y| pixels[y * SIDE + x] > 0)).count();
            assert_eq!(rows.max(columns), DIGIT_BOX_SIDE, "{width} x {height}");
            let (x, y) = center_of_mass(&pixels);
            assert!((x - 14.0).abs() <= 0.51 && (y - 14.0).abs() <= 0.51, "{width} x {height}: {x}, {y}");
        }
    }

    #[test]
    fn thickens_thin_strokes_to_the_width_of_mnist() {
        let mut line = FloatImage::zeros(20, 20);
        (0..20).for_each(|y| line.values[y * 20 + y] = 0.5);
        let params = DigitNormalizationParams::default();
        let width = params.min_stroke_width;
        assert!(stroke_width(&line) < width);
        let thick = thicken(&line, &params);
        assert!((width..2.0 * width).contains(&stroke_width(&thick)), "{}", stroke_width(&thick));
    }

    #[test]
    fn blur_spreads_ink_within_the_image() {
        let mut pixels = [0; PIXELS];
        (pixels[5 * SIDE + 9], pixels[27]) = (144, 144);
        let blurred = blur_as_upscaled(&pixels);
        assert_eq!(
            [4, 5, 6].map(|row| blurred[row * SIDE + 8..][..3].to_vec()),
            [[1, 10, 1], [10, 100, 10], [1, 10, 1]]
        );
        assert_eq!([26, 27, 28, 54, 55, 56].map(|pixel| blurred[pixel]), [10, 100, 0, 1, 10, 0]);
    }

    #[test]
    fn stroke_width_of_a_bar_is_its_width() {
        let mut bar = FloatImage::zeros(30, 30);
        (2..28).for_each(|y| bar.values[y * 30 + 10..][..4].fill(1.0));
        assert!((stroke_width(&bar) - 3.5).abs() < 0.5, "{}", stroke_width(&bar));
    }

    #[test]
    #[should_panic = "a digit has at least one component"]
    fn panics_without_components() {
        let ink = GrayImage::from_fn(30, 30, |_, _| 0);
        normalize_digit(&ink, &[], &DigitNormalizationParams::default(), Stages::ALL);
    }
}
