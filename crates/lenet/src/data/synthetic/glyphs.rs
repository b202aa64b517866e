//! Digits, letters, symbols and scrawls, drawn with a pen of random width, slant and distortion.

use rand_pcg::rand_core::Rng;

use super::{
    canvas::CANVAS_SIDE,
    glyph_paths::{DIGIT_PATHS, NON_DIGIT_PATHS},
};
use crate::{
    data::random::{uniform, uniform_below},
    image::{GrayImage, draw_strokes},
};

/// One shape of a digit.
#[derive(Debug, Clone, Copy)]
pub(super) struct DigitGlyph {
    /// The digit.
    pub digit: u8,
    path: &'static str,
}

impl DigitGlyph {
    /// Chooses a shape, each with the same probability.
    pub fn random(random: &mut impl Rng) -> Self {
        let glyphs = || {
            (0..)
                .zip(DIGIT_PATHS)
                .flat_map(|(digit, paths)| paths.iter().map(move |path| Self { digit, path }))
        };
        let index = uniform_below(glyphs().count(), random);
        glyphs().nth(index).expect("an index below the number of glyphs")
    }

    /// Returns the path of a random pen.
    pub fn path(&self, random: &mut impl Rng) -> PenPath {
        // The cube makes broad pens rare, because a broad pen turns a 1 into a bar.
        let pen_radius = 0.3 + 1.5 * uniform(0.0, 1.0, random).powi(3);
        PenPath::randomly_distorted(&parse_path(self.path), pen_radius, random)
    }

    /// Draws the glyph on a square canvas.
    pub fn draw(&self, random: &mut impl Rng) -> GrayImage {
        self.path(random).draw()
    }
}

/// Returns the path of a letter or symbol.
pub(super) fn letter_path(random: &mut impl Rng) -> PenPath {
    let path = parse_path(NON_DIGIT_PATHS[uniform_below(NON_DIGIT_PATHS.len(), random)]);
    PenPath::randomly_distorted(&path, uniform(0.3, 0.9, random), random)
}

/// Draws a letter or symbol on a square canvas.
pub(super) fn draw_letter(random: &mut impl Rng) -> GrayImage {
    letter_path(random).draw()
}

/// Returns one or two curves through random points.
pub(super) fn scrawl_path(random: &mut impl Rng) -> PenPath {
    let strokes: Vec<_> = (0..1 + uniform_below(2, random))
        .map(|_| {
            (0..5 + uniform_below(5, random)).map(|_| [0; 2].map(|_| uniform(0.0, 9.0, random))).collect()
        })
        .collect();
    PenPath::randomly_distorted(&strokes, uniform(0.3, 0.7, random), random)
}

/// Draws one or two curves through random points on a square canvas.
pub(super) fn draw_scrawl(random: &mut impl Rng) -> GrayImage {
    scrawl_path(random).draw()
}

/// The path of a pen, in units: a digit is about 9 units high, and the origin is its middle.
#[derive(Debug, Clone)]
pub(super) struct PenPath {
    /// Polylines through points `[x, y]`.
    pub strokes: Vec<Vec<[f32; 2]>>,
    /// Radius of the pen.
    pub pen_radius: f32,
}

impl PenPath {
    /// Returns `path`, in a box of 9 by 9 units, with random width, slant, rotation and smooth distortion.
    fn randomly_distorted(path: &[Vec<[f32; 2]>], pen_radius: f32, random: &mut impl Rng) -> Self {
        let (width, slant) = (uniform(0.35, 1.3, random), uniform(-0.3, 0.4, random));
        let (sin, cos) = uniform(-0.2, 0.2, random).sin_cos();
        // A sum of plane waves of displacement: wave vector, displacement in units, phase. Points at the same position move
        // together.
        let waves: [_; 3] = std::array::from_fn(|_| {
            let [kx, ky, dx, dy] = [0.6, 0.6, 0.45, 0.45].map(|max| uniform(-max, max, random));
            (kx, ky, dx, dy, uniform(0.0, std::f32::consts::TAU, random))
        });
        let distort = |[x, y]: [f32; 2]| {
            let (mut x, mut y) = (x - 4.5, y - 4.5);
            let displacements = waves.map(|(kx, ky, dx, dy, phase)| {
                let wave = (kx * x + ky * y + phase).sin();
                (dx * wave, dy * wave)
            });
            displacements.iter().for_each(|(dx, dy)| (x, y) = (x + dx, y + dy));
            let x = width * x - slant * y;
            [cos * x - sin * y, sin * x + cos * y]
        };
        Self { strokes: path.iter().map(|points| catmull_rom(points, distort)).collect(), pen_radius }
    }

