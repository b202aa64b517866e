//! Tests of the engine at every SIMD level of this machine.
//!
//! Two oracles judge the layers: [`naive`], plain loops in double precision, and [`golden`], PyTorch's results for fixed
//! weights and images.

mod dense; // logits for each pixel
mod fixtures;
mod general; // input shapes, outlier class, dropout streams
mod golden; // PyTorch's results
mod gradients; // gradients of whole networks
mod layers; // each layer against its naive implementation
mod naive; // layers, loss and optimizers in double precision
mod single_sample; // inference on one sample
mod validation; // rejected architectures

use fearless_simd::Level;

use crate::{
    activation_layout::{AlignedBuffer, LANES, Lanes, block_count, zeros},
    network::simd_level_name,
};

/// Returns the SIMD levels that this machine supports: the best one, those below it that exist on x86-64, the one that the
/// target guarantees, and portable code.
fn levels() -> Vec<Level> {
    let best = Level::new();
    let levels = [best, Level::baseline(), Level::fallback()].into_iter();
    #[cfg(target_arch = "x86_64")]
    let levels = levels.chain(best.as_avx2().map(Level::Avx2)).chain(best.as_sse4_2().map(Level::Sse4_2));
    let mut levels: Vec<_> = levels.collect();
    // The best level is also that of the target on ARM, and one of the others on most x86-64 machines.
    levels.sort_by_key(|&level| simd_level_name(level));
    levels.dedup_by_key(|level| simd_level_name(*level));
    levels
}

/// Converts `(sample, element)` to `(block, element)` with samples in the lanes.
fn to_lanes(rows: &[f64], elements: usize) -> AlignedBuffer {
    let mut lanes = zeros(block_count(rows.len() / elements) * elements);
    for (i, &value) in rows.iter().enumerate() {
        let (sample, element) = (i / elements, i % elements);
        lanes[sample / LANES * elements + element].0[sample % LANES] = value as f32;
    }
    lanes
}

/// Converts `(block, element)` to `(sample, element)`, without the idle lanes after the last of `samples`.
fn to_rows(lanes: &[Lanes], elements: usize, samples: usize) -> Vec<f64> {
    let value = |sample: usize, element: usize| lanes[sample / LANES * elements + element].0[sample % LANES];
    (0..samples * elements).map(|i| f64::from(value(i / elements, i % elements))).collect()
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// Largest rounding error of single precision, relative to the largest magnitude of a tensor.
const F32_TOLERANCE: f64 = 1e-5;

/// Largest rounding error of Winograd's minimal filtering, relative to the largest magnitude of a tensor. It is larger
/// because the largest point is raised to the sixth power in each direction.
const WINOGRAD_TOLERANCE: f64 = 1e-4;

/// Asserts that each element differs by at most `tolerance` times the largest magnitude of `expected`.
fn assert_close(name: &str, tolerance: f64, expected: &[f64], found: &[f64]) {
    assert_eq!(expected.len(), found.len(), "{name}");
    let largest = expected.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
    for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
        let close = (expected - found).abs() <= tolerance * largest;
        assert!(close, "{name}[{i}]: expected {expected}, found {found}");
    }
}
