//! The sheet of paper in a picture with dark surroundings, such as a desk or the black borders of a scan.

use std::collections::VecDeque;

use super::{
    Component, ComponentParams, GrayImage, Rect, close, components, components::mask, dilate, erode,
};

/// Parameters of [`find_paper`]. Pixels are those of the reduced copy, brightness is relative to the mean of the paper. All
/// values were chosen empirically, on generated pictures; `docs/experiments/recognition.md` has the trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaperParams {
    /// Longer side of the reduced copy in which paper is looked for, in pixels, at most.
    pub coarse_side_px: usize,
    /// Shorter side of a picture in which paper is looked for, in pixels of the picture, at least: smaller ones show a digit.
    pub min_side_px: usize,
    /// Radius of the closing that covers strokes from the writing to the surroundings, and of the opening that removes what
    /// is bright beside the paper, in pixels.
    pub smoothing_radius_px: usize,
    /// Width of the paper's border that counts as surroundings, because it is blurred, in pixels.
    pub border_px: usize,
    /// Area of the paper, as a fraction of the picture's, at least.
    pub min_area: f64,
    /// Area of the surroundings, as a fraction of the picture's, at least.
    pub min_surroundings_area: f64,
    /// Mean brightness of the surroundings, at most: a shadow on the paper is brighter.
    pub max_surroundings_brightness: f64,
    /// Difference of brightness between neighboring pixels from which there is an edge.
    pub min_edge: f64,
    /// Pixels of the surroundings that are bright or at an edge, as a fraction of all of them, at most: more are writing in a
    /// shadow or on a blackboard, or another sheet.
    pub max_surroundings_details: f64,
    /// Area of the paper, as a fraction of that of the smallest rectangle around it, at least. That of an ellipse, such as a thick
    /// zero, is 0.79.
    pub min_rectangularity: f64,
    /// Length along which paper that is cut off by a side of the picture touches it, as a fraction of the side, at least.
    pub min_contact: f64,
    /// Ink on the paper, as a fraction of its area, at least.
    pub min_ink: f64,
    /// The same, at most: a thick light digit may have a dark hole.
    pub max_ink: f64,
}

impl Default for PaperParams {
    fn default() -> Self {
        Self {
            coarse_side_px: 256,
            min_side_px: 64,
            smoothing_radius_px: 4,
            border_px: 2,
            min_area: 0.15,
            min_surroundings_area: 0.005,
            max_surroundings_brightness: 0.6,
            min_edge: 0.2,
            max_surroundings_details: 0.005,
            min_rectangularity: 0.85,
            min_contact: 0.4,
            min_ink: 0.001,
            max_ink: 0.3,
        }
    }
}

/// The result of [`find_paper`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// The part of the picture that shows the paper, continued with the brightness of the paper where its surroundings were.
    pub gray: GrayImage,
    /// The place of this part in the gray picture.
    pub bounds: Rect,
    /// The bounding boxes of the connected parts of the surroundings, in pixels of the gray picture.
    pub surroundings: Vec<Rect>,
}

