//! SIMD abstractions of the kernels: the vector type, dispatch by instruction set and register tiles.
//!
//! A kernel is one function that is generic over
//!
//! - the SIMD level `S` (`fearless_simd`: AVX-512, AVX2, SSE4.2, SSE2, NEON, WebAssembly's simd128 or scalar code), which
//!   [`kernel!`] picks at run time, and
//! - the vector `V`, which holds one [`Lanes`] (`f32x8`) or, where registers hold sixteen numbers, two (`f32x16`).
//!
//! Kernels, and all functions called in their loops, are `#[inline(always)]`: a function that is not inlined is compiled
//! for the baseline instruction set, and its vector arguments pass through memory.

use fearless_simd::{Simd, SimdBase, SimdCombine, SimdFloat, SimdInt, SimdSplit, f32x8, f32x16};

use crate::activation_layout::{LANES, Lanes};

/// A SIMD vector of one or two neighboring [`Lanes`], called its *elements*.
///
/// What the elements are neighbors in (a row of pixels, a pair of tiles, a list of features) is up to the kernel. Most
/// kernels use only arithmetic, `load` and `store`. The other methods exist because
///
/// - `from_f32x8s` and `extract_f32x8` join and split vectors where the two elements are not adjacent in memory, as tiles of
///   an image are not;
/// - `load_zero_padded` and `sum_to_f32x8` let the last element of an odd number use the same accumulators as the pairs before
///   it;
/// - `WIDE` lets a kernel choose its tile size: it is an associated constant, so the branch not taken generates no code.
pub(crate) trait Vector<S: Simd>:
    SimdFloat<S, Element = f32, Bits: SimdInt<S, Element = u32, Mask = Self::Mask>>
{
    /// Number of elements in a vector.
    const ELEMENTS: usize;
    /// Whether there are two elements.
    const WIDE: bool;

    /// Returns a vector whose element `i` is `element(i)`.
    fn from_f32x8s(element: impl Fn(usize) -> f32x8<S>) -> Self;

    /// Returns element `index`.
    fn extract_f32x8(self, index: usize) -> f32x8<S>;

    /// Loads the first `ELEMENTS` elements of `from`.
    fn load(simd: S, from: &[Lanes]) -> Self;

    /// Loads `from` into the first element and sets the others to zero.
    fn load_zero_padded(simd: S, from: &Lanes) -> Self;

    /// Stores the elements to the first `ELEMENTS` places of `to`.
    fn store(self, to: &mut [Lanes]);

    /// Returns the sum of the elements.
    fn sum_to_f32x8(self) -> f32x8<S>;
}

// No method has a loop or a branch on a runtime value, because kernels are unrolled into many of these.
impl<S: Simd> Vector<S> for f32x8<S> {
    const ELEMENTS: usize = 1;
    const WIDE: bool = false;

    #[inline(always)]
    fn from_f32x8s(element: impl Fn(usize) -> Self) -> Self {
        element(0)
    }

    #[inline(always)]
    fn extract_f32x8(self, _index: usize) -> Self {
        self
    }

    #[inline(always)]
    fn load(simd: S, from: &[Lanes]) -> Self {
        from[0].load(simd)
    }

    #[inline(always)]
    fn load_zero_padded(simd: S, from: &Lanes) -> Self {
        from.load(simd)
    }

    #[inline(always)]
    fn store(self, to: &mut [Lanes]) {
        to[0].store(self);
    }

    #[inline(always)]
    fn sum_to_f32x8(self) -> Self {
        self
    }
}

impl<S: Simd> Vector<S> for f32x16<S> {
    const ELEMENTS: usize = 2;
    const WIDE: bool = true;

    #[inline(always)]
    fn from_f32x8s(element: impl Fn(usize) -> f32x8<S>) -> Self {
        element(0).combine(element(1))
    }

    #[inline(always)]
    fn extract_f32x8(self, index: usize) -> f32x8<S> {
        let (first, second) = self.split();
        if index == 0 { first } else { second }
    }

    #[inline(always)]
    fn load(simd: S, from: &[Lanes]) -> Self {
        let from = &from[..2];
        from[0].load(simd).combine(from[1].load(simd))
    }

