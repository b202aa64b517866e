//! The choice between polarities: where it is not certain which of ink and paper is which, both are read, and the better reading
//! is taken.

use super::{Recognizer, assemble::InkReading};
use crate::image::{self, BinarizeParams, GrayImage, LocateParams, LocatedText, Polarity, Stage, Stages};

impl Recognizer {
    /// Reads a gray picture. Returns `None` if it is blank.
    ///
    /// A digit that fills its picture leaves less paper than ink, and what is left of the paper touches the border as writing
    /// that is cut off would. Such pictures are read in both polarities, and also without division by the brightness of the
    /// paper, which is not seen around a thick stroke, and without the removal of shadows, because ink at the border has no
    /// edges there.
    pub(super) fn read_gray(&self, gray: &GrayImage, single: bool) -> Option<InkReading> {
        let params = &self.params;
        let text = image::locate_text(gray, &params.locate, self.stages);
        let is_doubtful = text.as_ref().is_none_or(|text| self.is_polarity_doubtful(text));
        let estimated = text.map(|text| self.read_ink(text, single));
        if !(is_doubtful && self.stages.contains(Stage::Polarity)) {
            return estimated;
        }
        let small = gray.reduce(gray.width.max(gray.height).div_ceil(params.polarity.max_side_px));
        let read = |(polarity, stages, paper_quantile)| {
            let binarize =
                BinarizeParams { polarity: Some(polarity), paper_quantile, ..params.locate.binarize };
            let text = image::locate_text(&small, &LocateParams { binarize, ..params.locate }, stages)?;
            Some(self.read_ink(text, single))
        };
        let even: Stages = self.stages.without(Stage::Light).without(Stage::Shadows);
        let quantile = params.polarity.crop_paper_quantile;
        let alternatives = [Polarity::DarkOnLight, Polarity::LightOnDark].into_iter().flat_map(|polarity| {
            [(polarity, self.stages, params.locate.binarize.paper_quantile), (polarity, even, quantile)]
        });
        let best = alternatives.filter_map(read).max_by(|a, b| a.read_ink().total_cmp(&b.read_ink()));
        match (estimated, best) {
            (Some(estimated), Some(best))
                if best.read_ink() <= estimated.read_ink() + params.polarity.min_gain =>
            {
                Some(estimated)
            }
            (estimated, best) => best.filter(|best| best.read_ink() > 0.0).or(estimated),
        }
    }

    /// Returns whether the estimated polarity may be wrong: a few components touch the border and have most of the ink.
    fn is_polarity_doubtful(&self, text: &LocatedText) -> bool {
        let left_out = text.left_out.iter().map(|left_out| &left_out.component);
        let components: Vec<_> = text.components.iter().chain(left_out).collect();
        let (mut at_border, mut all) = (0, 0);
        for component in &components {
            let (bounds, area) = (component.bounds(), component.area());
            all += area;
            if bounds.touches_border_of(&text.ink) {
                at_border += area;
            }
        }
        components.len() <= self.params.polarity.max_components
            && at_border as f64 >= self.params.polarity.min_border_ink * all as f64
    }
}
