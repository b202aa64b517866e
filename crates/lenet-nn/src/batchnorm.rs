//! Batch normalisation (Ioffe and Szegedy 2015, algorithms 1 and 2), for each channel:
//!
//! `y = weight * n + bias`, `n = (x - mean) / sqrt(var + eps)`
//!
//! In training `mean` and `var` are those of the channel over all pixels of all images of the batch, whichever thread has
//! them: each thread gathers sums over its share, these are added up, and only then does the pass go on. So with the
//! gradient: `dx = weight / sqrt(var + eps) * (dy - mean(dy) - n * mean(dy * n))`. In inference mean and variance are
//! the running averages of those of training.

use fearless_simd::{Simd, SimdFloat};
use serde::{Deserialize, Serialize};

use super::{
    Shape,
    lanes::{Lanes, Vector, kernel},
    layer::{Operator, Pass},
};

/// Batch normalisation of `(batch, num_features, height, width)`, with PyTorch's `eps` and `momentum`; weight, bias,
/// running mean and running variance `(num_features)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm2d {
    /// Channels.
    pub num_features: usize,
}

impl BatchNorm2d {
    /// Normalisation of `num_features` channels.
    pub const fn new(num_features: usize) -> Self {
        Self { num_features }
    }
}

/// Added to the variance.
const EPS: f64 = 1e-5;

/// BatchSlice of a batch's mean and variance in their running averages.
const MOMENTUM: f64 = 0.1;

/// The two passes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// What a pass needs to know of many images.
#[derive(Debug, Clone)]
struct Sums {
    /// Pixels of a channel.
    pixels: f64,
    /// For each channel of `x` and `x^2`, or of `dy` and `dy * x`.
    channels: Vec<[f64; 2]>,
}

impl Sums {
    fn clear(&mut self) {
        self.pixels = 0.0;
        self.channels.fill([0.0; 2]);
    }

    fn add(&mut self, other: &Self) {
        self.pixels += other.pixels;
        for (sum, other) in self.channels.iter_mut().zip(&other.channels) {
            *sum = [sum[0] + other[0], sum[1] + other[1]];
        }
    }
}

/// [`BatchNorm2d`] at work on one thread.
pub(super) struct Normalization {
    shape: Shape,
    /// Of each direction, over this thread's share of the batch and over all of it; the latter stays empty in inference.
    own: [Sums; 2],
    all: [Sums; 2],
}

impl Normalization {
    /// For maps of `shape`.
    pub fn new(shape: Shape) -> Self {
        let sums = || {
            let sums = Sums { pixels: 0.0, channels: vec![[0.0; 2]; shape.channels] };
            [sums.clone(), sums]
        };
        Self { shape, own: sums(), all: sums() }
    }

    /// Adds blocks to the sums over this thread's share: forward, or with `dy` backward.
    pub fn gather(&mut self, pass: Pass, x: &[Lanes], dy: Option<&[Lanes]>) {
        let plane = self.shape.height * self.shape.width;
        let direction = if dy.is_some() { Direction::Backward } else { Direction::Forward };
        let sums = &mut self.own[direction as usize];
        sums.pixels += (pass.samples * plane) as f64;
        let planes = x.chunks_exact(plane).zip(dy.unwrap_or(x).chunks_exact(plane));
        for (i, (x, dy)) in planes.enumerate() {
            let (block, channel) = (i / self.shape.channels, i % self.shape.channels);
            let mut found = [Lanes::default(); 2];
            kernel!(pass.level, sum_products(dy, x, &mut found));
            for (sum, lanes) in sums.channels[channel].iter_mut().zip(found) {
                *sum += lanes.0[..pass.filled(block)].iter().map(|&value| f64::from(value)).sum::<f64>();
            }
        }
    }

    /// Begins the sums over the whole batch with those of this thread's share.
    pub fn begin(&mut self, direction: Direction) {
        let all = &mut self.all[direction as usize];
        all.clear();
        all.add(&self.own[direction as usize]);
    }

    /// Adds another thread's share to the sums over the whole batch.
    pub fn add(&mut self, direction: Direction, other: &Self) {
        self.all[direction as usize].add(&other.own[direction as usize]);
    }

