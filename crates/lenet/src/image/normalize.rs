//! MNIST's own normalisation, the only one there is: the bounding box of a digit is scaled to fit 20x20 with its aspect
//! ratio kept, and its centre of mass comes to the centre of 28x28 (LeCun, Bottou, Bengio and Haffner, "Gradient-based
//! learning applied to document recognition", 1998).

use std::array::from_fn;

use super::{Component, EDGE, GrayImage, Rect, Stages};
use crate::{PIXELS, SIDE};

/// Side of the box that a digit fits.
const BOX: usize = 20;

/// A digit as MNIST has them.
pub struct NormalizedDigit {
    /// (row, column)
    pub pixels: [u8; PIXELS],
    /// Whether it was smaller, so that its edges are soft.
    pub enlarged: bool,
    /// Whether its strokes were thickened.
    pub thickened: bool,
}

/// The digit that `parts`, at least one, make.
pub fn normalize_digit(ink: &GrayImage, parts: &[&Component], steps: Stages) -> NormalizedDigit {
    let cut_out = cut_out(ink, parts);
    let side = cut_out.width.max(cut_out.height);
    let scaled = |length: usize| ((length * BOX) as f32 / side as f32).round().max(1.0) as usize;
    let mut digit = scale(&cut_out, scaled(cut_out.width), scaled(cut_out.height));
    let thickened = steps.thicken && stroke_width(&digit) < THIN;
    if thickened {
        digit = thicken(&digit);
    }
    NormalizedDigit { pixels: centre(&digit), enlarged: side < BOX, thickened }
}

/// A bitmap of what is on `ink`: ink where its mean over the pixel is at least `edge` of 255. Its size is what `size` makes
/// of the width and height of the writing.
pub fn bitmap(ink: &GrayImage, size: impl FnOnce([f32; 2]) -> [f32; 2], edge: f32) -> GrayImage {
    let values = ink.values.iter().map(|&value| f32::from(value) / 255.0).collect();
    let writing = Map { width: ink.width, height: ink.height, values }.trim();
    if writing.values.is_empty() {
        return ink.clone();
    }
    let size = size([writing.width as f32, writing.height as f32]);
    let [width, height] = size.map(|length| length.round().max(1.0) as usize);
    let scaled = scale(&writing, width, height);
    let values = scaled.values.iter().map(|&value| if value >= edge { 255 } else { 0 }).collect();
    GrayImage { width, height, values, scale: 1 }
}

/// Darkness below which a pixel beside a stroke is paper.
const FAINT: u8 = 12;

/// The ink of `parts` with the faint edges of their strokes, up to their bounds.
fn cut_out(ink: &GrayImage, parts: &[&Component]) -> Map {
    // Edges reach a pixel further than the parts.
    let bounds = parts.iter().map(|part| part.bounds).reduce(|a, b| a.union(&b)).unwrap_or(NONE);
    let (left, top) = (bounds.x.saturating_sub(MARGIN), bounds.y.saturating_sub(MARGIN));
    let (right, bottom) =
        ((bounds.right() + MARGIN).min(ink.width), (bounds.bottom() + MARGIN).min(ink.height));
    let mut map = Map::new(right - left, bottom - top);
    for run in parts.iter().flat_map(|part| &part.runs) {
        for y in run.y.saturating_sub(MARGIN).max(top)..(run.y + MARGIN + 1).min(bottom) {
            for x in run.x.saturating_sub(MARGIN).max(left)..(run.end + MARGIN).min(right) {
                let value = ink.row(y)[x];
                let inside = y == run.y && (run.x..run.end).contains(&x);
                if inside || (FAINT..EDGE).contains(&value) {
                    map.values[(y - top) * map.width + x - left] = f32::from(value) / 255.0;
                }
            }
        }
    }
    map.trim()
}
const MARGIN: usize = 1;
const NONE: Rect = Rect { x: 0, y: 0, width: 0, height: 0 };

/// Binarized from 0 to 1.
struct Map {
    width: usize,
    height: usize,
    /// (row, column)
    values: Vec<f32>,
}

impl Map {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// Without the empty rows and columns around.
    fn trim(&self) -> Self {
        let rows = || self.values.chunks(self.width.max(1));
        let filled = |row: &[f32]| row.iter().any(|&value| value > 0.0);
        let top = rows().position(filled).unwrap_or(0);
        let bottom = rows().rposition(filled).map_or(0, |y| y + 1);
        let column = |x: usize| rows().any(|row| row[x] > 0.0);
        let left = (0..self.width).position(column).unwrap_or(0);
        let right = (0..self.width).rposition(column).map_or(0, |x| x + 1);
        let values = rows().take(bottom).skip(top).flat_map(|row| &row[left..right]).copied().collect();
        Self { width: right - left, height: bottom - top, values }
    }
}

