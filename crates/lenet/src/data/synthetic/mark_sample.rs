//! Samples for training the network that tells marks: parts of lines of digits and marks.

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};

use super::glyphs::{DigitGlyph, draw_letter};
use crate::{
    Dataset, SIDE,
    data::random::{chance, log_uniform, uniform, uniform_below},
    image::{
        Component, ComponentParams, GrayImage, MARK_WINDOW_SIDE, Mark, MarkParams, components, draw_strokes,
        mark_groups, mark_window,
    },
};

/// The image of a mark, or of something else, in a line of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkSample {
    /// `(row, column)`: the [`mark_window`].
    pub pixels: Vec<u8>,
    /// The mark, or `None` if the window shows a digit, a part of one, a letter, or a stain.
    pub mark: Option<Mark>,
}

/// Fraction of the tokens of a line that are marks.
const MARK_FRACTION: f32 = 0.4;
/// Fraction of the samples that show marks, where the line has any.
const MARK_SAMPLE_FRACTION: f32 = 0.4;
/// Fraction of the digits that are drawn with a pen, because some shapes are rare in MNIST, such as a crossed 7.
const GLYPH_FRACTION: f32 = 0.35;
/// Fraction of the images of digits that are replaced by a 1 if one of three others is one, because a 1 looks like a slash.
const ONE_FRACTION: f32 = 0.5;

impl MarkSample {
    /// Draws a sample. All random numbers follow from `key`. Most digits of the line are images of `digits`, and all of them are
    /// drawn with a pen if there are none.
    pub fn draw(key: u64, digits: &Dataset) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(key);
        loop {
            if let Some(sample) = Self::draw_of_line(digits, &mut random) {
                return sample;
            }
        }
    }

    /// Draws a line and chooses a group of its components. Returns `None` if it has no digit beside another component.
    fn draw_of_line(digits: &Dataset, random: &mut impl Rng) -> Option<Self> {
        let line = MarkedLine::random(digits, random);
        let params = MarkParams::default();
        let mut components = components(&line.ink, &ComponentParams::default());
        components.retain(|component| {
            component.bounds().longer_side() as f32 >= params.min_point_side as f32 * line.height
        });
        components.sort_by_key(|component| component.bounds().x);
        let token_of: Vec<_> = components.iter().map(|component| line.token_of(component)).collect();
        let groups = mark_groups(&components, line.height as usize, &params);
        let (marks, others): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .map(|group| (line.mark(&token_of, &group), group))
            .partition(|(mark, _)| mark.is_some());
        let from_marks = !marks.is_empty() && (others.is_empty() || chance(MARK_SAMPLE_FRACTION, random));
        let from = if from_marks { marks } else { others };
        if from.is_empty() {
            return None;
        }
        let (mark, group) = &from[uniform_below(from.len(), random)];
        let pixels = mark_window(&components, group, line.height as usize, &params)?;
        Some(Self { pixels, mark: *mark })
    }
}

/// The number of pixels of a sample.
pub(crate) const MARK_SAMPLE_PIXELS: usize = MARK_WINDOW_SIDE * MARK_WINDOW_SIDE;

/// A line of digits and marks.
struct MarkedLine {
    ink: GrayImage,
    /// The token that each pixel of ink belongs to, from 1.
    owners: Vec<u8>,
    tokens: Vec<Option<Mark>>,
    /// Height of the digits in pixels.
    height: f32,
}

