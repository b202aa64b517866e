//! Selection of the components that can be writing.

use super::{
    Component, GrayImage, LeftOutComponent, LeftOutReason, Rect, Stage, Stages, binarize::mean,
    left_out::leave_out, total_area,
};

/// Parameters of [`find_text`]. The text height is [`TextComponents::height`]; until specks are left out, it is the median
/// height of components weighted by the areas of their bounding boxes, because there may be many more specks than digits. All
/// values were chosen empirically; `docs/experiments/recognition.md` has the trials.
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
    /// Fraction of each side of a component's bounding box along which it has ink, at least, if it is a frame around any others.
    pub min_box_side_coverage: f64,
    /// Height of the highest component inside such a frame, as a fraction of the frame's, at least.
    pub min_framed_height: f64,
    /// Number of components, the largest ones, that may be frames.
    pub max_frames: usize,
    /// Height in text heights below which a component at the picture's border counts as cut off and is left out.
    pub min_border_height: f64,
    /// Distance from the left or right border of the picture, as a fraction of its width, up to which a component may be a bar:
    /// the side of a cell or of the paper.
    pub border_margin: f64,
    /// Aspect ratio below which such a component is a bar.
    pub max_border_bar_aspect: f64,
    /// Height of a bar, in heights of the components that are not at the border, at least.
    pub min_border_bar_height: f64,
    /// Height of a bar in a picture that is cropped to the writing, in the same heights, at least.
    pub min_tight_border_bar_height: f64,
    /// Distance of the writing from the upper or lower border, in the same heights, up to which a picture is cropped to it.
    pub tight_margin: f64,
    /// Text height in pixels below which writing is illegible.
    pub min_text_height_px: usize,
    /// Ink that remains, as a fraction of all ink, below which [`TextComponents::is_mostly_left_out`] is set.
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
            min_box_side_coverage: 0.8,
            min_framed_height: 0.05,
            max_frames: 64,
            min_border_height: 0.6,
            border_margin: 0.03,
            max_border_bar_aspect: 0.35,
            min_border_bar_height: 0.5,
            min_tight_border_bar_height: 1.2,
            tight_margin: 0.05,
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
    /// The other components.
    pub left_out: Vec<LeftOutComponent>,
    /// The text height in pixels: the median height of components that are neither rules nor frames nor specks, each weighted
    /// by its height, so that one tall component doesn't count for more than the others.
    pub height: usize,
    /// Whether nearly all ink was left out, as happens where a shadow was taken for ink.
    pub is_mostly_left_out: bool,
}

/// Separates the components that can be writing from those that can't: shadows, frames, rules, specks, and what the picture's
/// border cuts off. Each component is in one of the two lists of the result.
pub fn find_text(
    ink: &GrayImage,
    mut components: Vec<Component>,
    params: &TextParams,
    stages: Stages,
) -> TextComponents {
    let all_ink = total_area(&components);
    let mut left_out = Vec::new();
    if stages.contains(Stage::Shadows) {
        leave_out(&mut components, &mut left_out, LeftOutReason::Shadow, |component| {
            is_shadow(component, ink, params)
        });
    }
    if stages.contains(Stage::Frames) {
        // Frames come first, because the height of a frame or a grid says nothing about that of the writing.
        let frames = frame_indices(&components, params);
        let mut index = 0;
        leave_out(&mut components, &mut left_out, LeftOutReason::Frame, |_| {
            index += 1;
            frames.contains(&(index - 1))
        });
    }
    let mut height = median_height(&components, rect_area);
    if stages.contains(Stage::Rules) {
        // Leaving out the longest rules can lower the text height, so that shorter ones are found.
        while leave_out(&mut components, &mut left_out, LeftOutReason::Rule, |component| {
            is_rule(component, height, params)
        }) {
            height = median_height(&components, rect_area);
        }
    }
    if stages.contains(Stage::Specks) {
        leave_out(&mut components, &mut left_out, LeftOutReason::Speck, |component| {
            is_speck(component, height, params)
        });
    }
    if components.len() > params.max_components {
        leave_out(&mut components, &mut left_out, LeftOutReason::Texture, |_| true);
    }
    height = median_height(&components, |bounds| bounds.height);
    if stages.contains(Stage::Edges) {
        // If the largest component touches the border, so may its fragments.
        let largest = components.iter().max_by_key(|component| component.area());
        if largest.is_some_and(|largest| !largest.bounds().touches_border_of(ink)) {
            leave_out(&mut components, &mut left_out, LeftOutReason::Edge, |component| {
                is_cut_off(component, ink, height, params)
            });
        }
        leave_out_border_bars(&mut components, &mut left_out, ink, params);
    }
    if height < params.min_text_height_px {
        leave_out(&mut components, &mut left_out, LeftOutReason::TooSmall, |_| true);
    }
    let is_mostly_left_out = (total_area(&components) as f64) < params.min_text_fraction * all_ink as f64;
    TextComponents { components, left_out, height, is_mostly_left_out }
}

