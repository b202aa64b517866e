//! The frame of a form: its corners, and the straight view of a part of it.

use std::ops::Range;

use super::{Component, GrayImage, Rect};

/// Parameters of [`find_frame`]. Empirically chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameParams {
    /// Width and height of a frame as fractions of the picture's, at least.
    pub min_side: f64,
    /// Distance of a frame's rule from the straight line between two corners, as a fraction of the longer side of the frame's
    /// bounding box, at most: paper is curved.
    pub max_bend: f64,
    /// Fraction of each side where there is a rule, at least.
    pub min_drawn: f64,
}

impl Default for FrameParams {
    fn default() -> Self {
        Self { min_side: 0.25, max_bend: 0.015, min_drawn: 0.85 }
    }
}

/// The corners of a quadrilateral, `[x, y]` each: upper left, upper right, lower right, lower left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quad(pub [[f64; 2]; 4]);

/// Returns the largest frame among the components of an ink map of a size: a component with a straight stroke from each of its
/// corners to the next. The corners are those of the outline. Components that touch the border of the map are none.
pub fn find_frame(components: &[Component], size: [usize; 2], params: &FrameParams) -> Option<Quad> {
    let [width, height] = size;
    let is_large = |bounds: &Rect| {
        bounds.width as f64 >= params.min_side * width as f64
            && bounds.height as f64 >= params.min_side * height as f64
            && bounds.x > 0
            && bounds.y > 0
            && bounds.right() < width
            && bounds.bottom() < height
    };
    let mut large: Vec<_> = components.iter().filter(|component| is_large(&component.bounds())).collect();
    large.sort_by_key(|component| {
        let bounds = component.bounds();
        std::cmp::Reverse(bounds.width * bounds.height)
    });
    let frame = |component: &Component| {
        let quad = corners(component);
        let distance = params.max_bend * component.bounds().longer_side() as f64;
        (min_drawn(component, &quad, distance.max(2.0)) >= params.min_drawn).then_some(quad)
    };
    large.into_iter().find_map(frame)
}

/// Returns the corners of a component that is turned by less than 45 degrees: the outermost pixels along both diagonals.
fn corners(component: &Component) -> Quad {
    let ends = || {
        component.runs().iter().flat_map(|run| {
            let y = run.y as f64;
            [[run.x as f64, y], [(run.end - 1) as f64, y]]
        })
    };
    let outermost = |dx: f64, dy: f64| {
        let along = |[x, y]: [f64; 2]| dx * x + dy * y;
        // A component has at least one run.
        ends().max_by(|a, b| along(*a).total_cmp(&along(*b))).unwrap_or_default()
    };
    Quad([outermost(-1.0, -1.0), outermost(1.0, -1.0), outermost(1.0, 1.0), outermost(-1.0, 1.0)])
}

/// Returns the fraction of a quadrilateral's side that has a pixel of a component within a distance, of the side with the
/// smallest.
fn min_drawn(component: &Component, Quad(corners): &Quad, distance: f64) -> f64 {
    const POINTS: usize = 64;
    let top = component.bounds().y;
    // The runs of each row, because a frame may have thousands.
    let mut rows: Vec<Range<usize>> = vec![0..0; component.bounds().height];
    for (index, run) in component.runs().iter().enumerate() {
        let row = &mut rows[run.y - top];
        *row = if row.start == row.end { index..index + 1 } else { row.start..index + 1 };
    }
    let is_near = |[x, y]: [f64; 2]| {
        let first = ((y - distance).max(top as f64) as usize) - top;
        let last = ((y + distance) as usize).saturating_sub(top).min(rows.len() - 1);
        rows[first.min(last)..=last].iter().any(|row| {
            let runs = &component.runs()[row.clone()];
            runs.iter().any(|run| run.x as f64 <= x + distance && run.end as f64 >= x - distance)
        })
    };
    let drawn = |side: usize| {
        let (from, to) = (corners[side], corners[(side + 1) % 4]);
        let point = |at: usize| {
            let t = at as f64 / (POINTS - 1) as f64;
            [0, 1].map(|axis| from[axis] + t * (to[axis] - from[axis]))
        };
        (0..POINTS).map(point).filter(|point| is_near(*point)).count() as f64 / POINTS as f64
    };
    (0..4).map(drawn).fold(1.0, f64::min)
}