/// Finds the paper in a picture with dark surroundings. Returns `None` if there is no such paper.
///
/// 1. A reduced copy is divided into bright and dark pixels by N. Otsu's threshold ("A threshold selection method from gray-level
///    histograms", 1979).
/// 2. The largest component of bright pixels may be paper. What is dark and touches the picture's border are its surroundings,
///    and what is dark within it is ink.
/// 3. It is paper if it is nearly a rectangle, perhaps cut off by the picture's border, has ink, and is much brighter than its
///    surroundings, in which nothing is written.
pub fn find_paper(gray: &GrayImage, params: &PaperParams) -> Option<Paper> {
    if gray.width.min(gray.height) * gray.scale < params.min_side_px {
        return None;
    }
    let factor = gray.width.max(gray.height).div_ceil(params.coarse_side_px);
    // The scale is that relative to `gray`.
    let coarse = GrayImage { scale: factor, ..gray.downscale(factor) };
    let threshold = otsu_threshold(&coarse.values);
    let bright = GrayImage {
        values: coarse.values.iter().map(|&value| if value > threshold { 255 } else { 0 }).collect(),
        ..coarse
    };
    let radius = params.smoothing_radius_px;
    let smoothed = smooth_mask(&bright, radius);
    let is_set = ComponentParams { min_ink_level: 255 };
    let largest = components(&smoothed, &is_set).into_iter().max_by_key(Component::area)?;
    let outside = components(&mask([&largest], coarse.size(), [255, 0]), &is_set);
    let surroundings: Vec<&Component> =
        outside.iter().filter(|component| component.bounds().touches_border_of(&coarse)).collect();
    let paper = mask(surroundings.iter().copied(), coarse.size(), [255, 0]);
    if !is_paper(&coarse, &paper, threshold, params) {
        return None;
    }

    let inner = erode(&paper, params.border_px);
    let light = continue_paper(&close(&coarse, radius), &inner);
    let to_gray = |bounds: Rect| bounds.to_picture_coordinates(&coarse, 1, gray.size());
    let bounds =
        to_gray(components(&inner, &is_set).iter().map(Component::bounds).reduce(|a, b| a.union(&b))?);
    let mut values = Vec::with_capacity(bounds.width * bounds.height);
    for y in bounds.y..bounds.bottom() {
        let (inner, light) = (inner.row(y / factor), light.row(y / factor));
        let row = gray.row(y)[bounds.x..bounds.right()].iter().zip(bounds.x..);
        values.extend(row.map(|(&value, x)| if inner[x / factor] > 0 { value } else { light[x / factor] }));
    }
    Some(Paper {
        gray: GrayImage { width: bounds.width, height: bounds.height, values, scale: gray.scale },
        bounds,
        surroundings: surroundings.into_iter().map(|component| to_gray(component.bounds())).collect(),
    })
}

/// Closes and opens a mask. The mask is first continued beyond the border of the picture, so that a dark border of any width is
/// wider than the square.
fn smooth_mask(mask: &GrayImage, radius: usize) -> GrayImage {
    let ([width, height], margin) = (mask.size(), 2 * radius);
    let inside = |at: usize, len: usize| at.saturating_sub(margin).min(len - 1);
    let continued = GrayImage::from_fn(width + 2 * margin, height + 2 * margin, |x, y| {
        mask.row(inside(y, height))[inside(x, width)]
    });
    let opened = dilate(&erode(&close(&continued, radius), radius), radius);
    let rows = (margin..margin + height).flat_map(|y| &opened.row(y)[margin..margin + width]);
    GrayImage { values: rows.copied().collect(), ..*mask }
}

/// Returns whether a bright region is paper in dark surroundings. `paper` is 255 in the region, with its holes, and 0 elsewhere.
/// Pixels up to `threshold` are dark.
fn is_paper(coarse: &GrayImage, paper: &GrayImage, threshold: u8, params: &PaperParams) -> bool {
    let (light, dark) = (dilate(coarse, 1), erode(coarse, 1));
    // Edges between paper and surroundings belong to neither.
    let (inner, outer) = (erode(paper, params.border_px), dilate(paper, params.border_px));
    let (mut blank_area, mut ink, mut blank_sum) = (0, 0, 0_usize);
    let (mut surroundings_area, mut surroundings_sum) = (0, 0_usize);
    for (at, &value) in coarse.values.iter().enumerate() {
        if inner.values[at] > 0 && value <= threshold {
            ink += 1;
        } else if inner.values[at] > 0 {
            blank_area += 1;
            blank_sum += usize::from(value);
        } else if outer.values[at] == 0 {
            surroundings_area += 1;
            surroundings_sum += usize::from(value);
        }
    }
    let fraction = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let brightness = fraction(blank_sum, blank_area);
    let is_detail = |&at: &usize| {
        let contrast = f64::from(light.values[at] - dark.values[at]);
        outer.values[at] == 0 && (coarse.values[at] > threshold || contrast > params.min_edge * brightness)
    };
    let details = (0..coarse.values.len()).filter(is_detail).count();
    let pixels = coarse.values.len();
    fraction(area(paper), pixels) >= params.min_area
        && fraction(surroundings_area, pixels) >= params.min_surroundings_area
        && fraction(surroundings_sum, surroundings_area) <= params.max_surroundings_brightness * brightness
        && (params.min_ink..=params.max_ink).contains(&fraction(ink, blank_area + ink))
        && fraction(details, surroundings_area) <= params.max_surroundings_details
        && rectangularity(paper, params.min_contact) >= params.min_rectangularity
}

