//! Reading of the ink that the ink network finds in a picture, at several scales.

use super::{InkNetwork, InkSegmentation, Recognizer, assemble::InkReading};
use crate::image::{self, GrayImage, InkMap, LeftOutComponent, LeftOutReason, Stage};

/// Enlargement of a small picture.
const MAGNIFICATION: usize = 2;

impl Recognizer {
    /// Reads a gray picture as it is binarized, and as the ink network segments it at several scales, and returns the reading
    /// with the best score. Returns `None` if the picture is blank.
    pub(super) fn read_best(&self, gray: &GrayImage, single: bool) -> Option<InkReading> {
        let binarized = self.read_upright(gray, single);
        let Some(network) = &self.ink_network else { return binarized };
        let is_certain = binarized.as_ref().is_some_and(|reading| self.is_certain_reading(reading));
        if is_certain || !self.stages.contains(Stage::Segment) {
            return binarized;
        }
        // The network sees contrasts of either sign, and doesn't say which it saw.
        let inverted = binarized.as_ref().is_some_and(|reading| reading.inverted);
        let scales = self.segmentation_scales(gray);
        let segmented = scales
            .into_iter()
            .map(|scale| InkReading { inverted, ..self.read_ink_segmentation(network, gray, scale, single) });
        // Of equal readings the last is the maximum: that of the binarized picture, whose map is the most detailed.
        segmented.chain(binarized).max_by(|a, b| a.score().total_cmp(&b.score()))
    }

    /// Returns whether nearly all of the ink is digits of high confidence, so that another reading can hardly be better.
    fn is_certain_reading(&self, reading: &InkReading) -> bool {
        reading.mean_confidence().min(reading.recognized_fraction())
            > self.params.segmentation.min_certain_confidence
    }

    /// Returns the scales at which a picture is segmented, from large to small.
    fn segmentation_scales(&self, gray: &GrayImage) -> Vec<Scale> {
        let params = &self.params.segmentation;
        let mean_side = ((gray.width * gray.height) as f64).sqrt();
        let mut scales = Vec::new();
        if mean_side < params.min_mean_side_px {
            return scales;
        }
        if mean_side <= params.max_magnified_mean_side_px {
            scales.push(Scale::Magnified);
        }
        for max_mean_side in params.max_mean_sides_px {
            let scale = Scale::Reduced((mean_side / max_mean_side).ceil() as usize);
            if !scales.contains(&scale) {
                scales.push(scale);
            }
        }
        scales
    }

    /// Reads the ink that the network finds at a scale. The rules that it finds are left out.
    fn read_ink_segmentation(
        &self,
        network: &InkNetwork,
        gray: &GrayImage,
        scale: Scale,
        single: bool,
    ) -> InkReading {
        let (scaled, magnification) = match scale {
            Scale::Reduced(factor) => (gray.downscale(factor), 1),
            Scale::Magnified => {
                let magnified = gray.resize(MAGNIFICATION * gray.width, MAGNIFICATION * gray.height);
                (GrayImage { scale: gray.scale, ..magnified }, MAGNIFICATION)
            }
        };
        // Where ink is as probable as paper, the map has the level of a stroke's edge.
        let InkSegmentation { ink, rules } = network.segment(&scaled);
        let ink = InkMap { ink, inverted: false };
        let mut text = image::locate_text_in_ink(ink, &self.params.locate, self.stages);
        let rules =
            image::components(&rules.downscale(text.ink.scale / rules.scale), &self.params.locate.components);
        text.left_out.extend(
            rules.into_iter().map(|component| LeftOutComponent { component, reason: LeftOutReason::Rule }),
        );
        InkReading { magnification, ..self.read_ink(text, single) }
    }
}

/// Scale of the copy of a picture that the network segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Reduced by an integer factor.
    Reduced(usize),
    /// Enlarged [`MAGNIFICATION`] times.
    Magnified,
}
