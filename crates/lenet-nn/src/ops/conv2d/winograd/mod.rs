//! Convolution with fewer multiplications: the minimal filtering of Winograd, as Lavin and Gray 2016 use it
//! (arXiv:1509.09308), for stride 1 and kernels of 3x3 or 5x5.
//!
//! A tile of `M x M` outputs depends on `N x N` inputs `d`, where `N = M + R - 1` for kernels `g` of `R x R`:
//!
//! `Y = A' [ sum over c of (G g G') * (B' d B) ] A`, `*` element by element.
//!
//! These are values of polynomials at `N` points (some numbers with their negatives, 0 if `N` is even, and infinity): there a
//! product takes one multiplication, so a tile takes `N^2` for each pair of channels instead of `M^2 R^2`: 81 instead of 625
//! for 5x5 outputs of kernels of 5x5. All three passes go by the same points, the backward ones by the transposes of the
//! same matrices:
//!
//! - output: `Y = A' m A` with `m[o] = sum over c of u[o, c] * v[c]`, `u = G g G'`, `v = B' d B`;
//! - gradient of the input: `dd = B dv B'` with `dv[c] = sum over o of u[o, c] * dm[o]`, `dm = A dY A'`;
//! - gradient of the weights: `dg = G' du G` with `du[o, c] = sum over the tiles of dm[o] * v[c]`.
//!
//! In memory the points come first, then pairs of tiles: `(point, pair, channel, tile of the pair)` for each sample. At
//! a point the tiles of all channels form a matrix, of which a pair's columns are read from one end to the other.

use std::ops::Range;

use fearless_simd::{Level, Simd, SimdBase, dispatch, f32x8};

pub(crate) use single_sample::OneImage;
use transform::{OfInput, OfOutput, Transform, kernel_matrix, scale, transpose_matrix};

use crate::{
    Conv2d, Shape,
    lanes::{Buffer, LANES, Lanes, MAX_TILE, Vector, even_chunk, kernel, transpose, with_const, zeros},
    operator::{Operator, Pass},
    ops::conv2d::add_planes,
};

mod transform;
mod single_sample;

/// Tiles side by side in memory: a cache line.
const PAIR: usize = 2;

/// From one point to the next where each has `count` of something, and a cache line `line` of it: an odd number of lines,
/// for otherwise many points would share few sets of the first-level cache.
const fn pitch(count: usize, line: usize) -> usize {
    (count.div_ceil(line) | 1) * line
}

/// Elements from one point to the next, where each has so many.
const fn lanes_pitch(count: usize) -> usize {
    pitch(count, PAIR)
}

/// Numbers from one point to the next of the weights of so many kernels.
const fn weights_pitch(kernels: usize) -> usize {
    pitch(kernels, PAIR * LANES)
}

/// Tiles of `M x M` outputs that depend on `N x N` inputs, for kernels of `R x R`.
pub(crate) enum Filtering {
    /// 6, 4, 3
    Three,
    /// 9, 7, 3
    WideThree,
    /// 9, 5, 5
    Five,
}

impl Conv2d {
    /// Whether it is quicker so: with few channels to sum over, the way to the points and back takes longer than what it
    /// saves.
    pub(crate) fn filtering(&self, output: Shape) -> Option<Filtering> {
        // Multiplications for each pair of channels, a pair of tiles at a time.
        let work = |n: usize, m: usize| {
            n * n * (output.height.div_ceil(m) * output.width.div_ceil(m)).next_multiple_of(PAIR)
        };
        match (self.stride, self.in_channels, self.kernel_size) {
            (1, 4.., 3) if work(9, 7) < work(6, 4) => Some(Filtering::WideThree),
            (1, 4.., 3) => Some(Filtering::Three),
            (1, 4.., 5) => Some(Filtering::Five),
            _ => None,
        }
    }
}

/// How the output is cut into tiles of `M x M`.
#[derive(Debug, Clone, Copy)]
struct Tiling {
    /// Input and output with what is around them: the padding, and what fills up the last tiles.
    input: Shape,
    output: Shape,
    /// Tiles in a column and in a row.
    down: usize,
    across: usize,
    /// Points of a tile.
    points: usize,
}