/// Number of orientations of rectangles that are tried, over 90 degrees.
const ORIENTATIONS: usize = 60;
/// Distance in pixels between the points by which the area of a rectangle is estimated.
const AREA_STEP_PX: usize = 4;

/// Returns the area of a mask as a fraction of that of the smallest rectangle around it, of any orientation. Sides of the picture
/// that the mask touches along `min_contact` of their length cut the rectangle off.
fn rectangularity(mask: &GrayImage, min_contact: f64) -> f64 {
    let GrayImage { width, height, .. } = *mask;
    let is_set = |x: usize, y: usize| mask.row(y)[x] > 0;
    let cuts_column =
        |x: usize| (0..height).filter(|&y| is_set(x, y)).count() as f64 >= min_contact * height as f64;
    let cuts_row =
        |y: usize| (0..width).filter(|&x| is_set(x, y)).count() as f64 >= min_contact * width as f64;
    // Up to where a rectangle may reach: the side of the picture, or far beyond it.
    let limits = |len: usize, cuts: [bool; 2]| {
        let (start, end) = (if cuts[0] { len } else { 0 }, if cuts[1] { 2 * len } else { 3 * len });
        (start..end).step_by(AREA_STEP_PX).map(move |at| at as f64 - len as f64)
    };
    let columns = limits(width, [cuts_column(0), cuts_column(width - 1)]);
    let rows = limits(height, [cuts_row(0), cuts_row(height - 1)]);
    let points: Vec<[f64; 2]> = rows.flat_map(|y| columns.clone().map(move |x| [x, y])).collect();
    let ends: Vec<[f64; 2]> = (0..height)
        .flat_map(|y| {
            let row = mask.row(y);
            let first = row.iter().position(|&value| value > 0);
            let last = row.iter().rposition(|&value| value > 0);
            first.into_iter().chain(last).map(move |x| [x as f64, y as f64])
        })
        .collect();
    let points_in_rectangle = |orientation: usize| {
        let angle = std::f64::consts::FRAC_PI_2 * orientation as f64 / ORIENTATIONS as f64;
        let (sin, cos) = angle.sin_cos();
        let rotate = |[x, y]: [f64; 2]| [cos * x + sin * y, cos * y - sin * x];
        let start = [[f64::MAX, f64::MIN]; 2];
        let limits = ends
            .iter()
            .copied()
            .map(rotate)
            .fold(start, |[u, v], [x, y]| [[u[0].min(x), u[1].max(x)], [v[0].min(y), v[1].max(y)]]);
        let is_inside = |point: &&[f64; 2]| {
            rotate(**point).iter().zip(&limits).all(|(at, limits)| (limits[0]..=limits[1]).contains(at))
        };
        points.iter().filter(is_inside).count()
    };
    let smallest = (0..ORIENTATIONS).map(points_in_rectangle).min().unwrap_or(0);
    area(mask) as f64 / (smallest * AREA_STEP_PX.pow(2)).max(1) as f64
}

/// Returns the number of pixels of a mask.
fn area(mask: &GrayImage) -> usize {
    mask.values.iter().filter(|&&value| value > 0).count()
}