impl MarkedLine {
    fn random(digits: &Dataset, random: &mut impl Rng) -> Self {
        let height = log_uniform(12.0, 48.0, random).round();
        let pen_radius = height * uniform(0.03, 0.09, random);
        let (slant, slope) = (uniform(-0.15, 0.35, random), uniform(-0.06, 0.06, random));
        let (wide_gap, letter) = (uniform(0.0, 0.4, random), if chance(0.1, random) { 0.3 } else { 0.0 });
        let broken = if chance(0.25, random) { 0.5 } else { 0.0 };
        let count = 3 + uniform_below(5, random);
        let size = |heights: f32| (heights * height) as usize;
        let ink = GrayImage::from_fn(size(14.0), size(3.0), |_, _| 0);
        let owners = vec![0; ink.values.len()];
        let mut line = Self { ink, owners, tokens: Vec::new(), height };
        // The left end of the next token, and the top of its digits.
        let (mut x, mut top) = (0.3 * height, height);
        for _ in 0..count {
            let mark =
                chance(MARK_FRACTION, random).then(|| Mark::ALL[uniform_below(Mark::ALL.len(), random)]);
            let token = match mark {
                Some(mark) => crop(&draw_mark(mark, height, pen_radius, random)),
                None => {
                    let drawn = if chance(letter, random) {
                        draw_letter(random)
                    } else {
                        draw_digit(digits, broken, random)
                    };
                    let digit = crop(&drawn);
                    let height = height * uniform(0.85, 1.12, random);
                    let scale = height / digit.height.max(1) as f32;
                    let width = digit.width as f32 * scale * uniform(0.85, 1.2, random);
                    let digit = digit.resize((width as usize).max(1), (height as usize).max(1));
                    shear(&digit, slant)
                }
            };
            if x + token.width as f32 + 1.0 >= line.ink.width as f32 {
                break;
            }
            let bounce = height * uniform(-0.08, 0.08, random);
            // A mark's canvas was cropped, so that its place is that of its middle.
            let y = match mark {
                Some(mark) => top + height * mark_middle(mark, random) - 0.5 * token.height as f32,
                None => top + (height - token.height as f32) * uniform(0.0, 1.0, random),
            };
            line.paste(&token, x as usize, (y + bounce).max(0.0) as usize, mark);
            let gap =
                if chance(wide_gap, random) { uniform(0.5, 2.0, random) } else { uniform(0.04, 0.5, random) };
            x += token.width as f32 + (gap * height).max(2.0);
            top += slope * token.width as f32;
        }
        line.stain(pen_radius, random);
        line
    }

    /// Draws a token with its left upper corner at (`x`, `y`).
    fn paste(&mut self, token: &GrayImage, x: usize, y: usize, mark: Option<Mark>) {
        self.tokens.push(mark);
        let owner = self.tokens.len() as u8;
        for row in 0..token.height.min(self.ink.height.saturating_sub(y)) {
            for (column, &value) in token.row(row).iter().enumerate() {
                let at = (y + row) * self.ink.width + x + column;
                if x + column < self.ink.width && value > self.ink.values[at] {
                    self.ink.values[at] = value;
                    self.owners[at] = owner;
                }
            }
        }
    }

    /// Draws what is neither a digit nor a mark: specks, and what the removal of rules leaves.
    fn stain(&mut self, pen_radius: f32, random: &mut impl Rng) {
        let [width, height] = [self.ink.width, self.ink.height].map(|side| side as f32);
        let text_height = self.height;
        let mut strokes = Vec::new();
        if chance(0.15, random) {
            for _ in 0..1 + uniform_below(3, random) {
                // Mostly above or far below the digits, because a speck beside their feet looks like a point.
                let [low, high] = [[0.3, 1.4], [2.3, 2.8], [0.3, 2.8]][uniform_below(3, random)];
                let y = uniform(low, high, random);
                strokes.push(vec![[uniform(0.0, 0.6 * width, random), y * text_height]]);
            }
        }
        if chance(0.1, random) {
            // A part of an underline.
            let (x, y) = (uniform(0.0, 0.6 * width, random), text_height * uniform(2.2, 2.6, random));
            strokes.push(vec![[x, y], [x + text_height * uniform(0.2, 2.0, random), y]]);
        }
        if chance(0.1, random) {
            // A part of a box.
            let (x, y) = (uniform(0.0, 0.6 * width, random), text_height * uniform(0.7, 1.2, random));
            let tilt = text_height * uniform(-0.05, 0.05, random);
            strokes.push(vec![[x, y], [x + tilt, y + text_height * uniform(0.4, 1.8, random)]]);
        }
        let stains =
            draw_strokes(width as usize, height as usize, &strokes, pen_radius * uniform(0.5, 1.2, random));
        self.paste(&stains, 0, 0, None);
    }

