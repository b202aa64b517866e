//! The memory layout of the engine: eight samples side by side. (`single.rs`, for one sample, has channels there.)
//!
//! A batch is cut into *blocks* of [`LANES`] samples. An activation is `(block, channel, height, width, lane)`, and a
//! [`Lanes`] holds the same element of eight samples, so every operation on one sample is the same operation on a
//! vector, whatever the shape: edges need no masks and small maps waste nothing. Lanes past the end of a batch
//! are fed zeros, and the loss gives them no gradient, so they add nothing to that of the parameters.

use std::ops::{Deref, DerefMut};

use fearless_simd::{Simd, SimdBase, SimdCombine, SimdFloat, SimdInt, SimdSplit, f32x8, f32x16};

/// Samples side by side in a [`Lanes`].
pub const LANES: usize = 8;

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

/// Neighbouring elements of eight samples each: as many as a register of the SIMD level holds, but at least one. What
/// they are neighbours in, such as a row of pixels, is the kernel's affair.
pub(crate) trait Vector<S: Simd>:
    SimdFloat<S, Element = f32, Bits: SimdInt<S, Element = u32, Mask = Self::Mask>>
{
    /// Elements in a vector.
    const ELEMENTS: usize;
    /// Whether there are two: a constant by itself, so that no code is made for what is not so.
    const WIDE: bool;

    fn from_elements(element: impl Fn(usize) -> f32x8<S>) -> Self;

    fn element(self, index: usize) -> f32x8<S>;

    /// The first elements of `from`.
    fn load(simd: S, from: &[Lanes]) -> Self;

    /// An element, and zeros after it.
    fn load_one(simd: S, from: &Lanes) -> Self;

    fn store(self, to: &mut [Lanes]);

    /// The sum of the elements.
    fn sum(self) -> f32x8<S>;
}

// Nothing here is a loop: kernels are made of many of these.
impl<S: Simd> Vector<S> for f32x8<S> {
    const ELEMENTS: usize = 1;
    const WIDE: bool = false;

    #[inline(always)]
    fn from_elements(element: impl Fn(usize) -> Self) -> Self {
        element(0)
    }

    #[inline(always)]
    fn element(self, _index: usize) -> Self {
        self
    }

    #[inline(always)]
    fn load(simd: S, from: &[Lanes]) -> Self {
        from[0].load(simd)
    }

    #[inline(always)]
    fn load_one(simd: S, from: &Lanes) -> Self {
        from.load(simd)
    }

    #[inline(always)]
    fn store(self, to: &mut [Lanes]) {
        to[0].store(self);
    }

    #[inline(always)]
    fn sum(self) -> Self {
        self
    }
}

impl<S: Simd> Vector<S> for f32x16<S> {
    const ELEMENTS: usize = 2;
    const WIDE: bool = true;

    #[inline(always)]
    fn from_elements(element: impl Fn(usize) -> f32x8<S>) -> Self {
        element(0).combine(element(1))
    }

    #[inline(always)]
    fn element(self, index: usize) -> f32x8<S> {
        let (first, second) = self.split();
        if index == 0 { first } else { second }
    }

    #[inline(always)]
    fn load(simd: S, from: &[Lanes]) -> Self {
        let from = &from[..2];
        from[0].load(simd).combine(from[1].load(simd))
    }

    #[inline(always)]
    fn load_one(simd: S, from: &Lanes) -> Self {
        from.load(simd).combine(f32x8::splat(simd, 0.0))
    }

    #[inline(always)]
    fn store(self, to: &mut [Lanes]) {
        let (to, (first, second)) = (&mut to[..2], self.split());
        to[0].store(first);
        to[1].store(second);
    }

    #[inline(always)]
    fn sum(self) -> f32x8<S> {
        let (first, second) = self.split();
        first + second
    }
}

/// Exchanges rows and columns: interleaving the first half of the rows with the second, three times. Of wide vectors, whose two
/// elements are the left and the right one of two squares, the first four rows are then those of the left one, two in each.
#[inline(always)]
pub(crate) fn transpose<S: Simd, V: Vector<S>>(mut square: [V; LANES]) -> [V; LANES] {
    for _ in 0..3 {
        let [a, b, c, d, e, f, g, h] = square;
        let [(a, b), (c, d), (e, f), (g, h)] =
            [a.interleave(e), b.interleave(f), c.interleave(g), d.interleave(h)];
        square = [a, b, c, d, e, f, g, h];
    }
    square
}

/// Whether a register holds two elements. As a constant, so that no level's code is made for the other width.
trait Width {
    const WIDE: bool;
}

impl<S: Simd> Width for S {
    const WIDE: bool = <S::f32s as SimdBase<S>>::LEN >= 2 * LANES;
}

#[inline(always)]
pub(crate) fn if_wide<S: Simd>(simd: S, run: impl FnOnce(S)) {
    if S::WIDE {
        run(simd);
    }
}

#[inline(always)]
pub(crate) fn if_narrow<S: Simd>(simd: S, run: impl FnOnce(S)) {
    if S::WIDE {
        // The other one runs.
    } else {
        run(simd);
    }
}

/// Calls a kernel, a function generic over the SIMD level and the [`Vector`] that suits it (and what is in brackets).
macro_rules! kernel {
    ($level:expr, $kernel:ident $([$($generic:tt)*])? ($($argument:expr),* $(,)?)) => {
        fearless_simd::dispatch!($level, simd => {
            crate::lanes::if_wide(
                simd,
                #[inline(always)]
                |simd| $kernel::<_, fearless_simd::f32x16<_>, $($($generic)*)?>(simd, $($argument),*),
            );
            crate::lanes::if_narrow(
                simd,
                #[inline(always)]
                |simd| $kernel::<_, fearless_simd::f32x8<_>, $($($generic)*)?>(simd, $($argument),*),
            );
        })
    };
}
pub(crate) use kernel;

/// Elements in memory that begins with a cache line: then the vectors of two that kernels load don't straddle lines.
#[derive(Debug, Clone)]
pub(crate) struct Buffer {
    /// One element more than there are.
    lanes: Vec<Lanes>,
    start: usize,
    len: usize,
}

impl Deref for Buffer {
    type Target = [Lanes];

    fn deref(&self) -> &[Lanes] {
        &self.lanes[self.start..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Lanes] {
        &mut self.lanes[self.start..][..self.len]
    }
}

/// `len` zeroed elements.
pub(crate) fn zeros(len: usize) -> Buffer {
    let lanes = vec![Lanes::default(); len + 1];
    let start = lanes.as_ptr().align_offset(2 * size_of::<Lanes>()).min(1);
    Buffer { lanes, start, len }
}

/// Number of blocks that hold `samples`.
pub fn blocks(samples: usize) -> usize {
    samples.div_ceil(LANES)
}

/// The widest register tile: two times six, of vectors and broadcast values, are twelve accumulators, which with their
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
        with_const!($name = $value, [1 2 3 4 5] else crate::lanes::TILE => $body)
    };
}
pub(crate) use with_const;

/// Segment `index` of `count` equal pieces (within one) of `0..total`: (start, length). The first is among the longest: it is
/// what the thread that shares out work does itself, while the others are still waking.
#[inline(always)]
pub fn piece(total: usize, count: usize, index: usize) -> (usize, usize) {
    let start = (total * index).div_ceil(count);
    (start, (total * (index + 1)).div_ceil(count) - start)
}
