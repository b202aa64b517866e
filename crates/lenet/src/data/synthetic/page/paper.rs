//! Paper, light and camera.

use rand_pcg::rand_core::Rng;

use super::{
    layer::{CANVAS_SIDE, MarkLayer},
    layout::PageCanvas,
};
use crate::data::random::{chance, log_uniform, uniform, uniform_below, uniform_symmetric};

/// Number of pixels of the canvas.
const CANVAS_PIXELS: usize = CANVAS_SIDE * CANVAS_SIDE;

/// Returns the light from the paper `(row, column)`, 0 to 1. Where dark surroundings begin, it removes the marks from the canvas.
pub fn paper_light(canvas: &mut PageCanvas, random: &mut impl Rng) -> Vec<f32> {
    let paper = uniform(0.35, 1.0, random);
    let [slope_x, slope_y] = [0; 2].map(|_| uniform(-0.35, 0.35, random));
    let mut light = canvas_from_fn(|x, y| paper * (1.0 + slope_x * x + slope_y * y));
    if chance(0.15, random) {
        let [x0, y0] = [0; 2].map(|_| uniform(-0.8, 0.8, random));
        let strength = uniform(0.1, 0.5, random);
        multiply_light(&mut light, |x, y| 1.0 - strength * (x - x0).hypot(y - y0).min(1.5).powi(2));
    }
    if chance(0.1, random) {
        // A shadow with a soft edge, or surroundings.
        darken_half_plane(&mut light, log_uniform(0.02, 0.3, random), uniform(0.3, 0.8, random), random);
    }
    if chance(0.1, random) {
        let surroundings = darken_half_plane(
            &mut light,
            log_uniform(0.004, 0.03, random),
            uniform(0.05, 0.6, random),
            random,
        );
        for layer in [&mut canvas.ink, &mut canvas.rules] {
            layer.retain_marks(|at| surroundings[at] < 0.5);
        }
    }
    if chance(0.7, random) {
        let strength = uniform(0.0, 0.12, random) * uniform(0.0, 1.0, random);
        let grain = smooth_noise(log_uniform(2.0, 16.0, random), random);
        light.iter_mut().zip(&grain).for_each(|(light, grain)| *light *= 1.0 + strength * grain);
    }
    light
}

/// Returns the gray levels 0 to 255 `(row, column)` that a camera sees of marks in a light.
pub fn photograph(canvas: &PageCanvas, mut light: Vec<f32>, random: &mut impl Rng) -> Vec<u8> {
    let contrast = canvas.writing.darkness.min(canvas.style.darkness.max(0.2));
    let ink = pencil_darkness(&canvas.ink, random);
    // Ink over a print absorbs more than both, or is as dark as the darker one.
    let multiplies = chance(0.5, random);
    for ((light, rule), ink) in light.iter_mut().zip(&canvas.rules.darkness).zip(&ink) {
        *light *= if multiplies { (1.0 - rule) * (1.0 - ink) } else { 1.0 - rule.max(*ink) };
    }
    draw_specks(&mut light, contrast, random);

    let max_deviation = (0.3 + 0.04 * canvas.writing.height).min(2.0);
    let mut seen = gaussian_blur(&light, uniform(0.3, max_deviation.max(0.8), random));
    if chance(0.3, random) {
        // Cameras sharpen (unsharp masking), which leaves halos.
        let (blurred, strength) =
            (gaussian_blur(&seen, uniform(0.8, 2.0, random)), uniform(0.2, 1.0, random));
        seen.iter_mut().zip(&blurred).for_each(|(seen, blurred)| *seen += strength * (*seen - blurred));
    }
    let noise = contrast * log_uniform(0.005, 0.15, random);
    if chance(0.15, random) {
        add_block_noise(&mut seen, 0.5 * noise, random);
    }
    let inverted = chance(0.12, random);
    let levels = seen.into_iter().map(|value| {
        let value = (value + noise * approximate_normal(random)).clamp(0.0, 1.0);
        (255.0 * if inverted { 1.0 - value } else { value }) as u8
    });
    levels.collect()
}

