//! Pixel shuffle (Shi et al. 2016, <https://arxiv.org/abs/1609.05158>): `(B, C * R * R, H, W)` to `(B, C, H * R, W * R)` for an
//! upscale factor `R`:
//!
//! `y[c, h * R + i, w * R + j] = x[(c * R + i) * R + j, h, w]`

use fearless_simd::Level;
use serde::{Deserialize, Serialize};

use super::window::check_dimension_range;
use crate::{
    Shape,
    activation_layout::{LANES, Lanes},
    error::LayerError,
    operator::{LayerContext, LayerSpec, Operator, PassContext, SingleSampleOp},
};

/// Rearranges groups of `upscale_factor * upscale_factor` channels to squares of pixels.
///
/// ```
/// use lenet_nn::{Layer, PixelShuffle};
///
/// // (8, 48, 48) to (2, 96, 96)
/// let shuffle = Layer::from(PixelShuffle::new(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelShuffle {
    /// Factor by which height and width grow.
    pub upscale_factor: usize,
}

impl PixelShuffle {
    /// Returns a layer that enlarges maps by `upscale_factor`.
    pub const fn new(upscale_factor: usize) -> Self {
        Self { upscale_factor }
    }
}

impl LayerSpec for PixelShuffle {
    fn type_name(&self) -> &'static str {
        "PixelShuffle"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        let upscale_factor = self.upscale_factor;
        check_dimension_range("upscale_factor", upscale_factor)?;
        let Shape { channels, height, width } = input;
        // The square of the largest dimension may not fit in a word of 32 bits.
        let channels_of_square = upscale_factor.saturating_mul(upscale_factor);
        if !channels.is_multiple_of(channels_of_square) {
            return Err(LayerError::UpscaleFactor { upscale_factor, input });
        }
        Ok(Shape {
            channels: channels / channels_of_square,
            height: height * upscale_factor,
            width: width * upscale_factor,
        })
    }

    fn operator(&self, LayerContext { output, .. }: LayerContext) -> Option<Box<dyn Operator>> {
        Some(Box::new(PixelShuffleOp { output, upscale_factor: self.upscale_factor }))
    }

    fn single_sample_op(
        &self,
        _level: Level,
        LayerContext { output, .. }: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        Some(Box::new(PixelShuffleOp { output, upscale_factor: self.upscale_factor }))
    }
}

/// [`PixelShuffle`] on one thread or on one sample.
struct PixelShuffleOp {
    output: Shape,
    upscale_factor: usize,
}

impl PixelShuffleOp {
    /// Returns where the pixels of row `row` of the output, counted over all channels, come from: for each channel of the input
    /// its index, that of its row, and the first column of the output. The next columns are `upscale_factor` apart.
    fn sources(&self, row: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let factor = self.upscale_factor;
        let (channel, i) = (row / self.output.height, row % self.output.height);
        let first = (channel * factor + i % factor) * factor;
        (0..factor).map(move |j| (first + j, i / factor, j))
    }

    /// Returns the height and width of the input.
    fn input_size(&self) -> (usize, usize) {
        (self.output.height / self.upscale_factor, self.output.width / self.upscale_factor)
    }

    /// Returns the same as [`sources`](Self::sources), with the index of the row in a block of the input.
    fn input_starts(&self, row: usize) -> impl Iterator<Item = (usize, usize)> {
        let (height, width) = self.input_size();
        self.sources(row).map(move |(channel, i, j)| ((channel * height + i) * width, j))
    }
}

impl Operator for PixelShuffleOp {
    fn forward(&mut self, _pass: PassContext, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let (len, width) = (self.output.len(), self.output.width);
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
            for (row, y) in y.chunks_exact_mut(width).enumerate() {
                for (start, j) in self.input_starts(row) {
                    let y = y[j..].iter_mut().step_by(self.upscale_factor);
                    y.zip(&x[start..]).for_each(|(y, x)| *y = *x);
                }
            }
        }
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        _pass: PassContext,
        _parameters: &[f32],
        _x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        _gradient: &mut [f32],
    ) {
        let Some(dx) = dx else { return };
        let (len, width) = (self.output.len(), self.output.width);
        for (dx, dy) in dx.chunks_exact_mut(len).zip(dy.chunks_exact(len)) {
            for (row, dy) in dy.chunks_exact(width).enumerate() {
                for (start, j) in self.input_starts(row) {
                    let dy = dy[j..].iter().step_by(self.upscale_factor);
                    dy.zip(&mut dx[start..]).for_each(|(dy, dx)| *dx = *dy);
                }
            }
        }
    }
}

impl SingleSampleOp for PixelShuffleOp {
    fn forward(&mut self, _level: Level, _parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]) {
        let (height, width) = self.input_size();
        for row in 0..self.output.channels * self.output.height {
            let (channel, i) = (row / self.output.height, row % self.output.height);
            let start = (channel / LANES * self.output.height + i) * self.output.width;
            let y = &mut y[start..][..self.output.width];
            for (input, i, j) in self.sources(row) {
                let x = &x[(input / LANES * height + i) * width..][..width];
                let y = y[j..].iter_mut().step_by(self.upscale_factor);
                y.zip(x).for_each(|(y, x)| y.0[channel % LANES] = x.0[input % LANES]);
            }
        }
    }
}