    /// Draws the path in the middle of a square canvas.
    fn draw(mut self) -> GrayImage {
        let px_per_unit = 0.07 * CANVAS_SIDE as f32;
        for coordinate in self.strokes.iter_mut().flatten().flatten() {
            *coordinate = CANVAS_SIDE as f32 / 2.0 + px_per_unit * *coordinate;
        }
        draw_strokes(CANVAS_SIDE, CANVAS_SIDE, &self.strokes, px_per_unit * self.pen_radius)
    }
}

/// Returns the strokes of a path as points in units.
fn parse_path(path: &str) -> Vec<Vec<[f32; 2]>> {
    let unit = |digit: u8| f32::from(digit - b'0');
    let point = |point: &str| [0, 1].map(|axis| unit(point.as_bytes()[axis]));
    path.split(',').map(|stroke| stroke.split_ascii_whitespace().map(point).collect()).collect()
}

/// Samples the uniform Catmull-Rom spline through `points` (E. Catmull and R. Rom, "A class of local interpolating splines",
/// 1974), and maps each sample by `map`.
fn catmull_rom(points: &[[f32; 2]], map: impl Fn([f32; 2]) -> [f32; 2]) -> Vec<[f32; 2]> {
    const SAMPLES_PER_SEGMENT: usize = 6;
    let last = points.len() - 1;
    let mut curve = Vec::with_capacity(SAMPLES_PER_SEGMENT * last + 1);
    for index in 0..last {
        let [before, start, end, after] =
            [index.saturating_sub(1), index, index + 1, (index + 2).min(last)].map(|index| points[index]);
        for sample in 0..SAMPLES_PER_SEGMENT {
            let t = sample as f32 / SAMPLES_PER_SEGMENT as f32;
            curve.push(map(std::array::from_fn(|axis| {
                let (a, b, c, d) = (before[axis], start[axis], end[axis], after[axis]);
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            })));
        }
    }
    curve.push(map(points[last]));
    curve
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::*;
    use crate::CLASSES;

    #[test]
    fn every_path_consists_of_points_in_the_box() {
        for path in DIGIT_PATHS.into_iter().flatten().chain(NON_DIGIT_PATHS) {
            for point in path.split([' ', ',']).filter(|point| !point.is_empty()) {
                assert!(point.len() == 2 && point.bytes().all(|c| c.is_ascii_digit()), "{path}: {point}");
            }
            assert!(parse_path(path).iter().all(|stroke| !stroke.is_empty()), "{path}");
        }
    }

    #[test]
    fn catmull_rom_passes_through_its_points() {
        let points = [[0.0, 0.0], [3.0, 4.0], [9.0, 2.0], [9.0, 2.0]];
        let curve = catmull_rom(&points, |point| point);
        assert!(points.iter().all(|point| curve.contains(point)));
        assert_eq!(catmull_rom(&points[..1], |point| point), points[..1]);
    }

    #[test]
    fn every_digit_is_drawn_with_plausible_ink() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut counts = [0; CLASSES];
        for _ in 0..500 {
            let glyph = DigitGlyph::random(&mut random);
            counts[usize::from(glyph.digit)] += 1;
            let canvas = glyph.draw(&mut random);
            let ink = canvas.values.iter().filter(|&&value| value > 127).count();
            assert!((30..2000).contains(&ink), "{glyph:?}: {ink}");
        }
        assert!(counts.iter().all(|&count| count > 3), "{counts:?}");
    }
}
