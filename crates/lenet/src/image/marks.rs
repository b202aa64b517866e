//! Marks between digits: points, commas, minuses, slashes and brackets.

use super::{Component, LeftOutComponent, LeftOutReason, Line, Rect};

/// Parameters of [`leave_out_marks`] and [`find_points`]. Lengths are in text heights of the line. Empirically chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkParams {
    /// Height of a digit, at least. Points, commas and minuses are lower.
    pub min_digit_height: f64,
    /// Horizontal overlap with a digit, as a fraction of the component's width, above which it is a part of the digit.
    pub max_overlap: f64,
    /// Ink of a point or a minus as a fraction of its bounding box, at least.
    pub min_solidity: f64,
    /// Longer side of a point, at least: smaller ones are specks.
    pub min_point_side: f64,
    /// Longer side of a point, at most.
    pub max_point_side: f64,
    /// Height of a comma, at most.
    pub max_comma_height: f64,
    /// Distance of the center of a comma from the top of the line, at least.
    pub min_comma_center: f64,
    /// Height of a comma between two digits that begins in their lower half and ends below them, at most.
    pub max_hanging_comma_height: f64,
    /// Aspect ratio of such a comma, at most.
    pub max_hanging_comma_aspect: f32,
    /// Aspect ratio of a minus, at least.
    pub min_minus_aspect: f32,
    /// Height of a minus, at most.
    pub max_minus_height: f64,
    /// Length of a minus, at least.
    pub min_minus_length: f64,
    /// Distance of the center of a minus from the top of the line, at least.
    pub min_minus_center: f64,
    /// Distance of the center of a minus from the top of the line, at most.
    pub max_minus_center: f64,
    /// Distance of the center of a mark from the top of the line, at most: commas hang below it.
    pub max_center: f64,
    /// Height of a slash or a bracket, at least: they are higher than digits.
    pub min_tall_height: f64,
    /// Distance of the middle of a slash from the chord between its ends, as a fraction of its height, at most.
    pub max_slash_bulge: f64,
    /// Horizontal distance between the ends of a slash, as a fraction of its height, at least.
    pub min_slash_slant: f64,
    /// Distance of the middle of a bracket from the chord between its ends, as a fraction of its height, at least.
    pub min_bracket_bulge: f64,
    /// Number of digits of a line beside its slashes and brackets, at least: a single high stroke may be a 1.
    pub min_digits: usize,
}

impl Default for MarkParams {
    fn default() -> Self {
        Self {
            min_digit_height: 0.5,
            max_overlap: 0.25,
            min_solidity: 0.5,
            min_point_side: 0.06,
            max_point_side: 0.3,
            max_comma_height: 0.4,
            min_comma_center: 0.8,
            max_hanging_comma_height: 0.85,
            max_hanging_comma_aspect: 0.6,
            min_minus_aspect: 1.8,
            max_minus_height: 0.25,
            min_minus_length: 0.15,
            min_minus_center: 0.3,
            max_minus_center: 0.75,
            max_center: 1.3,
            min_tall_height: 1.1,
            max_slash_bulge: 0.06,
            min_slash_slant: 0.25,
            min_bracket_bulge: 0.08,
            min_digits: 3,
        }
    }
}

/// Removes the marks from a line and returns them. A point or a comma is small and solid, a minus is a bar at half of the
/// height, and the slash or the dot of a zero is inside it. A slash is a straight slanted stroke higher than the digits; brackets are curved ones and come in pairs.
pub fn leave_out_marks(line: &mut Line, params: &MarkParams) -> Vec<LeftOutComponent> {
    let marks = small_marks(line, params);
    let mut left_out = take(line, &marks);
    let marks = zero_marks(line);
    left_out.extend(take(line, &marks));
    let marks = tall_marks(line, params);
    left_out.extend(take(line, &marks));
    left_out
}

/// Removes large commas from lines and returns them. They may hang so far below their line that they form a line of their own.
pub fn leave_out_hanging_commas(lines: &mut Vec<Line>, params: &MarkParams) -> Vec<LeftOutComponent> {
    let mut commas = Vec::new();
    for index in 0..lines.len() {
        let is_comma = |component: &Component| {
            let others = lines.iter().flat_map(|line| &line.components).filter(|other| *other != component);
            is_hanging_comma(component, others.map(Component::bounds), params)
        };
        let indices = lines[index].components.iter().enumerate().filter(|(_, component)| is_comma(component));
        let indices: Vec<usize> = indices.map(|(index, _)| index).collect();
        commas.extend(take(&mut lines[index], &indices));
    }
    lines.retain(|line| !line.components.is_empty());
    commas
}

