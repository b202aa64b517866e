//! Page patches: parts of pages for training the network that tells ink from rules.
//!
//! A patch is drawn in steps: a layout of rules with writing (`layout`, `writing`), paper and light, and the noise and blur of a
//! camera (`paper`). What is drawn is known for each pixel, so that the targets are exact.

mod layer;
mod layout;
mod paper;
mod writing;

use std::ops::Range;

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};

use self::{
    layer::{CANVAS_SIDE, DashPattern, MarkLayer, RuleStyle},
    layout::{Layout, PageCanvas, random_rule_style},
    writing::WritingStyle,
};
use crate::{
    Dataset,
    data::random::{chance, log_uniform, uniform, uniform_below},
    image::{GrayImage, local_contrast},
};

/// Height and width of a patch in pixels.
pub const PATCH_SIDE: usize = 96;
/// What a pixel may be, in the order of the targets: ink of a pen, and rules.
pub const LABEL_NAMES: [&str; 2] = ["ink", "rule"];
/// Border around a patch on the canvas, so that the patch looks like a part of a larger page: the radius of the window of
/// [`local_contrast`], and a pixel more.
const PATCH_MARGIN: usize = 16;
/// Coverage of a pixel for which the target is 1. Pixels at the edges of strokes have targets between 0 and 1. With a lower
/// coverage than 1, strokes that are thinner than a pixel are not lost.
const SATURATION_COVERAGE: f32 = 0.7;

/// A part of a synthetic page, and what each of its pixels shows.
///
/// Ink is handwriting: digits, letters and scribbles. Rules are straight lines: of ruled and squared paper, underlines,
/// boxes, combs, tables, and bars at the edge of the picture. A pixel may be both where they cross, and neither on plain
/// paper.
///
/// In some patches the picture ends before the patch does. As the recognizer does, they repeat the pixels at the edge of the
/// picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PagePatch {
    /// `(row, column)`: the [local contrast](local_contrast) of the gray levels.
    pub pixels: Vec<u8>,
    /// `(label, row, column)`: the probability of each of [`LABEL_NAMES`].
    pub targets: Vec<f32>,
}

impl PagePatch {
    /// Draws a patch. All random numbers follow from `key`. Most digits of the page are images of `digits`, and all of them
    /// are drawn with a pen if there are none.
    pub fn draw(key: u64, digits: &Dataset) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(key);
        Page::draw(Layout::random(&mut random), digits, &mut random).patch()
    }
}

/// A picture of a page, with what was drawn.
struct Page {
    gray: Vec<u8>,
    ink: Vec<f32>,
    rules: Vec<f32>,
    /// The columns and the rows of the canvas that the picture shows.
    visible: [Range<usize>; 2],
}

impl Page {
    /// Draws a page of a layout on the canvas.
    fn draw(layout: Layout, digits: &Dataset, random: &mut impl Rng) -> Self {
        let mut writing = WritingStyle::random(random);
        let style = random_rule_style(&mut writing, random);
        let frame = PageRotation::random(random);
        let mut canvas =
            PageCanvas { digits, frame, writing, style, ink: MarkLayer::new(), rules: MarkLayer::new() };
        let digit_box = canvas.draw(layout, random);
        let visible = match digit_box {
            Some(digit_box) => tight_crop(digit_box, random),
            None => random_visible_range(random),
        };
        if chance(0.12, random) {
            draw_edge_bars(&mut canvas, &visible, random);
        }
        let light = paper::paper_light(&mut canvas, random);
        let gray = paper::photograph(&canvas, light, random);
        Self { gray, ink: canvas.ink.coverage, rules: canvas.rules.coverage, visible }
    }

