//! The same for one image, whose lanes are eight neighbouring channels: see `nn/single.rs`.

use fearless_simd::{Level, Simd, dispatch};

use super::{
    Frame, PAIR, Tiling, Winograd, column, gather, lanes_pitch, spread,
    transform::{OfInput, OfOutput, scale},
};
use crate::{
    Conv2d, Shape,
    lanes::{Buffer, LANES, Lanes, Vector, even_chunk, kernel, with_const, zeros},
};

/// A [`Conv2d`] of stride 1 with kernels of `R x R` at work on one image, by tiles of `M x M` outputs.
pub(crate) struct OneImage<const N: usize, const M: usize, const R: usize> {
    /// Of maps that are groups of eight channels.
    tiling: Tiling,
    in_channels: usize,
    /// `u`: (point, pair of groups of outputs, in_channel, group of the pair).
    weights: Buffer,
    /// A group of eight outputs each.
    bias: Buffer,
    x: Frame,
    y: Frame,
    /// (point, pair, group of channels, tile of the pair)
    v: Buffer,
    m: Buffer,
}

impl<const N: usize, const M: usize, const R: usize> OneImage<N, M, R> {
    /// For input and output shapes that have been checked, whose channels are groups of eight, as those of the weights
    /// (group, in_channels, R, R) and the bias are.
    pub fn new(layer: Conv2d, (input, output): (Shape, Shape), weights: &[Lanes], bias: Buffer) -> Self {
        let tiling = Tiling::new::<N, M, R>(input, output);
        let (inputs, pairs) = (layer.in_channels, output.channels.div_ceil(PAIR));
        let pitch = lanes_pitch(pairs * PAIR * inputs);
        let mut u = zeros(N * N * pitch);
        let (rows, _) = weights.as_chunks::<R>();
        for (kernels, g) in rows.as_chunks::<R>().0.iter().enumerate() {
            let (group, channel) = (kernels / inputs, kernels % inputs);
            let place = (group / PAIR * inputs + channel) * PAIR + group % PAIR;
            let values = dispatch!(Level::new(), simd => scale(simd, &Winograd::<N, M, R>::G, g));
            for (point, value) in values.as_flattened().iter().enumerate() {
                u[point * pitch + place] = *value;
            }
        }
        Self {
            tiling,
            in_channels: inputs,
            weights: u,
            bias,
            x: Frame::new(input, tiling.input, layer.padding),
            y: Frame::new(output, tiling.output, 0),
            v: zeros(N * N * tiling.pitch(input.channels)),
            m: zeros(N * N * tiling.pitch(output.channels)),
        }
    }

    /// `x` and `y` are (group of eight channels, height, width).
    pub fn forward(&mut self, level: Level, x: &[Lanes], y: &mut [Lanes]) {
        let Self { tiling, in_channels, weights, v, m, .. } = self;
        let (from, to) = (self.x.around(x), self.y.target(y));
        let plane = tiling.output.height * tiling.output.width;
        for (plane, bias) in to.chunks_exact_mut(plane).zip(self.bias.iter()) {
            plane.fill(*bias);
        }
        kernel!(level, spread[OfInput, N, N, M](tiling, tiling.input, from, v));
        kernel!(level, multiply(tiling, *in_channels, weights, v, m));
        kernel!(level, gather[OfOutput, N, M, M](tiling, tiling.output, None, m, to));
        self.y.take(y);
    }
}

/// At each point, `products (tile, group) = sum over the channels of weights (channel, group) * values (tile, channel)`.
///
/// A value is broadcast and multiplied by the weights of two vectors of output channels; the sums of up to six tiles stay
/// in registers.
#[inline(always)]
fn multiply<S: Simd, V: Vector<S>>(
    simd: S,
    tiling: &Tiling,
    channels: usize,
    weights: &[Lanes],
    values: &[Lanes],
    products: &mut [Lanes],
) {
    let (inputs, outputs) = (tiling.input.channels, tiling.output.channels);
    let (pairs, group_pairs) = (tiling.pairs(), outputs.div_ceil(PAIR));
    let tiles = pairs.div_ceil(3);
    for (point, weights) in weights.chunks_exact(lanes_pitch(group_pairs * PAIR * channels)).enumerate() {
        let weights = &weights.as_chunks().0[..group_pairs * channels];
        let values = tiling.at(point, inputs, values);
        let products = &mut products[point * tiling.pitch(outputs)..].as_chunks_mut().0[..pairs * outputs];
        for (at, weights) in weights.chunks(V::ELEMENTS * channels).enumerate() {
            let first = at * V::ELEMENTS * PAIR;
            for tile in 0..tiles {
                let (pair, count) = even_chunk(pairs, tiles, tile);
                let values = &values[pair * inputs..][..count * inputs];
                let products = &mut products[pair * outputs..][..count * outputs];
                with_const!(P = count, [1 2] else 3 => if V::WIDE && weights.len() == channels {
                    multiply_tile::<S, V, P, 1>(simd, channels, weights, values, products, first)
                } else {
                    multiply_tile::<S, V, P, 2>(simd, channels, weights, values, products, first)
                });
            }
        }
    }
}

#[inline(always)]
fn multiply_tile<S: Simd, V: Vector<S>, const P: usize, const G: usize>(
    simd: S,
    channels: usize,
    weights: &[[Lanes; PAIR]],
    values: &[[Lanes; PAIR]],
    products: &mut [[Lanes; PAIR]],
    first: usize,
) {
    let (inputs, outputs) = (values.len() / P, products.len() / P);
    let (mut kernels, mut pairs) = ([&weights[..0]; G], [&values[..0]; P]);
    for g in 0..G {
        kernels[g] = &weights[column::<S, V>(g).0 * channels..][..channels];
    }
    for p in 0..P {
        pairs[p] = &values[p * inputs..][..inputs];
    }
    let mut sums = [[[V::splat(simd, 0.0); PAIR]; P]; G];
    for group in 0..inputs {
        for lane in 0..LANES.min(channels - group * LANES) {
            let mut vectors = [V::splat(simd, 0.0); G];
            for g in 0..G {
                vectors[g] = V::load(simd, &kernels[g][group * LANES + lane][column::<S, V>(g).1..]);
            }
            for p in 0..P {
                for tile in 0..PAIR {
                    let value = V::splat(simd, pairs[p][group][tile].0[lane]);
                    for g in 0..G {
                        sums[g][p][tile] = vectors[g].mul_add(value, sums[g][p][tile]);
                    }
                }
            }
        }
    }
    for g in 0..G {
        for i in 0..V::ELEMENTS {
            let group = first + g * V::ELEMENTS + i;
            if group < outputs {
                for p in 0..P {
                    for tile in 0..PAIR {
                        products[p * outputs + group][tile].store(sums[g][p][tile].element(i));
                    }
                }
            }
        }
    }
}
