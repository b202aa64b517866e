//! Batch normalization (Ioffe and Szegedy 2015, algorithms 1 and 2), `(B, C, H, W)` to `(B, C, H, W)`, for each channel:
//!
//! `y = weight * n + bias`, `n = (x - mean) / sqrt(var + eps)`
//!
//! In training `mean` and `var` are those of the channel over all pixels of all samples of the batch. Each thread accumulates
//! sums over its slice, the sums of all threads are added, and then each thread goes on. The same holds for the backward pass:
//!
//! `dx = weight / sqrt(var + eps) * (dy - mean(dy) - n * mean(dy * n))`
//!
//! In inference `mean` and `var` are running averages of those of training steps.

use fearless_simd::{Level, Simd, SimdFloat, dispatch};
use serde::{Deserialize, Serialize};

use crate::{
    Shape,
    activation_layout::{AlignedBuffer, Lanes, to_channel_groups},
    error::LayerError,
    operator::{
        BUFFER_NAMES, BatchStatistics, Direction, LayerContext, LayerSpec, Operator, PassContext,
        SingleSampleOp,
    },
    simd::{Vector, kernel},
};

/// Batch normalization over `(batch, num_features, height, width)` with PyTorch's defaults `eps = 1e-5` and `momentum = 0.1`.
/// Weight, bias, running mean and running variance have the shape `(num_features)`.
///
/// ```
/// use lenet_nn::{BatchNorm2d, Layer};
///
/// let layer = Layer::from(BatchNorm2d::new(20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm2d {
    /// Number of channels.
    pub num_features: usize,
}

impl BatchNorm2d {
    /// Added to the variance, as PyTorch does by default.
    pub const EPSILON: f64 = 1e-5;

    /// Returns a normalization of `num_features` channels.
    pub const fn new(num_features: usize) -> Self {
        Self { num_features }
    }

    /// Returns `(scale, shift)` of a channel in inference, where `y = scale * x + shift`, from its weight, bias, running mean and
    /// running variance.
    pub fn inference_scale_and_shift([weight, bias, mean, var]: [f32; 4]) -> (f32, f32) {
        scale_and_shift([weight, bias, mean, var.max(0.0)].map(f64::from))
    }
}

impl LayerSpec for BatchNorm2d {
    fn type_name(&self) -> &'static str {
        "BatchNorm2d"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        if self.num_features == input.channels {
            Ok(input)
        } else {
            Err(LayerError::Channels { expected: self.num_features, input })
        }
    }

    fn parameter_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        ["weight", "bias", BUFFER_NAMES[0], BUFFER_NAMES[1]]
            .map(|name| (name, vec![self.num_features]))
            .into()
    }

    fn constant_init(&self, param_name: &str) -> Option<f32> {
        Some(if param_name == "weight" || param_name == BUFFER_NAMES[1] { 1.0 } else { 0.0 })
    }

    fn operator(&self, context: LayerContext) -> Option<Box<dyn Operator>> {
        Some(Box::new(BatchNormOp::new(context.input)))
    }

    fn single_sample_op(
        &self,
        _level: Level,
        LayerContext { input, .. }: LayerContext,
        parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        let (scale, shift): (Vec<f32>, Vec<f32>) = (0..self.num_features)
            .map(|channel| Self::inference_scale_and_shift(channel_parameters(parameters, channel)))
            .unzip();
        let [scale, shift] = [scale, shift].map(|values| to_channel_groups(&values, 1));
        Some(Box::new(SingleSampleBatchNorm { scale, shift, plane: input.height * input.width }))
    }
}

/// Weight of a batch's mean and variance in the running averages.
const MOMENTUM: f64 = 0.1;

/// Sums over pixels and samples, in one piece of memory: the number of pixels summed, and for each channel the sums of `x` and
/// `x^2`, or of `dy` and `dy * x`.
#[derive(Debug, Clone)]
struct ChannelSums(Vec<f64>);

impl ChannelSums {
    fn new(channels: usize) -> Self {
        Self(vec![0.0; 1 + 2 * channels])
    }

    fn pixel_count(&self) -> f64 {
        self.0[0]
    }

    fn channel(&self, channel: usize) -> [f64; 2] {
        [self.0[1 + 2 * channel], self.0[2 + 2 * channel]]
    }
}

/// [`BatchNorm2d`] on one thread.
pub(super) struct BatchNormOp {
    shape: Shape,
    /// Sums over this thread's slice of the batch, for each direction.
    local: [ChannelSums; 2],
    /// Sums over the whole batch.
    batch: [ChannelSums; 2],
}

