//! Uniform random numbers.

use rand_pcg::rand_core::Rng;

/// Returns a number uniform in -1 to 1.
pub(crate) fn uniform_symmetric(random: &mut impl Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// Returns a number uniform in `low` to `high`.
pub(crate) fn uniform(low: f32, high: f32, random: &mut impl Rng) -> f32 {
    (low + high) / 2.0 + (high - low) / 2.0 * uniform_symmetric(random)
}

/// Returns an integer uniform in 0 to `end - 1`.
pub(crate) fn uniform_below(end: usize, random: &mut impl Rng) -> usize {
    ((u64::from(random.next_u32()) * end as u64) >> 32) as usize
}

/// Returns a number in `low` to `high` whose logarithm is uniform.
pub(crate) fn log_uniform(low: f32, high: f32, random: &mut impl Rng) -> f32 {
    uniform(low.ln(), high.ln(), random).exp()
}

/// Returns true with a probability.
pub(crate) fn chance(probability: f32, random: &mut impl Rng) -> bool {
    uniform(0.0, 1.0, random) < probability
}
