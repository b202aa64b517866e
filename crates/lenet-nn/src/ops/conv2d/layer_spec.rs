//! [`Conv2d`] as a layer: shapes, parameters and the choice of kernels.

use fearless_simd::Level;

use super::{
    Conv2d, Conv2dOp,
    single_sample::SingleSampleConv2d,
    winograd::{SingleSampleWinograd, WinogradOp, WinogradTile},
};
use crate::{
    Shape,
    activation_layout::{Lanes, to_channel_groups},
    error::LayerError,
    operator::{LayerContext, LayerSpec, Operator, SingleSampleOp, channel_packed_shape},
    ops::{
        linear::{Linear, LinearOp, SingleSampleLinear},
        window,
    },
};

impl Conv2d {
    /// Returns the fully connected layer that a convolution is if its kernel covers the whole input. It is faster as one.
    fn as_linear(&self, input: Shape) -> Option<Linear> {
        self.kernel_covers_input(input).then(|| Linear::new(input.len(), self.out_channels))
    }
}

impl LayerSpec for Conv2d {
    fn type_name(&self) -> &'static str {
        "Conv2d"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        let Self { in_channels, out_channels, kernel_size, stride, padding, dilation } = *self;
        for (name, value) in
            [("out_channels", out_channels), ("kernel_size", kernel_size), ("dilation", dilation)]
        {
            window::check_dimension_range(name, value)?;
        }
        window::check_dimension_range("the kernel's extent", self.kernel_extent())?;
        if in_channels != input.channels {
            return Err(LayerError::Channels { expected: in_channels, input });
        }
        window::output_shape(input, out_channels, self.kernel_extent(), stride, padding)
    }

    fn parameter_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        let Self { in_channels, out_channels, kernel_size, .. } = *self;
        vec![
            ("weight", vec![out_channels, in_channels, kernel_size, kernel_size]),
            ("bias", vec![out_channels]),
        ]
    }

    fn fan_in(&self) -> usize {
        self.in_channels * self.kernel_size * self.kernel_size
    }

    fn reorder_to_engine(&self, input: Shape, pytorch: &[f32], engine: &mut [f32]) {
        match self.as_linear(input) {
            Some(linear) => linear.reorder_to_engine(input, pytorch, engine),
            None => engine.copy_from_slice(pytorch),
        }
    }

    fn reorder_to_pytorch(&self, input: Shape, engine: &[f32], pytorch: &mut [f32]) {
        match self.as_linear(input) {
            Some(linear) => linear.reorder_to_pytorch(input, engine, pytorch),
            None => pytorch.copy_from_slice(engine),
        }
    }

    fn operator(&self, context: LayerContext) -> Option<Box<dyn Operator>> {
        let LayerContext { input, output, max_blocks, .. } = context;
        if let Some(linear) = self.as_linear(input) {
            return Some(Box::new(LinearOp::new(linear, max_blocks)));
        }
        Some(match self.winograd_tile(output) {
            Some(WinogradTile::F4x3) => Box::new(WinogradOp::<6, 4, 3>::new(*self, input, output)),
            Some(WinogradTile::F7x3) => Box::new(WinogradOp::<9, 7, 3>::new(*self, input, output)),
            Some(WinogradTile::F5x5) => Box::new(WinogradOp::<9, 5, 5>::new(*self, input, output)),
            None => Box::new(Conv2dOp::new(*self, input, output)),
        })
    }

    fn single_sample_op(
        &self,
        level: Level,
        LayerContext { input, output, .. }: LayerContext,
        parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        if let Some(linear) = self.as_linear(input) {
            return Some(Box::new(SingleSampleLinear::new(linear, input)));
        }
        let (weight, bias) = parameters.split_at(parameters.len() - self.out_channels);
        let weight = to_channel_groups(weight, self.fan_in());
        let bias = to_channel_groups(bias, 1);
        let shapes = (channel_packed_shape(input), channel_packed_shape(output));
        Some(match self.winograd_tile(output) {
            Some(WinogradTile::F4x3) => {
                Box::new(SingleSampleWinograd::<6, 4, 3>::new(level, *self, shapes, &weight, bias))
            }
            Some(WinogradTile::F7x3) => {
                Box::new(SingleSampleWinograd::<9, 7, 3>::new(level, *self, shapes, &weight, bias))
            }
            Some(WinogradTile::F5x5) => {
                Box::new(SingleSampleWinograd::<9, 5, 5>::new(level, *self, shapes, &weight, bias))
            }
            None => Box::new(SingleSampleConv2d::new(*self, input, output, weight, bias)),
        })
    }
}

impl<const N: usize, const M: usize, const R: usize> SingleSampleOp for SingleSampleWinograd<N, M, R> {
    fn forward(&mut self, level: Level, _parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]) {
        self.forward(level, x, y);
    }
}