impl BatchNormOp {
    /// Allocates the sums of maps of `shape`.
    pub fn new(shape: Shape) -> Self {
        let sums = || [ChannelSums::new(shape.channels), ChannelSums::new(shape.channels)];
        Self { shape, local: sums(), batch: sums() }
    }

    /// Returns mean and variance of a channel over the batch.
    fn batch_mean_and_var(&self, channel: usize) -> (f64, f64) {
        let sums = &self.batch[Direction::Forward as usize];
        let (pixels, [sum, squares]) = (sums.pixel_count(), sums.channel(channel));
        let mean = sum / pixels;
        (mean, (squares / pixels - mean * mean).max(0.0))
    }
}

impl BatchStatistics for BatchNormOp {
    fn accumulate_blocks(&mut self, pass: PassContext, x: &[Lanes], dy: Option<&[Lanes]>) {
        let plane = self.shape.height * self.shape.width;
        let direction = if dy.is_some() { Direction::Backward } else { Direction::Forward };
        let ChannelSums(sums) = &mut self.local[direction as usize];
        sums[0] += (pass.samples * plane) as f64;
        let planes = x.chunks_exact(plane).zip(dy.unwrap_or(x).chunks_exact(plane));
        for (i, (x, dy)) in planes.enumerate() {
            let (block, channel) = (i / self.shape.channels, i % self.shape.channels);
            let mut totals = [Lanes::default(); 2];
            kernel!(pass.level, sum_and_dot_product(dy, x, &mut totals));
            for (sum, lanes) in sums[1 + 2 * channel..].iter_mut().zip(totals) {
                *sum +=
                    lanes.0[..pass.filled_lanes(block)].iter().map(|&value| f64::from(value)).sum::<f64>();
            }
        }
    }

    fn local_and_batch_sums(&mut self, direction: Direction) -> (&[f64], &mut [f64]) {
        (&self.local[direction as usize].0, &mut self.batch[direction as usize].0)
    }

    /// Mean, and unbiased variance, with [`MOMENTUM`].
    fn update_running_stats(&self, parameters: &mut [f32]) {
        let pixels = self.batch[Direction::Forward as usize].pixel_count();
        if pixels == 0.0 {
            return;
        }
        let (_, running) = parameters.split_at_mut(2 * self.shape.channels);
        let (means, vars) = running.split_at_mut(self.shape.channels);
        for (channel, (running_mean, running_var)) in means.iter_mut().zip(vars).enumerate() {
            let (mean, var) = self.batch_mean_and_var(channel);
            let unbiased = var * pixels / (pixels - 1.0).max(1.0);
            *running_mean += (MOMENTUM * (mean - f64::from(*running_mean))) as f32;
            *running_var += (MOMENTUM * (unbiased - f64::from(*running_var))) as f32;
        }
    }
}

/// Returns `(scale, shift)` of a channel, where `y = scale * x + shift`.
fn scale_and_shift([weight, bias, mean, var]: [f64; 4]) -> (f32, f32) {
    let scale = weight / (var + BatchNorm2d::EPSILON).sqrt();
    (scale as f32, (bias - mean * scale) as f32)
}

/// Returns weight, bias, running mean and running variance of a channel.
fn channel_parameters(parameters: &[f32], channel: usize) -> [f32; 4] {
    std::array::from_fn(|part| parameters[part * parameters.len() / 4 + channel])
}

/// Writes the sums of `dy` and of `dy * x` over a plane, for each lane, to `totals`.
#[inline(always)]
fn sum_and_dot_product<S: Simd, V: Vector<S>>(simd: S, dy: &[Lanes], x: &[Lanes], totals: &mut [Lanes; 2]) {
    // Several independent sums, because each addition would wait for the one before it.
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
        let dy = V::load_zero_padded(simd, dy);
        sums[0] = [sums[0][0] + dy, dy.mul_add(V::load_zero_padded(simd, x), sums[0][1])];
    }
    for (part, total) in totals.iter_mut().enumerate() {
        total.store(((sums[0][part] + sums[1][part]) + (sums[2][part] + sums[3][part])).sum_to_f32x8());
    }
}

/// Computes `y = scale * x + shift`.
#[inline(always)]
fn scale_and_shift_plane<S: Simd, V: Vector<S>>(
    simd: S,
    (scale, shift): (f32, f32),
    x: &[Lanes],
    y: &mut [Lanes],
) {
    let (scale, shift) = (V::splat(simd, scale), V::splat(simd, shift));
    let (xs, mut ys) = (x.chunks_exact(V::ELEMENTS), y.chunks_exact_mut(V::ELEMENTS));
    let rest = xs.remainder();
    for (x, y) in xs.zip(&mut ys) {
        scale.mul_add(V::load(simd, x), shift).store(y);
    }
    for (x, y) in rest.iter().zip(ys.into_remainder()) {
        y.store(scale.extract_f32x8(0).mul_add(x.load(simd), shift.extract_f32x8(0)));
    }
}