/// Returns the median height of components, weighted by a function of their bounding boxes, or 0 without components.
pub(super) fn median_height<'a>(
    components: impl IntoIterator<Item = &'a Component>,
    weight: impl Fn(Rect) -> usize,
) -> usize {
    let bounds = components.into_iter().map(Component::bounds);
    let mut sizes: Vec<_> = bounds.map(|bounds| (bounds.height, weight(bounds))).collect();
    sizes.sort_unstable_by_key(|&(height, _)| height);
    let half = sizes.iter().map(|(_, weight)| weight).sum::<usize>() / 2;
    let mut cumulative = 0;
    let median = sizes.iter().find(|(_, weight)| {
        cumulative += weight;
        cumulative > half
    });
    median.map_or(0, |(height, _)| *height)
}

fn rect_area(bounds: Rect) -> usize {
    bounds.width * bounds.height
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

/// Returns the indices of the frames: components that enclose most others, if these are more than a loose end in a loop, and
/// components with ink along their whole outline that enclose others.
fn frame_indices(components: &[Component], params: &TextParams) -> Vec<usize> {
    let mut by_size: Vec<usize> = (0..components.len()).collect();
    by_size.sort_by_key(|&index| std::cmp::Reverse(rect_area(components[index].bounds())));
    by_size.truncate(params.max_frames);
    by_size.retain(|&index| is_frame(index, components, params));
    by_size
}

fn is_frame(index: usize, components: &[Component], params: &TextParams) -> bool {
    let frame = &components[index];
    let bounds = frame.bounds();
    let (mut ink_inside, mut inside, mut largest_inside) = (0, 0, 0);
    for (other_index, other) in components.iter().enumerate() {
        if other_index != index && bounds.contains(&other.bounds()) {
            ink_inside += other.area();
            inside += 1;
            largest_inside = largest_inside.max(other.bounds().height);
        }
    }
    let encloses_most = ink_inside as f64 > params.min_framed_ink * frame.area() as f64
        && inside as f64 >= params.min_framed_components * (components.len() - 1) as f64;
    let encloses_writing = largest_inside >= params.min_text_height_px
        && largest_inside as f64 >= params.min_framed_height * bounds.height as f64;
    encloses_most || (encloses_writing && box_side_coverage(frame) >= params.min_box_side_coverage)
}

/// Returns the fraction of the least covered side of a component's bounding box along which there is ink. Ink covers a side
/// from a distance of up to an eighth of the box's shorter side, because boxes are drawn askew.
fn box_side_coverage(component: &Component) -> f64 {
    let bounds = component.bounds();
    let reach = (bounds.width.min(bounds.height) / 8).max(1);
    let (mut top, mut bottom) = (vec![false; bounds.width], vec![false; bounds.width]);
    let (mut left, mut right) = (vec![false; bounds.height], vec![false; bounds.height]);
    for run in component.runs() {
        let (x, end, y) = (run.x - bounds.x, run.end - bounds.x, run.y - bounds.y);
        if y < reach {
            top[x..end].fill(true);
        }
        if y + reach >= bounds.height {
            bottom[x..end].fill(true);
        }
        left[y] |= x < reach;
        right[y] |= end + reach > bounds.width;
    }
    let coverage =
        |side: &Vec<bool>| side.iter().filter(|&&covered| covered).count() as f64 / side.len() as f64;
    [&top, &bottom, &left, &right].map(coverage).into_iter().fold(1.0, f64::min)
}

/// Returns whether a component is low and touches the picture's border.
fn is_cut_off(component: &Component, ink: &GrayImage, text_height: usize, params: &TextParams) -> bool {
    component.bounds().touches_border_of(ink)
        && (component.bounds().height as f64) < params.min_border_height * text_height as f64
}

/// Returns whether a component lies at the left or right border of the picture.
fn is_in_side_margin(component: &Component, ink: &GrayImage, params: &TextParams) -> bool {
    let bounds = component.bounds();
    let margin = (params.border_margin * ink.width as f64) as usize;
    bounds.x <= margin || bounds.right() + margin >= ink.width
}

/// Moves the sides of cells and of the paper to `left_out`: narrow components at the left or right border of the picture, or from
/// its upper to its lower border.
///
/// In a picture that is cropped to the writing, where the writing is as near to the upper or lower border as the component is to
/// its border, the component may be a 1. There it is left out only if it is higher than the writing.
fn leave_out_border_bars(
    components: &mut Vec<Component>,
    left_out: &mut Vec<LeftOutComponent>,
    ink: &GrayImage,
    params: &TextParams,
) {
    let is_narrow =
        |component: &Component| f64::from(component.bounds().aspect_ratio()) < params.max_border_bar_aspect;
    let spans_height = |component: &Component| {
        let bounds = component.bounds();
        is_narrow(component) && bounds.y == 0 && bounds.bottom() == ink.height
    };
    let is_inside =
        |component: &&Component| !is_in_side_margin(component, ink, params) && !spans_height(component);
    let inside = || components.iter().filter(is_inside);
    let Some(writing) = inside().map(Component::bounds).reduce(|a, b| a.union(&b)) else {
        // A lone 1 that fills a picture cropped to it is as wide as the picture, or in its middle.
        let is_lone_bar = |component: &Component| {
            spans_height(component)
                && is_in_side_margin(component, ink, params)
                && component.bounds().width < ink.width / 2
        };
        leave_out(components, left_out, LeftOutReason::Edge, is_lone_bar);
        return;
    };
    let writing_height = median_height(inside(), |bounds| bounds.height) as f64;
    let margin = writing.y.min(ink.height - writing.bottom());
    leave_out(components, left_out, LeftOutReason::Edge, |component| {
        let bounds = component.bounds();
        let distance = bounds.x.min(ink.width - bounds.right());
        let is_cropped = margin as f64 <= params.tight_margin * writing_height;
        let min_height = if is_cropped || margin <= distance {
            params.min_tight_border_bar_height
        } else {
            params.min_border_bar_height
        };
        let is_high = bounds.height as f64 > min_height * writing_height;
        (spans_height(component) && !is_cropped)
            || (is_in_side_margin(component, ink, params) && is_narrow(component) && is_high)
    });
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
    fn leaves_out_specks_rules_frames_and_cut_off_components() {
        let digits = [[10, 20, 8, 20], [30, 20, 3, 20], [40, 20, 10, 19]];
        let frame = [[2, 2, 56, 1], [2, 57, 56, 1], [2, 2, 1, 56], [57, 2, 1, 56]];
        let boxes = [[6, 16, 18, 1], [6, 44, 18, 1], [6, 16, 1, 29], [23, 16, 1, 29]];
        for (name, others, reason) in [
            ("nothing else", &[][..], LeftOutReason::Speck),
            ("specks", &[[5, 5, 2, 2], [25, 50, 3, 1]], LeftOutReason::Speck),
            ("a rule", &[[2, 50, 56, 2]], LeftOutReason::Rule),
            ("a frame", &frame, LeftOutReason::Frame),
            ("a frame around one digit", &boxes, LeftOutReason::Frame),
            ("cut off by the border", &[[58, 25, 2, 9]], LeftOutReason::Edge),
            ("bars at the border", &[[0, 12, 4, 13], [57, 10, 3, 40]], LeftOutReason::Edge),
        ] {
            let text = default_find_text(&page(&[&digits[..], others].concat()));
            assert!(text.left_out.iter().all(|left_out| left_out.reason == reason), "{:?}", text.left_out);
            assert_eq!(text.left_out.is_empty(), others.is_empty(), "{name}");
            let mut found: Vec<[usize; 4]> =
                text.components.iter().map(|component| component.bounds().into()).collect();
            found.sort_unstable();
            assert_eq!((found, text.height), (digits.to_vec(), 20), "{name}");
            assert!(!text.is_mostly_left_out, "{name}");
        }
    }

    #[test]
    fn leaves_out_bars_from_the_upper_to_the_lower_border() {
        for (name, rectangles, expected) in [
            ("beside writing", &[[15, 0, 3, 60], [30, 20, 12, 25]][..], 1),
            ("alone", &[[55, 0, 5, 60]], 0),
            ("in a crop as high as the writing", &[[15, 0, 6, 60], [30, 0, 12, 60]], 2),
        ] {
            assert_eq!(default_find_text(&page(rectangles)).components.len(), expected, "{name}");
        }
    }

    #[test]
    fn keeps_a_stroke_at_the_border_of_a_picture_cropped_to_its_writing() {
        let ink = page(&[[0, 0, 8, 58], [20, 2, 25, 58], [50, 2, 10, 58]]);
        assert_eq!(default_find_text(&ink).components.len(), 3);
    }

    #[test]
    fn leaves_out_components_with_soft_edges() {
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
