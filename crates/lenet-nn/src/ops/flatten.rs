//! Flattening: `(batch, C, H, W)` to `(batch, C * H * W, 1, 1)`.
//!
//! A block of activations is in the same order before and after, so there is nothing to do; on one sample, whose lanes are
//! channels, the elements move.

use fearless_simd::Level;

use crate::{
    Shape,
    activation_layout::{LANES, Lanes},
    error::LayerError,
    operator::{LayerContext, LayerSpec, Operator, SingleSampleOp},
};

/// Reshapes channels, rows and columns to one row of features.
pub(crate) struct Flatten;

impl LayerSpec for Flatten {
    fn type_name(&self) -> &'static str {
        "Flatten"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        Ok(Shape::flat(input.len()))
    }

    fn operator(&self, _context: LayerContext) -> Option<Box<dyn Operator>> {
        None
    }

    fn single_sample_op(
        &self,
        _level: Level,
        LayerContext { input, .. }: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        if input.height * input.width > 1 { Some(Box::new(SingleSampleFlatten(input))) } else { None }
    }
}

/// [`Flatten`] on one sample of a shape.
struct SingleSampleFlatten(Shape);

impl SingleSampleOp for SingleSampleFlatten {
    fn forward(&mut self, _level: Level, _parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]) {
        flatten(self.0, x, y);
    }
}

/// Copies `x` of `shape` to a row of features `y`.
pub(crate) fn flatten(shape: Shape, x: &[Lanes], y: &mut [Lanes]) {
    let plane = shape.height * shape.width;
    let mut feature = 0;
    for channel in 0..shape.channels {
        for pixel in &x[channel / LANES * plane..][..plane] {
            y[feature / LANES].0[feature % LANES] = pixel.0[channel % LANES];
            feature += 1;
        }
    }
}
