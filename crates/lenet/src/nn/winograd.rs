//! Convolution with fewer multiplications: the minimal filtering of Winograd, as Lavin and Gray 2016 use it
//! (arXiv:1509.09308), for stride 1 and kernels of 3x3 or 5x5.
//!
//! A tile of `M x M` outputs depends on `6 x 6` inputs `d`, where `M + R = 7` for kernels `g` of `R x R`:
//!
//! `Y = A' [ sum over c of (G g G') * (B' d B) ] A`, `*` element by element.
//!
//! These are values of polynomials at six points (0, `P`, `-P`, `Q`, `-Q`, infinity): there a product takes one
//! multiplication, so a tile takes 36 for each pair of channels instead of `M^2 R^2`: 100 for a kernel of 5x5, 144 for one
//! of 3x3. All three passes go by the same points, the backward ones by the transposes of the same matrices:
//!
//! - output: `Y = A' m A` with `m[o] = sum over c of u[o, c] * v[c]`, `u = G g G'`, `v = B' d B`;
//! - gradient of the input: `dd = B dv B'` with `dv[c] = sum over o of u[o, c] * dm[o]`, `dm = A dY A'`;
//! - gradient of the weights: `dg = G' du G` with `du[o, c] = sum over the tiles of dm[o] * v[c]`.
//!
//! In memory the points come first, then pairs of tiles: `(point, pair, channel, tile of the pair)` for each sample. At
//! a point the tiles of all channels form a matrix, of which a pair's columns are read from one end to the other.

use std::ops::Range;

use fearless_simd::{Level, Simd, SimdBase, f32x8};

pub(super) use single::OneImage;

use super::{
    Conv2d, Shape,
    conv2d::add_planes,
    lanes::{Buffer, LANES, Lanes, TILE, Vector, kernel, piece, with_const, zeros},
    layer::{Operator, Pass},
};

mod single;

/// Height and width of a tile of the input, and points along each.
const N: usize = 6;
const POINTS: usize = N * N;

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

/// The points beside 0 and infinity, and their negatives. Their product, 1, saves multiplications; of such pairs
/// these round least (5e-7 of the output's deviation; the customary 1 and 2 give 1e-6).
const P: f32 = 2.0 / 3.0;
const Q: f32 = 3.0 / 2.0;

/// `G[point][tap]`: the powers of each point over the product of its distances to the other finite ones.
const fn kernel_matrix<const R: usize>() -> [[f32; R]; N] {
    let p = 2.0 * P * P * (P * P - Q * Q);
    let q = 2.0 * Q * Q * (Q * Q - P * P);
    let points = [(0.0, 1.0), (P, p), (-P, p), (Q, q), (-Q, q)];
    let mut g = [[0.0; R]; N];
    let mut i = 0;
    while i < N - 1 {
        let (point, distances) = points[i];
        let mut power = 1.0 / distances;
        let mut tap = 0;
        while tap < R {
            g[i][tap] = power;
            power *= point;
            tap += 1;
        }
        i += 1;
    }
    g[N - 1][R - 1] = 1.0;
    g
}

/// One of the four maps between a row of a tile and its values at the points.
trait Transform<const I: usize, const O: usize> {
    fn apply<S: Simd, V: Vector<S>>(row: [V; I]) -> [V; O];
}

/// `B' d`
struct InputToPoints;

impl Transform<N, N> for InputToPoints {
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(d: [V; N]) -> [V; N] {
        let even_p = d[2].mul_add(-Q * Q, d[4]);
        let odd_p = d[1].mul_add(-Q, d[3] * P);
        let even_q = d[2].mul_add(-P * P, d[4]);
        let odd_q = d[1].mul_add(-P, d[3] * Q);
        [
            d[2].mul_add(-(P * P + Q * Q), d[0] + d[4]),
            even_p + odd_p,
            even_p - odd_p,
            even_q + odd_q,
            even_q - odd_q,
            d[3].mul_add(-(P * P + Q * Q), d[1] + d[5]),
        ]
    }
}

/// `B t`
struct PointsToInput;

impl Transform<N, N> for PointsToInput {
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(t: [V; N]) -> [V; N] {
        let (even_p, odd_p) = (t[1] + t[2], t[1] - t[2]);
        let (even_q, odd_q) = (t[3] + t[4], t[3] - t[4]);
        [
            t[0],
            odd_p.mul_add(-Q, odd_q.mul_add(-P, t[5])),
            even_p.mul_add(-Q * Q, even_q.mul_add(-P * P, t[0] * -(P * P + Q * Q))),
            odd_p.mul_add(P, odd_q.mul_add(Q, t[5] * -(P * P + Q * Q))),
            even_p + even_q + t[0],
            t[5],
        ]
    }
}

