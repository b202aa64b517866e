//! Marks between digits: which components may be marks, and the image in which a network sees them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Component, LeftOutComponent, LeftOutReason, Line, Rect, Run};

/// A mark that is written between digits. Its JSON form is its [character](Self::char).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// `.`
    Point,
    /// `,`
    Comma,
    /// `-`
    Minus,
    /// `/`
    Slash,
    /// `:`
    Colon,
    /// `(`
    OpeningParenthesis,
    /// `)`
    ClosingParenthesis,
    /// `+`
    Plus,
    /// `=`
    Equals,
}

impl Mark {
    /// Every mark, in the order of the classes of the network that tells them apart.
    pub const ALL: [Self; 9] = [
        Self::Point,
        Self::Comma,
        Self::Minus,
        Self::Slash,
        Self::Colon,
        Self::OpeningParenthesis,
        Self::ClosingParenthesis,
        Self::Plus,
        Self::Equals,
    ];

    /// Returns the character that is written.
    pub fn char(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
            Self::Minus => '-',
            Self::Slash => '/',
            Self::Colon => ':',
            Self::OpeningParenthesis => '(',
            Self::ClosingParenthesis => ')',
            Self::Plus => '+',
            Self::Equals => '=',
        }
    }

    /// Returns whether the mark stands between digits only: beside the first or the last digit of a line, a slash is a 1.
    pub fn is_between_digits(self) -> bool {
        matches!(self, Self::Comma | Self::Slash | Self::Colon)
    }

    /// Returns the mark that a character stands for, or `None` for other characters.
    pub fn from_char(char: char) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.char() == char)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.char())
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(self.char())
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = char::deserialize(deserializer)?;
        let mark = Self::ALL.into_iter().find(|mark| mark.char() == found);
        mark.ok_or_else(|| D::Error::custom(format_args!("expected a mark, found {found}")))
    }
}

/// Parameters of the search for components that may be marks. Lengths are in text heights of the line. Empirically chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkParams {
    /// Height of a digit, at least. Points, commas and minuses are lower.
    pub min_digit_height: f64,
    /// Horizontal overlap of the two parts of a colon or an equals sign, as a fraction of the narrower one's width, at least.
    pub min_stacked_overlap: f64,
    /// Horizontal overlap of such a part with a digit, as a fraction of its width, at most.
    pub max_overlap: f64,
    /// Longer side of a point, at least: smaller ones are specks.
    pub min_point_side: f64,
    /// Height of a comma between two digits that begins in their lower half and ends below them, at most.
    pub max_hanging_comma_height: f64,
    /// Aspect ratio of such a comma, at most.
    pub max_hanging_comma_aspect: f32,
    /// Number of groups of components of a picture that are classified, at most. In a line that needs more than are left, no marks
    /// are found. Hundreds of digits need fewer; paper with thousands of specks could otherwise take seconds.
    pub max_groups: usize,
}

impl Default for MarkParams {
    fn default() -> Self {
        Self {
            min_digit_height: 0.5,
            min_stacked_overlap: 0.5,
            max_overlap: 0.25,
            min_point_side: 0.06,
            max_hanging_comma_height: 0.85,
            max_hanging_comma_aspect: 0.6,
            max_groups: 4096,
        }
    }
}

/// Side of a [`mark_window`] in pixels.
pub const MARK_WINDOW_SIDE: usize = 32;
/// Side of a [`mark_window`] in text heights: commas hang below digits, and the digits on either side show the slant of the
/// writing.
const MARK_WINDOW_HEIGHTS: f64 = 2.0;
/// Level of the other components in a [`mark_window`], where the ink of the mark is 255.
const OTHERS_LEVEL: f32 = 96.0;

