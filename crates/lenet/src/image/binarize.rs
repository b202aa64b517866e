//! What is ink and what is paper.

use super::{GrayImage, Stages};

/// The value at the edge of a stroke, halfway between paper and ink.
pub const EDGE: u8 = 128;

/// What is written: paper is 0, whatever its colour and light, ink up to 255, the edge of a stroke [`EDGE`].
pub struct Binarized {
    pub map: GrayImage,
    /// Whether the writing is light on dark.
    pub inverted: bool,
}

/// Finds the ink. `None` if nothing stands out from the paper. Strokes, and shadows, may be as wide as one `part` of the
/// picture.
pub fn binarize(grey: &GrayImage, part: usize, steps: Stages) -> Option<Binarized> {
    let coarse = grey.shrink(grey.width.max(grey.height).div_ceil(COARSE));
    let inverted = steps.polarity && is_light_on_dark(&coarse);
    let mut map = darkness(grey, &coarse, inverted, steps.light.then_some(part));
    let mut levels = levels(&map)?;
    if steps.noise && levels.noise > NOISY * (levels.edge - levels.paper) {
        map = smooth(&map);
        levels = self::levels(&map)?;
    }
    let scale = f32::from(EDGE) / (levels.edge - levels.paper);
    let stretched: [u8; 256] =
        std::array::from_fn(|value| ((value as f32 - levels.paper) * scale).round() as u8);
    map.values.iter_mut().for_each(|value| *value = stretched[usize::from(*value)]);
    Some(Binarized { map, inverted })
}

/// Noise, in heights from paper to a stroke's edge, from which a picture is smoothed: in a quieter one that would only blur
/// digits that touch into each other.
const NOISY: f32 = 0.25;
/// Side of the small copy on which paper is told from ink, in pixels.
const COARSE: usize = 256;

/// Whether the writing is light on dark: most pixels are nearer to the darkest than to the lightest around them, in a
/// square half as wide as the picture. Where it has only paper neither counts, and a step of light as much on both sides.
fn is_light_on_dark(grey: &GrayImage) -> bool {
    let radius = grey.width.min(grey.height).div_ceil(4);
    let (lightest, darkest) = (most(grey, radius, 0, u8::max), most(grey, radius, 255, u8::min));
    let extremes = lightest.values.iter().zip(&darkest.values);
    let votes = grey.values.iter().zip(extremes).map(|(&value, (&lightest, &darkest))| {
        (2 * i64::from(value) - i64::from(lightest) - i64::from(darkest)).pow(3)
    });
    votes.sum::<i64>() < 0
}

/// How much darker each pixel is than the paper, as a part of the paper's light in 255ths; of a picture that is
/// `inverted` first. The light of the paper is the morphological closing of the picture by a square as wide as one `part`
/// of it: what is left when all that is dark and narrower is gone. A slope or a step of light stays.
fn darkness(grey: &GrayImage, coarse: &GrayImage, inverted: bool, part: Option<usize>) -> GrayImage {
    let light = |value: u8| if inverted { 255 - value } else { value };
    let mut paper = coarse.clone();
    paper.values.iter_mut().for_each(|value| *value = light(*value));
    if let Some(part) = part {
        let radius = paper.width.min(paper.height).div_ceil(2 * part);
        paper = closing(&paper, radius);
    } else {
        let brightest = paper.values.iter().copied().max().unwrap_or(0);
        paper.values.fill(brightest);
    }
    let side = coarse.scale / grey.scale;
    let mut map = grey.clone();
    for (y, row) in map.values.chunks_mut(grey.width).enumerate() {
        let paper = paper.row(y / side);
        for (values, &paper) in row.chunks_mut(side).zip(paper) {
            for value in values {
                let missing = paper.saturating_sub(light(*value));
                *value = (u32::from(missing) * 255 / u32::from(paper.max(DIM))) as u8;
            }
        }
    }
    map
}

/// Light of paper below which darkness is a part of this light, lest the noise of a dark picture become ink.
const DIM: u8 = 80;

fn closing(grey: &GrayImage, radius: usize) -> GrayImage {
    most(&most(grey, radius, 0, u8::max), radius, 255, u8::min)
}