/// Returns the darkness of a layer, on some pages paler in some places, as of a pencil.
fn pencil_darkness(layer: &MarkLayer, random: &mut impl Rng) -> Vec<f32> {
    let mut darkness = layer.darkness.clone();
    if chance(0.4, random) {
        let strength = uniform(0.0, 0.35, random);
        let grain = smooth_noise(log_uniform(1.5, 6.0, random), random);
        for (darkness, grain) in darkness.iter_mut().zip(&grain) {
            *darkness *= 1.0 + strength * (grain - 1.0);
        }
    }
    darkness
}

/// Draws a few dark specks of a pixel or two, which are neither ink nor rules.
fn draw_specks(light: &mut [f32], contrast: f32, random: &mut impl Rng) {
    if !chance(0.15, random) {
        return;
    }
    for _ in 0..uniform_below(12, random) {
        let at = uniform_below(CANVAS_PIXELS - CANVAS_SIDE - 1, random);
        let factor = 1.0 - contrast * uniform(0.2, 0.9, random);
        for offset in [0, 1, CANVAS_SIDE, CANVAS_SIDE + 1].into_iter().take(1 << uniform_below(3, random)) {
            light[at + offset] *= factor;
        }
    }
}

/// Changes the light of whole blocks of 8x8 pixels and of their columns, as strong compression does.
fn add_block_noise(seen: &mut [f32], deviation: f32, random: &mut impl Rng) {
    const BLOCK_SIDE: usize = 8;
    let blocks: Vec<[f32; 3]> = (0..CANVAS_PIXELS / BLOCK_SIDE / BLOCK_SIDE)
        .map(|_| [0; 3].map(|_| deviation * uniform_symmetric(random)))
        .collect();
    for (at, seen) in seen.iter_mut().enumerate() {
        let (x, y) = (at % CANVAS_SIDE, at / CANVAS_SIDE);
        let [mean, across, down] = blocks[y / BLOCK_SIDE * (CANVAS_SIDE / BLOCK_SIDE) + x / BLOCK_SIDE];
        let wave = |position: usize| if position % 4 < 2 { 1.0 } else { -1.0 };
        *seen += mean + across * wave(x % BLOCK_SIDE) + down * wave(y % BLOCK_SIDE);
    }
}

/// Darkens one side of a line through the canvas by a factor. The edge has a width relative to the canvas. Returns how far each
/// pixel is on that side, 0 to 1.
fn darken_half_plane(light: &mut [f32], width: f32, factor: f32, random: &mut impl Rng) -> Vec<f32> {
    let (sin, cos) = (std::f32::consts::PI * uniform_symmetric(random)).sin_cos();
    let offset = uniform(0.1, 0.45, random);
    let side = canvas_from_fn(|x, y| (0.5 + (cos * x + sin * y - offset) / width).clamp(0.0, 1.0));
    for (light, side) in light.iter_mut().zip(&side) {
        *light *= 1.0 - (1.0 - factor) * side;
    }
    side
}

/// Returns `value(x, y)` for each pixel, where x and y are from -0.5 to 0.5.
fn canvas_from_fn(value: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let position = |at: usize| at as f32 / CANVAS_SIDE as f32 - 0.5;
    (0..CANVAS_PIXELS).map(|at| value(position(at % CANVAS_SIDE), position(at / CANVAS_SIDE))).collect()
}

/// Multiplies the light by `factor(x, y)`, where x and y are from -0.5 to 0.5.
fn multiply_light(light: &mut [f32], factor: impl Fn(f32, f32) -> f32) {
    light.iter_mut().zip(canvas_from_fn(factor)).for_each(|(light, factor)| *light *= factor);
}