/// Returns the groups of components of a line that may be one mark, by their indices: each component, and two low ones above each
/// other, as in a colon or an equals sign.
pub fn mark_groups(components: &[Component], text_height: usize, params: &MarkParams) -> Vec<Vec<usize>> {
    let bounds: Vec<Rect> = components.iter().map(Component::bounds).collect();
    let is_low =
        |index: &usize| (bounds[*index].height as f64) < params.min_digit_height * text_height as f64;
    let overlap = |a: usize, b: usize| {
        bounds[a].right().min(bounds[b].right()).saturating_sub(bounds[a].x.max(bounds[b].x)) as f64
    };
    let is_apart = |index: &usize| {
        let max_overlap = params.max_overlap * bounds[*index].width as f64;
        (0..bounds.len()).filter(|other| !is_low(other)).all(|digit| overlap(*index, digit) <= max_overlap)
    };
    let mut groups: Vec<Vec<usize>> = (0..components.len()).map(|index| vec![index]).collect();
    let low: Vec<usize> = (0..components.len()).filter(is_low).filter(is_apart).collect();
    for (at, &first) in low.iter().enumerate() {
        for &second in &low[at + 1..] {
            let narrower = bounds[first].width.min(bounds[second].width) as f64;
            let union = bounds[first].union(&bounds[second]);
            if overlap(first, second) >= params.min_stacked_overlap * narrower
                && union.height <= text_height.max(1)
            {
                groups.push(vec![first, second]);
            }
        }
    }
    groups
}

/// Returns the image of a group of components of a line in which a network sees whether they are a mark: a square of two text
/// heights around them, `(row, column)`, [`MARK_WINDOW_SIDE`] pixels on each side, where the group is 255 and the others 96. Its
/// vertical middle is that of the digits nearest to the group, and the text height is theirs, so that it shows the size and the
/// position of the group beside them. Returns `None` if the line has no other component of a digit's height.
pub fn mark_window(
    components: &[Component],
    group: &[usize],
    text_height: usize,
    params: &MarkParams,
) -> Option<Vec<u8>> {
    /// Number of the nearest digits that show where the line is.
    const NEAREST: usize = 4;
    let bounds = |index: usize| components[index].bounds();
    let union = group.iter().map(|&index| bounds(index)).reduce(|a, b| a.union(&b))?;
    let doubled_center = union.doubled_center_x();
    let mut digits: Vec<Rect> = (0..components.len())
        .filter(|index| !group.contains(index))
        .map(bounds)
        .filter(|bounds| bounds.height as f64 >= params.min_digit_height * text_height as f64)
        .collect();
    digits.sort_by_key(|bounds| bounds.doubled_center_x().abs_diff(doubled_center));
    digits.truncate(NEAREST);
    let mut heights: Vec<usize> = digits.iter().map(|bounds| bounds.height).collect();
    heights.sort_unstable();
    let height = *heights.get(heights.len() / 2)? as f64;
    let middles = digits.iter().map(|bounds| bounds.y as f64 + bounds.height as f64 / 2.0);
    let middle = middles.sum::<f64>() / digits.len() as f64;
    let side = MARK_WINDOW_HEIGHTS * height;
    let [left, top] = [doubled_center as f64 / 2.0, middle].map(|center| center - side / 2.0);
    let mut window = Window {
        left,
        top,
        px_per_px: MARK_WINDOW_SIDE as f64 / side,
        values: vec![0.0; MARK_WINDOW_SIDE * MARK_WINDOW_SIDE],
    };
    for (index, component) in components.iter().enumerate() {
        let level = if group.contains(&index) { 255.0 } else { OTHERS_LEVEL };
        let bounds = component.bounds();
        if (bounds.right() as f64) > left && (bounds.x as f64) < left + side {
            component.runs().iter().for_each(|run| window.add(run, level));
        }
    }
    Some(window.values.into_iter().map(|value| value.round().min(255.0) as u8).collect())
}

/// A square of a picture at another resolution.
struct Window {
    /// The left upper corner, in pixels of the picture.
    left: f64,
    top: f64,
    /// Pixels of the window for one of the picture.
    px_per_px: f64,
    values: Vec<f32>,
}

impl Window {
    /// Adds a run of a level to the pixels that it covers, each in proportion to the part that is covered.
    fn add(&mut self, run: &Run, level: f32) {
        let range = |start: usize, end: usize, offset: f64| {
            let [start, end] = [start, end]
                .map(|at| ((at as f64 - offset) * self.px_per_px).clamp(0.0, MARK_WINDOW_SIDE as f64) as f32);
            (start as usize..end.ceil() as usize)
                .map(move |at| (at, end.min(at as f32 + 1.0) - start.max(at as f32)))
        };
        for (y, row_coverage) in range(run.y, run.y + 1, self.top) {
            for (x, coverage) in range(run.x, run.end, self.left) {
                self.values[y * MARK_WINDOW_SIDE + x] += level * row_coverage * coverage;
            }
        }
    }
}

