//! Bilinear sampling of an image at the positions of a map.

use crate::SIDE;

/// The position in the original, in pixels, of each pixel of the new image: (x or y, row, column).
pub(super) type SourceMap = [[[f32; SIDE]; SIDE]; 2];

/// Side of the copy of an image with a border of zeros. A power of two, so that indices modulo its area need no bounds checks.
const PADDED_SIDE: usize = 32;

/// Fixed-point units per pixel, to which positions are rounded.
const FIXED_POINT_UNITS_PER_PX: u32 = 1 << 12;

/// Samples images; holds the padded copy of one image.
#[derive(Debug, Clone)]
pub(super) struct BilinearSampler {
    /// The image from row 1 and column 1 on, and zeros, which extend to the right of and below the last corner.
    padded: [u8; PADDED_SIDE * (PADDED_SIDE + 1) + 1],
}

impl BilinearSampler {
    pub fn new() -> Self {
        Self { padded: [0; PADDED_SIDE * (PADDED_SIDE + 1) + 1] }
    }

    /// Writes to each pixel of `output` the value of `image` at the position in `map`; both images are `(row, column)`. Pixels
    /// outside the image are 0.
    pub fn remap(&mut self, image: &[u8], map: &SourceMap, output: &mut [u8]) {
        for (padded, row) in
            self.padded[PADDED_SIDE..].chunks_exact_mut(PADDED_SIDE).zip(image.chunks_exact(SIDE))
        {
            padded[1..=SIDE].copy_from_slice(row);
        }
        // Three loops, because the compiler vectorizes the first and the last.
        for (output, (xs, ys)) in output.chunks_exact_mut(SIDE).zip(map[0].iter().zip(&map[1])) {
            let (mut corners, mut fractions, mut pixels) = ([0; SIDE], [[0.0; SIDE]; 2], [0; SIDE]);
            for i in 0..SIDE {
                let (x, y) = (to_fixed_point(xs[i]), to_fixed_point(ys[i]));
                corners[i] = y / FIXED_POINT_UNITS_PER_PX * PADDED_SIDE as u32 + x / FIXED_POINT_UNITS_PER_PX;
                fractions[0][i] =
                    (x % FIXED_POINT_UNITS_PER_PX) as i32 as f32 / FIXED_POINT_UNITS_PER_PX as f32;
                fractions[1][i] =
                    (y % FIXED_POINT_UNITS_PER_PX) as i32 as f32 / FIXED_POINT_UNITS_PER_PX as f32;
            }
            for i in 0..SIDE {
                let corner = corners[i] as usize % (PADDED_SIDE * PADDED_SIDE);
                let pixel = |offset: usize| self.padded[corner + offset];
                pixels[i] =
                    u32::from_le_bytes([pixel(0), pixel(1), pixel(PADDED_SIDE), pixel(PADDED_SIDE + 1)]);
            }
            for i in 0..SIDE {
                let pixel = |byte: u32| (pixels[i] >> (8 * byte) & 0xff) as i32 as f32;
                let above = pixel(0) + (pixel(1) - pixel(0)) * fractions[0][i];
                let below = pixel(2) + (pixel(3) - pixel(2)) * fractions[0][i];
                let value = above + (below - above) * fractions[1][i];
                // Floats from 2^23 to 2^24 are integers, so that the addition rounds and the low bits are the result.
                output[i] = (value + (1 << 23) as f32).to_bits() as u8;
            }
        }
    }
}

/// Returns a coordinate in fixed-point units from the left or upper border on, clamped to the border of zeros.
fn to_fixed_point(coordinate: f32) -> u32 {
    // Floats from 2^11 to 2^12 are multiples of a unit. A cast would be slower, because it checks for overflow.
    (coordinate.clamp(-1.0, SIDE as f32) + 2049.0).to_bits() % (PADDED_SIDE as u32 * FIXED_POINT_UNITS_PER_PX)
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use rand_pcg::{
        Pcg64Mcg,
        rand_core::{Rng, SeedableRng},
    };

    use super::*;
    use crate::{PIXELS, data::random::uniform_symmetric};

    /// Returns an image of independent random pixels.
    fn noise() -> Vec<u8> {
        let mut random = Pcg64Mcg::seed_from_u64(0);
        (0..PIXELS).map(|_| random.next_u32() as u8).collect()
    }

    /// Samples `image` at the positions x, y that `map` returns for the pixels (y, x).
    fn sample(image: &[u8], map: impl Fn(usize, usize) -> [f32; 2]) -> Vec<u8> {
        let map = from_fn(|axis| from_fn(|y| from_fn(|x| map(y, x)[axis])));
        let mut output = vec![77; PIXELS];
        BilinearSampler::new().remap(image, &map, &mut output);
        output
    }

    #[test]
    fn integer_shifts_and_quarter_turns_are_exact() {
        let image = noise();
        for (right, down) in [(1, 0), (0, -1), (3, 5), (-27, 27), (-28, 0), (100, -1000)] {
            let shifted = sample(&image, |y, x| [(x as i32 - right) as f32, (y as i32 - down) as f32]);
            for (i, &pixel) in shifted.iter().enumerate() {
                let (x, y) = ((i % SIDE) as i32 - right, (i / SIDE) as i32 - down);
                let inside = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
                assert_eq!(pixel, if inside { image[(y * SIDE as i32 + x) as usize] } else { 0 });
            }
        }
        let rotated = sample(&image, |y, x| [y as f32, (SIDE - 1 - x) as f32]);
        assert!((0..PIXELS).all(|i| rotated[i] == image[(SIDE - 1 - i % SIDE) * SIDE + i / SIDE]));
    }

    #[test]
    fn matches_naive_bilinear_interpolation() {
        let image = noise();
        let old = |y: f64, x: f64| {
            let inside = [x, y].iter().all(|place| (0.0..SIDE as f64).contains(place));
            if inside { f64::from(image[y as usize * SIDE + x as usize]) } else { 0.0 }
        };
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut coordinate = || 14.0 + 20.0 * uniform_symmetric(&mut random);
        let positions: Vec<[f32; 2]> = (0..PIXELS).map(|_| [coordinate(), coordinate()]).collect();
        let output = sample(&image, |y, x| positions[y * SIDE + x]);
        for (pixel, [x, y]) in output.into_iter().zip(positions) {
            let (x, y) = (f64::from(x), f64::from(y));
            let (left, top) = (x.floor(), y.floor());
            let row = |y| old(y, left) * (left + 1.0 - x) + old(y, left + 1.0) * (x - left);
            let expected = row(top) * (top + 1.0 - y) + row(top + 1.0) * (y - top);
            assert!((f64::from(pixel) - expected).abs() < 0.65, "({x}, {y}): {pixel}, {expected}");
        }
    }
}