/// Returns noise of deviation 0.5 that changes over a distance of `pitch` pixels, at least 1: random values on a grid,
/// interpolated linearly.
fn smooth_noise(pitch: f32, random: &mut impl Rng) -> Vec<f32> {
    let side = (CANVAS_SIDE as f32 / pitch) as usize + 2;
    let grid: Vec<f32> = (0..side * side).map(|_| uniform_symmetric(random)).collect();
    let weights: Vec<(usize, f32)> =
        (0..CANVAS_SIDE).map(|at| at as f32 / pitch).map(|at| (at as usize, at.fract())).collect();
    let mut noise = Vec::with_capacity(CANVAS_PIXELS);
    let mut row = vec![0.0; side];
    for &(first, weight) in &weights {
        let [above, below] = [first, first + 1].map(|row| &grid[row * side..][..side]);
        for ((value, above), below) in row.iter_mut().zip(above).zip(below) {
            *value = above + weight * (below - above);
        }
        noise.extend(
            weights.iter().map(|&(first, weight)| row[first] + weight * (row[first + 1] - row[first])),
        );
    }
    noise
}

/// Blurs an image by a Gaussian of a standard deviation in pixels. Edges are replicated.
fn gaussian_blur(image: &[f32], deviation: f32) -> Vec<f32> {
    let radius = (2.5 * deviation).ceil() as usize;
    let weight = |distance: usize| (-0.5 * (distance as f32 / deviation).powi(2)).exp();
    let mut kernel: Vec<f32> = (0..=2 * radius).map(|at| weight(at.abs_diff(radius))).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= sum);

    let mut rows = vec![0.0; CANVAS_PIXELS];
    let mut padded = vec![0.0; CANVAS_SIDE + 2 * radius];
    for (blurred, row) in rows.chunks_exact_mut(CANVAS_SIDE).zip(image.chunks_exact(CANVAS_SIDE)) {
        padded[..radius].fill(row[0]);
        padded[radius..radius + CANVAS_SIDE].copy_from_slice(row);
        padded[radius + CANVAS_SIDE..].fill(row[CANVAS_SIDE - 1]);
        for (offset, weight) in kernel.iter().enumerate() {
            blurred.iter_mut().zip(&padded[offset..]).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let mut blurred = vec![0.0; CANVAS_PIXELS];
    for (y, blurred) in blurred.chunks_exact_mut(CANVAS_SIDE).enumerate() {
        for (offset, weight) in kernel.iter().enumerate() {
            let from = (y + offset).saturating_sub(radius).min(CANVAS_SIDE - 1);
            let row = &rows[from * CANVAS_SIDE..][..CANVAS_SIDE];
            blurred.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    blurred
}

/// Returns a number of mean 0 and standard deviation 1, nearly normal: a sum of four uniform bytes.
fn approximate_normal(random: &mut impl Rng) -> f32 {
    /// Standard deviation of the sum.
    const DEVIATION: f32 = 147.8;
    let sum: u32 = random.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
    (sum as f32 - 510.0) / DEVIATION
}

#[cfg(test)]
mod tests {
    use rand_pcg::{Pcg64Mcg, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn blur_keeps_the_sum_and_has_its_deviation() {
        let mut image = vec![0.0; CANVAS_PIXELS];
        image[CANVAS_PIXELS / 2 + CANVAS_SIDE / 2] = 1.0;
        let blurred = gaussian_blur(&image, 1.5);
        let moment = |at: usize| (at % CANVAS_SIDE) as f32 - (CANVAS_SIDE / 2) as f32;
        let variance: f32 = blurred.iter().enumerate().map(|(at, value)| moment(at).powi(2) * value).sum();
        assert!((blurred.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!((variance.sqrt() - 1.5).abs() < 0.1, "{variance}");
        assert!(gaussian_blur(&vec![0.5; CANVAS_PIXELS], 0.3).iter().all(|value| (value - 0.5).abs() < 1e-5));
    }

    #[test]
    fn noise_has_its_moments() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let values: Vec<f32> = (0..20_000).map(|_| approximate_normal(&mut random)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.03, "{mean}, {variance}");
    }
}