    /// Takes over the sums over the whole batch.
    pub fn take(&mut self, direction: Direction, other: &Self) {
        let all = &mut self.all[direction as usize];
        all.clear();
        all.add(&other.all[direction as usize]);
    }

    /// Mean and variance of a channel over the batch, if it was gathered.
    fn moments(&self, channel: usize) -> Option<(f64, f64)> {
        let Sums { pixels, channels } = &self.all[Direction::Forward as usize];
        let mean = channels[channel][0] / pixels;
        let var = (channels[channel][1] / pixels - mean * mean).max(0.0);
        (*pixels > 0.0).then_some((mean, var))
    }

    /// Moves the running averages towards the mean and the unbiased variance of the batch.
    pub fn update_running(&self, parameters: &mut [f32]) {
        let pixels = self.all[Direction::Forward as usize].pixels;
        let (_, running) = parameters.split_at_mut(2 * self.shape.channels);
        let (means, vars) = running.split_at_mut(self.shape.channels);
        for (channel, (running_mean, running_var)) in means.iter_mut().zip(vars).enumerate() {
            if let Some((mean, var)) = self.moments(channel) {
                let unbiased = var * pixels / (pixels - 1.0).max(1.0);
                *running_mean += (MOMENTUM * (mean - f64::from(*running_mean))) as f32;
                *running_var += (MOMENTUM * (unbiased - f64::from(*running_var))) as f32;
            }
        }
    }
}

/// What a channel is multiplied by, and what is then added to it, in inference; `parameters` are weight, bias, running
/// mean and running variance.
pub(super) fn running_scale(parameters: &[f32], channel: usize) -> (f32, f32) {
    let [.., mean, var] = of_channel(parameters, channel);
    scale_by(parameters, channel, (mean, var.max(0.0)))
}

/// As [`running_scale`], with a given mean and variance.
fn scale_by(parameters: &[f32], channel: usize, (mean, var): (f64, f64)) -> (f32, f32) {
    let [weight, bias, ..] = of_channel(parameters, channel);
    let scale = weight / (var + EPS).sqrt();
    (scale as f32, (bias - mean * scale) as f32)
}

/// Weight, bias, running mean and running variance of a channel.
fn of_channel(parameters: &[f32], channel: usize) -> [f64; 4] {
    std::array::from_fn(|part| f64::from(parameters[part * parameters.len() / 4 + channel]))
}

/// Sums of `dy` and of `dy * x`, each lane apart, to `totals`.
#[inline(always)]
fn sum_products<S: Simd, V: Vector<S>>(simd: S, dy: &[Lanes], x: &[Lanes], totals: &mut [Lanes; 2]) {
    // Several sums, so that no addition waits for the one before it.
    const SUMS: usize = 4;
    let mut sums = [[V::splat(simd, 0.0); 2]; SUMS];
    let (dys, xs) = (dy.chunks_exact(SUMS * V::ELEMENTS), x.chunks_exact(SUMS * V::ELEMENTS));
    let rests = dys.remainder().iter().zip(xs.remainder());
    for (dy, x) in dys.zip(xs) {
        for i in 0..SUMS {
            let (dy, x) = (V::load(simd, &dy[i * V::ELEMENTS..]), V::load(simd, &x[i * V::ELEMENTS..]));
            sums[i] = [sums[i][0] + dy, dy.mul_add(x, sums[i][1])];
        }
    }
    for (dy, x) in rests {
        let dy = V::load_one(simd, dy);
        sums[0] = [sums[0][0] + dy, dy.mul_add(V::load_one(simd, x), sums[0][1])];
    }
    for (part, total) in totals.iter_mut().enumerate() {
        total.store(((sums[0][part] + sums[1][part]) + (sums[2][part] + sums[3][part])).sum());
    }
}

