//! Handwriting: digits of a dataset and marks of a pen, at any size and width of the strokes.

use rand_pcg::rand_core::Rng;

use super::{
    super::glyphs::{DigitGlyph, PenPath, letter_path, scrawl_path},
    PageRotation,
    layer::{CANVAS_SIDE, MarkLayer},
};
use crate::{
    Dataset, SIDE,
    data::random::{chance, log_uniform, uniform, uniform_below},
};

/// Height of a digit in an image of the dataset in pixels, because MNIST's were scaled to fit 20x20.
const MNIST_DIGIT_HEIGHT_PX: f32 = 20.0;
/// Height of a digit of a [`PenPath`] in its units.
const PATH_HEIGHT: f32 = 9.0;

/// The hand and the pen that a page is written with.
pub struct WritingStyle {
    /// Height of a digit in pixels.
    pub height: f32,
    /// Width of the strokes relative to the height.
    stroke: f32,
    /// The fraction of the light that strokes absorb, 0 to 1.
    pub darkness: f32,
    /// Probability that a digit is drawn with a pen rather than taken from the dataset.
    glyphs: f32,
    /// Probability of a letter or scribble in place of a digit.
    others: f32,
}

impl WritingStyle {
    /// Returns a random hand and pen.
    pub fn random(random: &mut impl Rng) -> Self {
        let height = log_uniform(10.0, 110.0, random);
        let stroke = log_uniform(0.04, 0.3, random);
        // The strokes of thin large digits of the dataset would have holes.
        let glyphs = if stroke < 0.08 { 0.7 } else { 0.25 };
        let darkness =
            if chance(0.25, random) { uniform(0.15, 0.45, random) } else { uniform(0.4, 0.97, random) };
        let others = if chance(0.2, random) { uniform(0.1, 0.8, random) } else { 0.04 };
        // A pen has at least the width of a pixel.
        Self { height, stroke: stroke.max(1.0 / height), darkness, glyphs, others }
    }

    /// Returns a random digit or other character.
    pub fn random_character(&self, digits: &Dataset, random: &mut impl Rng) -> Character {
        let height = self.height * uniform(0.8, 1.15, random);
        let stroke = self.stroke * uniform(0.85, 1.15, random);
        let darkness = self.darkness * uniform(0.8, 1.0, random);
        let (scale, shape) = if chance(self.others, random) {
            let scale = height / PATH_HEIGHT * uniform(0.5, 1.2, random);
            let path = if chance(0.7, random) { letter_path(random) } else { scrawl_path(random) };
            (scale, CharacterShape::Path(path))
        } else if chance(self.glyphs, random) || digits.is_empty() {
            (height / PATH_HEIGHT, CharacterShape::Path(DigitGlyph::random(random).path(random)))
        } else {
            let index = uniform_below(digits.len(), random);
            (
                height / MNIST_DIGIT_HEIGHT_PX,
                CharacterShape::Digit(RestrokedDigit::new(
                    digits.image(index),
                    MNIST_DIGIT_HEIGHT_PX * stroke,
                )),
            )
        };
        let (stretch, slant) = (uniform(0.85, 1.2, random), uniform(-0.2, 0.2, random));
        let stretch = if matches!(shape, CharacterShape::Digit(_)) { stretch } else { 1.0 };
        Character { shape, scale, stretch, slant, stroke_px: (stroke * height).max(1.0), darkness }
    }
}

/// A digit, letter or scribble to draw.
pub struct Character {
    shape: CharacterShape,
    /// Pixels of the canvas for one pixel or unit of the shape.
    scale: f32,
    /// Ratio of the scale across to that down.
    stretch: f32,
    /// Horizontal displacement for each pixel of height.
    slant: f32,
    /// Width of the strokes of a path in pixels.
    stroke_px: f32,
    darkness: f32,
}

enum CharacterShape {
    Digit(RestrokedDigit),
    Path(PenPath),
}

impl Character {
    /// Returns the bounding box `[left, top, right, bottom]` without the slant, in pixels relative to the character's origin.
    pub fn bounds(&self) -> [f32; 4] {
        let [left, top, right, bottom] = match &self.shape {
            CharacterShape::Digit(digit) => digit.bounds,
            CharacterShape::Path(path) => {
                let points = path.strokes.iter().flatten();
                let radius = 0.5 * self.stroke_px / self.scale;
                points.fold(
                    [f32::MAX, f32::MAX, f32::MIN, f32::MIN],
                    |[left, top, right, bottom], &[x, y]| {
                        [
                            left.min(x - radius),
                            top.min(y - radius),
                            right.max(x + radius),
                            bottom.max(y + radius),
                        ]
                    },
                )
            }
        };
        let across = self.scale * self.stretch;
        [across * left, self.scale * top, across * right, self.scale * bottom]
    }

