//! Digits and letters drawn with a pen that is never the same twice: ways to write a digit that MNIST's writers seldom
//! had, such as a 1 with a long upstroke, a crossed 7 and a 4 like a flash; and letters and signs, which are no digits.

use rand_pcg::rand_core::Rng;

use crate::{
    CLASSES,
    data::random::{below, between},
    image::{GrayImage, strokes},
};

/// Strokes of digits. A stroke goes smoothly through its points, a comma begins another; a point is column and row in
/// a box of 9 by 9.
const DIGITS: [&[&str]; CLASSES] = [
    &["50 22 05 38 59 77 85 72 50", "60 30 05 38 68 85 72 50 20"],
    &[
        "50 59",
        "23 50, 50 59",
        "05 60, 60 69",
        "07 70, 70 79",
        "03 60, 60 59",
        "14 42 60, 60 59",
        "23 50, 50 59, 29 89",
        "05 60, 60 69, 39 99",
        "06 35 80, 80 49",
        "09 60, 60 69",
        "18 35 60, 60 69",
        "18 45 60, 60 58 79",
        "26 60, 60 68, 09 99",
        "08 27 60, 60 59",
        "07 80, 80 59",
        "08 37 64, 70 59",
        "17 35 53, 70 49",
        "06 45 63, 70 68, 39 99",
        "18 46 65 70, 70 59",
        "05 44 61 70, 70 68 89",
        "09 36 54, 60 59",
        "09 38 55 62, 70 69",
        "08 37 55, 60 69",
        "06 45, 60 59",
        "09 27 45 52, 40 59",
        "09 46 63 70, 70 69, 49 89",
        "07 36 54, 50 59",
        "08 46 72 60 43 46 69 89",
        "80 19",
        "50 59, 29 89",
    ],
    &[
        "12 40 72 65 09, 09 99",
        "12 40 72 65 28 07 26 58 99",
        "12 30 62 54 09, 09 48 99",
        "01 40 82 64 19, 19 99",
        "02 20 51 43 26 18 06 37 99",
        "20 60 63 08, 08 28 59 98",
        "23 42 30 12 20 60 73 09, 09 99",
    ],
    &["11 50 83 45, 45 87 59 08", "00 80, 80 44, 44 86 59 08", "11 50 72 44 24, 44 86 49 07"],
    &[
        "30 05, 05 95, 63 69",
        "60 06, 06 96, 60 69",
        "10 05, 05 85, 70 79",
        "50 05, 05 75, 75 49",
        "70 04, 04 94, 94 49",
        "50 05, 05 95, 72 39",
        "40 05 15 85, 62 59",
        "60 15 65 68 39",
        "50 06 56 74, 74 49",
    ],
    &["80 20, 20 14, 14 54 87 49 08", "20 14, 14 54 87 49 08, 20 90", "80 30 13 45 76 59 18"],
    &[
        "70 23 06 49 87 54 16",
        "50 14 07 49 77 55 17",
        "80 40 15 18 59 87 65 36",
        "80 30 04 08 49 88 75 45 17",
    ],
    &[
        "00 80, 80 39",
        "00 80, 80 39, 25 85",
        "02 00, 00 80, 80 39",
        "02 00, 00 80, 80 39, 25 85",
        "02 11 40 80, 80 53 39",
        "02 20 51 90, 90 54 39, 25 85",
        "03 21 51 90, 90 39, 15 85",
        "10 40 70, 70 62 39, 04 94",
        "02 20 51 80, 80 30 35 39, 16 86",
        "03 11 31 50 80, 80 49 38, 15 95",
        "00 90, 90 54 49 69, 15 85",
    ],
    &[
        "72 40 13 45 87 49 07 45 72",
        "50 22 44 73 50, 45 17 49 87 45",
        "80 40 13 45 87 49 07 45 70",
        "40 11 23 75 88 49 07 46 72 60 40",
    ],
    &[
        "82 40 13 45 82, 82 79",
        "82 50 13 45 82, 82 87 59 17",
        "82 40 13 45 82, 82 59",
        "73 51 23 44 73 60, 73 87 69 28 07",
        "40 12 34 62 40, 62 75 67 39 08",
        "80 40 12 35 63 72 50, 63 77 49 08",
        "20 12 34 63 70, 70 75 67 39 09",
        "80 40 12 24 54 83 80, 24 55 87 69 09",
        "70 30 22 35 65 72 70, 55 68 49 19",
        "70 50 52 73 81 70, 62 87 88 49 09",
        "90 60 42 63 90, 42 19",
        "62 40 11 33 54 62, 62 74 86 58 19 08",
    ],
];

