//! Grouping of components into lines of text.

use super::{Component, LeftOutComponent, LeftOutReason, Rect, find_text::median_height};

/// Parameters of [`lines`]. Empirically chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineParams {
    /// Vertical overlap with the last component of a line, as a fraction of the lower of the two, above which a component
    /// continues the line.
    pub min_overlap: f32,
    /// Height in text heights below which a component is a fragment, such as the bar of a 5. Fragments start no lines.
    pub min_digit_height: f64,
    /// Distance in text heights from the nearest component of a line, up to which a fragment is added to the line.
    pub max_fragment_distance: f64,
    /// Height in pixels below which smaller writing, far from the lines, is illegible.
    pub min_small_height_px: usize,
}

impl Default for LineParams {
    fn default() -> Self {
        Self { min_overlap: 0.4, min_digit_height: 0.5, max_fragment_distance: 0.5, min_small_height_px: 12 }
    }
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The components from left to right.
    pub components: Vec<Component>,
    /// The text height of the line in pixels: the median height of its components that are no fragments.
    pub height: usize,
}

impl Line {
    /// Inserts a component at its place from left to right.
    pub(crate) fn insert(&mut self, component: Component) {
        let at = self.components.partition_point(|other| other.bounds().x <= component.bounds().x);
        self.components.insert(at, component);
    }
}

/// The result of [`lines`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The lines from top to bottom.
    pub lines: Vec<Line>,
    /// Fragments that belong to no line.
    pub left_out: Vec<LeftOutComponent>,
}

/// Groups components into lines.
///
/// From left to right, each component continues the line whose last components it overlaps most vertically, so that lines may
/// slope and digits may bounce. Fragments are added afterwards, each to the line of the nearest component. Those far from all
/// lines form lines of smaller writing, if there are any that are high enough.
pub fn lines(components: Vec<Component>, text_height: usize, params: &LineParams) -> Lines {
    let (mut lines, far) = lines_of_height(components, text_height, params);
    let small_height = median_height(&far, |bounds| bounds.height);
    let is_smaller = (small_height as f64) < params.min_digit_height * text_height as f64;
    let far = if is_smaller && small_height >= params.min_small_height_px {
        let (small_lines, far) = lines_of_height(far, small_height, params);
        lines.extend(small_lines);
        far
    } else {
        far
    };
    lines.sort_by_key(|line| {
        let doubled_centers = line.components.iter().map(|component| {
            let bounds = component.bounds();
            2 * bounds.y + bounds.height
        });
        doubled_centers.sum::<usize>() / line.components.len()
    });
    let left_out =
        far.into_iter().map(|component| LeftOutComponent { component, reason: LeftOutReason::TooSmall });
    Lines { lines, left_out: left_out.collect() }
}

/// Groups components into lines of digits of about `text_height`. Returns the lines, and the fragments far from all of them.
fn lines_of_height(
    mut components: Vec<Component>,
    text_height: usize,
    params: &LineParams,
) -> (Vec<Line>, Vec<Component>) {
    let text_height = text_height as f64;
    components.sort_by_key(|component| {
        let bounds = component.bounds();
        (bounds.doubled_center_x(), bounds.y)
    });
    let (components, fragments): (Vec<_>, Vec<_>) = components
        .into_iter()
        .partition(|component| component.bounds().height as f64 >= params.min_digit_height * text_height);
    let mut lines: Vec<Line> = Vec::new();
    for component in components {
        let overlap = |line: &Line| line_overlap(line, &component.bounds());
        match lines.iter_mut().max_by(|a, b| overlap(a).total_cmp(&overlap(b))) {
            Some(line) if overlap(line) > params.min_overlap => line.components.push(component),
            _ => lines.push(Line { components: vec![component], height: 0 }),
        }
    }
    for line in &mut lines {
        line.height = median_height(&line.components, |bounds| bounds.height);
    }
    let mut far = Vec::new();
    for fragment in fragments {
        let distance_key =
            |other: &Component| (distance(&fragment.bounds(), &other.bounds()), other.bounds().x);
        let nearest = |line: &Line| line.components.iter().map(distance_key).min();
        match lines.iter_mut().filter(|line| nearest(line).is_some()).min_by_key(|line| nearest(line)) {
            Some(line)
                if nearest(line).is_some_and(|(distance, _)| {
                    (distance as f64) < params.max_fragment_distance * text_height
                }) =>
            {
                line.insert(fragment);
            }
            _ => far.push(fragment),
        }
    }
    (lines, far)
}

