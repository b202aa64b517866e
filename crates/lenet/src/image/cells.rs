//! Cells of tables, boxes and combs.

use super::{Component, ComponentParams, Rect, close, components, components::mask};

/// Parameters of [`cells`]. Sizes are in text heights where nothing else is said. Empirically chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellParams {
    /// Radius in pixels of the square by which rules are closed, so that cells with gaps in their outline are found.
    pub closing_radius_px: usize,
    /// Width and height of a cell, at least.
    pub min_side: f64,
    /// Height of a cell, at most.
    pub max_height: f64,
    /// Area of a cell as a fraction of its bounding box, at least.
    pub min_solidity: f64,
    /// Vertical overlap of cells of a row, and horizontal overlap of those of a column, as a fraction of the smaller one's side, at
    /// least.
    pub min_overlap: f64,
    /// Number of cells, at most: more are a texture, or squared paper.
    pub max_cells: usize,
}

impl Default for CellParams {
    fn default() -> Self {
        Self {
            closing_radius_px: 2,
            min_side: 0.8,
            max_height: 6.0,
            min_solidity: 0.7,
            min_overlap: 0.5,
            max_cells: 1024,
        }
    }
}

/// A cell of a table, a box of a form or a comb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The bounding box of what its rules enclose.
    pub bounds: Rect,
    /// The row, from 0 at the top.
    pub row: usize,
    /// The column, from 0 at the left. Cells that are one below the other have the same.
    pub column: usize,
}

/// Returns the cells that rules enclose in a picture of a size, by row and column. A cell is a connected part of the picture
/// without rules that doesn't reach its border.
pub fn cells(rules: &[&Component], size: [usize; 2], text_height: usize, params: &CellParams) -> Vec<Cell> {
    let min_side = params.min_side * text_height.max(1) as f64;
    let extent = rules.iter().map(|rule| rule.bounds()).reduce(|a, b| a.union(&b));
    if !extent.is_some_and(|extent| extent.width.min(extent.height) as f64 >= min_side) {
        return Vec::new();
    }
    let mask = mask(rules.iter().copied(), size, [0, u8::MAX]);
    let mut paper = close(&mask, params.closing_radius_px);
    paper.values.iter_mut().for_each(|value| *value = u8::MAX - *value);
    let is_cell = |part: &Component| {
        let bounds = part.bounds();
        let [width, height] = [bounds.width, bounds.height].map(|side| side as f64);
        !bounds.touches_border_of(&paper)
            && width.min(height) >= min_side
            && height <= params.max_height * text_height as f64
            && part.area() as f64 >= params.min_solidity * width * height
    };
    let parts = components(&paper, &ComponentParams::default());
    let boxes: Vec<Rect> = parts.iter().filter(|part| is_cell(part)).map(Component::bounds).collect();
    if boxes.len() > params.max_cells {
        return Vec::new();
    }
    let rows = ranks(&boxes, |bounds| [bounds.y, bounds.bottom()], params.min_overlap);
    let columns = ranks(&boxes, |bounds| [bounds.x, bounds.right()], params.min_overlap);
    let mut cells: Vec<Cell> = boxes
        .into_iter()
        .zip(rows.into_iter().zip(columns))
        .map(|(bounds, (row, column))| Cell { bounds, row, column })
        .collect();
    cells.sort_by_key(|cell| (cell.row, cell.column, cell.bounds.x));
    cells
}

/// Returns for each rectangle which row or column it is in. `range` gives its extent along the axis. A rectangle continues the row
/// of the one before it along the axis if they overlap enough.
fn ranks(boxes: &[Rect], range: impl Fn(&Rect) -> [usize; 2], min_overlap: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by_key(|&index| range(&boxes[index]).iter().sum::<usize>());
    let mut ranks = vec![0; boxes.len()];
    let mut rank = 0;
    for pair in order.windows(2) {
        let [[start, end], [next_start, next_end]] = [range(&boxes[pair[0]]), range(&boxes[pair[1]])];
        let common = end.min(next_end).saturating_sub(start.max(next_start)) as f64;
        let smaller = (end - start).min(next_end - next_start) as f64;
        rank += usize::from(common < min_overlap * smaller);
        ranks[pair[1]] = rank;
    }
    ranks
}

/// Returns the index of the cell that holds the middle of a rectangle, or `None` if none does.
pub fn cell_of(bounds: &Rect, cells: &[Cell]) -> Option<usize> {
    let [x, y] = [bounds.x + bounds.width / 2, bounds.y + bounds.height / 2];
    cells.iter().position(|cell| {
        (cell.bounds.x..cell.bounds.right()).contains(&x)
            && (cell.bounds.y..cell.bounds.bottom()).contains(&y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draw_strokes;

    /// Returns the cells that lines from `[x, y]` to `[x, y]` enclose.
    fn cells_of(lines: &[[[f32; 2]; 2]]) -> Vec<Cell> {
        let strokes: Vec<_> = lines.iter().map(|line| line.to_vec()).collect();
        let rules = components(&draw_strokes(300, 200, &strokes, 1.0), &ComponentParams::default());
        cells(&rules.iter().collect::<Vec<_>>(), [300, 200], 20, &CellParams::default())
    }

    fn grid(xs: &[f32], ys: &[f32], slope: f32) -> Vec<[[f32; 2]; 2]> {
        let (left, right, top, bottom) = (xs[0], xs[xs.len() - 1], ys[0], ys[ys.len() - 1]);
        let at = |x: f32, y: f32| [x - slope * y, y + slope * x];
        let rows = ys.iter().map(|&y| [at(left, y), at(right, y)]);
        rows.chain(xs.iter().map(|&x| [at(x, top), at(x, bottom)])).collect()
    }

    #[test]
    fn cells_of_a_sloping_grid_are_known_by_row_and_column() {
        for slope in [0.0, 0.05] {
            let cells = cells_of(&grid(&[30.0, 90.0, 150.0, 240.0], &[20.0, 60.0, 110.0], slope));
            let places: Vec<_> = cells.iter().map(|cell| (cell.row, cell.column)).collect();
            assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)], "{slope}");
            assert!(cells.iter().all(|cell| (50..=95).contains(&cell.bounds.width)), "{slope}");
        }
    }

    #[test]
    fn open_and_small_shapes_are_no_cells() {
        let open = &grid(&[30.0, 90.0], &[20.0, 60.0], 0.0)[..3];
        assert!(cells_of(open).is_empty());
        assert!(cells_of(&grid(&[30.0, 40.0], &[20.0, 30.0], 0.0)).is_empty());
        assert!(cells_of(&[]).is_empty());
    }

    #[test]
    fn a_gap_in_a_rule_is_closed() {
        let mut lines = grid(&[30.0, 90.0], &[20.0, 60.0], 0.0);
        lines[0][1] = [56.0, 20.0];
        lines.push([[61.0, 20.0], [90.0, 20.0]]);
        assert_eq!(cells_of(&lines).len(), 1);
    }

    #[test]
    fn cell_of_a_digit_holds_its_middle() {
        let cells = cells_of(&grid(&[30.0, 90.0, 150.0], &[20.0, 60.0], 0.0));
        for (x, expected) in [(40, Some(0)), (80, Some(0)), (100, Some(1)), (200, None)] {
            assert_eq!(cell_of(&Rect { x, y: 30, width: 12, height: 20 }, &cells), expected, "{x}");
        }
    }
}
