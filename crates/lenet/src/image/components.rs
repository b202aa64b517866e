//! Connected components of ink.

use super::{GrayImage, Rect};

/// Parameters of [`components`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentParams {
    /// The lowest level that counts as ink. It is below [`STROKE_EDGE_LEVEL`](super::STROKE_EDGE_LEVEL), because thin
    /// strokes are faint and would break. Empirically chosen.
    pub min_ink_level: u8,
}

impl Default for ComponentParams {
    fn default() -> Self {
        Self { min_ink_level: 80 }
    }
}

/// A horizontal run of ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The row.
    pub y: usize,
    /// The first column.
    pub x: usize,
    /// The column after the last.
    pub end: usize,
}

impl Run {
    /// Returns the number of pixels.
    #[allow(clippy::len_without_is_empty, reason = "a run has at least one pixel")]
    pub fn len(&self) -> usize {
        self.end - self.x
    }

    fn bounds(&self) -> Rect {
        Rect { x: self.x, y: self.y, width: self.len(), height: 1 }
    }
}

/// A connected component of ink, or a slice of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    bounds: Rect,
    runs: Vec<Run>,
}

impl Component {
    /// Makes a component of `runs`, which are in the order of their rows. Returns `None` if there are none.
    pub(crate) fn new(runs: Vec<Run>) -> Option<Self> {
        let bounds = runs.iter().map(Run::bounds).reduce(|a, b| a.union(&b))?;
        Some(Self { bounds, runs })
    }

    /// Returns the bounding box.
    pub fn bounds(&self) -> Rect {
        self.bounds
    }

    /// Returns the runs from top to bottom.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns the number of pixels of ink.
    pub fn area(&self) -> usize {
        self.runs.iter().map(Run::len).sum()
    }
}

/// Returns an image of a width and height that is `outside` everywhere but in components, where it is `inside`.
pub(super) fn mask<'a>(
    components: impl IntoIterator<Item = &'a Component>,
    [width, height]: [usize; 2],
    [outside, inside]: [u8; 2],
) -> GrayImage {
    let mut mask = GrayImage { width, height, values: vec![outside; width * height], scale: 1 };
    for run in components.into_iter().flat_map(Component::runs) {
        mask.values[run.y * width..][run.x..run.end].fill(inside);
    }
    mask
}

/// Returns the number of pixels of ink of all `components`.
pub fn total_area(components: &[Component]) -> usize {
    components.iter().map(Component::area).sum()
}

/// Returns the 8-connected components of an ink map, in the order of their first runs.
///
/// Runs of neighboring rows that touch are merged by union-find, in which the root of a set is its first run.
pub fn components(ink: &GrayImage, params: &ComponentParams) -> Vec<Component> {
    let runs = find_runs(ink, params.min_ink_level);
    let mut parent: Vec<usize> = (0..runs.len()).collect();
    fn find_root(parent: &mut [usize], mut run: usize) -> usize {
        while parent[run] != run {
            parent[run] = parent[parent[run]];
            run = parent[run];
        }
        run
    }
    // The first run of the row above that may touch the current run.
    let mut above = 0;
    for (index, run) in runs.iter().enumerate() {
        while runs[above].y + 1 < run.y || (runs[above].y + 1 == run.y && runs[above].end < run.x) {
            above += 1;
        }
        let touching = runs[above..].iter().take_while(|above| above.y < run.y && above.x <= run.end).count();
        for touched in above..above + touching {
            let (a, b) = (find_root(&mut parent, touched), find_root(&mut parent, index));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut runs_of_components: Vec<Vec<Run>> = Vec::new();
    let mut component_of_root = vec![0; runs.len()];
    for (index, &run) in runs.iter().enumerate() {
        let root = find_root(&mut parent, index);
        if root == index {
            component_of_root[index] = runs_of_components.len();
            runs_of_components.push(Vec::new());
        }
        runs_of_components[component_of_root[root]].push(run);
    }
    runs_of_components.into_iter().filter_map(Component::new).collect()
}

fn find_runs(ink: &GrayImage, min_level: u8) -> Vec<Run> {
    let mut runs = Vec::new();
    for y in 0..ink.height {
        let row = ink.row(y);
        let mut x = 0;
        while let Some(start) =
            row[x..].iter().position(|&value| value >= min_level).map(|skipped| x + skipped)
        {
            let end =
                row[start..].iter().position(|&value| value < min_level).map_or(row.len(), |len| start + len);
            runs.push(Run { y, x: start, end });
            x = end;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an ink map with ink where `drawing` has a `#`.
    fn drawn(drawing: &[&str]) -> GrayImage {
        GrayImage::from_fn(drawing[0].len(), drawing.len(), |x, y| {
            if drawing[y].as_bytes()[x] == b'#' { 255 } else { 0 }
        })
    }

    #[test]
    fn pixels_are_connected_along_diagonals() {
        let ink = drawn(&[
            "#.#...#.", //
            "#.#....#", "###.#.#.", "........", "...##...",
        ]);
        let components = components(&ink, &ComponentParams::default());
        let bounds: Vec<[usize; 4]> = components.iter().map(|component| component.bounds.into()).collect();
        assert_eq!(bounds, [[0, 0, 3, 3], [6, 0, 2, 3], [4, 2, 1, 1], [3, 4, 2, 1]]);
        assert_eq!(components.iter().map(Component::area).collect::<Vec<_>>(), [7, 3, 1, 2]);
    }
}