    /// Returns the index of the token that has nearly all of a component's ink, if one has.
    fn token_of(&self, component: &Component) -> Option<usize> {
        let mut counts = vec![0; self.tokens.len()];
        for run in component.runs() {
            let owners = &self.owners[run.y * self.ink.width..][run.x..run.end];
            // Each pixel of a component has ink, and so an owner.
            owners.iter().for_each(|&owner| counts[usize::from(owner) - 1] += 1);
        }
        counts.iter().position(|count| count * 10 >= component.area() * 9)
    }

    /// Returns the mark that a group of components is, if it is one and all of it. `token_of` are the tokens of all components.
    fn mark(&self, token_of: &[Option<usize>], group: &[usize]) -> Option<Mark> {
        let first = token_of[group[0]]?;
        let is_all_of_it =
            (0..token_of.len()).all(|index| group.contains(&index) == (token_of[index] == Some(first)));
        self.tokens[first].filter(|_| is_all_of_it)
    }
}

/// Returns an image of a digit: of the dataset, or drawn with a pen. With probability `broken`, a thin band of it is missing.
fn draw_digit(digits: &Dataset, broken: f32, random: &mut impl Rng) -> GrayImage {
    let mut digit = if digits.is_empty() || chance(GLYPH_FRACTION, random) {
        DigitGlyph::random(random).draw(random)
    } else {
        let mut draw = || uniform_below(digits.len(), random);
        let (first, others) = (draw(), [0; 3].map(|_| draw()));
        let one = others.into_iter().find(|&index| digits.labels()[index] == 1);
        let index = one.filter(|_| chance(ONE_FRACTION, random)).unwrap_or(first);
        GrayImage { width: SIDE, height: SIDE, values: digits.image(index).to_vec(), scale: 1 }
    };
    if chance(broken, random) {
        let start = uniform_below(digit.height, random);
        let end = digit.height.min(start + digit.height / 14);
        digit.values[start * digit.width..end * digit.width].fill(0);
    }
    digit
}

/// Returns the height of the middle of a mark below the top of the digits, in text heights.
fn mark_middle(mark: Mark, random: &mut impl Rng) -> f32 {
    let [low, high] = match mark {
        Mark::Point => [0.88, 1.03],
        Mark::Comma => [0.9, 1.2],
        Mark::Colon => [0.5, 0.75],
        Mark::Slash | Mark::OpeningParenthesis | Mark::ClosingParenthesis => [0.45, 0.62],
        Mark::Minus | Mark::Plus | Mark::Equals => [0.38, 0.68],
    };
    uniform(low, high, random)
}

/// Draws a mark on a canvas of three text heights, with a pen as wide as that of the digits.
fn draw_mark(mark: Mark, height: f32, pen_radius: f32, random: &mut impl Rng) -> GrayImage {
    let radius = pen_radius * uniform(0.8, 1.3, random);
    let mut between = |low: f32, high: f32| uniform(low, high, random);
    // In text heights, relative to the middle.
    let arc = |length: f32, bulge: f32, tilt: f32| -> Vec<[f32; 2]> {
        (0..=12)
            .map(|step| {
                let t = step as f32 / 6.0 - 1.0;
                [bulge * (1.0 - t * t) + tilt * t, 0.5 * length * t]
            })
            .collect()
    };
    let bar = |length: f32, tilt: f32, y: f32| vec![[-0.5 * length, y - tilt], [0.5 * length, y + tilt]];
    let strokes: Vec<Vec<[f32; 2]>> = match mark {
        Mark::Point => {
            let length = between(-0.06, 0.06).max(0.0);
            vec![vec![[-length, length * between(-1.0, 1.0)], [length, 0.0]]]
        }
        Mark::Comma => vec![arc(between(0.18, 0.5), between(-0.02, 0.1), between(-0.14, 0.0))],
        Mark::Minus => vec![bar(between(0.2, 0.75), between(-0.06, 0.06), 0.0)],
        Mark::Slash => {
            vec![arc(between(0.9, 1.6), between(-0.05, 0.05), -between(0.16, 0.42))]
        }
        Mark::Colon => {
            let (half, shift) = (between(0.14, 0.32), between(-0.06, 0.06));
            let dash = between(-0.05, 0.05).max(0.0);
            vec![vec![[shift, -half], [shift + dash, -half]], vec![[-shift, half], [-shift, half + dash]]]
        }
        Mark::OpeningParenthesis => {
            vec![arc(between(0.95, 1.6), -between(0.12, 0.32), between(-0.15, 0.04))]
        }
        Mark::ClosingParenthesis => {
            vec![arc(between(0.95, 1.6), between(0.12, 0.32), between(-0.15, 0.04))]
        }
        Mark::Plus => {
            let (width, length) = (between(0.35, 0.75), between(0.35, 0.75));
            let shift = between(-0.08, 0.08);
            vec![
                bar(width, between(-0.05, 0.05), shift),
                vec![[between(-0.08, 0.04), -0.5 * length], [between(-0.04, 0.08), 0.5 * length]],
            ]
        }
        Mark::Equals => {
            let half = between(0.1, 0.2);
            [-half, half].map(|y| bar(between(0.3, 0.7), between(-0.04, 0.04), y)).to_vec()
        }
    };
    let side = 3.0 * height;
    let to_canvas = |[x, y]: [f32; 2]| [0.5 * side + x * height, 0.5 * side + y * height];
    let strokes: Vec<Vec<_>> =
        strokes.into_iter().map(|stroke| stroke.into_iter().map(to_canvas).collect()).collect();
    draw_strokes(side as usize, side as usize, &strokes, radius.max(0.6))
}

