//! Connected pieces of ink.

use super::{GrayImage, Rect, Stages, binarize::mean};

/// The least value of ink: below [`EDGE`](super::EDGE), because thin strokes are faint where they are cut off from others.
const INK: u8 = 80;

/// Pixels of ink side by side in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub y: usize,
    /// The first column, and the one after the last.
    pub x: usize,
    pub end: usize,
}

impl Run {
    fn bounds(&self) -> Rect {
        Rect { x: self.x, y: self.y, width: self.end - self.x, height: 1 }
    }
}

/// A piece of ink: runs from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    pub bounds: Rect,
    pub runs: Vec<Run>,
}

impl Component {
    /// The part of these runs, unless there are none.
    pub fn new(runs: Vec<Run>) -> Option<Self> {
        let bounds = runs.iter().map(Run::bounds).reduce(|a, b| a.union(&b))?;
        Some(Self { bounds, runs })
    }

    /// Pixels of ink.
    pub fn area(&self) -> usize {
        self.runs.iter().map(|run| run.end - run.x).sum()
    }
}

/// The pieces of ink that are connected, along a diagonal too, in the order of their first runs.
fn connected(ink: &GrayImage) -> Vec<Component> {
    let runs = runs(ink);
    // Each run points to one before it in the same piece, or to itself.
    let mut first: Vec<usize> = (0..runs.len()).collect();
    fn root(first: &mut [usize], mut run: usize) -> usize {
        while first[run] != run {
            first[run] = first[first[run]];
            run = first[run];
        }
        run
    }
    let mut above = 0;
    for (index, run) in runs.iter().enumerate() {
        while runs[above].y + 1 < run.y || (runs[above].y + 1 == run.y && runs[above].end < run.x) {
            above += 1;
        }
        let touching = runs[above..].iter().take_while(|above| above.y < run.y && above.x <= run.end).count();
        for touched in above..above + touching {
            let (a, b) = (root(&mut first, touched), root(&mut first, index));
            first[a.max(b)] = a.min(b);
        }
    }
    let mut pieces: Vec<Vec<Run>> = Vec::new();
    let mut place = vec![0; runs.len()];
    for (index, &run) in runs.iter().enumerate() {
        let root = root(&mut first, index);
        if root == index {
            place[index] = pieces.len();
            pieces.push(Vec::new());
        }
        pieces[place[root]].push(run);
    }
    pieces.into_iter().filter_map(Component::new).collect()
}

fn runs(ink: &GrayImage) -> Vec<Run> {
    let mut runs = Vec::new();
    for y in 0..ink.height {
        let row = ink.row(y);
        let mut x = 0;
        while let Some(start) = row[x..].iter().position(|&value| value >= INK).map(|skipped| x + skipped) {
            let end = row[start..].iter().position(|&value| value < INK).map_or(row.len(), |len| start + len);
            runs.push(Run { y, x: start, end });
            x = end;
        }
    }
    runs
}

/// What in the ink can be writing: no shadows, lines, specks, frames, or what the edge of the picture cuts off.
pub struct TextComponents {
    pub parts: Vec<Component>,
    /// How high the writing is.
    pub height: usize,
    /// Whether nearly all of the ink is no writing.
    pub doubtful: bool,
}

/// Finds the writing.
pub fn find_text(ink: &GrayImage, steps: Stages) -> TextComponents {
    let mut parts = connected(ink);
    let all = area(&parts);
    if steps.shadows {
        parts.retain(|part| !is_soft(part, ink));
    }
    let mut height = median_height(&parts);
    if steps.rules {
        // Long lines first; without them the writing may turn out to be lower.
        let mut before = parts.len() + 1;
        while parts.len() < before {
            before = parts.len();
            parts.retain(|part| !is_rule(&part.bounds, height));
            height = median_height(&parts);
        }
    }
    if steps.specks {
        parts.retain(|part| part.bounds.side() > height / 5);
    }
    if parts.len() > MAX_PARTS {
        parts.clear();
    }
    if steps.frames {
        let frames: Vec<_> = parts.iter().map(|part| is_frame(part, &parts)).collect();
        let mut frames = frames.into_iter();
        parts.retain(|_| frames.next() == Some(false));
        height = median_height(&parts);
    }
    if steps.edges {
        let at_edge = |part: &Component| {
            let Rect { x, y, .. } = part.bounds;
            x == 0 || y == 0 || part.bounds.right() == ink.width || part.bounds.bottom() == ink.height
        };
        // Where the writing itself reaches the edge, its loose pieces may as well.
        if parts.iter().max_by_key(|part| part.area()).is_some_and(|largest| !at_edge(largest)) {
            parts.retain(|part| !at_edge(part) || 5 * part.bounds.height >= 3 * height);
        }
    }
    if height < LEAST_HEIGHT {
        parts.clear();
    }
    let doubtful = 10 * area(&parts) < all;
    TextComponents { parts, height, doubtful }
}

/// Height of writing below which nobody could read it, in pixels.
const LEAST_HEIGHT: usize = 7;

/// Components above which a picture is taken for noise: no page has so much writing.
const MAX_PARTS: usize = 4096;

/// Pixels of ink.
pub fn area(parts: &[Component]) -> usize {
    parts.iter().map(Component::area).sum()
}