/// For each pixel what is `more` than all others up to `radius` from it in both directions, for which `least` is none.
///
/// Runs of twice the length are made of two runs, and those of the whole length of two that overlap, in all rows and then
/// columns at once: what is around the picture keeps them apart.
fn most(grey: &GrayImage, radius: usize, least: u8, more: impl Fn(u8, u8) -> u8) -> GrayImage {
    let (width, length) = (grey.width + 2 * radius, 2 * radius + 1);
    let mut values = vec![least; width * (grey.height + 2 * radius)];
    for (row, old) in values.chunks_mut(width).skip(radius).zip(grey.values.chunks(grey.width)) {
        row[radius..][..grey.width].copy_from_slice(old);
    }
    let mut longer = values.clone();
    for pitch in [1, width] {
        let mut run = 1;
        while run < length {
            let step = run.min(length - run);
            for ((new, &one), &other) in longer.iter_mut().zip(&values).zip(&values[step * pitch..]) {
                *new = more(one, other);
            }
            (values, longer) = (longer, values);
            run += step;
        }
    }
    let rows = values.chunks(width).take(grey.height);
    GrayImage { values: rows.flat_map(|row| &row[..grey.width]).copied().collect(), ..*grey }
}

/// The mean, rounded.
pub(super) fn mean(values: &[u8]) -> u8 {
    let sum: usize = values.iter().map(|&value| usize::from(value)).sum();
    ((sum + values.len() / 2) / values.len().max(1)) as u8
}

/// Each pixel the mean of the three side by side around it, and then of those above each other.
fn smooth(grey: &GrayImage) -> GrayImage {
    let around = |at: usize, len: usize| at.saturating_sub(1)..(at + 2).min(len);
    let mut across = grey.clone();
    for (new, old) in across.values.chunks_mut(grey.width).zip(grey.values.chunks(grey.width)) {
        for (x, value) in new.iter_mut().enumerate() {
            *value = mean(&old[around(x, old.len())]);
        }
    }
    let mut both = across.clone();
    let mut column = vec![0; grey.height];
    for x in 0..grey.width {
        for (y, value) in column.iter_mut().enumerate() {
            *value = across.values[y * grey.width + x];
        }
        for y in 0..grey.height {
            both.values[y * grey.width + x] = mean(&column[around(y, grey.height)]);
        }
    }
    both
}

/// What values in a map of darkness mean.
struct QuantizedMaps {
    /// The paper's.
    paper: f32,
    /// At the edges of strokes.
    edge: f32,
    /// Standard deviation of the paper's.
    noise: f32,
}

/// Finds the levels. Each step from a pixel to the next that is too large for noise votes for its middle with a weight
/// of its height (Kittler, Illingworth and Föglein, "Threshold selection based on a simple image statistic", 1985).
/// Where edges are too soft for such steps, a smaller copy has them. `None` if there are none.
fn levels(map: &GrayImage) -> Option<QuantizedMaps> {
    let mut map = map.clone();
    loop {
        let paper = median(&histogram(map.values.iter().copied())) as f32;
        let mut steps = [0_u32; 256];
        for_each_step(&map, |a, b| steps[usize::from(a.abs_diff(b))] += 1);
        // Half of the steps between independent normal values are below 0.954 standard deviations.
        let noise = median(&steps) as f32 / 0.954;
        let least = (5.0 * noise).max(LEAST_STEP) as u8;
        let (mut votes, mut weights, mut count) = (0_u64, 0_u64, 0);
        for_each_step(&map, |a, b| {
            let height = u64::from(a.abs_diff(b));
            if height > u64::from(least) {
                votes += height * (u64::from(a) + u64::from(b));
                weights += 2 * height;
                count += 1;
            }
        });
        let edge = votes as f32 / weights.max(1) as f32;
        if count >= LEAST_STEPS && edge > paper + LEAST_STEP / 2.0 {
            return Some(QuantizedMaps { paper, edge, noise });
        }
        if map.width.min(map.height) < 2 * SMALLEST {
            return None;
        }
        map = map.shrink(2);
    }
}

/// Stages of darkness, in 255ths of the paper's light, that can be an edge.
const LEAST_STEP: f32 = 12.0;
/// Stages that make a picture not blank.
const LEAST_STEPS: u32 = 8;
/// Side of the smallest copy in which edges are looked for, in pixels.
const SMALLEST: usize = 16;