/// Returns the part of an image within the bounding box of its ink.
fn crop(image: &GrayImage) -> GrayImage {
    let has_ink = |x: usize, y: usize| image.row(y)[x] >= ComponentParams::default().min_ink_level;
    let rows: Vec<usize> = (0..image.height).filter(|&y| (0..image.width).any(|x| has_ink(x, y))).collect();
    let columns: Vec<usize> =
        (0..image.width).filter(|&x| (0..image.height).any(|y| has_ink(x, y))).collect();
    let (Some(left), Some(top)) = (columns.first(), rows.first()) else {
        return GrayImage::from_fn(1, 1, |_, _| 0);
    };
    let [width, height] = [&columns, &rows].map(|range| range[range.len() - 1] - range[0] + 1);
    GrayImage::from_fn(width, height, |x, y| image.row(top + y)[left + x])
}

/// Returns an image whose rows are displaced to the right, by `slant` pixels for each pixel of height.
fn shear(image: &GrayImage, slant: f32) -> GrayImage {
    let shift = |y: usize| {
        let rows = if slant >= 0.0 { image.height - 1 - y } else { y };
        (slant.abs() * rows as f32) as usize
    };
    let max_shift = shift(if slant >= 0.0 { 0 } else { image.height - 1 });
    GrayImage::from_fn(image.width + max_shift, image.height, |x, y| {
        x.checked_sub(shift(y)).and_then(|x| image.row(y).get(x).copied()).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_draw_equal_samples_of_all_marks() {
        let digits = super::super::test_digits();
        let (mut counts, mut outside) = ([0; Mark::ALL.len() + 1], 0);
        for key in (0..1500).map(|position| position << 32) {
            let sample = MarkSample::draw(key, &digits);
            assert_eq!(sample, MarkSample::draw(key, &digits));
            assert_eq!(sample.pixels.len(), MARK_SAMPLE_PIXELS);
            outside += usize::from(sample.pixels.iter().all(|&value| value == 0));
            let class = Mark::ALL.iter().position(|&mark| Some(mark) == sample.mark);
            counts[class.unwrap_or(Mark::ALL.len())] += 1;
        }
        assert!(counts[..Mark::ALL.len()].iter().all(|&count| count > 30), "{counts:?}");
        assert!((500..1000).contains(&counts[Mark::ALL.len()]), "{counts:?}");
        // A few groups are stains, or beside stains, so far from the digits that the window doesn't show them.
        assert!(outside < 30, "{outside}");
    }

    #[test]
    fn shear_keeps_the_rows() {
        let image = GrayImage::from_fn(3, 4, |x, y| (10 * y + x + 1) as u8);
        for slant in [-1.0, -0.4, 0.0, 0.5] {
            let sheared = shear(&image, slant);
            for y in 0..4 {
                let row: Vec<u8> = sheared.row(y).iter().copied().filter(|&value| value > 0).collect();
                assert_eq!(row, image.row(y), "{slant}");
            }
        }
    }
}
