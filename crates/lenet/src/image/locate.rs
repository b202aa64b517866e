//! The stages from a gray picture to its writing.

use super::{
    BinarizeParams, Component, ComponentParams, GrayImage, InkMap, LeftOutComponent, Stage, Stages,
    TextComponents, TextParams, binarize, components, find_text, total_area,
};

/// Parameters of [`locate_text`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocateParams {
    /// Parameters of [`binarize()`].
    pub binarize: BinarizeParams,
    /// Parameters of [`components()`].
    pub components: ComponentParams,
    /// Parameters of [`find_text()`].
    pub text: TextParams,
    /// Values of [`BinarizeParams::paper_window`] that are tried, in this order, where nearly all of the ink was left out as
    /// shadow. Narrower windows take narrower shadows for paper. Empirically chosen.
    pub retry_paper_windows: [f64; 3],
    /// Text height above which the ink map is halved, in pixels, because larger writing takes longer. Empirically chosen.
    pub max_text_height_px: usize,
    /// Fraction of the ink's area that a halved map keeps at least. Halving leaves a quarter; less is left where thin strokes
    /// vanish, and the map is then not halved. Empirically chosen.
    pub min_halved_area: f64,
}

impl Default for LocateParams {
    fn default() -> Self {
        Self {
            binarize: BinarizeParams::default(),
            components: ComponentParams::default(),
            text: TextParams::default(),
            retry_paper_windows: [0.25, 0.125, 0.0625],
            max_text_height_px: 96,
            min_halved_area: 0.2,
        }
    }
}

/// The result of [`locate_text`].
#[derive(Debug, Clone)]
pub struct LocatedText {
    /// The ink map, halved for large writing.
    pub ink: GrayImage,
    /// Whether the writing is light on dark.
    pub inverted: bool,
    /// The components that can be writing, in coordinates of `ink`.
    pub components: Vec<Component>,
    /// The other components, in coordinates of `ink`.
    pub left_out: Vec<LeftOutComponent>,
    /// The text height in pixels of `ink`, as [`TextComponents::height`].
    pub height: usize,
}

/// Finds the writing of a picture: [`binarize()`], [`components()`] and [`find_text()`], again with a narrower window where
/// shadows were taken for ink, and again on halved maps while the writing is large. Returns `None` if the picture is blank.
pub fn locate_text(gray: &GrayImage, params: &LocateParams, stages: Stages) -> Option<LocatedText> {
    let attempt = |paper_window: f64| -> Option<(InkMap, TextComponents)> {
        let binarized = binarize(gray, &BinarizeParams { paper_window, ..params.binarize }, stages)?;
        let text = find_text_components(&binarized.ink, params, stages);
        Some((binarized, text))
    };
    let (mut binarized, mut text) = attempt(params.binarize.paper_window)?;
    if text.is_mostly_left_out {
        let retries = params.retry_paper_windows.into_iter().filter_map(attempt);
        let better = retries.into_iter().find(|(_, text)| !text.is_mostly_left_out);
        (binarized, text) = better.unwrap_or((binarized, text));
    }
    Some(shrink_large_text(binarized, text, params, stages))
}

/// Finds the writing of an ink map: [`components()`] and [`find_text()`], again on halved maps while the writing is large.
pub fn locate_text_in_ink(ink: InkMap, params: &LocateParams, stages: Stages) -> LocatedText {
    let text = find_text_components(&ink.ink, params, stages);
    shrink_large_text(ink, text, params, stages)
}

/// Finds the components of an ink map that can be writing.
fn find_text_components(ink: &GrayImage, params: &LocateParams, stages: Stages) -> TextComponents {
    find_text(ink, components(ink, &params.components), &params.text, stages)
}

/// Halves the ink map while the writing is large.
fn shrink_large_text(
    mut map: InkMap,
    mut text: TextComponents,
    params: &LocateParams,
    stages: Stages,
) -> LocatedText {
    while stages.contains(Stage::Shrink) && text.height > params.max_text_height_px {
        let halved_ink = map.ink.downscale(2);
        let halved_text = find_text_components(&halved_ink, params, stages);
        let (halved_area, area) = (total_area(&halved_text.components), total_area(&text.components));
        if (halved_area as f64) < params.min_halved_area * area as f64 {
            break;
        }
        (map.ink, text) = (halved_ink, halved_text);
    }
    let (InkMap { ink, inverted }, TextComponents { components, left_out, height, .. }) = (map, text);
    LocatedText { ink, inverted, components, left_out, height }
}
