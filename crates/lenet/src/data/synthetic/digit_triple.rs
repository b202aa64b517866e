//! Crops of a line of three digits.

use std::ops::Range;

use rand_pcg::rand_core::Rng;

use super::canvas::{blank_canvas, overlay};
use crate::{
    Dataset, SIDE,
    data::random::{uniform, uniform_below},
    image::GrayImage,
};

/// Three digits side by side.
pub(super) struct DigitTriple {
    canvas: GrayImage,
    /// The columns of each digit; they may overlap.
    columns: [Range<usize>; 3],
}

impl DigitTriple {
    /// Draws the image `index` of `digits` between two others, with gaps from 4 pixels down to an overlap of 2.
    pub fn random(digits: &Dataset, index: usize, random: &mut impl Rng) -> Self {
        let mut canvas = blank_canvas(5 * SIDE);
        let [left, right] = [0; 2].map(|_| random_neighbor(digits, random));
        let mut end = SIDE + 2;
        let columns = [left, index, right].map(|index| {
            let image = digits.image(index);
            let has_ink = |x: &usize| (0..SIDE).any(|y| image[y * SIDE + x] > 0);
            let ink = (0..SIDE).find(has_ink).unwrap_or(0)..(0..SIDE).rfind(has_ink).unwrap_or(0) + 1;
            let start = end + uniform_below(7, random) - 2;
            overlay(&mut canvas, image, start - ink.start, SIDE / 2 + uniform_below(7, random));
            end = start + ink.len();
            start..end
        });
        Self { canvas, columns }
    }

    /// Removes all ink outside `columns`.
    fn erase_outside(mut self, columns: Range<usize>) -> GrayImage {
        for row in self.canvas.values.chunks_mut(self.canvas.width) {
            row[..columns.start].fill(0);
            row[columns.end..].fill(0);
        }
        self.canvas
    }

    /// Crops the middle digit at its boundaries to the others, with an error of up to a pixel.
    pub fn crop_middle(self, random: &mut impl Rng) -> GrayImage {
        let [left, middle, right] = self.columns.clone();
        let mut boundary = |a: usize, b: usize| a.min(b) - 1 + uniform_below(a.abs_diff(b) + 3, random);
        let (start, end) = (boundary(left.end, middle.start), boundary(middle.end, right.start));
        self.erase_outside(start..end.max(start + 1))
    }

    /// Crops something that is not one digit: a part of the middle digit, with or without a part of another, or two or three
    /// whole digits.
    pub fn crop_wrong_span(self, random: &mut impl Rng) -> GrayImage {
        let [left, middle, right] = self.columns.clone();
        let within = |columns: &Range<usize>, random: &mut _| {
            columns.start + (columns.len() as f32 * uniform(0.35, 0.65, random)).round() as usize
        };
        let columns = match uniform_below(8, random) {
            0 => middle.start..within(&middle, random),
            1 => within(&middle, random)..middle.end,
            2 => middle.start..within(&right, random),
            3 => within(&left, random)..middle.end,
            4 => within(&left, random)..within(&middle, random),
            5 => left.start..middle.end,
            _ => middle.start..right.end,
        };
        self.erase_outside(columns.start..columns.end.max(columns.start + 1))
    }
}

/// Chooses the index of a digit, often a 1, because a 1 is most easily taken for a part of the digit beside it.
fn random_neighbor(digits: &Dataset, random: &mut impl Rng) -> usize {
    let mut draw = || uniform_below(digits.len(), random);
    (0..3).map(|_| draw()).find(|&index| digits.labels()[index] == 1).unwrap_or_else(draw)
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::{super::canvas::CANVAS_SIDE, *};

    #[test]
    fn middle_digit_is_cropped_at_its_boundaries() {
        let digits = super::super::test_digits();
        for key in (0..200).map(|position| position << 32) {
            let mut random = Pcg64Mcg::seed_from_u64(key);
            let line = DigitTriple::random(&digits, 1, &mut random);
            let [left, bar, right] = line.columns.clone();
            assert_eq!(bar.len(), 4);
            assert!((bar.end - 2..=bar.end + 4).contains(&right.start));
            let canvas = line.crop_middle(&mut random);
            let has_ink = |x: &usize| (0..CANVAS_SIDE).any(|y| canvas.row(y)[*x] > 0);
            let (first, last) = ((0..canvas.width).find(has_ink), (0..canvas.width).rfind(has_ink));
            // The crop may be off by a pixel and contain a column of the neighbor.
            assert!(first.is_none_or(|first| first + 1 >= bar.start.min(left.end)), "{first:?}, {bar:?}");
            assert!(last.is_none_or(|last| last < bar.end.max(right.start) + 1), "{last:?}, {bar:?}");
        }
    }
}