/// Computes `dx = a * dy + b * x + c` in the filled lanes, 0 in the others.
#[inline(always)]
fn backward_plane<S: Simd, V: Vector<S>>(
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
        let (a, b, c) = (a.extract_f32x8(0), b.extract_f32x8(0), c.extract_f32x8(0));
        dx.store(a.mul_add(dy.load(simd), b.mul_add(x.load(simd), c)));
    }
}

/// [`BatchNorm2d`] on one sample, in place: `x = scale (group) * x + shift (group)`.
struct SingleSampleBatchNorm {
    scale: AlignedBuffer,
    shift: AlignedBuffer,
    plane: usize,
}

impl SingleSampleOp for SingleSampleBatchNorm {
    fn forward(&mut self, level: Level, _parameters: &[f32], x: &mut [Lanes], _y: &mut [Lanes]) {
        let Self { scale, shift, plane } = self;
        dispatch!(level, simd => scale_and_shift_groups(simd, scale, shift, *plane, x));
    }

    fn is_in_place(&self) -> bool {
        true
    }
}

/// Computes `x = scale (group) * x + shift (group)`.
#[inline(always)]
fn scale_and_shift_groups<S: Simd>(simd: S, scale: &[Lanes], shift: &[Lanes], plane: usize, x: &mut [Lanes]) {
    for ((x, scale), shift) in x.chunks_exact_mut(plane).zip(scale).zip(shift) {
        let (scale, shift) = (scale.load(simd), shift.load(simd));
        for x in x {
            x.store(scale.mul_add(x.load(simd), shift));
        }
    }
}

impl Operator for BatchNormOp {
    fn batch_statistics(&mut self) -> Option<&mut dyn BatchStatistics> {
        Some(self)
    }

    fn prepare_parameters(&mut self, _level: Level, _parameters: &[f32]) {
        self.local.iter_mut().chain(&mut self.batch).for_each(|ChannelSums(sums)| sums.fill(0.0));
    }

    fn forward(&mut self, pass: PassContext, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let plane = self.shape.height * self.shape.width;
        for (i, (x, y)) in x.chunks_exact(plane).zip(y.chunks_exact_mut(plane)).enumerate() {
            let channel = i % self.shape.channels;
            let parameters = channel_parameters(parameters, channel);
            let (scale, shift) = if pass.training {
                let [weight, bias, ..] = parameters.map(f64::from);
                let (mean, var) = self.batch_mean_and_var(channel);
                scale_and_shift([weight, bias, mean, var])
            } else {
                BatchNorm2d::inference_scale_and_shift(parameters)
            };
            kernel!(pass.level, scale_and_shift_plane((scale, shift), x, y));
        }
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
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
            let (mean, var) = self.batch_mean_and_var(channel);
            let sums = &self.batch[Direction::Backward as usize];
            let (pixels, [sum_dy, sum_dy_x]) = (sums.pixel_count(), sums.channel(channel));
            let inverse = 1.0 / (var + BatchNorm2d::EPSILON).sqrt();
            let scale = f64::from(parameters[channel]) * inverse;
            let mean_dy = sum_dy / pixels;
            let mean_dy_n = inverse * (sum_dy_x / pixels - mean * mean_dy);
            let slope = -scale * inverse * mean_dy_n;
            let factors = [scale, slope, -scale * mean_dy - slope * mean].map(|factor| factor as f32);
            let filled = pass.filled_lanes(block);
            kernel!(pass.level, backward_plane(factors, filled, x, dy, dx));
        }
    }

    #[cfg(feature = "training")]
    fn write_accumulated_gradient(&mut self, _level: Level, gradient: &mut [f32]) {
        if self.batch[Direction::Forward as usize].pixel_count() == 0.0 {
            return;
        }
        let (weight, bias) = gradient.split_at_mut(self.shape.channels);
        for channel in 0..self.shape.channels {
            let (mean, var) = self.batch_mean_and_var(channel);
            let [dy, dy_x] = self.local[Direction::Backward as usize].channel(channel);
            weight[channel] = ((dy_x - mean * dy) / (var + BatchNorm2d::EPSILON).sqrt()) as f32;
            bias[channel] = dy as f32;
        }
    }
}
