//! Low-resolution bitmaps.

use rand_pcg::rand_core::Rng;

use crate::{
    data::random::{uniform, uniform_below},
    image::{self, GrayImage},
};

/// Maximum factor by which a digit is stretched towards a square, so that a 1 does not become a block.
pub(super) const MAX_STRETCH: f32 = 2.5;

/// Returns a bitmap of the ink on `canvas`. Its longer side has 12 to 32 pixels. The other side is stretched towards a square, by
/// a factor of up to `max_stretch`, and often all the way.
pub(super) fn reduce_to_bitmap(canvas: &GrayImage, max_stretch: f32, random: &mut impl Rng) -> GrayImage {
    // The exponent is 1, and the result a square, in half of the cases.
    let (exponent, level) = (uniform(0.0, 2.0, random).min(1.0), uniform(0.25, 0.6, random));
    let side = 12.0 + uniform_below(21, random) as f32;
    let size = |[width, height]: [f32; 2]| {
        let aspect = width / height;
        let stretched = aspect * aspect.powf(-exponent).clamp(1.0 / max_stretch, max_stretch);
        if stretched < 1.0 { [side * stretched, side] } else { [side, side / stretched] }
    };
    image::crop_to_bitmap(canvas, size, level)
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::{
        super::canvas::{CANVAS_SIDE, blank_canvas, centered_digit_canvas},
        *,
    };

    #[test]
    fn bitmaps_are_stretched_up_to_the_maximum() {
        let digits = super::super::test_digits();
        let mut widest: f32 = 0.0;
        for key in (0..200).map(|position| position << 32) {
            let mut random = Pcg64Mcg::seed_from_u64(key);
            let [ring, bar, line] = [(0, MAX_STRETCH), (1, MAX_STRETCH), (1, 1.0)].map(|(index, max)| {
                let bitmap = reduce_to_bitmap(&centered_digit_canvas(&digits, index), max, &mut random);
                assert!(bitmap.values.iter().all(|&value| value == 0 || value == 255));
                let [width, height] = [bitmap.width, bitmap.height].map(|length| length as f32);
                assert!((12.0..=32.0).contains(&height), "{height}");
                width / height
            });
            assert_eq!(ring, 1.0);
            // The bar has 4 x 20 pixels; its bitmap is exact within half a pixel of twelve.
            assert!((0.15..0.55).contains(&bar) && (0.15..0.25).contains(&line), "{bar}, {line}");
            widest = widest.max(bar);
        }
        assert!(widest > 0.45, "{widest}");
        let empty = blank_canvas(CANVAS_SIDE);
        assert_eq!(reduce_to_bitmap(&empty, MAX_STRETCH, &mut Pcg64Mcg::seed_from_u64(0)), empty);
    }
}