/// Returns whether a narrow component begins in the lower half of the digits on either side of it, and ends below them.
fn is_hanging_comma(component: &Component, others: impl Iterator<Item = Rect>, params: &MarkParams) -> bool {
    let bounds = component.bounds();
    let is_one_stroke = component.runs().len() == bounds.height;
    if !is_one_stroke || bounds.aspect_ratio() > params.max_hanging_comma_aspect {
        return false;
    }
    let hangs = |digit: &Rect| {
        let height = digit.height as f64;
        let [top, bottom] = [bounds.y, bounds.bottom()].map(|y| y as f64 - digit.y as f64);
        bottom > height
            && (height / 2.0..height).contains(&top)
            && bounds.height as f64 <= params.max_hanging_comma_height * height
    };
    let max_overlap = params.max_overlap * bounds.width as f64;
    let (mut is_left, mut is_right) = (false, false);
    for digit in others.filter(hangs) {
        let is_beside = |gap: f64| (-max_overlap..=digit.height as f64).contains(&gap);
        is_left |= is_beside(bounds.x as f64 - digit.right() as f64);
        is_right |= is_beside(digit.x as f64 - bounds.right() as f64);
    }
    is_left && is_right
}

/// Gives components that were taken for specks the reason [`LeftOutReason::Mark`] where they are points between the digits of a
/// line.
pub fn find_points(left_out: &mut [LeftOutComponent], lines: &[Line], params: &MarkParams) {
    for LeftOutComponent { component, reason } in left_out {
        let is_point = |line: &Line| {
            let bounds = component.bounds();
            let ends = line.components.iter().map(|other| other.bounds().right()).max();
            let margin = line.height / 2;
            line.components.first().is_some_and(|first| first.bounds().x < bounds.right() + margin)
                && ends.is_some_and(|end| bounds.x < end + margin)
                && bounds.longer_side() as f64 >= params.min_point_side * line.height as f64
                && is_small_mark(component, line, params)
        };
        if *reason == LeftOutReason::Speck && lines.iter().any(is_point) {
            *reason = LeftOutReason::Mark;
        }
    }
}

/// Removes the components with these indices from a line and returns them as marks.
fn take(line: &mut Line, indices: &[usize]) -> Vec<LeftOutComponent> {
    let mut index = 0;
    let marks = line.components.extract_if(.., |_| {
        index += 1;
        indices.contains(&(index - 1))
    });
    marks.map(|component| LeftOutComponent { component, reason: LeftOutReason::Mark }).collect()
}

/// Returns the slashes and dots of zeros: components that the ink of another one surrounds on all four sides.
fn zero_marks(line: &Line) -> Vec<usize> {
    let is_surrounded = |inner: &Component| {
        let bounds = inner.bounds();
        let (x, y) = (bounds.x + bounds.width / 2, bounds.y + bounds.height / 2);
        let surrounds = |outer: &&Component| {
            let runs = outer.runs();
            let in_row = || runs.iter().filter(|run| run.y == y);
            let in_column = || runs.iter().filter(|run| (run.x..run.end).contains(&x));
            outer.bounds().contains(&bounds)
                && in_row().any(|run| run.end <= bounds.x)
                && in_row().any(|run| run.x >= bounds.right())
                && in_column().any(|run| run.y < bounds.y)
                && in_column().any(|run| run.y >= bounds.bottom())
        };
        line.components.iter().filter(|outer| *outer != inner).any(|outer| surrounds(&outer))
    };
    (0..line.components.len()).filter(|&index| is_surrounded(&line.components[index])).collect()
}

fn small_marks(line: &Line, params: &MarkParams) -> Vec<usize> {
    let is_mark = |&index: &usize| is_small_mark(&line.components[index], line, params);
    (0..line.components.len()).filter(is_mark).collect()
}