    /// Draws the character with its origin at a point `[u, v]` of the page.
    pub fn draw(&self, layer: &mut MarkLayer, frame: &PageRotation, origin: [f32; 2]) {
        match &self.shape {
            CharacterShape::Digit(digit) => self.draw_digit(digit, layer, frame, origin),
            CharacterShape::Path(path) => {
                let to_canvas = |&[x, y]: &[f32; 2]| {
                    let (u, v) = (self.scale * (x - self.slant * y), self.scale * y);
                    frame.to_canvas([origin[0] + u, origin[1] + v])
                };
                let strokes = path.strokes.iter().map(|points| points.iter().map(to_canvas).collect());
                layer.draw_strokes(strokes.collect(), 0.5 * self.stroke_px, self.darkness);
            }
        }
    }

    fn draw_digit(
        &self,
        digit: &RestrokedDigit,
        layer: &mut MarkLayer,
        frame: &PageRotation,
        origin: [f32; 2],
    ) {
        let Self { scale, stretch, slant, darkness, .. } = *self;
        let [left, top, right, bottom] = self.bounds().map(|bound| 1.1 * bound);
        // The enlarged image is soft. A threshold with a slope makes its edges as sharp as those of a pen.
        let sharpness = (1.2 * scale).clamp(1.0, 8.0);
        let lean = self.slant.abs() * bottom.max(-top);
        let corners =
            [[left - lean, top], [right + lean, top], [left - lean, bottom], [right + lean, bottom]]
                .map(|[u, v]| frame.to_canvas([origin[0] + u, origin[1] + v]));
        let range = |axis: usize| {
            let coordinates = corners.map(|corner| corner[axis]);
            let first = coordinates.into_iter().fold(f32::MAX, f32::min) - 1.0;
            let last = coordinates.into_iter().fold(f32::MIN, f32::max) + 2.0;
            let limit = |value: f32| value.clamp(0.0, CANVAS_SIDE as f32) as usize;
            limit(first)..limit(last)
        };
        for y in range(1) {
            for x in range(0) {
                let [u, v] = frame.to_page([x as f32 + 0.5, y as f32 + 0.5]);
                let dy = (v - origin[1]) / scale;
                let dx = ((u - origin[0]) / scale + slant * dy) / stretch;
                let coverage = (digit.sample(dx, dy) - 0.5) * sharpness + 0.5;
                if coverage > 0.0 {
                    layer.cover(y * CANVAS_SIDE + x, coverage.min(1.0), darkness);
                }
            }
        }
    }
}

/// Border around the image of a digit, so that thick strokes have space.
const BORDER: usize = 5;
/// Height and width of a bordered image.
const BORDERED_SIDE: usize = SIDE + 2 * BORDER;

/// An image of the dataset with strokes of another width.
struct RestrokedDigit {
    /// `(row, column)`, 0 to 1.
    values: Vec<f32>,
    /// The bounding box `[left, top, right, bottom]` of the ink, relative to the middle of the image.
    bounds: [f32; 4],
}

impl RestrokedDigit {
    /// Changes the strokes of `image` to a width in pixels, as far as that leaves a legible digit.
    fn new(image: &[u8], stroke_px: f32) -> Self {
        let mut bordered = vec![0.0; BORDERED_SIDE * BORDERED_SIDE];
        for (row, pixels) in bordered.chunks_mut(BORDERED_SIDE).skip(BORDER).zip(image.chunks(SIDE)) {
            for (value, &pixel) in row[BORDER..].iter_mut().zip(pixels) {
                *value = f32::from(pixel) / 255.0;
            }
        }
        let width = mean_stroke_width(&bordered);
        // Strokes thinner than 1.8 pixels would break.
        let min_radius = -((width - 1.8) / 2.0).clamp(0.0, 1.0);
        let radius = ((stroke_px - width) / 2.0).clamp(min_radius, BORDER as f32 - 1.0);
        let values = if radius > 0.0 {
            disk_dilation(&bordered, radius)
        } else {
            let complement = |values: &[f32]| values.iter().map(|value| 1.0 - value).collect::<Vec<_>>();
            complement(&disk_dilation(&complement(&bordered), -radius))
        };
        let values = binomial_blur(&values);
        let inked = |at: &usize| values[*at] > 0.5;
        let mut bounds = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for at in (0..values.len()).filter(inked) {
            let [x, y] =
                [at % BORDERED_SIDE, at / BORDERED_SIDE].map(|at| at as f32 - 0.5 * BORDERED_SIDE as f32);
            let [left, top, right, bottom] = bounds;
            bounds = [left.min(x), top.min(y), right.max(x + 1.0), bottom.max(y + 1.0)];
        }
        if bounds[0] > bounds[2] {
            bounds = [0.0; 4];
        }
        Self { values, bounds }
    }