/// Removes the slashes and dots of zeros from a line and returns them: components that the ink of another one surrounds on all
/// four sides.
pub fn leave_out_zero_slashes(line: &mut Line) -> Vec<LeftOutComponent> {
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
    let surrounded: Vec<bool> = line.components.iter().map(is_surrounded).collect();
    let mut surrounded = surrounded.into_iter();
    let slashes = line.components.extract_if(.., |_| surrounded.next() == Some(true));
    slashes.map(|component| LeftOutComponent { component, reason: LeftOutReason::Mark }).collect()
}

/// Moves large commas that hang so far below their line that they form a line of their own to the line of the digits beside them.
pub fn join_hanging_commas(lines: &mut Vec<Line>, params: &MarkParams) {
    for index in 0..lines.len() {
        let line_of_comma = |component: &Component| {
            let hangs = |(other, line): &(usize, &Line)| {
                let digits = line.components.iter().filter(|digit| *digit != component);
                *other != index && is_hanging_comma(component, digits.map(Component::bounds), params)
            };
            lines.iter().enumerate().find(hangs).map(|(other, _)| other)
        };
        let targets: Vec<Option<usize>> = lines[index].components.iter().map(line_of_comma).collect();
        let mut is_moved = targets.iter().map(Option::is_some);
        let commas: Vec<_> =
            lines[index].components.extract_if(.., |_| is_moved.next() == Some(true)).collect();
        for (comma, target) in commas.into_iter().zip(targets.iter().flatten()) {
            lines[*target].insert(comma);
        }
    }
    lines.retain(|line| !line.components.is_empty());
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

/// Moves the specks that are beside the components of a line and large enough for a point from `left_out` to that line. Returns
/// them.
pub fn take_points(
    lines: &mut [Line],
    left_out: &mut Vec<LeftOutComponent>,
    params: &MarkParams,
) -> Vec<Component> {
    let area = |line: &Line| line.components.iter().map(Component::bounds).reduce(|a, b| a.union(&b));
    let areas: Vec<_> = lines.iter().map(|line| (area(line), line.height)).collect();
    let may_be_point = |speck: Rect, area: Rect, height: usize| {
        let margin = height / 2;
        (area.x..area.right() + 2 * margin).contains(&(speck.right() + margin))
            && (area.y..area.bottom() + margin).contains(&speck.y)
            && speck.longer_side() as f64 >= params.min_point_side * height as f64
    };
    let mut specks = Vec::new();
    left_out.retain(|LeftOutComponent { component, reason }| {
        let is_beside = |&(area, height): &(Option<Rect>, usize)| {
            area.is_some_and(|area| may_be_point(component.bounds(), area, height))
        };
        let line = areas.iter().position(is_beside).filter(|_| *reason == LeftOutReason::Speck);
        specks.extend(line.map(|line| (component.clone(), line)));
        line.is_none()
    });
    for (speck, line) in &specks {
        lines[*line].insert(speck.clone());
    }
    specks.into_iter().map(|(speck, _)| speck).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ComponentParams, LineParams, components, draw_strokes, lines};

    /// Returns the components of digits of 20 x 40 pixels at `digits`, and of other strokes, from left to right.
    fn line_of(digits: &[f32], strokes: &[Vec<[f32; 2]>]) -> Line {
        let digit = |x: &f32| vec![[*x, 20.0], [x + 20.0, 20.0], [x + 20.0, 60.0], [*x, 60.0]];
        let strokes: Vec<_> = digits.iter().map(digit).chain(strokes.iter().cloned()).collect();
        let mut components = components(&draw_strokes(240, 100, &strokes, 2.0), &ComponentParams::default());
        assert_eq!(components.len(), strokes.len(), "nothing touches");
        components.sort_by_key(|component| component.bounds().x);
        Line { components, height: 44 }
    }

    #[test]
    fn characters_find_their_marks() {
        for mark in Mark::ALL {
            assert_eq!(Mark::from_char(mark.char()), Some(mark));
            assert_eq!(serde_json::to_value(mark).unwrap(), mark.to_string());
        }
        assert_eq!(Mark::from_char('5'), None);
    }

    #[test]
    fn groups_join_low_components_above_each_other() {
        let colon = [vec![[45.0, 59.0]], vec![[45.0, 40.0]]];
        let line = line_of(&[10.0, 60.0], &colon);
        let groups = mark_groups(&line.components, 44, &MarkParams::default());
        assert_eq!(groups, [vec![0], vec![1], vec![2], vec![3], vec![1, 2]]);
        // The second bar is above a digit.
        let bars = [vec![[40.0, 12.0], [52.0, 12.0]], vec![[62.0, 12.0], [78.0, 12.0]]];
        let line = line_of(&[10.0, 60.0], &bars);
        assert_eq!(mark_groups(&line.components, 44, &MarkParams::default()).len(), 4);
    }

    #[test]
    fn window_shows_the_group_at_its_place_beside_the_digits() {
        let line = line_of(&[10.0, 60.0], &[vec![[45.0, 58.0]]]);
        let params = MarkParams::default();
        let window = mark_window(&line.components, &[1], 44, &params).unwrap();
        // Digits are from y = 18 to y = 63, so that 2.84 pixels of the picture are one of the window, and y = 58 is 6.2 pixels
        // below its middle.
        let brightest: Vec<usize> = (0..window.len()).filter(|&at| window[at] > 110).collect();
        assert!(!brightest.is_empty());
        for at in brightest {
            let [x, y] = [at % MARK_WINDOW_SIDE, at / MARK_WINDOW_SIDE];
            assert!((15..=17).contains(&x) && (20..=23).contains(&y), "({x}, {y})");
        }
        let others = window.iter().filter(|&&value| (90..=96).contains(&value)).count();
        assert!(others > 10, "{others}");
        assert_eq!(mark_window(&line.components[..1], &[0], 44, &params), None);
    }

    #[test]
    fn slashes_of_zeros_are_left_out() {
        let zero = vec![[100.0, 20.0], [100.0, 60.0], [118.0, 60.0], [118.0, 20.0], [100.0, 20.0]];
        let slash = vec![[110.0, 36.0], [108.0, 44.0]];
        for (name, strokes, expected) in [
            ("slashed zero", [zero.clone(), slash.clone()], 1),
            ("stroke in an open digit", [zero[1..].to_vec(), slash], 0),
        ] {
            let mut line = line_of(&[10.0, 60.0], &strokes);
            let slashes = leave_out_zero_slashes(&mut line);
            assert_eq!((slashes.len(), line.components.len()), (expected, 4 - expected), "{name}");
        }
    }

    #[test]
    fn hanging_commas_join_the_line_of_digits() {
        let digit = |x: f32| vec![[x, 20.0], [x + 20.0, 20.0], [x + 20.0, 60.0], [x, 60.0]];
        for (name, stroke, expected) in [
            ("comma", vec![[48.0, 46.0], [42.0, 74.0]], 1),
            ("stroke far below", vec![[48.0, 66.0], [42.0, 94.0]], 2),
        ] {
            let ink = draw_strokes(120, 100, &[digit(10.0), digit(60.0), stroke], 2.0);
            let components = components(&ink, &ComponentParams::default());
            let mut lines = lines(components, 44, &LineParams::default()).lines;
            join_hanging_commas(&mut lines, &MarkParams::default());
            assert_eq!(lines.len(), expected, "{name}");
            assert_eq!(lines.iter().map(|line| line.components.len()).sum::<usize>(), 3, "{name}");
            let is_sorted = |line: &Line| line.components.is_sorted_by_key(|component| component.bounds().x);
            assert!(lines.iter().all(is_sorted), "{name}");
        }
    }

    #[test]
    fn points_are_specks_beside_a_line() {
        let line = line_of(&[10.0, 60.0], &[]);
        let point = |x: f32, y: f32| {
            components(&draw_strokes(240, 200, &[vec![[x, y]]], 2.0), &ComponentParams::default()).remove(0)
        };
        for (x, y, expected) in
            [(45.0, 58.0, true), (90.0, 60.0, true), (150.0, 58.0, false), (45.0, 150.0, false)]
        {
            let mut lines = [line.clone()];
            let speck = LeftOutComponent { component: point(x, y), reason: LeftOutReason::Speck };
            let (mut left_out, params) = (vec![speck], MarkParams::default());
            let is_point = !take_points(&mut lines, &mut left_out, &params).is_empty();
            assert_eq!(is_point, expected, "({x}, {y})");
            assert_eq!((lines[0].components.len(), left_out.len()), if is_point { (3, 0) } else { (2, 1) });
        }
    }
}
