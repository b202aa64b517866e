//! Dropout (Srivastava et al. 2014): in training each element is zeroed with probability `p` and else scaled by
//! `1 / (1 - p)`; in inference nothing happens.

use fearless_simd::{Select, Simd, SimdBase};
use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{Lanes, Vector, kernel},
    layer::{Operator, Pass},
};

/// Zeroes elements at random in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability that an element is zeroed, at least 0 and below 1.
    pub p: f32,
}

impl Dropout {
    /// Zeroes each element with probability `p`.
    pub const fn new(p: f32) -> Self {
        Self { p }
    }
}

/// [`Dropout`] at work. The mask is not kept: backward draws the same numbers again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropping {
    pub p: f32,
    /// Elements of a sample.
    pub len: usize,
}

impl Dropping {
    /// `to = from * mask / (1 - p)`, block by block.
    fn apply(&self, pass: Pass, from: &[Lanes], to: &mut [Lanes]) {
        let Some(key) = pass.training else {
            to.copy_from_slice(from);
            return;
        };
        for (block, (from, to)) in from.chunks_exact(self.len).zip(to.chunks_exact_mut(self.len)).enumerate()
        {
            let seeds = seeds(key, pass.first_block + block);
            let p = self.p;
            kernel!(pass.level, drop_some(p, seeds, from, to));
        }
    }
}

/// Neighbouring elements that have generators of their own, so that no number waits for the one before it.
const GENERATORS: usize = 4;

/// A generator's state for each of the elements and each lane of a block, as bits: never zero, where xorshift would stay.
fn seeds(key: u64, block: usize) -> [Lanes; GENERATORS] {
    let mut random = Pcg64Mcg::seed_from_u64(key.wrapping_add(block as u64));
    std::array::from_fn(|_| Lanes(std::array::from_fn(|_| f32::from_bits(random.next_u32() | 1))))
}

#[inline(always)]
fn drop_some<S: Simd, V: Vector<S>>(
    simd: S,
    p: f32,
    seeds: [Lanes; GENERATORS],
    from: &[Lanes],
    to: &mut [Lanes],
) {
    let mut states = [V::splat(simd, 0.0).to_bits(); GENERATORS];
    for (seeds, state) in seeds.chunks_exact(V::ELEMENTS).zip(&mut states) {
        *state = V::load(simd, seeds).to_bits();
    }
    let (whole, rest) = from.as_chunks();
    let (whole_to, rest_to) = to.as_chunks_mut();
    for (from, to) in whole.iter().zip(whole_to) {
        drop_each::<S, V>(simd, p, &mut states, from, to);
    }
    let (mut last, mut last_to) = ([Lanes::default(); GENERATORS], [Lanes::default(); GENERATORS]);
    last[..rest.len()].copy_from_slice(rest);
    drop_each::<S, V>(simd, p, &mut states, &last, &mut last_to);
    rest_to.copy_from_slice(&last_to[..rest.len()]);
}

/// One element for each generator: xorshift (Marsaglia 2003), in each lane.
#[inline(always)]
fn drop_each<S: Simd, V: Vector<S>>(
    simd: S,
    p: f32,
    states: &mut [V::Bits; GENERATORS],
    from: &[Lanes; GENERATORS],
    to: &mut [Lanes; GENERATORS],
) {
    let zero = V::splat(simd, 0.0);
    let threshold = V::Bits::splat(simd, (f64::from(p) * 2f64.powi(32)) as u32);
    for i in 0..GENERATORS / V::ELEMENTS {
        let mut state = states[i];
        state = state ^ (state << 13u32);
        state = state ^ (state >> 17u32);
        state = state ^ (state << 5u32);
        states[i] = state;
        let scaled = V::load(simd, &from[i * V::ELEMENTS..]) * (1.0 / (1.0 - p));
        state.simd_ge(threshold).select(scaled, zero).store(&mut to[i * V::ELEMENTS..]);
    }
}

impl Operator for Dropping {
    fn forward(&mut self, pass: Pass, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        self.apply(pass, x, y);
    }

    fn backward(
        &mut self,
        pass: Pass,
        _parameters: &[f32],
        _x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        if let Some(dx) = dx {
            self.apply(pass, dy, dx);
        }
    }
}