/// Returns whether a component is a point, a comma or a minus, judged by its place beside the nearest digits of the line.
fn is_small_mark(component: &Component, line: &Line, params: &MarkParams) -> bool {
    let bounds = component.bounds();
    let in_heights = |length: f64| length / line.height.max(1) as f64;
    let is_digit = |other: &&Component| {
        *other != component && in_heights(other.bounds().height as f64) >= params.min_digit_height
    };
    let digits = || line.components.iter().filter(is_digit).map(Component::bounds);
    let (width, height) = (in_heights(bounds.width as f64), in_heights(bounds.height as f64));
    let overlaps = |digit: Rect| {
        let common = bounds.right().min(digit.right()).saturating_sub(bounds.x.max(digit.x));
        common as f64 > params.max_overlap * bounds.width as f64
    };
    if height >= params.min_digit_height || digits().any(overlaps) {
        return false;
    }
    let distance = |digit: &Rect| (2 * digit.x + digit.width).abs_diff(2 * bounds.x + bounds.width);
    let Some(nearest) = digits().min_by_key(distance) else { return false };
    let center = in_heights((bounds.y as f64 + bounds.height as f64 / 2.0) - nearest.y as f64);
    let solidity = component.area() as f64 / (bounds.width * bounds.height) as f64;
    let is_one_stroke = component.runs().len() == bounds.height;
    let is_solid = solidity >= params.min_solidity;
    let is_point =
        is_solid && width.max(height) <= params.max_point_side && center >= params.min_minus_center;
    let is_near_line = center <= params.max_center;
    let is_comma = is_one_stroke
        && bounds.width <= bounds.height
        && height <= params.max_comma_height
        && center >= params.min_comma_center;
    let is_minus = is_solid
        && bounds.aspect_ratio() >= params.min_minus_aspect
        && height <= params.max_minus_height
        && width >= params.min_minus_length
        && (params.min_minus_center..=params.max_minus_center).contains(&center);
    is_near_line && (is_point || is_comma || is_minus)
}

/// The shape of a high stroke.
#[derive(PartialEq)]
enum SlashOrBracket {
    Slash,
    OpeningBracket,
    ClosingBracket,
}

fn tall_marks(line: &Line, params: &MarkParams) -> Vec<usize> {
    let shapes: Vec<_> =
        line.components.iter().map(|component| slash_or_bracket(component, line.height, params)).collect();
    let is_digit = |component: &Component| {
        component.bounds().height as f64 >= params.min_digit_height * line.height as f64
    };
    let digits =
        line.components.iter().zip(&shapes).filter(|(it, shape)| shape.is_none() && is_digit(it)).count();
    if digits < params.min_digits {
        return Vec::new();
    }
    let mut marks: Vec<usize> = of_shape(&shapes, &SlashOrBracket::Slash).collect();
    // Brackets count in pairs: a lone one may be a curved 1.
    let mut closings = of_shape(&shapes, &SlashOrBracket::ClosingBracket).peekable();
    for opening in of_shape(&shapes, &SlashOrBracket::OpeningBracket) {
        while closings.next_if(|&closing| closing < opening).is_some() {}
        if let Some(closing) = closings.next() {
            marks.extend([opening, closing]);
        }
    }
    marks
}

fn of_shape<'a>(
    shapes: &'a [Option<SlashOrBracket>],
    shape: &'a SlashOrBracket,
) -> impl Iterator<Item = usize> + 'a {
    (0..shapes.len()).filter(move |&index| shapes[index].as_ref() == Some(shape))
}

