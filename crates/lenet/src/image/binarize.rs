//! Separation of ink and paper: brightness of the paper divided out, contrast normalized.

use super::{GrayImage, Stage, Stages, close, dilate, erode};

/// The ink level at the edge of a stroke, halfway between paper (0) and the ink of a wide stroke (255).
pub const STROKE_EDGE_LEVEL: u8 = 128;

/// Which of writing and paper is darker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Dark writing on light paper.
    DarkOnLight,
    /// Light writing on dark paper.
    LightOnDark,
}

/// Parameters of [`binarize`]. The defaults were chosen empirically, on pictures generated from MNIST's training images and
/// on photographs; `docs/experiments/recognition.md` has the trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinarizeParams {
    /// The polarity, or `None` if it is to be estimated.
    pub polarity: Option<Polarity>,
    /// Longer side of the reduced copy on which polarity and paper are estimated, in pixels.
    pub coarse_side_px: usize,
    /// The window of the polarity vote reaches this fraction of the picture's shorter side in each direction.
    pub polarity_radius: f64,
    /// Side of the square by which the picture is closed to estimate the paper, as a fraction of the picture's shorter side.
    /// Dark areas wider than the square count as shaded paper, narrower ones as ink.
    pub paper_window: f64,
    /// Brightness, 0 to 255, below which paper is treated as being of this brightness, so that the noise of dark pictures is
    /// not amplified.
    pub min_paper_brightness: u8,
    /// Fraction of the picture's pixels that are no darker than the level of paper.
    pub paper_quantile: f64,
    /// Noise, as a fraction of the contrast from paper to a stroke's edge, above which the picture is smoothed. In quieter
    /// pictures smoothing only blurs neighboring digits into each other.
    pub max_noise: f32,
    /// Smallest difference of neighboring pixels that can be an edge, in 255ths of the paper's brightness.
    pub min_gradient: f32,
    /// Smallest difference of neighboring pixels that can be an edge, in standard deviations of the noise.
    pub min_gradient_in_noise: f32,
    /// Number of neighboring pixels with an edge between them below which the picture is blank.
    pub min_edges: u32,
    /// Shorter side of the smallest reduced copy in which edges are looked for, in pixels.
    pub min_side_px: usize,
}

impl Default for BinarizeParams {
    fn default() -> Self {
        Self {
            polarity: None,
            coarse_side_px: 256,
            polarity_radius: 0.25,
            paper_window: 0.5,
            min_paper_brightness: 80,
            paper_quantile: 0.5,
            max_noise: 0.25,
            min_gradient: 12.0,
            min_gradient_in_noise: 5.0,
            min_edges: 8,
            min_side_px: 16,
        }
    }
}

/// The result of [`binarize`].
#[derive(Debug, Clone)]
pub struct InkMap {
    /// The ink map: 0 is paper, whatever its color and brightness, 255 is full ink, and [`STROKE_EDGE_LEVEL`] is the edge of a
    /// stroke. Edges keep their gray levels, because the digits are normalized from this map.
    pub ink: GrayImage,
    /// Whether the writing is light on dark.
    pub inverted: bool,
}

/// Separates ink from paper. Returns `None` if the picture is blank.
///
/// 1. Polarity, if it is not given: writing is light on dark if most pixels are nearer to the darkest than to the lightest pixel
///    around them.
/// 2. Light: the paper's brightness is the morphological closing of a reduced copy; ink is darkness relative to it.
/// 3. Noise: a noisy map is smoothed by a 3x3 mean.
/// 4. Contrast: levels are stretched so that paper is 0 and edges of strokes are [`STROKE_EDGE_LEVEL`].
pub fn binarize(gray: &GrayImage, params: &BinarizeParams, stages: Stages) -> Option<InkMap> {
    let coarse = gray.downscale(gray.width.max(gray.height).div_ceil(params.coarse_side_px));
    let inverted = match params.polarity {
        Some(polarity) => polarity == Polarity::LightOnDark,
        None => stages.contains(Stage::Polarity) && is_light_on_dark(&coarse, params),
    };
    let mut ink = relative_darkness(gray, &coarse, inverted, params, stages);
    let mut contrast = ContrastLevels::estimate(&ink, params)?;
    if stages.contains(Stage::Noise) && contrast.noise > params.max_noise * (contrast.edge - contrast.paper) {
        ink = box_blur(&ink);
        contrast = ContrastLevels::estimate(&ink, params)?;
    }
    let scale = f32::from(STROKE_EDGE_LEVEL) / (contrast.edge - contrast.paper);
    let stretched: [u8; 256] =
        std::array::from_fn(|value| ((value as f32 - contrast.paper) * scale).round() as u8);
    ink.values.iter_mut().for_each(|value| *value = stretched[usize::from(*value)]);
    Some(InkMap { ink, inverted })
}

