//! Grouping of components into lines of text.

use super::{Component, Rect};

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
}

impl Default for LineParams {
    fn default() -> Self {
        Self { min_overlap: 0.4, min_digit_height: 0.5, max_fragment_distance: 0.5 }
    }
}

/// Groups components into lines. Returns the lines from top to bottom, each with its components from left to right.
///
/// From left to right, each component continues the line whose last component it overlaps most vertically, so that lines may
/// slope. Fragments are added afterwards, each to the line of the nearest component; those far from all lines are dropped.
pub fn lines(mut components: Vec<Component>, text_height: usize, params: &LineParams) -> Vec<Vec<Component>> {
    let text_height = text_height as f64;
    components.sort_by_key(|component| {
        let bounds = component.bounds();
        (2 * bounds.x + bounds.width, bounds.y)
    });
    let (components, fragments): (Vec<_>, Vec<_>) = components
        .into_iter()
        .partition(|component| component.bounds().height as f64 >= params.min_digit_height * text_height);
    let mut lines: Vec<Vec<Component>> = Vec::new();
    for component in components {
        let overlap = |line: &Vec<Component>| {
            line.last().map_or(0.0, |last| vertical_overlap(&last.bounds(), &component.bounds()))
        };
        match lines.iter_mut().max_by(|a, b| overlap(a).total_cmp(&overlap(b))) {
            Some(line) if overlap(line) > params.min_overlap => line.push(component),
            _ => lines.push(vec![component]),
        }
    }
    for fragment in fragments {
        let distance_key =
            |other: &Component| (distance(&fragment.bounds(), &other.bounds()), other.bounds().x);
        let nearest = |line: &Vec<Component>| line.iter().map(distance_key).min();
        match lines.iter_mut().filter(|line| nearest(line).is_some()).min_by_key(|line| nearest(line)) {
            Some(line)
                if nearest(line).is_some_and(|(distance, _)| {
                    (distance as f64) < params.max_fragment_distance * text_height
                }) =>
            {
                let at = line.partition_point(|other| other.bounds().x <= fragment.bounds().x);
                line.insert(at, fragment);
            }
            _ => (),
        }
    }
    lines.sort_by_key(|line| {
        let doubled_centers = line.iter().map(|component| {
            let bounds = component.bounds();
            2 * bounds.y + bounds.height
        });
        doubled_centers.sum::<usize>() / line.len()
    });
    lines
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

    fn default_lines(components: Vec<Component>, text_height: usize) -> Vec<Vec<Component>> {
        lines(components, text_height, &LineParams::default())
    }

    #[test]
    fn orders_sloping_lines_and_their_components() {
        let upper = (0..6).map(|digit| [30 * digit, 40 - 6 * digit, 15, 20]);
        let lower = (0..6).map(|digit| [30 * digit + 4, 80 - 6 * digit, 15, 20]);
        let mut boxes: Vec<_> = upper.clone().chain(lower.clone()).collect();
        fastrand::Rng::with_seed(3).shuffle(&mut boxes);
        let found: Vec<Vec<[usize; 4]>> = default_lines(boxes.into_iter().map(component).collect(), 20)
            .iter()
            .map(|line| line.iter().map(|component| component.bounds().into()).collect())
            .collect();
        assert_eq!(found, [upper.collect::<Vec<_>>(), lower.collect()]);
    }

    #[test]
    fn fragments_join_the_nearest_line_or_are_dropped() {
        let digits = [[0, 10, 12, 20], [30, 10, 12, 20]];
        let (near, far) = ([40, 6, 8, 3], [200, 80, 4, 4]);
        let found = default_lines([digits[0], digits[1], near, far].map(component).to_vec(), 20);
        assert_eq!(found, [[digits[0], digits[1], near].map(component).to_vec()]);
    }
}