/// The map in another size: each value the mean of the area that it covers, or between pixels where it is smaller than
/// they are.
fn scale(map: &Map, width: usize, height: usize) -> Map {
    let (across, down) = (weights(map.width, width), weights(map.height, height));
    let mut narrow = Map::new(width, map.height);
    for (new, old) in narrow.values.chunks_mut(width).zip(map.values.chunks(map.width)) {
        for (value, (first, weights)) in new.iter_mut().zip(&across) {
            *value = weights.iter().zip(&old[*first..]).map(|(weight, value)| weight * value).sum();
        }
    }
    let mut scaled = Map::new(width, height);
    for (new, (first, weights)) in scaled.values.chunks_mut(width).zip(&down) {
        for (weight, old) in weights.iter().zip(narrow.values[first * width..].chunks(width)) {
            for (value, old) in new.iter_mut().zip(old) {
                *value += weight * old;
            }
        }
    }
    scaled
}

/// For each of `new` values along an axis: the first of `old` values that it is a mean of, and their weights.
fn weights(old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
    let pitch = old as f32 / new as f32;
    let reach = (pitch.max(1.0) + 1.0) / 2.0;
    (0..new)
        .map(|index| {
            let middle = (index as f32 + 0.5) * pitch - 0.5;
            let first = (middle - reach).ceil().max(0.0) as usize;
            let last = ((middle + reach).floor() as usize).min(old - 1);
            let weights: Vec<_> =
                (first..=last).map(|old| (reach - (old as f32 - middle).abs()).clamp(0.0, 1.0)).collect();
            let sum: f32 = weights.iter().sum();
            (first, weights.into_iter().map(|weight| weight / sum).collect())
        })
        .collect()
}

/// Width below which strokes are thickened, in pixels of a tile: hardly a digit of MNIST has thinner ones.
const THIN: f32 = 1.3;

/// The width of strokes in pixels: twice the area for the length of all edges.
fn stroke_width(map: &Map) -> f32 {
    let value = |x: usize, y: usize| {
        if x < map.width && y < map.height { map.values[y * map.width + x] } else { 0.0 }
    };
    let mut edges = 0.0;
    // Index 0 is the empty row or column before the first.
    for y in 0..=map.height {
        for x in 0..=map.width {
            let here = value(x.wrapping_sub(1), y.wrapping_sub(1));
            let right = value(x, y.wrapping_sub(1)) - here;
            let below = value(x.wrapping_sub(1), y) - here;
            edges += right.hypot(below);
        }
    }
    2.0 * map.values.iter().sum::<f32>() / edges.max(f32::EPSILON)
}

/// Blurs and saturates until strokes are wide enough.
fn thicken(map: &Map) -> Map {
    let mut thick = Map::new(map.width, map.height);
    thick.values.copy_from_slice(&map.values);
    for _ in 0..3 {
        if stroke_width(&thick) >= THIN {
            break;
        }
        thick = blurred(&thick, BINOMIAL);
        let mut values: Vec<_> = thick.values.iter().copied().filter(|&value| value > 0.1).collect();
        values.sort_by(f32::total_cmp);
        let peak = values.get(values.len() * 2 / 3).copied().unwrap_or(1.0);
        thick.values.iter_mut().for_each(|value| *value = (*value / peak).min(1.0));
    }
    thick
}

/// The binomial kernel.
const BINOMIAL: [f32; 3] = [0.25, 0.5, 0.25];

/// A tile with softer edges: halves of MNIST's digits, from which a network learns what is no digit, were enlarged and so
/// are soft, and sharp ones it takes for digits more often.
pub fn soften(tile: &[u8; PIXELS]) -> [u8; PIXELS] {
    let values = tile.iter().copied().map(f32::from).collect();
    let wide = blurred(&Map { width: SIDE, height: SIDE, values }, SOFT);
    from_fn(|pixel| wide.values[(pixel / SIDE + 1) * wide.width + pixel % SIDE + 1].round() as u8)
}

/// Of variance 1/6, as bilinear interpolation on the mean.
const SOFT: [f32; 3] = [1.0 / 12.0, 10.0 / 12.0, 1.0 / 12.0];

/// Blurred by a kernel along both axes, a pixel wider on each side.
fn blurred(map: &Map, kernel: [f32; 3]) -> Map {
    let mut wide = Map::new(map.width + 2, map.height + 2);
    for (y, row) in map.values.chunks(map.width).enumerate() {
        for (x, value) in row.iter().enumerate() {
            for (dy, a) in kernel.into_iter().enumerate() {
                for (dx, b) in kernel.into_iter().enumerate() {
                    wide.values[(y + dy) * (map.width + 2) + x + dx] += a * b * value;
                }
            }
        }
    }
    wide
}