/// Pixels to each side of an edge that tell whether it is soft: fewer are what the noise in a shadow makes them.
const BESIDE: usize = 4;

/// Whether the edges to the left and right are those of a shadow, not of a stroke: on the mean an eighth of the way from
/// paper to ink, or less, from the pixels beside it to those beyond. The edge of the picture is none.
fn is_soft(part: &Component, ink: &GrayImage) -> bool {
    let rise = |row: &[u8], at: usize| match row.split_at(at) {
        ([], _) | (_, []) => 0,
        (left, right) => {
            let (left, right) = (&left[at.saturating_sub(BESIDE)..], &right[..BESIDE.min(right.len())]);
            i32::from(mean(right)) - i32::from(mean(left))
        }
    };
    let rises = part.runs.iter().map(|run| rise(ink.row(run.y), run.x) - rise(ink.row(run.y), run.end));
    rises.sum::<i32>() < 2 * 33 * part.runs.len() as i32
}

/// Whether this is a line that was drawn or printed: longer than any stroke in writing of this height.
fn is_rule(bounds: &Rect, height: usize) -> bool {
    let Rect { width: across, height: down, .. } = *bounds;
    let (long, thin) = (across.max(down), across.min(down));
    2 * down > 5 * height || (long > 15 * thin && 2 * long > 3 * height)
}

/// The height that half of the parts are not above, each counted as often as its bounds have pixels.
fn median_height(parts: &[Component]) -> usize {
    let mut heights: Vec<_> = parts.iter().map(|part| (part.bounds.height, part.bounds.width)).collect();
    heights.sort_unstable();
    let area = |&(height, width): &(usize, usize)| height * width;
    let (half, mut below) = (heights.iter().map(area).sum::<usize>() / 2, 0);
    let middle = heights.iter().find(|part| {
        below += area(part);
        below > half
    });
    middle.map_or(0, |(height, _)| *height)
}

/// Whether a part goes round most of the others, and these are more than a loose end in a loop.
fn is_frame(part: &Component, parts: &[Component]) -> bool {
    let others = || parts.iter().filter(|other| *other != part);
    let inside = others().filter(|other| part.bounds.contains(&other.bounds));
    let ink: usize = inside.clone().map(Component::area).sum();
    2 * ink > part.area() && 2 * inside.count() >= others().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Binarized where `drawing` has a `#`.
    fn drawn(drawing: &[&str]) -> GrayImage {
        let values =
            drawing.iter().flat_map(|row| row.bytes()).map(|c| if c == b'#' { 255 } else { 0 }).collect();
        GrayImage { width: drawing[0].len(), height: drawing.len(), values, scale: 1 }
    }

    #[test]
    fn pixels_that_touch_even_by_a_corner_are_one_part() {
        let parts = connected(&drawn(&[
            "#.#...#.", //
            "#.#....#", "###.#.#.", "........", "...##...",
        ]));
        let found: Vec<[usize; 4]> = parts.iter().map(|part| part.bounds.into()).collect();
        assert_eq!(found, [[0, 0, 3, 3], [6, 0, 2, 3], [4, 2, 1, 1], [3, 4, 2, 1]]);
        assert_eq!(parts.iter().map(Component::area).collect::<Vec<_>>(), [7, 3, 1, 2]);
    }

    /// A page of 60 x 60 with rectangles of ink: left, top, width, height.
    fn page(rectangles: &[[usize; 4]]) -> GrayImage {
        let mut ink = GrayImage { width: 60, height: 60, values: vec![0; 3600], scale: 1 };
        for [x, y, width, height] in rectangles {
            (*y..y + height).for_each(|y| ink.values[y * 60 + x..][..*width].fill(255));
        }
        ink
    }

    #[test]
    fn what_is_no_writing_is_left_out() {
        let digits = [[10, 20, 8, 20], [30, 20, 3, 20], [40, 20, 10, 19]];
        let frame = [[2, 2, 56, 1], [2, 57, 56, 1], [2, 2, 1, 56], [57, 2, 1, 56]];
        for (name, others) in [
            ("nothing else", &[][..]),
            ("specks", &[[5, 5, 2, 2], [25, 50, 3, 1]]),
            ("a rule", &[[2, 50, 56, 2]]),
            ("a frame", &frame),
            ("what the edge cuts off", &[[58, 25, 2, 9]]),
        ] {
            let writing = find_text(&page(&[&digits[..], others].concat()), Stages::default());
            let mut found: Vec<[usize; 4]> = writing.parts.iter().map(|part| part.bounds.into()).collect();
            found.sort_unstable();
            assert_eq!((found, writing.height), (digits.to_vec(), 20), "{name}");
            assert!(!writing.doubtful, "{name}");
        }
    }

    #[test]
    fn soft_edges_are_those_of_shadows() {
        let mut random = fastrand::Rng::with_seed(5);
        for noise in [0, 40] {
            let mut ink = page(&[[30, 20, 3, 20]]);
            for y in 5..55 {
                for x in 0..28 {
                    let shade = 7 * x.min(27 - x) as i32 + random.i32(-noise..=noise);
                    ink.values[y * 60 + x] = shade.max(0) as u8;
                }
            }
            let parts = find_text(&ink, Stages::default()).parts;
            assert_eq!(parts.iter().map(|part| part.bounds.x).collect::<Vec<_>>(), [30], "{noise}");
        }
    }
}