    /// Cuts the patch from the middle of the canvas, and normalizes it.
    fn patch(&self) -> PagePatch {
        let [columns, rows] = &self.visible;
        let picture = GrayImage {
            width: columns.len(),
            height: rows.len(),
            values: rows
                .clone()
                .flat_map(|y| &self.gray[y * CANVAS_SIDE..][columns.clone()])
                .copied()
                .collect(),
            scale: 1,
        };
        let contrast = local_contrast(&picture);
        // The nearest positions that the picture shows.
        let [columns, rows] = [columns, rows].map(|range| {
            (PATCH_MARGIN..PATCH_MARGIN + PATCH_SIDE)
                .map(|at| at.clamp(range.start, range.end - 1))
                .collect::<Vec<_>>()
        });
        let positions = || rows.iter().flat_map(|&y| columns.iter().map(move |&x| (x, y)));
        let [left, top] = [0, 1].map(|axis| self.visible[axis].start);
        let pixels = positions().map(|(x, y)| contrast.row(y - top)[x - left]).collect();
        let layers = [&self.ink, &self.rules];
        let target = |coverage: f32| (coverage / SATURATION_COVERAGE).min(1.0);
        let targets = layers
            .iter()
            .flat_map(|layer| positions().map(move |(x, y)| target(layer[y * CANVAS_SIDE + x])))
            .collect();
        PagePatch { pixels, targets }
    }
}

/// A rotation of the page about the middle of the canvas.
#[derive(Debug, Clone, Copy)]
struct PageRotation {
    sin: f32,
    cos: f32,
}

impl PageRotation {
    /// Returns a rotation by up to 12 degrees; half of them are below one degree.
    fn random(random: &mut impl Rng) -> Self {
        let max_degrees: f32 = if chance(0.5, random) { 1.0 } else { 12.0 };
        let (sin, cos) = uniform(-max_degrees, max_degrees, random).to_radians().sin_cos();
        Self { sin, cos }
    }

    /// Converts a point `[u, v]` of the page, relative to the middle, to a point `[x, y]` of the canvas.
    fn to_canvas(self, [u, v]: [f32; 2]) -> [f32; 2] {
        let middle = 0.5 * CANVAS_SIDE as f32;
        [middle + self.cos * u - self.sin * v, middle + self.sin * u + self.cos * v]
    }

    /// Converts a point of the canvas to a point of the page.
    fn to_page(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [x, y] = [x, y].map(|at| at - 0.5 * CANVAS_SIDE as f32);
        [self.cos * x + self.sin * y, self.cos * y - self.sin * x]
    }
}

/// Returns the columns and rows that a picture shows: mostly the whole canvas, so that the patch is from the middle of a
/// large picture.
fn random_visible_range(random: &mut impl Rng) -> [Range<usize>; 2] {
    [0; 2].map(|_| {
        let mut range = 0..CANVAS_SIDE;
        if chance(0.2, random) {
            // The edge of the picture is in the patch, or is that of the patch.
            let inside = if chance(0.3, random) { 0 } else { uniform_below(PATCH_SIDE / 3, random) };
            if chance(0.5, random) {
                range.start = PATCH_MARGIN + inside;
            } else {
                range.end = PATCH_MARGIN + PATCH_SIDE - inside;
            }
        }
        range
    })
}

/// Returns the columns and rows of a picture around a box with a narrow margin.
fn tight_crop([left, top, right, bottom]: [f32; 4], random: &mut impl Rng) -> [Range<usize>; 2] {
    let margin = if chance(0.4, random) { 0.0 } else { uniform(0.0, 8.0, random) };
    [(left, right), (top, bottom)].map(|(start, end)| {
        let limit = |at: f32| at.clamp(0.0, CANVAS_SIDE as f32 - 1.0) as usize;
        limit(start - margin)..limit(end + margin) + 1
    })
}

