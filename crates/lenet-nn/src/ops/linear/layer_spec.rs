//! [`Linear`] as a layer: shapes and parameters.

use fearless_simd::Level;

use super::{Linear, LinearOp, SingleSampleLinear};
use crate::{
    Shape,
    error::LayerError,
    operator::{LayerContext, LayerSpec, Operator, SingleSampleOp},
    ops::window::check_dimension_range,
};

impl LayerSpec for Linear {
    fn type_name(&self) -> &'static str {
        "Linear"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        check_dimension_range("out_features", self.out_features)?;
        if Shape::flat(self.in_features) != input {
            return Err(LayerError::Features { expected: self.in_features, input });
        }
        Ok(Shape::flat(self.out_features))
    }

    fn parameter_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        let Self { in_features, out_features } = *self;
        vec![("weight", vec![out_features, in_features]), ("bias", vec![out_features])]
    }

    fn fan_in(&self) -> usize {
        self.in_features
    }

    fn reorder_to_engine(&self, _input: Shape, pytorch: &[f32], engine: &mut [f32]) {
        engine.copy_from_slice(pytorch);
        let weights = self.weight_count();
        self.to_panels(&pytorch[..weights], &mut engine[..weights]);
    }

    fn reorder_to_pytorch(&self, _input: Shape, engine: &[f32], pytorch: &mut [f32]) {
        pytorch.copy_from_slice(engine);
        let weights = self.weight_count();
        self.to_rows(&engine[..weights], &mut pytorch[..weights]);
    }

    fn operator(&self, context: LayerContext) -> Option<Box<dyn Operator>> {
        Some(Box::new(LinearOp::new(*self, context.max_blocks)))
    }

    fn single_sample_op(
        &self,
        _level: Level,
        context: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        Some(Box::new(SingleSampleLinear::new(*self, context.input)))
    }
}