impl Tiling {
    /// That of tiles of `M x M`, for kernels of `R x R`.
    fn new<const N: usize, const M: usize, const R: usize>(input: Shape, output: Shape) -> Self {
        const { assert!(M + R == N + 1) };
        let (down, across) = (output.height.div_ceil(M), output.width.div_ceil(M));
        Self {
            input: Shape { height: down * M + R - 1, width: across * M + R - 1, ..input },
            output: Shape { height: down * M, width: across * M, ..output },
            down,
            across,
            points: N * N,
        }
    }

    #[inline(always)]
    fn tiles(&self) -> usize {
        self.down * self.across
    }

    /// Pairs of tiles: a zero fills up the last.
    #[inline(always)]
    fn pairs(&self) -> usize {
        self.tiles().div_ceil(PAIR)
    }

    /// The tiles of a pair.
    #[inline(always)]
    fn pair(&self, pair: usize) -> Range<usize> {
        pair * PAIR..self.tiles().min((pair + 1) * PAIR)
    }

    /// Elements from one point to the next.
    #[inline(always)]
    fn pitch(&self, channels: usize) -> usize {
        lanes_pitch(channels * self.pairs() * PAIR)
    }

    /// What is at a point of so many channels.
    #[inline(always)]
    fn at<'a>(&self, point: usize, channels: usize, values: &'a [Lanes]) -> &'a [[Lanes; PAIR]] {
        &values[point * self.pitch(channels)..].as_chunks().0[..self.pairs() * channels]
    }

    /// Where a tile begins in a plane of a map whose tiles begin every `M` pixels.
    #[inline(always)]
    fn start<const M: usize>(&self, width: usize, tile: usize) -> usize {
        (tile / self.across * width + tile % self.across) * M
    }
}

/// Where a tile of a channel is at a point.
#[inline(always)]
fn place_at_point(channels: usize, channel: usize, tile: usize) -> usize {
    (tile / PAIR * channels + channel) * PAIR + tile % PAIR
}

/// Runs `$body` with `$i` from 0 to `$end`, at most 9. A copy for each where vectors are wide: there are enough
/// registers then for a tile to stay in, if no index is computed.
macro_rules! unrolled {
    ($i:ident < $end:expr, $vector:ident => $body:expr) => {
        unrolled!(@ $i, $end, $vector, $body, 0 1 2 3 4 5 6 7 8)
    };
    (@ $i:ident, $end:expr, $vector:ident, $body:expr, $($number:literal)*) => {
        if $vector::WIDE {
            $(if $number < $end {
                let $i = $number;
                $body
            })*
        } else {
            for $i in 0..$end {
                $body
            }
        }
    };
}

/// `to (point, pair, channel, tile) = T from T'` for each tile of a map.
#[inline(always)]
fn spread<S: Simd, V: Vector<S>, T: Transform<N, I>, const N: usize, const I: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    from: &[Lanes],
    to: &mut [Lanes],
) {
    // Here rather than for each tile: to fill it with zeros first takes a tenth of a tile's time.
    let mut rows = [[V::splat(simd, 0.0); N]; I];
    for pair in 0..tiling.pairs() {
        for (channel, plane) in from.chunks_exact(map.height * map.width).enumerate() {
            for tile in tiling.pair(pair).step_by(V::ELEMENTS) {
                let at = (channel, tile);
                if V::WIDE && tile + 1 == tiling.tiles() {
                    let rows = &mut [[f32x8::splat(simd, 0.0); N]; I];
                    spread_tiles::<S, f32x8<S>, T, N, I, M>(simd, tiling, map, plane, to, rows, at);
                } else {
                    spread_tiles::<S, V, T, N, I, M>(simd, tiling, map, plane, to, &mut rows, at);
                }
            }
        }
    }
}