impl Quad {
    /// Returns the quadrilateral of all pixels of an image.
    pub fn of_image(image: &GrayImage) -> Self {
        let [right, bottom] = image.size().map(|side| side as f64 - 1.0);
        Self([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])
    }

    /// Returns the quadrilateral in an image that is `factor` times as large.
    #[must_use]
    pub fn scale(&self, factor: f64) -> Self {
        Self(self.0.map(|corner| corner.map(|coordinate| (coordinate + 0.5) * factor - 0.5)))
    }

    /// Returns the position of a point, whose coordinates are fractions of the quadrilateral's width and height, by the projective
    /// mapping of the unit square (P. S. Heckbert, "Fundamentals of texture mapping and image warping", 1989, section 2.2.3).
    pub fn at(&self, [u, v]: [f64; 2]) -> [f64; 2] {
        let Self([a, b, c, d]) = self;
        let [dx1, dy1] = [0, 1].map(|axis| b[axis] - c[axis]);
        let [dx2, dy2] = [0, 1].map(|axis| d[axis] - c[axis]);
        let [sum_x, sum_y] = [0, 1].map(|axis| a[axis] - b[axis] + c[axis] - d[axis]);
        let determinant = dx1 * dy2 - dx2 * dy1;
        let g = (sum_x * dy2 - dx2 * sum_y) / determinant;
        let h = (dx1 * sum_y - sum_x * dy1) / determinant;
        let denominator = g * u + h * v + 1.0;
        [0, 1].map(|axis| {
            let along_u = b[axis] - a[axis] + g * b[axis];
            let along_v = d[axis] - a[axis] + h * d[axis];
            (along_u * u + along_v * v + a[axis]) / denominator
        })
    }

    /// Returns the quadrilateral of a part, `[left, top, width, height]` in fractions of the whole.
    pub fn part(&self, [left, top, width, height]: [f64; 4]) -> Self {
        let (right, bottom) = (left + width, top + height);
        Self([[left, top], [right, top], [right, bottom], [left, bottom]].map(|point| self.at(point)))
    }

    /// Returns the straight view of what the quadrilateral encloses in an image, as large as its longer sides.
    pub fn straighten(&self, image: &GrayImage) -> GrayImage {
        let Self([a, b, c, d]) = self;
        let distance = |from: &[f64; 2], to: &[f64; 2]| (to[0] - from[0]).hypot(to[1] - from[1]);
        let side = |first: f64, second: f64, max: usize| (first.max(second).round() as usize).clamp(1, max);
        let max = image.width + image.height;
        let width = side(distance(a, b), distance(d, c), max);
        let height = side(distance(a, d), distance(b, c), max);
        let values = (0..width * height).map(|index| {
            let u = ((index % width) as f64 + 0.5) / width as f64;
            let v = ((index / width) as f64 + 0.5) / height as f64;
            let [x, y] = self.at([u, v]);
            image.interpolate(x, y)
        });
        GrayImage { width, height, values: values.collect(), scale: image.scale }
    }