/// Returns whether the writing is light on dark: most pixels are nearer to the darkest than to the lightest pixel of the
/// window around them. The cubes make windows without ink count for nothing, and a step of light for the same on both of
/// its sides.
fn is_light_on_dark(gray: &GrayImage, params: &BinarizeParams) -> bool {
    let radius = fraction_of_shorter_side(gray, params.polarity_radius);
    let (lightest, darkest) = (dilate(gray, radius), erode(gray, radius));
    let extremes = lightest.values.iter().zip(&darkest.values);
    let votes = gray.values.iter().zip(extremes).map(|(&value, (&lightest, &darkest))| {
        (2 * i64::from(value) - i64::from(lightest) - i64::from(darkest)).pow(3)
    });
    votes.sum::<i64>() < 0
}

/// Returns how much darker each pixel is than the paper, in 255ths of the paper's brightness. The picture is inverted first
/// if it is `inverted`. `coarse` is a reduced copy of `gray`.
///
/// The paper's brightness is the closing of `coarse`, which removes dark details and keeps slopes and steps of light.
fn relative_darkness(
    gray: &GrayImage,
    coarse: &GrayImage,
    inverted: bool,
    params: &BinarizeParams,
    stages: Stages,
) -> GrayImage {
    let light = |value: u8| if inverted { 255 - value } else { value };
    let mut paper = coarse.clone();
    paper.values.iter_mut().for_each(|value| *value = light(*value));
    if stages.contains(Stage::Light) {
        let radius = fraction_of_shorter_side(&paper, params.paper_window / 2.0);
        paper = close(&paper, radius);
    } else {
        let brightest = paper.values.iter().copied().max().unwrap_or(0);
        paper.values.fill(brightest);
    }
    let factor = coarse.scale / gray.scale;
    let mut darkness = gray.clone();
    for (y, row) in darkness.values.chunks_mut(gray.width).enumerate() {
        let paper = paper.row(y / factor);
        for (values, &paper) in row.chunks_mut(factor).zip(paper) {
            for value in values {
                let missing = paper.saturating_sub(light(*value));
                *value = (u32::from(missing) * 255 / u32::from(paper.max(params.min_paper_brightness))) as u8;
            }
        }
    }
    darkness
}

/// Returns a fraction of the shorter side in pixels, rounded up.
fn fraction_of_shorter_side(image: &GrayImage, fraction: f64) -> usize {
    (image.width.min(image.height) as f64 * fraction).ceil() as usize
}

/// Returns the rounded mean.
pub(super) fn mean(values: &[u8]) -> u8 {
    let sum: usize = values.iter().map(|&value| usize::from(value)).sum();
    ((sum + values.len() / 2) / values.len().max(1)) as u8
}

/// Smooths by a 3x3 mean: rows first, then columns, rounded after each.
fn box_blur(gray: &GrayImage) -> GrayImage {
    let neighborhood = |at: usize, len: usize| at.saturating_sub(1)..(at + 2).min(len);
    let mut across = gray.clone();
    for (new, old) in across.values.chunks_mut(gray.width).zip(gray.values.chunks(gray.width)) {
        for (x, value) in new.iter_mut().enumerate() {
            *value = mean(&old[neighborhood(x, old.len())]);
        }
    }
    let mut both = across.clone();
    let mut column = vec![0; gray.height];
    for x in 0..gray.width {
        for (y, value) in column.iter_mut().enumerate() {
            *value = across.values[y * gray.width + x];
        }
        for y in 0..gray.height {
            both.values[y * gray.width + x] = mean(&column[neighborhood(y, gray.height)]);
        }
    }
    both
}

/// Levels in a map of darkness.
struct ContrastLevels {
    /// Level of paper.
    paper: f32,
    /// Mean level at the edges of strokes.
    edge: f32,
    /// Standard deviation of the paper's noise.
    noise: f32,
}

/// Half of the absolute differences of independent normal values are below this many of their standard deviations.
const MEDIAN_NORMAL_DIFFERENCE: f32 = 0.954;