/// Number of components at the end of a line that show where it continues.
const LINE_END_COMPONENTS: usize = 3;

/// Returns the vertical overlap of a component with the last one of a line, or with the mean of the last ones.
fn line_overlap(line: &Line, bounds: &Rect) -> f32 {
    let end = &line.components[line.components.len().saturating_sub(LINE_END_COMPONENTS)..];
    let Some(last) = end.last() else { return 0.0 };
    let mean =
        |of: fn(Rect) -> usize| end.iter().map(|component| of(component.bounds())).sum::<usize>() / end.len();
    let band = Rect { y: mean(|bounds| bounds.y), height: mean(|bounds| bounds.height), ..last.bounds() };
    vertical_overlap(&last.bounds(), bounds).max(vertical_overlap(&band, bounds))
}

/// Returns the vertical overlap of two rectangles as a fraction of the lower one's height.
fn vertical_overlap(a: &Rect, b: &Rect) -> f32 {
    let common = a.bottom().min(b.bottom()).saturating_sub(a.y.max(b.y));
    common as f32 / a.height.min(b.height) as f32
}

/// Returns the number of pixels between two rectangles, along the axis with the larger gap (Chebyshev distance).
fn distance(a: &Rect, b: &Rect) -> usize {
    let gap =
        |a: usize, a_end: usize, b: usize, b_end: usize| b.saturating_sub(a_end).max(a.saturating_sub(b_end));
    gap(a.x, a.right(), b.x, b.right()).max(gap(a.y, a.bottom(), b.y, b.bottom()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::components::Run;

    fn component([x, y, width, height]: [usize; 4]) -> Component {
        Component::new((y..y + height).map(|y| Run { y, x, end: x + width }).collect()).unwrap()
    }

    /// Returns the bounding boxes of the components of each line.
    fn default_lines(boxes: &[[usize; 4]], text_height: usize) -> (Vec<Vec<[usize; 4]>>, usize) {
        let components = boxes.iter().copied().map(component).collect();
        let Lines { lines, left_out } = lines(components, text_height, &LineParams::default());
        let boxes = |line: &Line| line.components.iter().map(|it| it.bounds().into()).collect();
        (lines.iter().map(boxes).collect(), left_out.len())
    }

    #[test]
    fn orders_sloping_lines_and_their_components() {
        let upper = (0..6).map(|digit| [30 * digit, 40 - 6 * digit, 15, 20]);
        let lower = (0..6).map(|digit| [30 * digit + 4, 80 - 6 * digit, 15, 20]);
        let mut boxes: Vec<_> = upper.clone().chain(lower.clone()).collect();
        fastrand::Rng::with_seed(3).shuffle(&mut boxes);
        let (found, _) = default_lines(&boxes, 20);
        assert_eq!(found, [upper.collect::<Vec<_>>(), lower.collect()]);
    }

    #[test]
    fn bouncing_digits_stay_on_their_line() {
        let boxes = [[0, 20, 15, 20], [20, 28, 15, 20], [40, 32, 15, 20], [60, 16, 15, 20], [80, 20, 15, 20]];
        assert_eq!(default_lines(&boxes, 20), (vec![boxes.to_vec()], 0));
    }

    #[test]
    fn fragments_join_the_nearest_line_or_are_left_out() {
        let digits = [[0, 10, 12, 20], [30, 10, 12, 20]];
        let (near, far) = ([40, 6, 8, 3], [200, 80, 4, 4]);
        assert_eq!(
            default_lines(&[digits[0], digits[1], near, far], 20),
            (vec![vec![digits[0], digits[1], near]], 1)
        );
    }

    #[test]
    fn small_writing_far_from_the_lines_forms_lines() {
        let boxes = [[0, 10, 30, 60], [40, 10, 30, 60], [300, 50, 10, 20], [315, 51, 10, 20]];
        assert_eq!(default_lines(&boxes, 60), (vec![boxes[..2].to_vec(), boxes[2..].to_vec()], 0));
    }
}
