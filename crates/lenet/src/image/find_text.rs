//! Selection of the components that can be writing.

use super::{Component, GrayImage, Rect, Stage, Stages, binarize::mean, total_area};

/// Parameters of [`find_text`]. The text height is the median height of components, weighted by the areas of their bounding
/// boxes. All values were chosen empirically; `docs/experiments/recognition.md` has the trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextParams {
    /// Mean contrast across the left and right edges of a component below which it is a shadow, in ink levels (0 to 255).
    pub min_edge_contrast: u8,
    /// Pixels on each side of an edge over which its contrast is averaged: with fewer, noise in a shadow looks like edges.
    pub edge_profile_px: usize,
    /// Height of a component above which it is a rule, in text heights.
    pub max_component_height: f64,
    /// Length of a component above which it is a rule, in its own thicknesses, if `min_rule_length` is exceeded as well.
    pub min_rule_aspect: f64,
    /// Length of a component above which it is a rule, in text heights, if `min_rule_aspect` is exceeded as well.
    pub min_rule_length: f64,
    /// Longer side of the largest speck, in text heights.
    pub max_speck_side: f64,
    /// Number of components above which the picture is taken for noise.
    pub max_components: usize,
    /// Ink that a frame encloses, as a fraction of its own ink, at least: a loop around a loose end of a stroke encloses less.
    pub min_framed_ink: f64,
    /// Fraction of the other components that a frame encloses, at least.
    pub min_framed_components: f64,
    /// Height in text heights below which a component at the picture's border counts as cut off and is removed.
    pub min_border_height: f64,
    /// Text height in pixels below which writing is illegible.
    pub min_text_height_px: usize,
    /// Ink that remains, as a fraction of all ink, below which [`TextComponents::is_mostly_removed`] is set.
    pub min_text_fraction: f64,
}

impl Default for TextParams {
    fn default() -> Self {
        Self {
            min_edge_contrast: 33,
            edge_profile_px: 4,
            max_component_height: 2.5,
            min_rule_aspect: 15.0,
            min_rule_length: 1.5,
            max_speck_side: 0.2,
            max_components: 4096,
            min_framed_ink: 0.5,
            min_framed_components: 0.5,
            min_border_height: 0.6,
            min_text_height_px: 7,
            min_text_fraction: 0.1,
        }
    }
}

/// The result of [`find_text`].
#[derive(Debug, Clone)]
pub struct TextComponents {
    /// The components that can be writing.
    pub components: Vec<Component>,
    /// The text height: the median height of components, weighted by the areas of their bounding boxes, in pixels.
    pub height: usize,
    /// Whether nearly all ink was removed, as happens where a shadow was taken for ink.
    pub is_mostly_removed: bool,
}

/// Removes the components that are no writing: shadows, rules, specks, frames, and what the picture's border cuts off.
pub fn find_text(
    ink: &GrayImage,
    mut components: Vec<Component>,
    params: &TextParams,
    stages: Stages,
) -> TextComponents {
    let all_ink = total_area(&components);
    if stages.contains(Stage::Shadows) {
        components.retain(|component| !is_shadow(component, ink, params));
    }
    let mut height = text_height(&components);
    if stages.contains(Stage::Rules) {
        // Removing the longest rules can lower the text height, so that shorter ones are found.
        let mut before = components.len() + 1;
        while components.len() < before {
            before = components.len();
            components.retain(|component| !is_rule(component, height, params));
            height = text_height(&components);
        }
    }
    if stages.contains(Stage::Specks) {
        components.retain(|component| !is_speck(component, height, params));
    }
    if components.len() > params.max_components {
        components.clear();
    }
    if stages.contains(Stage::Frames) {
        let frames: Vec<_> =
            components.iter().map(|component| is_frame(component, &components, params)).collect();
        let mut frames = frames.into_iter();
        components.retain(|_| frames.next() == Some(false));
        height = text_height(&components);
    }
    if stages.contains(Stage::Edges) {
        // If the largest component touches the border, so may its fragments.
        let largest = components.iter().max_by_key(|component| component.area());
        if largest.is_some_and(|largest| !touches_border(largest, ink)) {
            components.retain(|component| !is_cut_off(component, ink, height, params));
        }
    }
    if height < params.min_text_height_px {
        components.clear();
    }
    let is_mostly_removed = (total_area(&components) as f64) < params.min_text_fraction * all_ink as f64;
    TextComponents { components, height, is_mostly_removed }
}

/// Returns the median height of components, weighted by the areas of their bounding boxes.
fn text_height(components: &[Component]) -> usize {
    let mut sizes: Vec<_> = components
        .iter()
        .map(Component::bounds)
        .map(|Rect { width, height, .. }| (height, width * height))
        .collect();
    sizes.sort_unstable_by_key(|&(height, _)| height);
    let half = sizes.iter().map(|(_, area)| area).sum::<usize>() / 2;
    let mut cumulative = 0;
    let median = sizes.iter().find(|(_, area)| {
        cumulative += area;
        cumulative > half
    });
    median.map_or(0, |(height, _)| *height)
}

