//! Segmentation of a picture into ink and rules by a fully convolutional network.

use std::ops::Range;

use crate::{
    Error,
    data::{Task, synthetic::page::LABEL_NAMES},
    image::{GrayImage, local_contrast},
    nn::Network,
    pretrained,
};

/// Parameters of the tiles in which a picture is segmented.
#[derive(Debug, Clone, Copy)]
struct TileParams {
    /// Side of the largest tile without its margin, in pixels. Larger tiles take more memory, smaller ones more time, because the
    /// network runs on the margins as well.
    max_side_px: usize,
    /// Width of the margin around a tile, in pixels. The receptive field of a pixel reaches 36 pixels, but the outermost matter
    /// little.
    margin_px: usize,
    /// Number of tiles that are segmented as a batch, at most. It bounds the memory.
    max_batch: usize,
}

impl Default for TileParams {
    fn default() -> Self {
        Self { max_side_px: 256, margin_px: 32, max_batch: 32 }
    }
}

/// A network that finds ink and rules in a picture, such as [`pretrained::ink`].
#[derive(Debug, Clone)]
pub struct InkNetwork {
    network: Network,
    params: TileParams,
}

/// The probabilities of ink and rules for each pixel of a picture, from 0 to 255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InkSegmentation {
    /// Probability of ink: handwriting, and marks drawn like it.
    pub ink: GrayImage,
    /// Probability of a rule: ruled lines, boxes, frames, the print of a form. Where a stroke crosses a rule, both are probable.
    pub rules: GrayImage,
}

impl InkNetwork {
    /// Makes a segmentation with `network`, which gives the labels ink and rule to each pixel of one channel.
    ///
    /// # Errors
    /// [`Error::WrongTask`] if the network has other labels, classes, or channels, [`Error::Network`] if it accepts only inputs
    /// of some sizes.
    pub fn new(network: Network) -> Result<Self, Error> {
        Task::Ink.check(&network)?;
        // The network must accept tiles of any size.
        network.with_input_size(2, 2)?;
        Ok(Self { network, params: TileParams::default() })
    }

    /// Returns the segmentation by [`pretrained::ink`].
    pub fn pretrained() -> Self {
        // A test makes it.
        Self::new(pretrained::ink().0).expect("a valid embedded network")
    }

    /// Segments a gray picture. Tiles of equal size are segmented in batches, on all threads of rayon's pool.
    pub fn segment(&self, gray: &GrayImage) -> InkSegmentation {
        let contrast = local_contrast(gray);
        let [columns, rows] = [gray.width, gray.height].map(|len| AxisTiling::new(len, &self.params));
        let network = self.network.with_input_size(rows.tile_len(), columns.tile_len());
        // `new` checked a tile of the smallest size, and the layers accept any larger one.
        let network = network.expect("a fully convolutional network");
        let tiles: Vec<(usize, usize)> =
            (0..rows.count).flat_map(|row| (0..columns.count).map(move |column| (row, column))).collect();
        let mut maps =
            [(); LABEL_NAMES.len()].map(|()| GrayImage { values: vec![0; gray.values.len()], ..*gray });
        for tiles in tiles.chunks(self.params.max_batch) {
            let mut pixels = Vec::with_capacity(tiles.len() * rows.tile_len() * columns.tile_len());
            for &(row, column) in tiles {
                for y in rows.tile_coordinates(row) {
                    let values = contrast.row(y);
                    pixels.extend(columns.tile_coordinates(column).map(|x| values[x]));
                }
            }
            let probabilities = network.probabilities(&pixels);
            let mut planes = probabilities.chunks_exact(rows.tile_len() * columns.tile_len());
            for &(row, column) in tiles {
                for (map, plane) in maps.iter_mut().zip(&mut planes) {
                    let plane_rows = plane.chunks_exact(columns.tile_len()).skip(rows.margin);
                    let inner = columns.inner(column);
                    for (y, probabilities) in rows.inner(row).zip(plane_rows) {
                        let values = &mut map.values[y * gray.width..][inner.clone()];
                        for (value, probability) in values.iter_mut().zip(&probabilities[columns.margin..]) {
                            *value = (probability * 255.0).round() as u8;
                        }
                    }
                }
            }
        }
        let [ink, rules] = maps;
        InkSegmentation { ink, rules }
    }
}