#[inline(always)]
fn spread_tiles<S: Simd, V: Vector<S>, T: Transform<N, I>, const N: usize, const I: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    plane: &[Lanes],
    to: &mut [Lanes],
    rows: &mut [[V; N]; I],
    (channel, tile): (usize, usize),
) {
    let zero = V::splat(simd, 0.0);
    let starts = [0, V::ELEMENTS - 1].map(|i| tiling.start::<M>(map.width, tile + i));
    unrolled!(u < I, V => {
        let from = starts.map(|start| &plane[start + u * map.width..][..I]);
        let mut row = [zero; I];
        for v in 0..I {
            row[v] = V::from_elements(
                #[inline(always)]
                |i| from[i][v].load(simd),
            );
        }
        rows[u] = T::to_points(row);
    });
    let first = place_at_point(map.channels, channel, tile);
    let pitch = tiling.pitch(map.channels);
    unrolled!(v < N, V => {
        let mut column = [zero; I];
        for u in 0..I {
            column[u] = rows[u][v];
        }
        let column = T::to_points(column);
        let to = &mut to[v * pitch + first..][..(N - 1) * N * pitch + V::ELEMENTS];
        for u in 0..N {
            column[u].store(&mut to[u * N * pitch..]);
        }
    });
}

/// `T from T'` of (point, pair, channel, tile), written to each tile of a map: added to what is there, or else to `bias`.
#[inline(always)]
fn gather<S: Simd, V: Vector<S>, T: Transform<N, O>, const N: usize, const O: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    bias: Option<&[f32]>,
    from: &[Lanes],
    to: &mut [Lanes],
) {
    let mut rows = [[V::splat(simd, 0.0); O]; N];
    for pair in 0..tiling.pairs() {
        for (channel, plane) in to.chunks_exact_mut(map.height * map.width).enumerate() {
            let bias = bias.map(|bias| bias[channel]);
            for tile in tiling.pair(pair).step_by(V::ELEMENTS) {
                let at = (channel, tile);
                if V::WIDE && tile + 1 == tiling.tiles() {
                    let rows = &mut [[f32x8::splat(simd, 0.0); O]; N];
                    gather_tiles::<S, f32x8<S>, T, N, O, M>(simd, tiling, map, bias, from, plane, rows, at);
                } else {
                    gather_tiles::<S, V, T, N, O, M>(simd, tiling, map, bias, from, plane, &mut rows, at);
                }
            }
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "the room for rows is the caller's")]
#[inline(always)]
fn gather_tiles<S: Simd, V: Vector<S>, T: Transform<N, O>, const N: usize, const O: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    bias: Option<f32>,
    from: &[Lanes],
    plane: &mut [Lanes],
    rows: &mut [[V; O]; N],
    (channel, tile): (usize, usize),
) {
    let zero = V::splat(simd, 0.0);
    let (first, pitch) = (place_at_point(map.channels, channel, tile), tiling.pitch(map.channels));
    unrolled!(u < N, V => {
        let mut row = [zero; N];
        let from = &from[u * N * pitch + first..][..(N - 1) * pitch + V::ELEMENTS];
        for v in 0..N {
            row[v] = V::load(simd, &from[v * pitch..]);
        }
        rows[u] = T::from_points(row);
    });
    let starts = [0, V::ELEMENTS - 1].map(|i| tiling.start::<M>(map.width, tile + i));
    unrolled!(v < O, V => {
        let mut column = [zero; N];
        for u in 0..N {
            column[u] = rows[u][v];
        }
        let column = T::from_points(column);
        for i in 0..V::ELEMENTS {
            for u in 0..O {
                let to = &mut plane[starts[i] + u * map.width + v];
                let base = match bias {
                    None => to.load(simd),
                    Some(bias) => f32x8::splat(simd, bias),
                };
                to.store(base + column[u].element(i));
            }
        }
    });
}

/// Rows of a register tile and its columns, pairs of tiles where vectors are wide and otherwise the tiles of a pair: the
/// sums, the columns' operands and one of the rows' are fifteen registers of sixteen, or 29 of 32. With two more the
/// compiler moves sums to memory and back at each step.
const ROWS: usize = MAX_TILE;
const COLUMNS: usize = PAIR;
const WIDE_COLUMNS: usize = 4;

/// Where the weight of `row` and `channel` is at a point: the rows that [`multiply`] takes at a time lie side by side,
/// (point, group of rows, channel, row).
fn weight_place(rows: usize, channels: usize, row: usize, channel: usize) -> usize {
    let groups = rows.div_ceil(ROWS);
    let group = row * groups / rows;
    let (first, count) = even_chunk(rows, groups, group);
    first * channels + channel * count + row - first
}