impl ContrastLevels {
    /// Estimates the levels. Each difference of neighboring pixels that is too large for noise votes for the mean of the two,
    /// weighted by the difference (Kittler, Illingworth and Föglein, "Threshold selection based on a simple image statistic",
    /// 1985). If edges are too soft for such differences, a reduced copy is tried. Returns `None` if no edges are found.
    fn estimate(darkness: &GrayImage, params: &BinarizeParams) -> Option<Self> {
        let mut darkness = darkness.clone();
        loop {
            let histogram = histogram(darkness.values.iter().copied());
            let paper = quantile(&histogram, params.paper_quantile) as f32;
            let mut differences = [0_u32; 256];
            for_each_neighbor_pair(&darkness, |a, b| differences[usize::from(a.abs_diff(b))] += 1);
            let noise = quantile(&differences, 0.5) as f32 / MEDIAN_NORMAL_DIFFERENCE;
            let min_gradient = (params.min_gradient_in_noise * noise).max(params.min_gradient) as u8;
            let (mut weighted_sum, mut weights, mut edges) = (0_u64, 0_u64, 0);
            for_each_neighbor_pair(&darkness, |a, b| {
                let gradient = u64::from(a.abs_diff(b));
                if gradient > u64::from(min_gradient) {
                    weighted_sum += gradient * (u64::from(a) + u64::from(b));
                    weights += 2 * gradient;
                    edges += 1;
                }
            });
            let edge = weighted_sum as f32 / weights.max(1) as f32;
            if edges >= params.min_edges && edge > paper + params.min_gradient / 2.0 {
                return Some(Self { paper, edge, noise });
            }
            if darkness.width.min(darkness.height) < 2 * params.min_side_px {
                return None;
            }
            darkness = darkness.downscale(2);
        }
    }
}

/// Calls `visit` with each two pixels that are neighbors in a row or a column.
fn for_each_neighbor_pair(image: &GrayImage, mut visit: impl FnMut(u8, u8)) {
    for y in 0..image.height {
        let row = image.row(y);
        row.windows(2).for_each(|pair| visit(pair[0], pair[1]));
        if y + 1 < image.height {
            row.iter().zip(image.row(y + 1)).for_each(|(&a, &b)| visit(a, b));
        }
    }
}

fn histogram(values: impl Iterator<Item = u8>) -> [u32; 256] {
    let mut counts = [0; 256];
    values.for_each(|value| counts[usize::from(value)] += 1);
    counts
}

/// Returns a quantile of the values that a histogram counts; 0.5 is the median.
fn quantile(counts: &[u32; 256], fraction: f64) -> usize {
    let before = (f64::from(counts.iter().sum::<u32>()) * fraction) as u32;
    let mut cumulative = 0;
    counts
        .iter()
        .position(|&count| {
            cumulative += count;
            cumulative > before
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of 40 x 40 with a vertical bar of three columns. `light` maps column, row and whether there is ink to a gray
    /// level.
    fn page(light: impl Fn(usize, usize, bool) -> u8) -> GrayImage {
        GrayImage::from_fn(40, 40, |x, y| light(x, y, (18..21).contains(&x) && (8..32).contains(&y)))
    }

    fn is_ink(binarized: &InkMap) -> Vec<bool> {
        binarized.ink.values.iter().map(|&value| value >= STROKE_EDGE_LEVEL).collect()
    }

    fn default_binarize(gray: &GrayImage) -> Option<InkMap> {
        binarize(gray, &BinarizeParams::default(), Stages::ALL)
    }

    #[test]
    fn finds_ink_in_either_polarity_and_in_uneven_light() {
        let truth: Vec<_> = page(|_, _, ink| u8::from(ink)).values.iter().map(|&ink| ink == 1).collect();
        type Light = fn(usize, usize, bool) -> u8;
        let pages: [(&str, bool, Light); 5] = [
            ("black on white", false, |_, _, ink| if ink { 0 } else { 255 }),
            ("white on black", true, |_, _, ink| if ink { 255 } else { 0 }),
            ("faint", false, |_, _, ink| if ink { 170 } else { 210 }),
            ("slope of light", false, |x, y, ink| (250 - 2 * (x + y) as u8) / if ink { 3 } else { 1 }),
            ("edge of a shadow", false, |x, _, ink| if x > 28 { 240 } else { 120 } / if ink { 3 } else { 1 }),
        ];
        for (name, inverted, light) in pages {
            let binarized = default_binarize(&page(light)).expect(name);
            assert_eq!(binarized.inverted, inverted, "{name}");
            assert!(is_ink(&binarized) == truth, "{name}");
        }
    }

    #[test]
    fn paper_without_ink_is_blank() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..1600).map(|_| random.u8(190..220)).collect();
        for (name, gray) in [
            ("white", page(|_, _, _| 255)),
            ("black", page(|_, _, _| 0)),
            ("slope of light", page(|x, y, _| (90 + 2 * (x + y)) as u8)),
            ("noise", page(|x, y, _| noise[y * 40 + x])),
            ("one pixel", GrayImage { width: 1, height: 1, values: vec![9], scale: 1 }),
        ] {
            assert!(default_binarize(&gray).is_none(), "{name}");
        }
    }
}
