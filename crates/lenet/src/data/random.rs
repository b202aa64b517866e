//! Random numbers of the ranges that drawing and warping ask for.

use rand_pcg::rand_core::Rng;

/// Uniform in -1 to 1.
pub(crate) fn symmetric(random: &mut impl Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// Uniform from `low` to `high`.
pub(crate) fn between(low: f32, high: f32, random: &mut impl Rng) -> f32 {
    (low + high) / 2.0 + (high - low) / 2.0 * symmetric(random)
}

/// A whole number below `end`.
pub(crate) fn below(end: usize, random: &mut impl Rng) -> usize {
    ((u64::from(random.next_u32()) * end as u64) >> 32) as usize
}