/// The division of an axis of a picture into tiles.
#[derive(Clone, Copy)]
struct AxisTiling {
    len: usize,
    count: usize,
    /// Length of a tile without its margins: even, because the network halves the resolution.
    side: usize,
    margin: usize,
}

impl AxisTiling {
    fn new(len: usize, params: &TileParams) -> Self {
        let count = len.div_ceil(params.max_side_px);
        let side = len.div_ceil(count).next_multiple_of(2);
        // Rounding up may leave nothing for the last tile.
        Self { len, count: len.div_ceil(side), side, margin: params.margin_px }
    }

    fn tile_len(self) -> usize {
        self.side + 2 * self.margin
    }

    /// Returns the pixels of the picture that a tile covers without its margins.
    fn inner(self, index: usize) -> Range<usize> {
        let start = index * self.side;
        start..self.len.min(start + self.side)
    }

    /// Returns the coordinates of the pixels of a tile. The outermost pixels of the picture are repeated beyond its border.
    fn tile_coordinates(self, index: usize) -> impl Iterator<Item = usize> {
        let start = index * self.side;
        (start..start + self.tile_len()).map(move |at| at.saturating_sub(self.margin).min(self.len - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_an_axis_and_repeat_its_ends() {
        let params = TileParams { max_side_px: 10, margin_px: 3, max_batch: 1 };
        for len in 1..60 {
            let tiling = AxisTiling::new(len, &params);
            assert!(
                tiling.side <= 10 && tiling.side.is_multiple_of(2) && tiling.count * tiling.side >= len,
                "{len}"
            );
            assert!((tiling.count - 1) * tiling.side < len, "{len}: the last tile has no pixel");
            for index in 0..tiling.count {
                let tile: Vec<usize> = tiling.tile_coordinates(index).collect();
                assert_eq!(tile.len(), tiling.tile_len());
                for (offset, &at) in tile.iter().enumerate() {
                    let unclamped = (index * tiling.side + offset) as isize - 3;
                    assert_eq!(at as isize, unclamped.clamp(0, len as isize - 1), "{len}");
                }
            }
        }
    }

    /// Dark strokes and a dark rule that crosses one of them, on light paper with some noise.
    fn page(width: usize, height: usize) -> GrayImage {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = (0..width * height).map(|_| random.u8(0..8)).collect();
        GrayImage::from_fn(width, height, |x, y| {
            let rule = (70..73).contains(&y);
            // A digit 0: an ellipse of 24 x 40 pixels around (60, 60).
            let distance = ((x as f32 - 60.0) / 12.0).hypot((y as f32 - 60.0) / 20.0);
            let stroke = (0.8..1.1).contains(&distance);
            if rule || stroke { 60 } else { 220 + noise[y * width + x] }
        })
    }

    #[test]
    fn tells_a_stroke_from_the_rule_that_crosses_it() {
        let segmentation = InkNetwork::pretrained().segment(&page(300, 120));
        let mean = |map: &GrayImage, [left, right, y]: [usize; 3]| {
            map.row(y)[left..right].iter().map(|&value| usize::from(value)).sum::<usize>() / (right - left)
        };
        // The rule far from the stroke, and the left and the right stroke above the rule.
        let (rule, left, right) = ([120, 280, 71], [48, 51, 60], [70, 73, 60]);
        assert!(mean(&segmentation.rules, rule) > 200 && mean(&segmentation.ink, rule) < 60);
        for stroke in [left, right] {
            assert!(mean(&segmentation.ink, stroke) > 150 && mean(&segmentation.rules, stroke) < 100);
        }
    }

    #[test]
    fn tiles_join_without_seams() {
        let page = page(200, 130);
        let network = InkNetwork::pretrained();
        let whole = InkNetwork {
            params: TileParams { max_side_px: 256, margin_px: 36, max_batch: 1 },
            ..network.clone()
        };
        let tiled =
            InkNetwork { params: TileParams { max_side_px: 70, margin_px: 36, max_batch: 4 }, ..network };
        let (whole, tiled) = (whole.segment(&page), tiled.segment(&page));
        for (whole, tiled) in [(whole.ink, tiled.ink), (whole.rules, tiled.rules)] {
            let difference = whole.values.iter().zip(&tiled.values).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(difference <= Some(2), "{difference:?}");
        }
    }

    #[test]
    fn rejects_a_network_for_digits() {
        assert!(matches!(InkNetwork::new(pretrained::lenet5().0), Err(Error::WrongTask { .. })));
    }
}