    #[inline(always)]
    fn load_zero_padded(simd: S, from: &Lanes) -> Self {
        from.load(simd).combine(f32x8::splat(simd, 0.0))
    }

    #[inline(always)]
    fn store(self, to: &mut [Lanes]) {
        let (to, (first, second)) = (&mut to[..2], self.split());
        to[0].store(first);
        to[1].store(second);
    }

    #[inline(always)]
    fn sum_to_f32x8(self) -> f32x8<S> {
        let (first, second) = self.split();
        first + second
    }
}

/// Transposes a matrix of 8x8 numbers, one row per vector.
///
/// Interleaving the first half of the rows with the second half, three times, exchanges rows and columns. Wide vectors
/// hold the rows of two matrices side by side; the result then has two rows of the left matrix in each of the first four
/// vectors and those of the right matrix in the last four.
#[inline(always)]
pub(crate) fn transpose<S: Simd, V: Vector<S>>(mut rows: [V; LANES]) -> [V; LANES] {
    for _ in 0..3 {
        let [a, b, c, d, e, f, g, h] = rows;
        let [(a, b), (c, d), (e, f), (g, h)] =
            [a.interleave(e), b.interleave(f), c.interleave(g), d.interleave(h)];
        rows = [a, b, c, d, e, f, g, h];
    }
    rows
}

/// Whether the registers of a SIMD level hold two [`Lanes`]. An associated constant, so that no level gets code for the
/// other width.
trait RegisterWidth {
    const WIDE: bool;
}

impl<S: Simd> RegisterWidth for S {
    const WIDE: bool = <S::f32s as SimdBase<S>>::LEN >= 2 * LANES;
}

/// Calls `run` if registers hold two [`Lanes`]. For [`kernel!`].
#[inline(always)]
pub(crate) fn run_if_wide<S: Simd>(simd: S, run: impl FnOnce(S)) {
    if S::WIDE {
        run(simd);
    }
}

/// Calls `run` if registers hold one [`Lanes`] or less. For [`kernel!`].
#[inline(always)]
pub(crate) fn run_if_narrow<S: Simd>(simd: S, run: impl FnOnce(S)) {
    if S::WIDE {
        // `run_if_wide` runs the kernel.
    } else {
        run(simd);
    }
}

/// Calls a kernel, a function generic over the SIMD level and the [`Vector`], with the level `$level` and the vector that
/// suits it. Further generic arguments follow in brackets: `kernel!(level, kernel[A, B](arguments))`.
macro_rules! kernel {
    ($level:expr, $kernel:ident $([$($generic:tt)*])? ($($argument:expr),* $(,)?)) => {
        fearless_simd::dispatch!($level, simd => {
            crate::simd::run_if_wide(
                simd,
                #[inline(always)]
                |simd| $kernel::<_, fearless_simd::f32x16<_>, $($($generic)*)?>(simd, $($argument),*),
            );
            crate::simd::run_if_narrow(
                simd,
                #[inline(always)]
                |simd| $kernel::<_, fearless_simd::f32x8<_>, $($($generic)*)?>(simd, $($argument),*),
            );
        })
    };
}
pub(crate) use kernel;

/// Longest side of a register tile.
///
/// A tile of 2x6 accumulators, two vectors and one broadcast value fill fifteen registers; every x86 level since AVX has
/// sixteen. Twelve independent sums also hide the latency of a fused multiply-add: 4 cycles at 2 a cycle need eight.
pub(crate) const MAX_TILE_SIDE: usize = 6;

/// Runs `$body` with the constant `$name` equal to `$value`.
///
/// `with_const!(C = value, [1 2] else 3 => body)` compiles `body` three times, for `C` = 1, 2 and 3. A value that is not in
/// brackets selects the last copy. Without brackets the values are 1 to [`MAX_TILE_SIDE`]. Tile sizes must be constants, because
/// only arrays of constant length stay in registers.
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
    ($name:ident = $value:expr => $body:expr) => {
        with_const!($name = $value, [1 2 3 4 5] else crate::simd::MAX_TILE_SIDE => $body)
    };
}
pub(crate) use with_const;
