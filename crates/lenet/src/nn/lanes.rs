//! The memory layout of the engine: eight samples side by side. (`single.rs`, for one sample, has channels there.)
//!
//! A batch is cut into *blocks* of [`LANES`] samples. An activation is `(block, channel, height, width, lane)`, and a
//! [`Lanes`] holds the same element of eight samples, so every operation on one sample is the same operation on a
//! vector, whatever the shape: edges need no masks and small maps waste nothing. Lanes past the end of a batch
//! are fed zeros, and the loss gives them no gradient, so they add nothing to that of the parameters.

use fearless_simd::{Simd, SimdBase, f32x8};

/// Samples side by side in a [`Lanes`].
pub(crate) const LANES: usize = 8;

/// One element of eight samples. Aligned, so that no load crosses a cache line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(32))]
pub(crate) struct Lanes(pub [f32; LANES]);

impl Lanes {
    #[inline(always)]
    pub fn load<S: Simd>(&self, simd: S) -> f32x8<S> {
        f32x8::load_array_ref(simd, &self.0)
    }

    #[inline(always)]
    pub fn store<S: Simd>(&mut self, value: f32x8<S>) {
        value.store_array(&mut self.0);
    }

    /// The sum over the samples, in pairs, so that few additions wait for another.
    #[inline(always)]
    pub fn sum(&self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}

/// `len` zeroed elements.
pub(crate) fn zeros(len: usize) -> Vec<Lanes> {
    vec![Lanes::default(); len]
}

/// Number of blocks that hold `samples`.
pub(crate) fn blocks(samples: usize) -> usize {
    samples.div_ceil(LANES)
}

/// The widest register tile: two broadcast values times six vectors are twelve accumulators, which with their
/// operands are the fifteen registers that every x86 level since AVX has, and enough independent sums to hide
/// the latency of a fused multiply-add.
pub(crate) const TILE: usize = 6;

/// Runs `$body` with the constant `$name`: `$value` where that is one of the numbers in brackets, else the last.
macro_rules! with_const {
    ($name:ident = $value:expr, [$($number:literal)*] else $last:expr => $body:expr) => {
        match $value {
            $($number => {
                const $name: usize = $number;
                $body
            })*
            _ => {
                const $name: usize = $last;
                $body
            }
        }
    };
    // A register tile.
    ($name:ident = $value:expr => $body:expr) => {
        with_const!($name = $value, [1 2 3 4 5] else crate::nn::lanes::TILE => $body)
    };
}
pub(crate) use with_const;

/// Piece `index` of `count` equal pieces (within one) of `0..total`: (start, length).
#[inline(always)]
pub(crate) fn piece(total: usize, count: usize, index: usize) -> (usize, usize) {
    let start = total * index / count;
    (start, total * (index + 1) / count - start)
}