/// Strokes of letters and signs that nobody takes for a digit: there is no o, l or z.
const LETTERS: &[&str] = &[
    // Latin capitals.
    "09 40, 40 89, 25 75",
    "00 09, 00 60 73 44 04, 44 86 59 09",
    "72 40 04 49 87",
    "80 00, 00 09, 09 89, 04 64",
    "80 00, 00 09, 04 64",
    "00 09, 80 89, 04 84",
    "70 77 49 17, 40 90",
    "00 09, 80 05, 35 89",
    "00 09, 09 79",
    "09 10, 10 45, 45 80, 80 99",
    "09 00, 00 89, 89 80",
    "00 09, 00 60 73 45 05",
    "40 04 49 84 40, 56 99",
    "00 09, 00 60 73 45 05, 35 89",
    "00 80, 40 49",
    "00 06 39 76 80",
    "00 49, 49 80",
    "00 29, 29 43, 43 69, 69 90",
    "00 89, 80 09",
    "00 44, 80 44, 44 49",
    // Latin small letters.
    "72 30 05 49 74, 71 78 99",
    "82 51 15 27 48 81, 81 68 99",
    "70 79, 74 35 17 39 77",
    "15 75 72 41 15 48 88",
    "70 41 39, 14 74",
    "10 19, 15 43 75 79",
    "12 30 41 29, 15 43 65 68 99",
    "10 19, 70 15, 35 79",
    "03 09, 05 23 45 49, 45 63 85 89",
    "13 19, 15 43 75 79",
    "10 19, 12 40 73 46 15",
    "13 19, 15 33 62",
    "40 47 69, 13 73",
    "10 16 49 76 70, 70 79 99",
    "00 05 38 65 60, 65 78 99 94 90",
    "00 44, 80 09",
    "00 05 35 70, 80 39",
    "10 30 49, 80 36 19 06",
    // Greek.
    "80 57 29 05 22 55 89",
    "90 56 29 06 12 43 68 99",
    "81 55 37 15 22 44 66 87",
    "09 02 40 72 44, 44 76 48 16",
    "09 12 30 52 24, 24 75 68 28",
    "49 13 40 73 44, 44 77 49 17",
    "00 30 56 49 36 80",
    "00 20 44, 80 44 19",
    "10 12 34 54, 80 09",
    "02 10 33 45, 80 45 39 36 45",
    "60 31 65 78 49 16 34 66",
    "40 09, 09 89, 89 40",
    "71 30 13 44, 44 16 39 78",
    "70 30 23 54, 54 06 28 99",
    "00 20 89, 45 09",
    "90 50 42 55 69 79, 54 19",
    "00 09, 06 37 65 60, 65 67 88",
    "02 30 91, 30 29, 61 67 89",
    "00 90, 20 29, 70 79",
    "09 13 40 73 56 15",
    "90 40 04 48 76 63 40",
    "80 00, 00 45, 45 09, 09 89",
    "02 20 90, 50 47 69",
    "42 15 48 85 42, 50 49",
    "12 05 29 45, 45 69 86 72",
    "00 15 47 85 80, 40 49",
    // Signs.
    "40 49, 04 84",
    "03 83, 06 86",
    "04 94",
    "12 40 72 45 47, 49",
    "20 19, 70 69, 03 93, 06 96",
    "40 48, 02 86, 82 06",
    "80 09, 20 02 24 42 20, 65 47 69 87 65",
    "04 84, 51 84, 84 57",
    "40 49, 13 40, 40 73",
    "05 38, 38 90",
    "40 69, 69 03, 03 83, 83 29, 29 40",
    "00 80, 80 89, 89 09, 09 00",
    "80 05, 05 89",
    "45 22 04 27 45, 45 72 94 77 45",
    "72 40 13 45 76 49 17, 40 49",
    "42 20 02 04 49, 42 60 82 84 49",
    "99 15 31 52 17 28 69 96",
    "00 09, 40 49, 80 89",
    "21, 71, 06 39 69 96",
];

/// A way to write a digit, and which it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign {
    pub digit: u8,
    path: &'static str,
}

/// Chooses a way to write a digit.
pub(crate) fn digit(random: &mut impl Rng) -> Sign {
    let ways =
        || (0..).zip(DIGITS).flat_map(|(digit, ways)| ways.iter().map(move |path| Sign { digit, path }));
    let index = below(ways().count(), random);
    ways().nth(index).expect("an index below the number of ways")
}

impl Sign {
    /// Draws it on a square page of so many pixels along each side.
    pub fn draw(&self, page: usize, random: &mut impl Rng) -> GrayImage {
        // Few pens are broad: those that are make of a 1 a bar.
        let pen = 0.3 + 1.5 * between(0.0, 1.0, random).powi(3);
        draw(&points(self.path), pen, page, random)
    }
}

