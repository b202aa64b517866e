//! Outliers: images that are not a digit.

use rand_pcg::rand_core::Rng;

use super::{
    canvas::{CANVAS_SIDE, centered_digit_canvas, overlay},
    digit_triple::DigitTriple,
    glyphs,
};
use crate::{
    Dataset, SIDE,
    data::random::{uniform, uniform_below, uniform_symmetric},
    image::{GrayImage, draw_strokes},
};

/// Draws an outlier of a random kind.
pub(super) fn draw(digits: &Dataset, random: &mut impl Rng) -> GrayImage {
    match uniform_below(22, random) {
        0..5 => glyphs::draw_letter(random),
        5..8 => DigitTriple::random(digits, random_digit_rarely_one(digits, random), random)
            .crop_wrong_span(random),
        8..12 => half_digit(digits, random),
        12..16 => overlapping_pair(digits, random),
        16..19 => scribble(random),
        19..21 => glyphs::draw_scrawl(random),
        _ => blobs(random),
    }
}

/// Chooses the index of a digit, rarely a 1, because half of a 1 is again a 1.
fn random_digit_rarely_one(digits: &Dataset, random: &mut impl Rng) -> usize {
    let index = uniform_below(digits.len(), random);
    if digits.labels()[index] == 1 { uniform_below(digits.len(), random) } else { index }
}

/// Draws the part of a digit on one side of a line near its middle. Half of the lines are vertical or horizontal, like the edges
/// of a picture.
fn half_digit(digits: &Dataset, random: &mut impl Rng) -> GrayImage {
    let mut canvas = centered_digit_canvas(digits, random_digit_rarely_one(digits, random));
    let (quarter_turns, axis_aligned) = (2.0 * uniform_symmetric(random), uniform_below(2, random) == 0);
    let quarter_turns = if axis_aligned { quarter_turns.round() } else { quarter_turns };
    let (sin, cos) = (std::f32::consts::FRAC_PI_2 * quarter_turns).sin_cos();
    let middle = SIDE as f32 + uniform(-2.0, 2.0, random);
    for (at, value) in canvas.values.iter_mut().enumerate() {
        let (x, y) = ((at % CANVAS_SIDE) as f32 - middle, (at / CANVAS_SIDE) as f32 - middle);
        if x * cos + y * sin > 0.0 {
            *value = 0;
        }
    }
    canvas
}

/// Draws two digits on top of each other, rarely of the same class, because their overlap often looks like one digit.
fn overlapping_pair(digits: &Dataset, random: &mut impl Rng) -> GrayImage {
    let (first, mut second) = (uniform_below(digits.len(), random), uniform_below(digits.len(), random));
    if digits.labels()[first] == digits.labels()[second] {
        second = uniform_below(digits.len(), random);
    }
    let mut canvas = centered_digit_canvas(digits, first);
    let x = SIDE / 2 + uniform_below(13, random) - 6;
    let y = SIDE / 2 + uniform_below(25, random) - 12;
    overlay(&mut canvas, digits.image(second), x, y);
    canvas
}

/// Draws one to three random walks whose direction changes smoothly.
fn scribble(random: &mut impl Rng) -> GrayImage {
    let lines = (0..1 + uniform_below(3, random)).map(|_| {
        let middle = CANVAS_SIDE as f32 / 2.0;
        let [mut x, mut y] = [0; 2].map(|_| middle + uniform(-12.0, 12.0, random));
        let (mut heading, mut curvature) = (std::f32::consts::PI * uniform_symmetric(random), 0.0);
        (0..8 + uniform_below(40, random))
            .map(|_| {
                curvature = (0.7 * curvature + 0.5 * uniform_symmetric(random)).clamp(-1.0, 1.0);
                heading += curvature;
                // The walk stays on the canvas.
                let (sin, cos) = heading.sin_cos();
                x = (x + 3.0 * cos).clamp(4.0, CANVAS_SIDE as f32 - 4.0);
                y = (y + 3.0 * sin).clamp(4.0, CANVAS_SIDE as f32 - 4.0);
                [x, y]
            })
            .collect()
    });
    let lines: Vec<Vec<_>> = lines.collect();
    draw_strokes(CANVAS_SIDE, CANVAS_SIDE, &lines, uniform(1.0, 3.0, random))
}

/// Draws up to 30 dots of one size, as in textures and stains.
fn blobs(random: &mut impl Rng) -> GrayImage {
    let dots: Vec<_> = (0..1 + uniform_below(30, random))
        .map(|_| vec![[0; 2].map(|_| uniform(10.0, CANVAS_SIDE as f32 - 10.0, random))])
        .collect();
    draw_strokes(CANVAS_SIDE, CANVAS_SIDE, &dots, uniform(1.0, 9.0, random))
}