/// `A' t`: sums of the values at the points, times powers of these.
struct PointsToOutput;

impl<const M: usize> Transform<N, M> for PointsToOutput {
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(t: [V; N]) -> [V; M] {
        let evens = (t[1] + t[2], t[3] + t[4]);
        let odds = (t[1] - t[2], t[3] - t[4]);
        let mut y = [t[0] + evens.0 + evens.1; M];
        let (mut p, mut q) = (P, Q);
        for k in 1..M {
            let pair = if k % 2 == 0 { evens } else { odds };
            y[k] = pair.0.mul_add(p, pair.1 * q);
            p *= P;
            q *= Q;
        }
        y[M - 1] += t[5];
        y
    }
}

/// `A y`: the values at the points of the polynomial `y[0] + y[1] x + ...`
struct OutputToPoints;

impl<const M: usize> Transform<M, N> for OutputToPoints {
    #[inline(always)]
    fn apply<S: Simd, V: Vector<S>>(y: [V; M]) -> [V; N] {
        let (mut even_p, mut even_q) = (y[0], y[0]);
        let (mut odd_p, mut odd_q) = (y[1] * P, y[1] * Q);
        let (mut p, mut q) = (P, Q);
        for k in 2..M {
            p *= P;
            q *= Q;
            if k % 2 == 0 {
                even_p = y[k].mul_add(p, even_p);
                even_q = y[k].mul_add(q, even_q);
            } else {
                odd_p = y[k].mul_add(p, odd_p);
                odd_q = y[k].mul_add(q, odd_q);
            }
        }
        [y[0], even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y[M - 1]]
    }
}

/// The height and width of kernels that can be filtered.
pub(super) enum Filtering {
    Three,
    Five,
}