    /// Converts a bounding box in the [straight view](Self::straighten) of a size to the image: the bounding box of its corners.
    pub fn undo_straighten(&self, bounds: Rect, size: [usize; 2], image: &GrayImage) -> Rect {
        let [x, right] = [bounds.x, bounds.right()].map(|x| x as f64 / size[0] as f64);
        let [y, bottom] = [bounds.y, bounds.bottom()].map(|y| y as f64 / size[1] as f64);
        let points = [[x, y], [right, y], [right, bottom], [x, bottom]].map(|point| self.at(point));
        let range = |axis: usize, side: usize| {
            let coordinates = points.map(|point| point[axis].clamp(0.0, side as f64));
            let start = coordinates.into_iter().fold(f64::INFINITY, f64::min).floor() as usize;
            let end = coordinates.into_iter().fold(0.0, f64::max).ceil() as usize;
            start..end.max(start + 1)
        };
        let (columns, rows) = (range(0, image.width), range(1, image.height));
        Rect { x: columns.start, y: rows.start, width: columns.len(), height: rows.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ComponentParams, components};

    /// Returns the ink map of a frame of 200 x 120 pixels that is turned around its center in a picture of 300 x 260.
    fn turned_frame(degrees: f64) -> GrayImage {
        let (sin, cos) = degrees.to_radians().sin_cos();
        GrayImage::from_fn(300, 260, |x, y| {
            let (dx, dy) = (x as f64 - 150.0, y as f64 - 130.0);
            let (u, v) = ((cos * dx + sin * dy).abs(), (cos * dy - sin * dx).abs());
            let is_side = |along: f64, across: f64, half: [f64; 2]| {
                along <= half[0] + 1.5 && (across - half[1]).abs() <= 1.5
            };
            if is_side(u, v, [100.0, 60.0]) || is_side(v, u, [60.0, 100.0]) { 255 } else { 0 }
        })
    }

    fn find(ink: &GrayImage) -> Option<Quad> {
        find_frame(&components(ink, &ComponentParams::default()), ink.size(), &FrameParams::default())
    }

    #[test]
    fn finds_the_corners_of_turned_frames() {
        for degrees in [0.0, 1.0, -3.0, 8.0, -20.0] {
            let quad = find(&turned_frame(degrees)).unwrap();
            let (sin, cos) = f64::to_radians(degrees).sin_cos();
            let expected = [[-100.0, -60.0], [100.0, -60.0], [100.0, 60.0], [-100.0, 60.0]]
                .map(|[u, v]| [150.0 + cos * u - sin * v, 130.0 + sin * u + cos * v]);
            for (found, expected) in quad.0.iter().zip(expected) {
                let distance = (found[0] - expected[0]).hypot(found[1] - expected[1]);
                assert!(distance < 4.0, "{degrees}: {found:?} instead of {expected:?}");
            }
        }
    }

    #[test]
    fn what_is_open_small_or_at_the_border_is_no_frame() {
        let frame = turned_frame(5.0);
        let without = |keep: fn(usize, usize) -> bool| {
            let value = |x: usize, y: usize| if keep(x, y) { frame.values[y * 300 + x] } else { 0 };
            GrayImage::from_fn(300, 260, value)
        };
        assert_eq!(find(&without(|x, _| x < 200)), None, "three sides");
        let cropped = GrayImage::from_fn(300, 195, |x, y| frame.values[y * 300 + x]);
        assert_eq!(find(&cropped), None, "at the border");
        let small =
            GrayImage::from_fn(
                1300,
                1260,
                |x, y| if x < 300 && y < 260 { frame.values[y * 300 + x] } else { 0 },
            );
        assert_eq!(find(&small), None, "small");
    }

    #[test]
    fn projective_mapping_keeps_corners_and_crossing_of_diagonals() {
        let quad = Quad([[10.0, 20.0], [110.0, 30.0], [90.0, 100.0], [15.0, 80.0]]);
        for (corner, at) in quad.0.iter().zip([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) {
            let found = quad.at(at);
            assert!((found[0] - corner[0]).abs() < 1e-9 && (found[1] - corner[1]).abs() < 1e-9);
        }
        let [x, y] = quad.at([0.5, 0.5]);
        // On both diagonals.
        let is_on = |[x0, y0]: [f64; 2], [x1, y1]: [f64; 2]| {
            ((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)).abs() < 1e-6
        };
        assert!(is_on(quad.0[0], quad.0[2]) && is_on(quad.0[1], quad.0[3]));
    }

    #[test]
    fn straight_view_shows_the_part_and_boxes_are_undone() {
        let image = turned_frame(12.0);
        let quad = find(&image).unwrap();
        let view = quad.part([0.0, 0.0, 0.5, 0.5]).straighten(&image);
        assert!((95..=110).contains(&view.width) && (55..=68).contains(&view.height), "{:?}", view.size());
        // The frame is along the upper and the left side of the view only.
        let level = |x: usize, y: usize| view.values[y * view.width + x];
        assert!((10..90).all(|x| (0..5).any(|y| level(x, y) > 128)));
        assert!((10..50).all(|y| (0..5).any(|x| level(x, y) > 128)));
        assert!((10..90).all(|x| (10..50).all(|y| level(x, y) == 0)));
        let whole = quad.undo_straighten(Rect { x: 0, y: 0, width: 200, height: 120 }, [200, 120], &image);
        assert!((205..240).contains(&whole.width) && (150..170).contains(&whole.height), "{whole:?}");
    }
}