/// At each point, `products (row, tile) = sum over the channels of weights (row, channel) * values (channel, tile)`.
fn multiply(
    level: Level,
    tiling: &Tiling,
    weights: &[f32],
    size: (usize, usize),
    values: &[Lanes],
    products: &mut [Lanes],
) {
    kernel!(level, multiply_points(tiling, weights, size, values, products));
}

#[inline(always)]
fn multiply_points<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    weights: &[f32],
    (rows, channels): (usize, usize),
    values: &[Lanes],
    products: &mut [Lanes],
) {
    let pairs = tiling.pairs();
    let (groups, row_groups) = (pairs.div_ceil(if V::WIDE { WIDE_COLUMNS } else { 1 }), rows.div_ceil(ROWS));
    for point in 0..tiling.points {
        let weights = &weights[point * weights_pitch(rows * channels)..][..rows * channels];
        let values = tiling.at(point, channels, values);
        let products = &mut products[point * tiling.pitch(rows)..].as_chunks_mut().0[..pairs * rows];
        for group in 0..groups {
            let (pair, count) = even_chunk(pairs, groups, group);
            let values = &values[pair * channels..][..count * channels];
            for row_group in 0..row_groups {
                let (row, count) = even_chunk(rows, row_groups, row_group);
                let weights = &weights[row * channels..][..count * channels];
                let products = &mut products[pair * rows + row..];
                with_const!(R = count => if V::WIDE {
                    with_const!(C = values.len() / channels, [1 2 3] else WIDE_COLUMNS => {
                        multiply_tile::<S, V, R, C>(simd, weights, channels, values, products, rows)
                    })
                } else {
                    multiply_tile::<S, V, R, COLUMNS>(simd, weights, channels, values, products, rows)
                });
            }
        }
    }
}

/// Where column `c` of a register tile is: its pair and its first tile there.
#[inline(always)]
const fn column<S: Simd, V: Vector<S>>(c: usize) -> (usize, usize) {
    (c * V::ELEMENTS / PAIR, c * V::ELEMENTS % PAIR)
}

#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    weights: &[f32],
    channels: usize,
    values: &[[Lanes; PAIR]],
    products: &mut [[Lanes; PAIR]],
    rows: usize,
) {
    let mut pairs = [&values[..0]; C];
    for c in 0..C {
        pairs[c] = &values[column::<S, V>(c).0 * channels..][..channels];
    }
    let weights = &weights.as_chunks::<R>().0[..channels];
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    for channel in 0..channels {
        let mut values = [V::splat(simd, 0.0); C];
        for c in 0..C {
            values[c] = V::load(simd, &pairs[c][channel][column::<S, V>(c).1..]);
        }
        for r in 0..R {
            let weight = V::splat(simd, weights[channel][r]);
            for c in 0..C {
                sums[r][c] = weight.mul_add(values[c], sums[r][c]);
            }
        }
    }
    for c in 0..C {
        let (pair, tile) = column::<S, V>(c);
        let products = &mut products[pair * rows..][..R];
        for r in 0..R {
            sums[r][c].store(&mut products[r][tile..]);
        }
    }
}

/// `du (point, in_channel, group of eight out_channels) += sum over tiles and samples of v * dm`, for which the gradients of
/// a point are turned into `rows` (tile, sample, group): so sums are whole, with no lanes to add up.
#[inline(always)]
fn weight_gradient<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    v: &[Lanes],
    dm: &[Lanes],
    rows: &mut [Lanes],
    du: &mut [Lanes],
) {
    let (outputs, inputs) = (tiling.output.channels, tiling.input.channels);
    let groups = outputs.div_ceil(LANES);
    let most_vectors = if V::WIDE { WIDE_COLUMNS } else { COLUMNS };
    let (row_groups, vectors) = (inputs.div_ceil(ROWS), groups / V::ELEMENTS);
    let column_groups = vectors.div_ceil(most_vectors);
    for point in 0..tiling.points {
        let (v, dm) = (tiling.at(point, inputs, v), tiling.at(point, outputs, dm));
        let du = &mut du[point * lanes_pitch(inputs * groups)..][..inputs * groups];
        turn::<S, V>(simd, outputs, dm, rows);
        for row_group in 0..row_groups {
            let (row, count) = even_chunk(inputs, row_groups, row_group);
            with_const!(R = count => {
                for column_group in 0..column_groups {
                    let (vector, columns) = even_chunk(vectors, column_groups, column_group);
                    let at = (row, vector * V::ELEMENTS);
                    if V::WIDE {
                        with_const!(C = columns, [1 2 3] else WIDE_COLUMNS => {
                            weight_tile::<S, V, R, C>(simd, tiling, v, rows, du, at)
                        })
                    } else {
                        with_const!(C = columns, [1] else COLUMNS => {
                            weight_tile::<S, V, R, C>(simd, tiling, v, rows, du, at)
                        })
                    }
                }
                if V::WIDE && vectors * V::ELEMENTS < groups {
                    weight_tile::<S, f32x8<S>, R, 1>(simd, tiling, v, rows, du, (row, groups - 1));
                }
            });
        }
    }
}