/// `y = scale * x + shift`
#[inline(always)]
fn scale_plane<S: Simd, V: Vector<S>>(simd: S, (scale, shift): (f32, f32), x: &[Lanes], y: &mut [Lanes]) {
    let (scale, shift) = (V::splat(simd, scale), V::splat(simd, shift));
    let (xs, mut ys) = (x.chunks_exact(V::ELEMENTS), y.chunks_exact_mut(V::ELEMENTS));
    let rest = xs.remainder();
    for (x, y) in xs.zip(&mut ys) {
        scale.mul_add(V::load(simd, x), shift).store(y);
    }
    for (x, y) in rest.iter().zip(ys.into_remainder()) {
        y.store(scale.element(0).mul_add(x.load(simd), shift.element(0)));
    }
}

/// `dx = a * dy + b * x + c` in the filled lanes, 0 in the others.
#[inline(always)]
fn gradient_plane<S: Simd, V: Vector<S>>(
    simd: S,
    factors: [f32; 3],
    filled: usize,
    x: &[Lanes],
    dy: &[Lanes],
    dx: &mut [Lanes],
) {
    let [a, b, c] = factors.map(|factor| {
        let lanes = Lanes(std::array::from_fn(|lane| if lane < filled { factor } else { 0.0 }));
        V::load(simd, &[lanes; 2])
    });
    let (xs, dys) = (x.chunks_exact(V::ELEMENTS), dy.chunks_exact(V::ELEMENTS));
    let mut dxs = dx.chunks_exact_mut(V::ELEMENTS);
    let rests = xs.remainder().iter().zip(dys.remainder());
    for ((x, dy), dx) in xs.zip(dys).zip(&mut dxs) {
        a.mul_add(V::load(simd, dy), b.mul_add(V::load(simd, x), c)).store(dx);
    }
    for ((x, dy), dx) in rests.zip(dxs.into_remainder()) {
        let (a, b, c) = (a.element(0), b.element(0), c.element(0));
        dx.store(a.mul_add(dy.load(simd), b.mul_add(x.load(simd), c)));
    }
}

impl Operator for Normalization {
    fn normalization(&mut self) -> Option<&mut Self> {
        Some(self)
    }

    fn prepare(&mut self, _parameters: &[f32]) {
        self.own.iter_mut().chain(&mut self.all).for_each(Sums::clear);
    }

    fn forward(&mut self, pass: Pass, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let plane = self.shape.height * self.shape.width;
        for (i, (x, y)) in x.chunks_exact(plane).zip(y.chunks_exact_mut(plane)).enumerate() {
            let channel = i % self.shape.channels;
            let (scale, shift) = match self.moments(channel) {
                None => running_scale(parameters, channel),
                Some(moments) => scale_by(parameters, channel, moments),
            };
            kernel!(pass.level, scale_plane((scale, shift), x, y));
        }
    }

    fn backward(
        &mut self,
        pass: Pass,
        parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let Some(dx) = dx else { return };
        let plane = self.shape.height * self.shape.width;
        let planes = x.chunks_exact(plane).zip(dy.chunks_exact(plane)).zip(dx.chunks_exact_mut(plane));
        for (i, ((x, dy), dx)) in planes.enumerate() {
            let (block, channel) = (i / self.shape.channels, i % self.shape.channels);
            let Some((mean, var)) = self.moments(channel) else { continue };
            let Sums { pixels, channels } = &self.all[Direction::Backward as usize];
            let inverse = 1.0 / (var + EPS).sqrt();
            let scale = f64::from(parameters[channel]) * inverse;
            let mean_dy = channels[channel][0] / pixels;
            let mean_dy_n = inverse * (channels[channel][1] / pixels - mean * mean_dy);
            let slope = -scale * inverse * mean_dy_n;
            let factors = [scale, slope, -scale * mean_dy - slope * mean].map(|factor| factor as f32);
            let filled = pass.filled(block);
            kernel!(pass.level, gradient_plane(factors, filled, x, dy, dx));
        }
    }

    fn finish(&mut self, gradient: &mut [f32]) {
        let (weight, bias) = gradient.split_at_mut(self.shape.channels);
        for channel in 0..self.shape.channels {
            let Some((mean, var)) = self.moments(channel) else { continue };
            let [dy, dy_x] = self.own[Direction::Backward as usize].channels[channel];
            weight[channel] = ((dy_x - mean * dy) / (var + EPS).sqrt()) as f32;
            bias[channel] = dy as f32;
        }
    }
}