impl Conv2d {
    /// Whether it is quicker so: with few channels to sum over, the way to the points and back takes longer than what it
    /// saves.
    pub(super) fn filtering(&self) -> Option<Filtering> {
        match (self.stride, self.in_channels, self.kernel_size) {
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
}

impl Tiling {
    /// That of tiles of `M x M`, for kernels of `R x R`.
    fn new<const M: usize, const R: usize>(input: Shape, output: Shape) -> Self {
        const { assert!(M + R == N + 1) };
        let (down, across) = (output.height.div_ceil(M), output.width.div_ceil(M));
        Self {
            input: Shape { height: down * M + R - 1, width: across * M + R - 1, ..input },
            output: Shape { height: down * M, width: across * M, ..output },
            down,
            across,
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

/// Runs `$body` with `$i` from 0 to `$end`, at most [`N`]. A copy for each where vectors are wide: there are enough
/// registers then for a tile to stay in, if no index is computed.
macro_rules! unrolled {
    ($i:ident < $end:expr, $vector:ident => $body:expr) => {
        unrolled!(@ $i, $end, $vector, $body, 0 1 2 3 4 5)
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
fn spread<S: Simd, V: Vector<S>, T: Transform<I, N>, const I: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    from: &[Lanes],
    to: &mut [Lanes],
) {
    for pair in 0..tiling.pairs() {
        for (channel, plane) in from.chunks_exact(map.height * map.width).enumerate() {
            for tile in tiling.pair(pair).step_by(V::ELEMENTS) {
                if V::WIDE && tile + 1 == tiling.tiles() {
                    spread_tiles::<S, f32x8<S>, T, I, M>(simd, tiling, map, plane, to, (channel, tile));
                } else {
                    spread_tiles::<S, V, T, I, M>(simd, tiling, map, plane, to, (channel, tile));
                }
            }
        }
    }
}

#[inline(always)]
fn spread_tiles<S: Simd, V: Vector<S>, T: Transform<I, N>, const I: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    plane: &[Lanes],
    to: &mut [Lanes],
    (channel, tile): (usize, usize),
) {
    let zero = V::splat(simd, 0.0);
    let starts = [0, V::ELEMENTS - 1].map(|i| tiling.start::<M>(map.width, tile + i));
    let mut rows = [[zero; N]; I];
    unrolled!(u < I, V => {
        let from = starts.map(|start| &plane[start + u * map.width..][..I]);
        let mut row = [zero; I];
        for v in 0..I {
            row[v] = V::from_elements(
                #[inline(always)]
                |i| from[i][v].load(simd),
            );
        }
        rows[u] = T::apply(row);
    });
    let first = place_at_point(map.channels, channel, tile);
    let pitch = tiling.pitch(map.channels);
    unrolled!(v < N, V => {
        let mut column = [zero; I];
        for u in 0..I {
            column[u] = rows[u][v];
        }
        let column = T::apply(column);
        let to = &mut to[v * pitch + first..][..(N - 1) * N * pitch + V::ELEMENTS];
        for u in 0..N {
            column[u].store(&mut to[u * N * pitch..]);
        }
    });
}

/// `T from T'` of (point, pair, channel, tile), written to each tile of a map: added to what is there, or else to `bias`.
#[inline(always)]
fn gather<S: Simd, V: Vector<S>, T: Transform<N, O>, const O: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    bias: Option<&[f32]>,
    from: &[Lanes],
    to: &mut [Lanes],
) {
    for pair in 0..tiling.pairs() {
        for (channel, plane) in to.chunks_exact_mut(map.height * map.width).enumerate() {
            let bias = bias.map(|bias| bias[channel]);
            for tile in tiling.pair(pair).step_by(V::ELEMENTS) {
                if V::WIDE && tile + 1 == tiling.tiles() {
                    gather_tiles::<S, f32x8<S>, T, O, M>(
                        simd,
                        tiling,
                        map,
                        bias,
                        from,
                        plane,
                        (channel, tile),
                    );
                } else {
                    gather_tiles::<S, V, T, O, M>(simd, tiling, map, bias, from, plane, (channel, tile));
                }
            }
        }
    }
}

#[inline(always)]
fn gather_tiles<S: Simd, V: Vector<S>, T: Transform<N, O>, const O: usize, const M: usize>(
    simd: S,
    tiling: &Tiling,
    map: Shape,
    bias: Option<f32>,
    from: &[Lanes],
    plane: &mut [Lanes],
    (channel, tile): (usize, usize),
) {
    let zero = V::splat(simd, 0.0);
    let (first, pitch) = (place_at_point(map.channels, channel, tile), tiling.pitch(map.channels));
    let mut rows = [[zero; O]; N];
    unrolled!(u < N, V => {
        let mut row = [zero; N];
        let from = &from[u * N * pitch + first..][..(N - 1) * pitch + V::ELEMENTS];
        for v in 0..N {
            row[v] = V::load(simd, &from[v * pitch..]);
        }
        rows[u] = T::apply(row);
    });
    let starts = [0, V::ELEMENTS - 1].map(|i| tiling.start::<M>(map.width, tile + i));
    unrolled!(v < O, V => {
        let mut column = [zero; N];
        for u in 0..N {
            column[u] = rows[u][v];
        }
        let column = T::apply(column);
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
const ROWS: usize = TILE;
const COLUMNS: usize = PAIR;
const WIDE_COLUMNS: usize = 4;

/// Where the weight of `row` and `channel` is at a point: the rows that [`multiply`] takes at a time lie side by side,
/// (point, group of rows, channel, row).
fn weight_place(rows: usize, channels: usize, row: usize, channel: usize) -> usize {
    let groups = rows.div_ceil(ROWS);
    let group = ((row + 1) * groups - 1) / rows;
    let (first, count) = piece(rows, groups, group);
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
    for point in 0..POINTS {
        let weights = &weights[point * weights_pitch(rows * channels)..][..rows * channels];
        let values = tiling.at(point, channels, values);
        let products = &mut products[point * tiling.pitch(rows)..].as_chunks_mut().0[..pairs * rows];
        for group in 0..groups {
            let (pair, count) = piece(pairs, groups, group);
            let values = &values[pair * channels..][..count * channels];
            for row_group in 0..row_groups {
                let (row, count) = piece(rows, row_groups, row_group);
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

/// `du (point, out_channel, in_channel) += sum over the tiles of dm * v`, each lane apart.
fn weight_gradient(level: Level, tiling: &Tiling, v: &[Lanes], dm: &[Lanes], du: &mut [Lanes]) {
    kernel!(level, weight_gradient_points(tiling, v, dm, du));
}

#[inline(always)]
fn weight_gradient_points<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    v: &[Lanes],
    dm: &[Lanes],
    du: &mut [Lanes],
) {
    let size @ (outputs, inputs) = (tiling.output.channels, tiling.input.channels);
    let most_columns = if V::WIDE { WIDE_COLUMNS } else { COLUMNS };
    let (row_groups, column_groups) = (outputs.div_ceil(ROWS), inputs.div_ceil(most_columns));
    for point in 0..POINTS {
        let (v, dm) = (tiling.at(point, inputs, v), tiling.at(point, outputs, dm));
        let du = &mut du[point * lanes_pitch(outputs * inputs)..][..outputs * inputs];
        for row_group in 0..row_groups {
            let (row, rows) = piece(outputs, row_groups, row_group);
            for column_group in 0..column_groups {
                let (column, columns) = piece(inputs, column_groups, column_group);
                let at = (row, column);
                with_const!(R = rows => if V::WIDE {
                    with_const!(C = columns, [1 2 3] else WIDE_COLUMNS => {
                        weight_tile::<S, V, R, C>(simd, size, v, dm, du, at)
                    })
                } else {
                    with_const!(C = columns, [1] else COLUMNS => {
                        weight_tile::<S, V, R, C>(simd, size, v, dm, du, at)
                    })
                });
            }
        }
    }
}

#[inline(always)]
fn weight_tile<S: Simd, V: Vector<S>, const R: usize, const C: usize>(
    simd: S,
    (outputs, inputs): (usize, usize),
    v: &[[Lanes; PAIR]],
    dm: &[[Lanes; PAIR]],
    du: &mut [Lanes],
    (row, column): (usize, usize),
) {
    let mut sums = [[V::splat(simd, 0.0); C]; R];
    for (v, dm) in v.chunks_exact(inputs).zip(dm.chunks_exact(outputs)) {
        let (v, dm) = (&v[column..][..C], &dm[row..][..R]);
        for tile in (0..PAIR).step_by(V::ELEMENTS) {
            let mut values = [V::splat(simd, 0.0); C];
            for c in 0..C {
                values[c] = V::load(simd, &v[c][tile..]);
            }
            for r in 0..R {
                let gradient = V::load(simd, &dm[r][tile..]);
                for c in 0..C {
                    sums[r][c] = gradient.mul_add(values[c], sums[r][c]);
                }
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            let total = &mut du[(row + r) * inputs + column + c];
            total.store(total.load(simd) + sums[r][c].sum());
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
pub(super) struct Winograd<const M: usize, const R: usize> {
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
    /// Sums of a step, each lane apart: `du`, then of the bias (out_channels).
    gradient: Buffer,
}

impl<const M: usize, const R: usize> Winograd<M, R> {
    const G: [[f32; R]; N] = kernel_matrix();

    /// For input and output shapes that have been checked.
    pub fn new(layer: Conv2d, input: Shape, output: Shape) -> Self {
        let tiling = Tiling::new::<M, R>(input, output);
        let kernels = input.channels * output.channels;
        let inputs = || Frame::new(input, tiling.input, layer.padding);
        let outputs = || Frame::new(output, tiling.output, 0);
        Self {
            tiling,
            weights: vec![0.0; POINTS * weights_pitch(kernels)],
            turned: vec![0.0; POINTS * weights_pitch(kernels)],
            x: inputs(),
            y: outputs(),
            dx: inputs(),
            dy: outputs(),
            v: zeros(POINTS * tiling.pitch(input.channels)),
            m: zeros(POINTS * tiling.pitch(output.channels)),
            gradient: zeros(POINTS * lanes_pitch(kernels) + output.channels),
        }
    }

    fn channels(&self) -> (usize, usize) {
        (self.tiling.output.channels, self.tiling.input.channels)
    }
}

/// `G g G'` of eight kernels side by side, or for the transpose of `G`, `G' du G`.
fn scale<const I: usize, const O: usize>(
    values: &[[Lanes; I]; I],
    matrix: &[[f32; I]; O],
) -> [[Lanes; O]; O] {
    let add = |sums: &mut Lanes, factor: f32, values: &Lanes| {
        for (sum, value) in sums.0.iter_mut().zip(values.0) {
            *sum += factor * value;
        }
    };
    let mut half = [[Lanes::default(); I]; O];
    let mut whole = [[Lanes::default(); O]; O];
    for o in 0..O {
        for i in 0..I {
            for k in 0..I {
                add(&mut half[o][k], matrix[o][i], &values[i][k]);
            }
        }
        for p in 0..O {
            for k in 0..I {
                add(&mut whole[o][p], matrix[p][k], &half[o][k]);
            }
        }
    }
    whole
}

/// Rows and columns exchanged.
const fn transpose<const I: usize, const O: usize>(matrix: &[[f32; I]; O]) -> [[f32; O]; I] {
    let mut turned = [[0.0; O]; I];
    let mut o = 0;
    while o < O {
        let mut i = 0;
        while i < I {
            turned[i][o] = matrix[o][i];
            i += 1;
        }
        o += 1;
    }
    turned
}

impl<const M: usize, const R: usize> Operator for Winograd<M, R> {
    fn prepare(&mut self, parameters: &[f32]) {
        let (outputs, inputs) = self.channels();
        let pitch = weights_pitch(outputs * inputs);
        let (rows, _) = parameters.as_chunks::<R>();
        let kernels = &rows.as_chunks::<R>().0[..outputs * inputs];
        for (group, kernels) in kernels.chunks(LANES).enumerate() {
            let mut g = [[Lanes::default(); R]; R];
            for (lane, kernel) in kernels.iter().enumerate() {
                for (g, value) in g.as_flattened_mut().iter_mut().zip(kernel.as_flattened()) {
                    g.0[lane] = *value;
                }
            }
            let u = scale(&g, &Self::G);
            for lane in 0..kernels.len() {
                let (output, input) = ((group * LANES + lane) / inputs, (group * LANES + lane) % inputs);
                let place = weight_place(outputs, inputs, output, input);
                let turned_place = weight_place(inputs, outputs, input, output);
                for (point, u) in u.as_flattened().iter().enumerate() {
                    self.weights[point * pitch + place] = u.0[lane];
                    self.turned[point * pitch + turned_place] = u.0[lane];
                }
            }
        }
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let channels = self.channels();
        let bias = &parameters[parameters.len() - channels.0..];
        let Self { tiling, weights, v, m, .. } = self;
        for (x, y) in x.chunks_exact(self.x.inner.len()).zip(y.chunks_exact_mut(self.y.inner.len())) {
            let (from, to) = (self.x.around(x), self.y.target(y));
            kernel!(pass.level, spread[InputToPoints, N, M](tiling, tiling.input, from, v));
            multiply(pass.level, tiling, weights, channels, v, m);
            kernel!(pass.level, gather[PointsToOutput, M, M](tiling, tiling.output, Some(bias), m, to));
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
        let Self { tiling, turned, v, m, gradient, .. } = self;
        let (du, bias) = gradient.split_at_mut(POINTS * lanes_pitch(outputs * inputs));
        let len = self.x.inner.len();
        for (block, (x, dy)) in x.chunks_exact(len).zip(dy.chunks_exact(self.dy.inner.len())).enumerate() {
            let (x, dy) = (self.x.around(x), self.dy.around(dy));
            kernel!(pass.level, spread[InputToPoints, N, M](tiling, tiling.input, x, v));
            kernel!(pass.level, spread[OutputToPoints, M, M](tiling, tiling.output, dy, m));
            kernel!(pass.level, add_planes(tiling.output, dy, bias));
            weight_gradient(pass.level, tiling, v, m, du);
            if let Some(dx) = &mut dx {
                let dx = &mut dx[block * len..][..len];
                let to = self.dx.target(dx);
                to.fill(Lanes::default());
                multiply(pass.level, tiling, turned, (inputs, outputs), m, v);
                kernel!(pass.level, gather[PointsToInput, N, M](tiling, tiling.input, None, v, to));
                self.dx.take(dx);
            }
        }
    }

    fn finish(&mut self, gradient: &mut [f32]) {
        let (outputs, inputs) = self.channels();
        let kernels = outputs * inputs;
        let pitch = lanes_pitch(kernels);
        let (du, bias) = self.gradient.split_at(POINTS * pitch);
        let (weights, bias_gradient) = gradient.split_at_mut(kernels * R * R);
        for (group, gradients) in weights.chunks_mut(LANES * R * R).enumerate() {
            let mut sums = [[Lanes::default(); N]; N];
            for (lane, kernel) in (group * LANES..kernels).take(LANES).enumerate() {
                for (point, sums) in sums.as_flattened_mut().iter_mut().enumerate() {
                    sums.0[lane] = du[point * pitch + kernel].sum();
                }
            }
            let sums = scale(&sums, &transpose(&Self::G));
            for (lane, gradient) in gradients.chunks_exact_mut(R * R).enumerate() {
                for (gradient, sums) in gradient.iter_mut().zip(sums.as_flattened()) {
                    *gradient = sums.0[lane];
                }
            }
        }
        for (total, lanes) in bias_gradient.iter_mut().zip(bias) {
            *total = lanes.sum();
        }
        self.gradient.fill(Lanes::default());
    }
}