/// Turns what is at a point, (pair, channel, tile of the pair), into `rows` (tile, sample, group of eight channels).
#[inline(always)]
fn turn<S: Simd, V: Vector<S>>(simd: S, channels: usize, values: &[[Lanes; PAIR]], rows: &mut [Lanes]) {
    let groups = channels.div_ceil(LANES);
    for (values, rows) in values.chunks_exact(channels).zip(rows.chunks_exact_mut(PAIR * LANES * groups)) {
        for (group, values) in values.chunks(LANES).enumerate() {
            for tile in (0..PAIR).step_by(V::ELEMENTS) {
                let mut square = [V::splat(simd, 0.0); LANES];
                if let Some(values) = values.first_chunk::<LANES>() {
                    for lane in 0..LANES {
                        square[lane] = V::load(simd, &values[lane][tile..]);
                    }
                } else {
                    for (square, values) in square.iter_mut().zip(values) {
                        *square = V::load(simd, &values[tile..]);
                    }
                }
                let square = transpose(square);
                for lane in 0..LANES {
                    for i in 0..V::ELEMENTS {
                        let row = (tile * LANES + lane * V::ELEMENTS + i) * groups;
                        rows[row + group].store(square[lane].element(i));
                    }
                }
            }
        }
    }
}

/// `R` inputs from `row` on and `C` vectors of groups from `group` on.
#[inline(always)]
fn weight_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    tiling: &Tiling,
    v: &[[Lanes; PAIR]],
    rows: &[Lanes],
    du: &mut [Lanes],
    (row, group): (usize, usize),
) {
    let inputs = tiling.input.channels;
    let groups = du.len() / inputs;
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    for r in 0..R {
        let du = &du[(row + r) * groups + group..][..C * V::ELEMENTS];
        for c in 0..C {
            sums[r][c] = V::load(simd, &du[c * V::ELEMENTS..]);
        }
    }
    for (tile, rows) in rows.chunks_exact(LANES * groups).take(tiling.tiles()).enumerate() {
        let v = &v[tile / PAIR * inputs + row..][..R];
        for lane in 0..LANES {
            let gradients = &rows[lane * groups + group..][..C * V::ELEMENTS];
            let mut vectors = [V::splat(simd, 0.0); C];
            for c in 0..C {
                vectors[c] = V::load(simd, &gradients[c * V::ELEMENTS..]);
            }
            for r in 0..R {
                let value = V::splat(simd, v[r][tile % PAIR].0[lane]);
                for c in 0..C {
                    sums[r][c] = value.mul_add(vectors[c], sums[r][c]);
                }
            }
        }
    }
    for r in 0..R {
        let du = &mut du[(row + r) * groups + group..][..C * V::ELEMENTS];
        for c in 0..C {
            sums[r][c].store(&mut du[c * V::ELEMENTS..]);
        }
    }
}

/// A map with something around it, unless there is nothing.
struct Frame {
    inner: Shape,
    outer: Shape,
    /// Rows above and columns to the left of the inner map.
    offset: usize,
    /// The outer map, empty where it is the inner one.
    map: Buffer,
}

impl Frame {
    fn new(inner: Shape, outer: Shape, offset: usize) -> Self {
        Self { inner, outer, offset, map: zeros(if inner == outer { 0 } else { outer.len() }) }
    }