/// The digit in an image, moved by whole pixels so that its centre of mass is as near as can be to that of MNIST's,
/// which is at pixel (14, 14).
fn centre(digit: &Map) -> [u8; PIXELS] {
    let mass: f32 = digit.values.iter().sum();
    let mean = |along: fn(usize, usize) -> usize| {
        let moment: f32 = digit
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| along(index, digit.width) as f32 * value)
            .sum();
        moment / mass.max(f32::EPSILON)
    };
    let middle = (SIDE / 2) as f32;
    let left = (middle - mean(|index, width| index % width)).round() as isize;
    let top = (middle - mean(|index, width| index / width)).round() as isize;
    let mut pixels = [0; PIXELS];
    for (index, value) in digit.values.iter().enumerate() {
        let x = left + (index % digit.width) as isize;
        let y = top + (index / digit.width) as isize;
        let inside = 0..SIDE as isize;
        if inside.contains(&x) && inside.contains(&y) {
            pixels[y as usize * SIDE + x as usize] = (value * 255.0).round() as u8;
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::find_text;

    /// The tile of all that is written, without thickening.
    fn of(width: usize, height: usize, ink: impl Fn(usize, usize) -> u8) -> [u8; PIXELS] {
        let values = (0..width * height).map(|index| ink(index % width, index / width)).collect();
        let ink = GrayImage { width, height, values, scale: 1 };
        let all = find_text(&ink, Stages::default()).parts;
        normalize_digit(&ink, &all.iter().collect::<Vec<_>>(), Stages { thicken: false, ..Stages::default() })
            .pixels
    }

    fn mass_and_centre(tile: &[u8; PIXELS]) -> (f32, f32, f32) {
        let sum = |along: fn(usize) -> usize| -> f32 {
            tile.iter().enumerate().map(|(index, &value)| along(index) as f32 * f32::from(value)).sum()
        };
        let mass = sum(|_| 1);
        (mass, sum(|index| index % SIDE) / mass, sum(|index| index / SIDE) / mass)
    }

    #[test]
    fn a_digit_of_mnist_stays_as_it_is() {
        // An L of 14 x 20 with soft edges, and its centre of mass within half a pixel of (14, 14).
        let ink = |x: usize, y: usize| match (x, y) {
            (12..=14, 3..=21) => 255,
            (11, 3..=22) => 120,
            (12..=24, 20..=21) => 255,
            (12..=24, 22) => 60,
            _ => 0,
        };
        let tile = of(SIDE, SIDE, ink);
        let before: Vec<_> = (0..PIXELS).map(|index| ink(index % SIDE, index / SIDE)).collect();
        assert_eq!(tile.to_vec(), before);
    }

    #[test]
    fn any_size_and_place_gives_the_box_of_20_and_the_centre_of_mass() {
        // A T, higher than wide, then wider than high.
        let t = |width: usize, height: usize, stroke: usize, left: usize, top: usize| {
            of(left + width + 9, top + height + 5, |x, y| {
                let (x, y) = (x.wrapping_sub(left), y.wrapping_sub(top));
                let bar = x < width && y < stroke;
                let stem = y < height && x.abs_diff(width / 2) <= stroke / 2;
                if bar || stem { 255 } else { 0 }
            })
        };
        for (width, height, stroke, left, top) in
            [(30, 50, 6, 3, 40), (12, 20, 3, 30, 2), (6, 10, 1, 7, 7), (300, 200, 40, 1, 1)]
        {
            let tile = t(width, height, stroke, left, top);
            let rows: Vec<_> =
                (0..SIDE).filter(|y| tile[y * SIDE..][..SIDE].iter().any(|&value| value > 0)).collect();
            let columns: Vec<_> = (0..SIDE).filter(|x| (0..SIDE).any(|y| tile[y * SIDE + x] > 0)).collect();
            assert_eq!(rows.len().max(columns.len()), BOX, "{width} x {height}");
            let (_, x, y) = mass_and_centre(&tile);
            assert!((x - 14.0).abs() <= 0.51 && (y - 14.0).abs() <= 0.51, "{width} x {height}: {x}, {y}");
        }
    }

    #[test]
    fn thin_strokes_become_as_wide_as_those_of_mnist() {
        let mut line = Map::new(20, 20);
        (0..20).for_each(|y| line.values[y * 20 + y] = 0.5);
        assert!(stroke_width(&line) < THIN);
        let thick = thicken(&line);
        assert!((THIN..2.0 * THIN).contains(&stroke_width(&thick)), "{}", stroke_width(&thick));
    }

    #[test]
    fn softer_edges_keep_the_ink_within_the_tile() {
        let mut tile = [0; PIXELS];
        (tile[5 * SIDE + 9], tile[27]) = (144, 144);
        let soft = soften(&tile);
        assert_eq!(
            [4, 5, 6].map(|row| soft[row * SIDE + 8..][..3].to_vec()),
            [[1, 10, 1], [10, 100, 10], [1, 10, 1]]
        );
        assert_eq!([26, 27, 28, 54, 55, 56].map(|pixel| soft[pixel]), [10, 100, 0, 1, 10, 0]);
    }

    #[test]
    fn the_width_of_a_stroke_is_measured() {
        let mut bar = Map::new(30, 30);
        (2..28).for_each(|y| bar.values[y * 30 + 10..][..4].fill(1.0));
        assert!((stroke_width(&bar) - 3.5).abs() < 0.5, "{}", stroke_width(&bar));
    }
}