/// Returns the shape of a component that is one stroke from top to bottom, higher than digits, if it is that of a mark.
fn slash_or_bracket(
    component: &Component,
    line_height: usize,
    params: &MarkParams,
) -> Option<SlashOrBracket> {
    let (runs, height) = (component.runs(), component.bounds().height);
    let is_one_stroke = runs.len() == height;
    if !is_one_stroke || (height as f64) < params.min_tall_height * line_height as f64 {
        return None;
    }
    let center = |index: usize| (runs[index].x + runs[index].end) as f64 / 2.0;
    // The ends are rounded: a sixteenth of the height away from them a run's center is that of the stroke.
    let (top, middle, bottom) = (center(height / 16), center(height / 2), center(height - 1 - height / 16));
    let bulge = (middle - (top + bottom) / 2.0) / height as f64;
    if bulge.abs() >= params.min_bracket_bulge {
        return Some(if bulge < 0.0 {
            SlashOrBracket::OpeningBracket
        } else {
            SlashOrBracket::ClosingBracket
        });
    }
    let slant = (top - bottom) / height as f64;
    (bulge.abs() <= params.max_slash_bulge && slant >= params.min_slash_slant)
        .then_some(SlashOrBracket::Slash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ComponentParams, LineParams, components, draw_strokes, lines};

    /// Returns the number of marks in a line of four digits of 20 x 40 pixels, at (10, 20) and every 50 pixels, and `strokes`.
    fn marks(strokes: &[Vec<[f32; 2]>]) -> usize {
        let digit = |x: f32| vec![[x, 20.0], [x + 20.0, 20.0], [x + 20.0, 60.0], [x, 60.0]];
        let digits = [10.0, 60.0, 110.0, 160.0].map(digit);
        let ink = draw_strokes(220, 100, &[&digits[..], strokes].concat(), 2.0);
        let mut components = components(&ink, &ComponentParams::default());
        assert_eq!(components.len(), 4 + strokes.len(), "nothing touches");
        components.sort_by_key(|component| component.bounds().x);
        let mut line = Line { components, height: 44 };
        let marks = leave_out_marks(&mut line, &MarkParams::default());
        assert!(marks.iter().all(|mark| mark.reason == LeftOutReason::Mark));
        assert_eq!(line.components.len() + marks.len(), 4 + strokes.len());
        marks.len()
    }

    #[test]
    fn leaves_out_marks_and_keeps_digits_and_their_fragments() {
        let opening = vec![[49.0, 12.0], [42.0, 26.0], [40.0, 40.0], [42.0, 54.0], [49.0, 68.0]];
        let closing = vec![[187.0, 12.0], [194.0, 26.0], [196.0, 40.0], [194.0, 54.0], [187.0, 68.0]];
        let small_zero = vec![[42.0, 46.0], [48.0, 46.0], [48.0, 60.0], [42.0, 60.0], [42.0, 46.0]];
        let zero = vec![[36.0, 20.0], [36.0, 60.0], [54.0, 60.0], [54.0, 20.0], [36.0, 20.0]];
        for (name, strokes, expected) in [
            ("none", vec![], 0),
            ("point", vec![vec![[45.0, 59.0]]], 1),
            ("colon", vec![vec![[45.0, 59.0]], vec![[45.0, 40.0]]], 2),
            ("comma", vec![vec![[46.0, 58.0], [43.0, 68.0]]], 1),
            ("minus", vec![vec![[40.0, 40.0], [49.0, 40.0]]], 1),
            ("slash", vec![vec![[54.0, 14.0], [36.0, 66.0]]], 1),
            ("steep one", vec![vec![[46.0, 20.0], [45.0, 60.0]]], 0),
            ("lone bracket", vec![opening.clone()], 0),
            ("brackets", vec![opening, closing], 2),
            ("bar above a digit", vec![vec![[62.0, 12.0], [78.0, 12.0]]], 0),
            ("small zero", vec![small_zero], 0),
            ("slashed zero", vec![zero.clone(), vec![[46.0, 36.0], [44.0, 44.0]]], 1),
            ("stroke in an open digit", vec![zero[1..].to_vec(), vec![[46.0, 36.0], [44.0, 44.0]]], 0),
        ] {
            assert_eq!(marks(&strokes), expected, "{name}");
        }
    }

    #[test]
    fn leaves_out_large_commas_between_digits_only() {
        let digit = |x: f32| vec![[x, 20.0], [x + 20.0, 20.0], [x + 20.0, 60.0], [x, 60.0]];
        for (name, stroke, expected) in [
            ("comma", vec![[48.0, 46.0], [42.0, 74.0]], 1),
            ("one that begins beside the digits", vec![[46.0, 26.0], [44.0, 64.0]], 0),
            ("stroke after the last digit", vec![[98.0, 46.0], [92.0, 74.0]], 0),
        ] {
            let ink = draw_strokes(120, 100, &[digit(10.0), digit(60.0), stroke], 2.0);
            let components = components(&ink, &ComponentParams::default());
            let mut lines = lines(components, 44, &LineParams::default()).lines;
            let commas = leave_out_hanging_commas(&mut lines, &MarkParams::default());
            assert_eq!(commas.len(), expected, "{name}");
            let left = lines.iter().map(|line| line.components.len()).sum::<usize>();
            assert_eq!(left + expected, 3, "{name}: nothing is lost");
            assert!(lines.iter().all(|line| !line.components.is_empty()), "{name}");
        }
    }
}