/// Returns whether the left and right edges of a component are soft on the mean, as those of a shadow. Runs that touch the
/// picture's border have no edge there.
fn is_shadow(component: &Component, ink: &GrayImage, params: &TextParams) -> bool {
    let profile = params.edge_profile_px;
    let contrast = |row: &[u8], at: usize| match row.split_at(at) {
        ([], _) | (_, []) => 0,
        (left, right) => {
            let (left, right) = (&left[at.saturating_sub(profile)..], &right[..profile.min(right.len())]);
            i32::from(mean(right)) - i32::from(mean(left))
        }
    };
    let contrasts = component
        .runs()
        .iter()
        .map(|run| contrast(ink.row(run.y), run.x) - contrast(ink.row(run.y), run.end));
    contrasts.sum::<i32>() < 2 * i32::from(params.min_edge_contrast) * component.runs().len() as i32
}

/// Returns whether a component is a drawn or printed line: longer than any stroke in writing of this height.
fn is_rule(component: &Component, text_height: usize, params: &TextParams) -> bool {
    let Rect { width, height, .. } = component.bounds();
    let (length, thickness) = (width.max(height) as f64, width.min(height) as f64);
    let text_height = text_height as f64;
    height as f64 > params.max_component_height * text_height
        || (length > params.min_rule_aspect * thickness && length > params.min_rule_length * text_height)
}

/// Returns whether a component is too small for writing of this height.
fn is_speck(component: &Component, text_height: usize, params: &TextParams) -> bool {
    component.bounds().longer_side() as f64 <= params.max_speck_side * text_height as f64
}

/// Returns whether a component contains most others, and these are more than a loose end in a loop.
fn is_frame(component: &Component, components: &[Component], params: &TextParams) -> bool {
    let others = || components.iter().filter(|other| *other != component);
    let inside = others().filter(|other| component.bounds().contains(&other.bounds()));
    let ink_inside: usize = inside.clone().map(Component::area).sum();
    ink_inside as f64 > params.min_framed_ink * component.area() as f64
        && inside.count() as f64 >= params.min_framed_components * others().count() as f64
}

/// Returns whether a component is low and touches the picture's border.
fn is_cut_off(component: &Component, ink: &GrayImage, text_height: usize, params: &TextParams) -> bool {
    touches_border(component, ink)
        && (component.bounds().height as f64) < params.min_border_height * text_height as f64
}

fn touches_border(component: &Component, ink: &GrayImage) -> bool {
    let bounds = component.bounds();
    bounds.x == 0 || bounds.y == 0 || bounds.right() == ink.width || bounds.bottom() == ink.height
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ComponentParams, components};

    /// An ink map of 60 x 60 with rectangles of ink, each `[left, top, width, height]`.
    fn page(rectangles: &[[usize; 4]]) -> GrayImage {
        let mut ink = GrayImage::from_fn(60, 60, |_, _| 0);
        for [x, y, width, height] in rectangles {
            (*y..y + height).for_each(|y| ink.values[y * 60 + x..][..*width].fill(255));
        }
        ink
    }

    fn default_find_text(ink: &GrayImage) -> TextComponents {
        let components = components(ink, &ComponentParams::default());
        find_text(ink, components, &TextParams::default(), Stages::ALL)
    }

    #[test]
    fn removes_specks_rules_frames_and_cut_off_components() {
        let digits = [[10, 20, 8, 20], [30, 20, 3, 20], [40, 20, 10, 19]];
        let frame = [[2, 2, 56, 1], [2, 57, 56, 1], [2, 2, 1, 56], [57, 2, 1, 56]];
        for (name, others) in [
            ("nothing else", &[][..]),
            ("specks", &[[5, 5, 2, 2], [25, 50, 3, 1]]),
            ("a rule", &[[2, 50, 56, 2]]),
            ("a frame", &frame),
            ("cut off by the border", &[[58, 25, 2, 9]]),
        ] {
            let text = default_find_text(&page(&[&digits[..], others].concat()));
            let mut found: Vec<[usize; 4]> =
                text.components.iter().map(|component| component.bounds().into()).collect();
            found.sort_unstable();
            assert_eq!((found, text.height), (digits.to_vec(), 20), "{name}");
            assert!(!text.is_mostly_removed, "{name}");
        }
    }

    #[test]
    fn removes_components_with_soft_edges() {
        let mut random = fastrand::Rng::with_seed(5);
        for noise in [0, 40] {
            let mut ink = page(&[[30, 20, 3, 20]]);
            for y in 5..55 {
                for x in 0..28 {
                    let shade = 7 * x.min(27 - x) as i32 + random.i32(-noise..=noise);
                    ink.values[y * 60 + x] = shade.max(0) as u8;
                }
            }
            let left: Vec<_> =
                default_find_text(&ink).components.iter().map(|component| component.bounds().x).collect();
            assert_eq!(left, [30], "{noise}");
        }
    }

    /// Integer ratios such as 3 / 5 are compared as floating point numbers: where both sides are equal, they must be.
    #[test]
    fn fractions_of_lengths_are_exact() {
        for (fraction, numerator, denominator) in [(0.2, 1, 5), (0.6, 3, 5), (0.1, 1, 10), (0.8, 4, 5)] {
            for multiple in 0..100_000 {
                let product: f64 = fraction * f64::from(denominator * multiple);
                assert_eq!(product, f64::from(numerator * multiple));
            }
        }
    }
}