/// Continues an image from where `mask` is set to all of it: each pixel, from near to far, becomes the mean of its neighbors
/// that are known.
fn continue_paper(image: &GrayImage, mask: &GrayImage) -> GrayImage {
    let GrayImage { width, height, .. } = *image;
    let neighbors = move |at: usize| {
        let (x, y) = (at % width, at / width);
        let across = [(x > 0).then(|| at - 1), (x + 1 < width).then_some(at + 1)];
        let along = [(y > 0).then(|| at - width), (y + 1 < height).then_some(at + width)];
        across.into_iter().chain(along).flatten()
    };
    let mut known: Vec<bool> = mask.values.iter().map(|&value| value > 0).collect();
    let mut queued = known.clone();
    let mut queue: VecDeque<usize> = (0..known.len()).filter(|&at| known[at]).collect();
    let mut continued = image.clone();
    while let Some(at) = queue.pop_front() {
        if !known[at] {
            let values = neighbors(at).filter(|&at| known[at]).map(|at| usize::from(continued.values[at]));
            let (count, sum) = values.fold((0, 0), |(count, sum), value| (count + 1, sum + value));
            continued.values[at] = ((sum + count / 2) / count) as u8;
            known[at] = true;
        }
        for neighbor in neighbors(at) {
            if !queued[neighbor] {
                queued[neighbor] = true;
                queue.push_back(neighbor);
            }
        }
    }
    continued
}