    /// Returns the value at a position relative to the middle of the image, interpolated by the quadratic B-spline, because level
    /// sets of linear interpolation are jagged.
    fn sample(&self, dx: f32, dy: f32) -> f32 {
        let [x, y] = [dx, dy].map(|offset| offset + 0.5 * BORDERED_SIDE as f32 - 0.5);
        let last = BORDERED_SIDE as f32 - 2.0;
        if !(1.0..last).contains(&x) || !(1.0..last).contains(&y) {
            return 0.0;
        }
        let [column, row] = [x, y].map(|position| (position + 0.5) as usize);
        let weights = |fraction: f32| {
            let (before, after) = (0.5 - fraction, 0.5 + fraction);
            [0.5 * before * before, 0.75 - fraction * fraction, 0.5 * after * after]
        };
        let (across, down) = (weights(x - column as f32), weights(y - row as f32));
        let rows = self.values[(row - 1) * BORDERED_SIDE..].chunks(BORDERED_SIDE);
        let sums = rows.zip(down).map(|(values, weight)| {
            let values = &values[column - 1..column + 2];
            weight * (across[0] * values[0] + across[1] * values[1] + across[2] * values[2])
        });
        sums.sum()
    }
}

/// Returns the mean width of the strokes of an image in pixels: twice the area of a long stroke is its width times its perimeter.
fn mean_stroke_width(values: &[f32]) -> f32 {
    let area: f32 = values.iter().sum();
    let across = values.iter().zip(&values[1..]).map(|(a, b)| (a - b).abs()).sum::<f32>();
    let down = values.iter().zip(&values[BORDERED_SIDE..]).map(|(a, b)| (a - b).abs()).sum::<f32>();
    // The mean of |cos| + |sin| over all directions of an edge.
    let perimeter = (across + down) / (4.0 / std::f32::consts::PI);
    2.0 * area / perimeter.max(f32::EPSILON)
}

/// Blurs an image by the weights 1, 2 and 1 along each axis, because level sets of a sharp image are jagged.
fn binomial_blur(values: &[f32]) -> Vec<f32> {
    let along = |values: &[f32], stride: usize| {
        let mut smooth = values.to_vec();
        for (at, smooth) in smooth.iter_mut().enumerate().take(values.len() - stride).skip(stride) {
            *smooth = 0.25 * (values[at - stride] + 2.0 * values[at] + values[at + stride]);
        }
        smooth
    };
    along(&along(values, 1), BORDERED_SIDE)
}

/// Returns the maximum over a disk around each pixel, a grayscale dilation. The disk's edge is antialiased, so that the
/// radius need not be an integer.
fn disk_dilation(values: &[f32], radius: f32) -> Vec<f32> {
    let reach = radius.ceil() as isize;
    let offsets = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
    let disk: Vec<(isize, f32)> = offsets
        .map(|(dx, dy)| {
            let distance = (dx as f32).hypot(dy as f32);
            (dy * BORDERED_SIDE as isize + dx, (radius + 1.0 - distance).clamp(0.0, 1.0))
        })
        .filter(|&(_, weight)| weight > 0.0)
        .collect();
    let mut spread = values.to_vec();
    for (at, &value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        for &(offset, weight) in &disk {
            if let Some(target) = spread.get_mut(at.wrapping_add_signed(offset)) {
                *target = target.max(weight * value);
            }
        }
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_get_the_width() {
        // A bar of four pixels, 20 high.
        let image: Vec<u8> = (0..SIDE * SIDE)
            .map(|i| if (12..16).contains(&(i % SIDE)) && (4..24).contains(&(i / SIDE)) { 255 } else { 0 })
            .collect();
        for (wanted, expected) in [(2.2, 1.8..3.2), (4.0, 3.0..4.6), (6.0, 5.4..7.0), (9.0, 7.5..10.0)] {
            let digit = RestrokedDigit::new(&image, wanted);
            let width: f32 = (0..SIDE).map(|x| digit.sample(x as f32 - 13.5, 0.25)).sum();
            assert!(expected.contains(&width), "{wanted}: {width}");
        }
    }
}