/// Draws a letter on a square page of so many pixels along each side.
pub(crate) fn letter(page: usize, random: &mut impl Rng) -> GrayImage {
    draw(&points(LETTERS[below(LETTERS.len(), random)]), between(0.3, 0.9, random), page, random)
}

/// Draws a stroke or two through points that mean nothing.
pub(crate) fn scrawl(page: usize, random: &mut impl Rng) -> GrayImage {
    let strokes: Vec<_> = (0..1 + below(2, random))
        .map(|_| (0..5 + below(5, random)).map(|_| [0; 2].map(|_| between(0.0, 9.0, random))).collect())
        .collect();
    draw(&strokes, between(0.3, 0.7, random), page, random)
}

/// Draws strokes in the middle of a page, as wide and as slanted as may be, bent by a random smooth field, with a pen of
/// this radius in units.
fn draw(paths: &[Vec<[f32; 2]>], pen: f32, page: usize, random: &mut impl Rng) -> GrayImage {
    let unit = 0.07 * page as f32;
    let (width, slant) = (between(0.35, 1.3, random), between(-0.3, 0.4, random));
    let (sin, cos) = between(-0.2, 0.2, random).sin_cos();
    // Waves of displacement, each along a direction, in units: they move points that coincide alike.
    let waves: [_; 3] = std::array::from_fn(|_| {
        let [kx, ky, dx, dy] = [0.6, 0.6, 0.45, 0.45].map(|most| between(-most, most, random));
        (kx, ky, dx, dy, between(0.0, std::f32::consts::TAU, random))
    });
    let place = |[x, y]: [f32; 2]| {
        let (mut x, mut y) = (x - 4.5, y - 4.5);
        let moved = waves.map(|(kx, ky, dx, dy, phase)| {
            let wave = (kx * x + ky * y + phase).sin();
            (dx * wave, dy * wave)
        });
        moved.iter().for_each(|(dx, dy)| (x, y) = (x + dx, y + dy));
        let x = width * x - slant * y;
        let middle = page as f32 / 2.0;
        [middle + unit * (cos * x - sin * y), middle + unit * (sin * x + cos * y)]
    };
    let lines: Vec<_> = paths.iter().map(|points| smooth(points, place)).collect();
    strokes(page, page, &lines, unit * pen)
}

/// The points of strokes, in units.
fn points(path: &str) -> Vec<Vec<[f32; 2]>> {
    let unit = |digit: u8| f32::from(digit - b'0');
    let point = |point: &str| [0, 1].map(|axis| unit(point.as_bytes()[axis]));
    path.split(',').map(|stroke| stroke.split_ascii_whitespace().map(point).collect()).collect()
}

/// Points near enough to each other on a curve through `points` (a Catmull-Rom spline), each put in its `place`.
fn smooth(points: &[[f32; 2]], place: impl Fn([f32; 2]) -> [f32; 2]) -> Vec<[f32; 2]> {
    const PIECES: usize = 6;
    let last = points.len() - 1;
    let mut curve = Vec::with_capacity(PIECES * last + 1);
    for index in 0..last {
        let [before, start, end, after] =
            [index.saturating_sub(1), index, index + 1, (index + 2).min(last)].map(|index| points[index]);
        for piece in 0..PIECES {
            let t = piece as f32 / PIECES as f32;
            curve.push(place(std::array::from_fn(|axis| {
                let (a, b, c, d) = (before[axis], start[axis], end[axis], after[axis]);
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            })));
        }
    }
    curve.push(place(points[last]));
    curve
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn every_path_is_made_of_points_in_the_box() {
        for path in DIGITS.into_iter().flatten().chain(LETTERS) {
            for point in path.split([' ', ',']).filter(|point| !point.is_empty()) {
                assert!(point.len() == 2 && point.bytes().all(|c| c.is_ascii_digit()), "{path}: {point}");
            }
            assert!(points(path).iter().all(|stroke| !stroke.is_empty()), "{path}");
        }
    }

    #[test]
    fn curves_go_through_their_points() {
        let points = [[0.0, 0.0], [3.0, 4.0], [9.0, 2.0], [9.0, 2.0]];
        let curve = smooth(&points, |point| point);
        assert!(points.iter().all(|point| curve.contains(point)));
        assert_eq!(smooth(&points[..1], |point| point), points[..1]);
    }

    #[test]
    fn each_digit_is_drawn_and_stays_on_the_page() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut counts = [0; CLASSES];
        for _ in 0..500 {
            let sign = digit(&mut random);
            counts[usize::from(sign.digit)] += 1;
            let page = sign.draw(56, &mut random);
            let ink = page.values.iter().filter(|&&value| value > 127).count();
            assert!((30..2000).contains(&ink), "{sign:?}: {ink}");
        }
        assert!(counts.iter().all(|&count| count > 3), "{counts:?}");
    }
}
