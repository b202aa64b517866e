//! Dropout (Srivastava et al. 2014): in training each element is zeroed with probability `p` and else scaled by
//! `1 / (1 - p)`; in inference nothing happens.

use fearless_simd::{Select, Simd, SimdBase, dispatch, f32x8, u32x8};
use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use super::{
    lanes::{LANES, Lanes},
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
            let state = seeds(key, pass.first_block + block);
            let p = self.p;
            dispatch!(pass.level, simd => drop_some(simd, p, state, from, to));
        }
    }
}

/// A generator's state for each lane of a block: never zero, where xorshift would stay.
fn seeds(key: u64, block: usize) -> [u32; LANES] {
    let mut random = Pcg64Mcg::seed_from_u64(key.wrapping_add(block as u64));
    std::array::from_fn(|_| random.next_u32() | 1)
}

/// One xorshift generator (Marsaglia 2003) for each lane.
#[inline(always)]
fn drop_some<S: Simd>(simd: S, p: f32, state: [u32; LANES], from: &[Lanes], to: &mut [Lanes]) {
    let mut state = u32x8::load_array(simd, state);
    let threshold = u32x8::splat(simd, (f64::from(p) * 2f64.powi(32)) as u32);
    let zero = f32x8::splat(simd, 0.0);
    let scale = f32x8::splat(simd, 1.0 / (1.0 - p));
    for (from, to) in from.iter().zip(to) {
        state = state ^ (state << 13u32);
        state = state ^ (state >> 17u32);
        state = state ^ (state << 5u32);
        to.store(state.simd_ge(threshold).select(from.load(simd) * scale, zero));
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