    /// `x` with zeros around it, provided that nobody wrote to [`target`](Self::target).
    fn around<'a>(&'a mut self, x: &'a [Lanes]) -> &'a [Lanes] {
        if self.map.is_empty() {
            return x;
        }
        let (width, map) = (self.inner.width, &mut self.map);
        for (row, x) in x.chunks_exact(width).enumerate() {
            map[place(self.inner, self.outer, self.offset, row)..][..width].copy_from_slice(x);
        }
        map
    }

    /// What to write to instead of `y`.
    fn target<'a>(&'a mut self, y: &'a mut [Lanes]) -> &'a mut [Lanes] {
        if self.map.is_empty() { y } else { &mut self.map }
    }

    /// Copies what was written to [`target`](Self::target) to `y`.
    fn take(&self, y: &mut [Lanes]) {
        if self.map.is_empty() {
            return;
        }
        for (row, y) in y.chunks_exact_mut(self.inner.width).enumerate() {
            let start = place(self.inner, self.outer, self.offset, row);
            y.copy_from_slice(&self.map[start..][..y.len()]);
        }
    }
}

/// Where a row of the inner map, counted over all channels, begins in the outer one.
fn place(inner: Shape, outer: Shape, offset: usize, row: usize) -> usize {
    let (channel, i) = (row / inner.height, row % inner.height);
    (channel * outer.height + i + offset) * outer.width + offset
}

/// A [`Conv2d`] of stride 1 with kernels of `R x R` at work on one thread, by tiles of `M x M` outputs.
pub(crate) struct Winograd<const N: usize, const M: usize, const R: usize> {
    tiling: Tiling,
    /// `u` for the output, and turned for the gradient of the input: see [`weight_place`].
    weights: Vec<f32>,
    turned: Vec<f32>,
    x: Frame,
    y: Frame,
    dx: Frame,
    dy: Frame,
    /// `v` or its gradient, `m` or its gradient.
    v: Buffer,
    m: Buffer,
    /// Gradients of a point, turned: (tile, sample, group of eight out_channels).
    rows: Buffer,
    /// Sums of a step: `du` (point, in_channel, group of eight out_channels).
    du: Buffer,
    /// Those of the bias, each lane apart: (out_channels).
    bias: Buffer,
}

impl<const N: usize, const M: usize, const R: usize> Winograd<N, M, R> {
    const G: [[f32; R]; N] = kernel_matrix();