/// Returns the level up to which values are dark, such that the variance between dark and bright values is highest.
fn otsu_threshold(values: &[u8]) -> u8 {
    let mut counts = [0_u64; 256];
    values.iter().for_each(|&value| counts[usize::from(value)] += 1);
    let all = values.len() as f64;
    let sum: f64 =
        counts.iter().zip(0..=u8::MAX).map(|(&count, value)| count as f64 * f64::from(value)).sum();
    let (mut dark, mut dark_sum, mut best) = (0.0, 0.0, (0.0, 0));
    for (&count, value) in counts.iter().zip(0..=u8::MAX) {
        dark += count as f64;
        dark_sum += count as f64 * f64::from(value);
        let variance = (sum * dark - all * dark_sum).powi(2) / (dark * (all - dark)).max(1.0);
        if variance > best.0 {
            best = (variance, value);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brightness of paper, and of ink, in the pictures of the tests.
    const PAPER: u8 = 220;
    const INK: u8 = 30;

    fn default_find_paper(gray: &GrayImage) -> Option<Paper> {
        find_paper(gray, &PaperParams::default())
    }

    /// A picture of 400 x 300 with a sheet of 240 x 180 in its middle, sloped by an angle, with two strokes. `desk` is the
    /// brightness beside it.
    fn sheet(degrees: f64, desk: impl Fn(usize, usize) -> u8) -> GrayImage {
        let (sin, cos) = degrees.to_radians().sin_cos();
        GrayImage::from_fn(400, 300, |x, y| {
            let (dx, dy) = (x as f64 - 200.0, y as f64 - 150.0);
            let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
            match (u.abs() < 120.0 && v.abs() < 90.0, v.abs() < 30.0 && (u.abs() - 30.0).abs() < 4.0) {
                (true, true) => INK,
                (true, false) => PAPER,
                _ => desk(x, y),
            }
        })
    }

    /// A white picture of 400 x 300 with two strokes, where `is_black` isn't true.
    fn scan(is_black: impl Fn(usize, usize) -> bool) -> GrayImage {
        GrayImage::from_fn(400, 300, |x, y| match (x, y) {
            (x, y) if is_black(x, y) => 5,
            (150..158 | 250..258, 120..180) => INK,
            _ => PAPER,
        })
    }

    #[test]
    fn finds_a_sloping_sheet_and_removes_the_desk() {
        for degrees in [-20.0, -7.5, 0.0, 3.0, 10.0, 45.0] {
            let gray = sheet(degrees, |x, y| (40 + 10 * ((x / 8 + y / 5) % 3)) as u8);
            let paper = default_find_paper(&gray).unwrap_or_else(|| panic!("{degrees}"));
            let Rect { x, y, width, height } = paper.bounds;
            let (sin, cos) = f64::to_radians(degrees.abs()).sin_cos();
            for (found, expected) in [(width, 240.0 * cos + 180.0 * sin), (height, 240.0 * sin + 180.0 * cos)]
            {
                assert!((found as f64 - expected).abs() < 32.0, "{degrees}: {:?}", paper.bounds);
            }
            let strokes = |image: &GrayImage| image.values.iter().filter(|&&value| value == INK).count();
            assert_eq!(strokes(&paper.gray), strokes(&gray), "{degrees}");
            assert!(paper.gray.values.iter().all(|&value| value == INK || value >= PAPER - 2), "{degrees}");
            assert_eq!(paper.gray.row(height / 2)[width / 2], gray.row(y + height / 2)[x + width / 2]);
            assert_eq!(paper.surroundings, [Rect { x: 0, y: 0, width: 400, height: 300 }]);
        }
    }

    #[test]
    fn leaves_out_the_black_borders_of_scans() {
        type Border = fn(usize, usize) -> bool;
        let borders: [(&str, usize, Border); 4] = [
            ("left", 1, |x, _| x < 20),
            ("slanted at the top", 1, |x, y| 10 * y < 200 + x),
            ("left and right", 2, |x, _| !(12..380).contains(&x)),
            ("all sides", 1, |x, y| !(12..380).contains(&x) || !(12..290).contains(&y)),
        ];
        for (name, count, is_black) in borders {
            let gray = scan(is_black);
            let paper = default_find_paper(&gray).expect(name);
            assert_eq!(paper.surroundings.len(), count, "{name}");
            assert!(paper.gray.values.iter().all(|&value| value >= INK), "{name}");
        }
    }

    #[test]
    fn paper_is_found_in_reduced_pictures() {
        let gray = sheet(5.0, |_, _| 20);
        let large = GrayImage { scale: 3, ..gray.resize(1200, 900) };
        let (found, expected) = (default_find_paper(&large).unwrap(), default_find_paper(&gray).unwrap());
        let close = |a: usize, b: usize| a.abs_diff(3 * b) <= 12;
        assert!(close(found.bounds.x, expected.bounds.x) && close(found.bounds.width, expected.bounds.width));
        assert_eq!(found.gray.scale, 3);
    }

    #[test]
    fn writing_without_dark_surroundings_is_left_alone() {
        let ellipse = |x: usize, y: usize| ((x as f64 - 200.0) / 200.0).hypot((y as f64 - 150.0) / 150.0);
        let inverted = |gray: &GrayImage| GrayImage {
            values: gray.values.iter().map(|&value| 255 - value).collect(),
            ..*gray
        };
        let page = scan(|_, _| false);
        for (name, gray) in
            [
                ("a page", page.clone()),
                ("a blackboard", inverted(&page)),
                (
                    "a thick light zero",
                    GrayImage::from_fn(400, 300, |x, y| {
                        if (0.35..1.0).contains(&ellipse(x, y)) { PAPER } else { INK }
                    }),
                ),
                (
                    "a thick light one",
                    GrayImage::from_fn(400, 300, |x, _| if (80..320).contains(&x) { PAPER } else { INK }),
                ),
                (
                    "a dark box",
                    GrayImage::from_fn(400, 300, |x, y| {
                        let in_box = (50..350).contains(&x) && (50..250).contains(&y);
                        if in_box && page.row(y)[x] == PAPER { INK } else { PAPER }
                    }),
                ),
                ("an inverted sheet", inverted(&sheet(5.0, |_, _| 20))),
                ("a pale desk", sheet(0.0, |_, _| 160)),
                (
                    "a shadow over writing",
                    GrayImage::from_fn(400, 300, |x, y| {
                        if x < 205 { page.row(y)[x] } else { page.row(y)[x] / 5 * 2 }
                    }),
                ),
                ("a second sheet", sheet(0.0, |x, _| if x < 60 { PAPER } else { 20 })),
                ("a digit of MNIST's size", scan(|x, _| x < 20).downscale(12)),
            ]
        {
            assert!(default_find_paper(&gray).is_none(), "{name}");
        }
    }
}