/// Each pair of pixels side by side, and one above the other.
fn for_each_step(map: &GrayImage, mut step: impl FnMut(u8, u8)) {
    for y in 0..map.height {
        let row = map.row(y);
        row.windows(2).for_each(|pair| step(pair[0], pair[1]));
        if y + 1 < map.height {
            row.iter().zip(map.row(y + 1)).for_each(|(&a, &b)| step(a, b));
        }
    }
}

fn histogram(values: impl Iterator<Item = u8>) -> [u32; 256] {
    let mut counts = [0; 256];
    values.for_each(|value| counts[usize::from(value)] += 1);
    counts
}

/// The value that half of the counted are not above.
fn median(counts: &[u32; 256]) -> usize {
    let half = counts.iter().sum::<u32>() / 2;
    let mut below = 0;
    counts
        .iter()
        .position(|&count| {
            below += count;
            below > half
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar of three columns in the middle of a page of 40 x 40; `light` is that of a pixel and whether it is ink.
    fn page(light: impl Fn(usize, usize, bool) -> u8) -> GrayImage {
        let values = (0..1600)
            .map(|index| {
                let (x, y) = (index % 40, index / 40);
                light(x, y, (18..21).contains(&x) && (8..32).contains(&y))
            })
            .collect();
        GrayImage { width: 40, height: 40, values, scale: 1 }
    }

    fn inked(ink: &Binarized) -> Vec<bool> {
        ink.map.values.iter().map(|&value| value >= EDGE).collect()
    }

    #[test]
    fn ink_is_found_in_either_polarity_and_in_uneven_light() {
        let truth: Vec<_> = page(|_, _, ink| u8::from(ink)).values.iter().map(|&ink| ink == 1).collect();
        type Light = fn(usize, usize, bool) -> u8;
        let pages: [(&str, bool, Light); 5] = [
            ("black on white", false, |_, _, ink| if ink { 0 } else { 255 }),
            ("white on black", true, |_, _, ink| if ink { 255 } else { 0 }),
            ("faint", false, |_, _, ink| if ink { 170 } else { 210 }),
            ("a slope of light", false, |x, y, ink| (250 - 2 * (x + y) as u8) / if ink { 3 } else { 1 }),
            ("a shadow's edge", false, |x, _, ink| if x > 28 { 240 } else { 120 } / if ink { 3 } else { 1 }),
        ];
        for (name, inverted, light) in pages {
            let ink = binarize(&page(light), 2, Stages::default()).expect(name);
            assert_eq!(ink.inverted, inverted, "{name}");
            assert!(inked(&ink) == truth, "{name}");
        }
    }

    #[test]
    fn the_most_around_each_pixel_is_that_of_all_around_it() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..50 {
            let [width, height] = [0; 2].map(|_| random.usize(1..20));
            let values = (0..width * height).map(|_| random.u8(..)).collect();
            let (grey, radius) = (GrayImage { width, height, values, scale: 1 }, random.usize(..12));
            for (least, more) in [(0, u8::max as fn(u8, u8) -> u8), (255, u8::min)] {
                let expected = |at: usize| {
                    let near = |to: &usize| {
                        let across = (at % width).abs_diff(to % width);
                        across.max((at / width).abs_diff(to / width)) <= radius
                    };
                    (0..width * height).filter(near).map(|to| grey.values[to]).reduce(more)
                };
                let found = most(&grey, radius, least, more).values;
                assert!(found.iter().enumerate().all(|(at, &value)| expected(at) == Some(value)));
            }
        }
    }

    #[test]
    fn paper_without_ink_is_blank() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..1600).map(|_| random.u8(190..220)).collect();
        for (name, grey) in [
            ("white", page(|_, _, _| 255)),
            ("black", page(|_, _, _| 0)),
            ("a slope of light", page(|x, y, _| (90 + 2 * (x + y)) as u8)),
            ("noise", page(|x, y, _| noise[y * 40 + x])),
            ("a pixel", GrayImage { width: 1, height: 1, values: vec![9], scale: 1 }),
        ] {
            assert!(binarize(&grey, 2, Stages::default()).is_none(), "{name}");
        }
    }
}