    /// For input and output shapes that have been checked.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let tiling = Tiling::new::<N, M, R>(input, output);
        let (kernels, groups) = (input.channels * output.channels, output.channels.div_ceil(LANES));
        let inputs = || Frame::new(input, tiling.input, layer.padding);
        let outputs = || Frame::new(output, tiling.output, 0);
        Self {
            tiling,
            weights: vec![0.0; N * N * weights_pitch(kernels)],
            turned: vec![0.0; N * N * weights_pitch(kernels)],
            x: inputs(),
            y: outputs(),
            dx: inputs(),
            dy: outputs(),
            v: zeros(N * N * tiling.pitch(input.channels)),
            m: zeros(N * N * tiling.pitch(output.channels)),
            rows: zeros(tiling.pairs() * PAIR * LANES * groups),
            du: zeros(N * N * lanes_pitch(input.channels * groups)),
            bias: zeros(output.channels),
        }
    }

    fn channels(&self) -> (usize, usize) {
        (self.tiling.output.channels, self.tiling.input.channels)
    }

    /// Takes in the weights of a step.
    #[inline(always)]
    fn weights_to_points<S: Simd>(&mut self, simd: S, parameters: &[f32]) {
        let (outputs, inputs) = self.channels();
        let pitch = weights_pitch(outputs * inputs);
        let (rows, _) = parameters.as_chunks::<R>();
        let kernels = &rows.as_chunks::<R>().0[..outputs * inputs];
        // All outputs of eight inputs at a time, so that a line of weights is filled while it is near.
        for first in (0..inputs).step_by(LANES) {
            for (output, kernels) in kernels.chunks_exact(inputs).enumerate() {
                let kernels = &kernels[first..inputs.min(first + LANES)];
                let mut g = [[Lanes::default(); R]; R];
                for (lane, kernel) in kernels.iter().enumerate() {
                    for (g, value) in g.as_flattened_mut().iter_mut().zip(kernel.as_flattened()) {
                        g.0[lane] = *value;
                    }
                }
                let u = scale(simd, &Self::G, &g);
                for lane in 0..kernels.len() {
                    let place = weight_place(outputs, inputs, output, first + lane);
                    let turned_place = weight_place(inputs, outputs, first + lane, output);
                    for (point, u) in u.as_flattened().iter().enumerate() {
                        self.weights[point * pitch + place] = u.0[lane];
                        self.turned[point * pitch + turned_place] = u.0[lane];
                    }
                }
            }
        }
    }

    /// The gradient of a step, after which the sums begin anew.
    #[inline(always)]
    fn gradient_from_points<S: Simd>(&mut self, simd: S, gradient: &mut [f32]) {
        let (outputs, inputs) = self.channels();
        let groups = outputs.div_ceil(LANES);
        let pitch = lanes_pitch(inputs * groups);
        let (weights, bias) = gradient.split_at_mut(outputs * inputs * R * R);
        let transposed = const { transpose_matrix(&Self::G) };
        for place in 0..inputs * groups {
            let (input, first) = (place / groups, place % groups * LANES);
            let mut sums = [[Lanes::default(); N]; N];
            for (point, sums) in sums.as_flattened_mut().iter_mut().enumerate() {
                *sums = self.du[point * pitch + place];
            }
            let sums = scale(simd, &transposed, &sums);
            for output in first..outputs.min(first + LANES) {
                let kernel = &mut weights[(output * inputs + input) * R * R..][..R * R];
                for (gradient, sums) in kernel.iter_mut().zip(sums.as_flattened()) {
                    *gradient = sums.0[output - first];
                }
            }
        }
        for (total, lanes) in bias.iter_mut().zip(self.bias.iter()) {
            *total = lanes.sum();
        }
        self.du.fill(Lanes::default());
        self.bias.fill(Lanes::default());
    }
}

impl<const N: usize, const M: usize, const R: usize> Operator for Winograd<N, M, R> {
    fn prepare(&mut self, level: Level, parameters: &[f32]) {
        dispatch!(level, simd => self.weights_to_points(simd, parameters));
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let channels = self.channels();
        let bias = &parameters[parameters.len() - channels.0..];
        let Self { tiling, weights, v, m, .. } = self;
        for (x, y) in x.chunks_exact(self.x.inner.len()).zip(y.chunks_exact_mut(self.y.inner.len())) {
            let (from, to) = (self.x.around(x), self.y.target(y));
            kernel!(pass.level, spread[OfInput, N, N, M](tiling, tiling.input, from, v));
            multiply(pass.level, tiling, weights, channels, v, m);
            kernel!(pass.level, gather[OfOutput, N, M, M](tiling, tiling.output, Some(bias), m, to));
            self.y.take(y);
        }
    }

    fn backward(
        &mut self,
        pass: Pass,
        _parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        mut dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let (outputs, inputs) = self.channels();
        let Self { tiling, turned, v, m, rows, du, bias, .. } = self;
        let len = self.x.inner.len();
        for (block, (x, dy)) in x.chunks_exact(len).zip(dy.chunks_exact(self.dy.inner.len())).enumerate() {
            let (x, dy) = (self.x.around(x), self.dy.around(dy));
            kernel!(pass.level, spread[OfInput, N, N, M](tiling, tiling.input, x, v));
            kernel!(pass.level, spread[OfOutput, N, M, M](tiling, tiling.output, dy, m));
            kernel!(pass.level, add_planes(tiling.output, dy, bias));
            kernel!(pass.level, weight_gradient(tiling, v, m, rows, du));
            if let Some(dx) = &mut dx {
                let dx = &mut dx[block * len..][..len];
                let to = self.dx.target(dx);
                to.fill(Lanes::default());
                multiply(pass.level, tiling, turned, (inputs, outputs), m, v);
                kernel!(pass.level, gather[OfInput, N, N, M](tiling, tiling.input, None, v, to));
                self.dx.take(dx);
            }
        }
    }

    fn reduce_gradient(&mut self, level: Level, gradient: &mut [f32]) {
        dispatch!(level, simd => self.gradient_from_points(simd, gradient));
    }
}
