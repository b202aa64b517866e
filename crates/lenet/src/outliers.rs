//! Images of what is no digit, so that a network learns to have no answer to them: its target is the same probability for
//! each class (D. Hendrycks, M. Mazeika and T. Dietterich, "Deep anomaly detection with outlier exposure", 2019).
//!
//! Each is one of five: a piece of a digit, two digits in one, a scribble, strokes between random points as letters and
//! signs have them, or spots. All go through the one normalisation, as what is found in a picture does.

use rand_pcg::rand_core::Rng;

use crate::{
    Dataset, PIXELS, SIDE,
    augment::symmetric,
    image::{self, Grey, Steps, strokes},
};

/// Side of the maps in which they are drawn.
const PAGE: usize = 2 * SIDE;

/// Draws one, of `digits` where it needs some: (row, column).
pub(crate) fn outlier(digits: &Dataset, random: &mut impl Rng) -> [u8; PIXELS] {
    loop {
        let page = match below(5, random) {
            0 => piece(digits, random),
            1 => pair(digits, random),
            2 => scribble(random),
            3 => sign(random),
            _ => spots(random),
        };
        let writing = image::writing(&page, Steps::NONE);
        let parts: Vec<_> = writing.parts.iter().collect();
        // Of a digit perhaps nothing is left.
        if !parts.is_empty() {
            return image::tile(&page, &parts, Steps::NONE).pixels;
        }
    }
}

/// A number below `end`.
fn below(end: usize, random: &mut impl Rng) -> usize {
    ((u64::from(random.next_u32()) * end as u64) >> 32) as usize
}

/// A number from `low` to `high`.
fn between(low: f32, high: f32, random: &mut impl Rng) -> f32 {
    (low + high) / 2.0 + (high - low) / 2.0 * symmetric(random)
}

/// An empty page with a digit in its middle, moved right and down.
fn place(page: &mut Grey, digit: &[u8], right: usize, down: usize) {
    for (y, row) in digit.chunks(SIDE).enumerate() {
        let start = (SIDE / 2 + y + down) * PAGE + SIDE / 2 + right;
        for (old, new) in page.values[start..start + SIDE].iter_mut().zip(row) {
            *old = (*old).max(*new);
        }
    }
}

fn blank() -> Grey {
    Grey { width: PAGE, height: PAGE, values: vec![0; PAGE * PAGE], shrunk: 1 }
}

/// What is on one side of a line near the middle of a digit; of a 1 that would be a 1 again.
fn piece(digits: &Dataset, random: &mut impl Rng) -> Grey {
    let mut index = below(digits.len(), random);
    if digits.labels()[index] == 1 {
        index = below(digits.len(), random);
    }
    let mut page = blank();
    place(&mut page, digits.image(index), 0, 0);
    let (sin, cos) = (symmetric(random) * std::f32::consts::PI).sin_cos();
    let middle = SIDE as f32 + between(-2.0, 2.0, random);
    for (at, value) in page.values.iter_mut().enumerate() {
        let (x, y) = ((at % PAGE) as f32 - middle, (at / PAGE) as f32 - middle);
        if x * cos + y * sin > 0.0 {
            *value = 0;
        }
    }
    page
}

/// Two digits, side by side and touching, or one over the other.
fn pair(digits: &Dataset, random: &mut impl Rng) -> Grey {
    let mut page = blank();
    let (right, down) = (6 + below(8, random), below(5, random));
    let (right, down) = if below(4, random) == 0 { (down, right) } else { (right, down) };
    for (right, down) in [(0, 0), (right, down)] {
        place(&mut page, digits.image(below(digits.len(), random)), right, down);
    }
    page
}

/// A line that turns as it likes.
fn scribble(random: &mut impl Rng) -> Grey {
    let lines = (0..1 + below(3, random)).map(|_| {
        let middle = PAGE as f32 / 2.0;
        let [mut x, mut y] = [0; 2].map(|_| middle + between(-12.0, 12.0, random));
        let (mut heading, mut turn) = (std::f32::consts::PI * symmetric(random), 0.0);
        (0..8 + below(40, random))
            .map(|_| {
                turn = (0.7 * turn + 0.5 * symmetric(random)).clamp(-1.0, 1.0);
                heading += turn;
                // Back to the middle where the page ends.
                let (sin, cos) = heading.sin_cos();
                x = (x + 3.0 * cos).clamp(4.0, PAGE as f32 - 4.0);
                y = (y + 3.0 * sin).clamp(4.0, PAGE as f32 - 4.0);
                [x, y]
            })
            .collect()
    });
    let lines: Vec<Vec<_>> = lines.collect();
    strokes(PAGE, PAGE, &lines, between(1.0, 3.0, random))
}

/// Straight strokes between points of a grid, at least three, that share some of their ends.
fn sign(random: &mut impl Rng) -> Grey {
    let (width, height) = (between(10.0, 20.0, random), between(14.0, 22.0, random));
    let point = |random: &mut _| {
        let [column, row] = [0; 2].map(|_| below(3, random) as f32 - 1.0);
        let [x, y] = [(column, width), (row, height)].map(|(place, reach)| PAGE as f32 / 2.0 + place * reach);
        [x + between(-2.0, 2.0, random), y + between(-2.0, 2.0, random)]
    };
    let mut last = point(random);
    let lines: Vec<_> = (0..3 + below(3, random))
        .map(|_| {
            let start = if below(2, random) == 0 { last } else { point(random) };
            last = point(random);
            vec![start, last]
        })
        .collect();
    strokes(PAGE, PAGE, &lines, between(1.2, 3.5, random))
}

/// Thick dots, as of textures, stains and pictures.
fn spots(random: &mut impl Rng) -> Grey {
    let dots: Vec<_> = (0..1 + below(12, random))
        .map(|_| vec![[0; 2].map(|_| between(10.0, PAGE as f32 - 10.0, random))])
        .collect();
    strokes(PAGE, PAGE, &dots, between(2.0, 9.0, random))
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn each_has_ink_in_the_middle_and_is_drawn_again_the_same() {
        let ring = |i: usize| {
            if (6..10).contains(&(i % SIDE).abs_diff(14).max((i / SIDE).abs_diff(14))) { 255 } else { 0 }
        };
        let digits =
            Dataset::new((0..3 * PIXELS).map(|i| ring(i % PIXELS)).collect(), vec![0, 1, 0]).unwrap();
        let mut last = [0; PIXELS];
        for key in 0..500 {
            let draw = || outlier(&digits, &mut Pcg64Mcg::seed_from_u64(key));
            let image = draw();
            assert_eq!(image, draw());
            assert!(image != last, "{key}");
            let mass: usize = image.iter().map(|&value| usize::from(value)).sum();
            assert!(mass > 255 * 8, "{key}: {mass}");
            let border = |i: usize| (i % SIDE).min(i / SIDE) == 0 || (i % SIDE).max(i / SIDE) == SIDE - 1;
            let outside = (0..PIXELS).filter(|&i| border(i) && image[i] > 0).count();
            assert!(outside < 20, "{key}: {outside} at the border");
            last = image;
        }
    }
}