/// Draws bars along edges of the picture, as of a frame or a table from which a cell was cropped.
fn draw_edge_bars(canvas: &mut PageCanvas, [columns, rows]: &[Range<usize>; 2], random: &mut impl Rng) {
    let [left, right, top, bottom] = [columns.start, columns.end, rows.start, rows.end].map(|at| at as f32);
    for edge in 0..4 {
        if !chance(0.4, random) {
            continue;
        }
        let width = log_uniform(1.0, 12.0, random);
        let darkness = uniform(0.3, 0.95, random);
        let style = RuleStyle { width, darkness, bow: 0.0, pattern: DashPattern::Solid };
        // A part of the bar may be outside the picture.
        let [a, b] = [0; 2].map(|_| width * uniform(-0.3, 0.6, random));
        let line = match edge {
            0 => [[left + a, top], [left + b, bottom]],
            1 => [[right - a, top], [right - b, bottom]],
            2 => [[left, top + a], [right, top + b]],
            _ => [[left, bottom - a], [right, bottom - b]],
        };
        canvas.rules.draw_rule(line, &style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the mean level of the pixels for which `target` holds, or `None` if there are fewer than 50.
    fn mean_level(patch: &PagePatch, label: usize, has_target: impl Fn(f32) -> bool) -> Option<f32> {
        let targets = &patch.targets[label * PATCH_SIDE * PATCH_SIDE..][..PATCH_SIDE * PATCH_SIDE];
        let levels = patch.pixels.iter().zip(targets).filter(|(_, target)| has_target(**target));
        let (sum, count) =
            levels.fold((0.0, 0), |(sum, count), (&level, _)| (sum + f32::from(level), count + 1));
        (count >= 50).then(|| sum / count as f32)
    }

    #[test]
    fn equal_keys_draw_equal_patches() {
        let digits = super::super::test_digits();
        let draw = |key: u64| PagePatch::draw(key, &digits);
        for key in (0..40).map(|position| position << 32) {
            assert_eq!(draw(key), draw(key));
            assert_ne!(draw(key).pixels, draw(key + 1).pixels);
        }
    }

    #[test]
    fn every_layout_has_its_frequency() {
        let mut counts = [0; Layout::ALL.len()];
        for key in 0..5000 {
            let layout = Layout::random(&mut Pcg64Mcg::seed_from_u64(key));
            counts[Layout::ALL.iter().position(|(other, _)| *other == layout).unwrap()] += 1;
        }
        for (count, (layout, percent)) in counts.into_iter().zip(Layout::ALL) {
            assert!((50 * percent).abs_diff(count) < 100, "{layout:?}: {count}");
        }
    }

    /// Dark marks on light paper are seven of eight patches, so that ink and rules are darker than the rest in most.
    #[test]
    fn targets_are_where_the_marks_are() {
        let digits = super::super::test_digits();
        for layout in Layout::ALL.map(|(layout, _)| layout) {
            for (label, name) in LABEL_NAMES.iter().enumerate() {
                let (mut darker, mut total) = (0, 0);
                for key in 0..120 {
                    let patch = Page::draw(layout, &digits, &mut Pcg64Mcg::seed_from_u64(key)).patch();
                    assert_eq!(
                        (patch.pixels.len(), patch.targets.len()),
                        (PATCH_SIDE * PATCH_SIDE, 2 * PATCH_SIDE * PATCH_SIDE)
                    );
                    assert!(patch.targets.iter().all(|target| (0.0..=1.0).contains(target)));
                    let [marks, rest] = [
                        mean_level(&patch, label, |target| target == 1.0),
                        mean_level(&patch, label, |target| target == 0.0),
                    ];
                    if let (Some(marks), Some(rest)) = (marks, rest) {
                        total += 1;
                        darker += usize::from(marks < rest);
                    }
                }
                assert!(
                    layout == Layout::Plain || layout == Layout::Crop || total > 40,
                    "{layout:?}, {name}: {total}"
                );
                assert!(darker * 10 >= total * 7, "{layout:?}, {name}: {darker} of {total}");
            }
        }
    }

    #[test]
    fn pages_without_a_dataset_are_drawn_with_a_pen() {
        let patches = (0..20).map(|key| PagePatch::draw(key, &Dataset::new(Vec::new(), Vec::new()).unwrap()));
        assert!(patches.filter(|patch| mean_level(patch, 0, |target| target == 1.0).is_some()).count() > 8);
    }
}
