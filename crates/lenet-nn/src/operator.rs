//! The interface between layers and the network that runs them.
//!
//! [`LayerSpec`] maps the settings of a layer to its shapes, parameters and operators. [`Operator`] is a layer on one
//! thread, with its memory. [`SingleSampleOp`] is a layer that runs on one sample in inference.
//!
//! Nothing here names a layer. What an operator needs beyond its own forward and backward pass is expressed as data
//! ([`Activation`]) or as a trait ([`BatchStatistics`], [`DeferredWeightGradient`]).

use fearless_simd::Level;

use crate::{
    Shape,
    activation_layout::{LANES, Lanes},
    error::LayerError,
};

/// Largest dimension of a layer. Products of a few dimensions can't overflow.
pub(crate) const MAX_DIMENSION: usize = 1 << 16;

/// Names of the parameters that PyTorch calls buffers: they are averages over training steps, and not learned.
pub(crate) const BUFFER_NAMES: [&str; 2] = ["running_mean", "running_var"];

/// Shapes, parameters and operators of a layer, which follow from its settings.
pub(crate) trait LayerSpec {
    /// Returns the name of the layer's type, as in PyTorch.
    fn type_name(&self) -> &'static str;

    /// Returns the shape of the output for an `input` shape.
    ///
    /// # Errors
    /// If the layer doesn't accept the input, or has an impossible setting.
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError>;

    /// Returns name and shape of each parameter, in PyTorch's order. Parameters whose names are in
    /// [`BUFFER_NAMES`] are not learned.
    fn parameter_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        Vec::new()
    }

    /// Returns the initial value of the parameter `param_name`, or `None` if it is initialized at random.
    fn constant_init(&self, _param_name: &str) -> Option<f32> {
        None
    }

    /// Returns the number of inputs that an output is a weighted sum of. Parameters are initialized uniformly in
    /// `+-1/sqrt(fan_in)`.
    fn fan_in(&self) -> usize {
        0
    }

    /// Converts the layer's parameters from PyTorch's order to the engine's. The default leaves them as they are.
    fn reorder_to_engine(&self, _input: Shape, pytorch: &[f32], engine: &mut [f32]) {
        engine.copy_from_slice(pytorch);
    }

    /// Converts the layer's parameters from the engine's order to PyTorch's.
    fn reorder_to_pytorch(&self, _input: Shape, engine: &[f32], pytorch: &mut [f32]) {
        pytorch.copy_from_slice(engine);
    }

    /// Returns the activation function that the layer is, if it is one.
    fn as_activation(&self) -> Option<Activation> {
        None
    }

    /// Returns the layer's operator on one thread, or `None` if it leaves the memory of its input as it is, as a flattening
    /// does, or is an [`as_activation`](Self::as_activation).
    fn operator(&self, context: LayerContext) -> Option<Box<dyn Operator>>;

    /// Returns the layer in inference on one sample, or `None` if its output is its input. A transformation of the parameters
    /// uses the SIMD instructions of `level`.
    ///
    /// The default runs the operator. This is right for a layer without parameters that treats all channels alike.
    fn single_sample_op(
        &self,
        _level: Level,
        context: LayerContext,
        _parameters: &[f32],
    ) -> Option<Box<dyn SingleSampleOp>> {
        let [input, output] = [context.input, context.output].map(channel_packed_shape);
        let operator = self.operator(LayerContext { input, output, ..context })?;
        Some(Box::new(SingleSampleAdapter(operator)))
    }
}

/// Position of a layer in a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerContext {
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// Largest number of blocks in a call.
    pub max_blocks: usize,
    /// Number of the layer's stream of random numbers: the dropout layers of a network are counted from 0.
    pub random_stream: u64,
}

/// One pass over some blocks of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassContext {
    /// SIMD instructions to use.
    pub level: Level,
    /// Whether batch statistics are those of the batch; otherwise the running averages are used.
    pub training: bool,
    /// Key of the step's dropout masks; `None` disables dropout.
    pub dropout_key: Option<u64>,
    /// Index in the batch of the first block.
    pub first_block: usize,
    /// Samples in the blocks. The lanes after the last sample are idle.
    pub samples: usize,
}

impl PassContext {
    /// Returns the number of lanes of `block`, counted from the first block of the pass, that hold samples.
    pub fn filled_lanes(&self, block: usize) -> usize {
        self.samples.saturating_sub(block * LANES).min(LANES)
    }
}

/// An element-wise function that follows an operator, in place on its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `max(x, 0)`
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// A layer on one thread, with the memory that it needs.
///
/// The calls of a training step are, in this order: [`prepare_parameters`](Self::prepare_parameters);
/// [`forward`](Self::forward) of all blocks, in one call or several; [`backward`](Self::backward) of all blocks;
/// [`write_accumulated_gradient`](Self::write_accumulated_gradient). An operator with
/// [`batch_statistics`](Self::batch_statistics) has its sums accumulated before `forward` and before `backward`.
pub(crate) trait Operator: Send + Sync {
    /// Transforms new `parameters` into the form that the kernels read, and resets sums over a batch.
    fn prepare_parameters(&mut self, _level: Level, _parameters: &[f32]) {}

    /// Computes `y` `(block, output shape)` of `x` `(block, input shape)`.
    fn forward(&mut self, pass: PassContext, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]);

    /// Computes the gradient `dx` of `x` and that of the parameters from the gradient `dy` of `y`.
    ///
    /// `dx` is `None` in the first layer. The gradient of the parameters is written to `gradient`, here or in
    /// [`write_accumulated_gradient`](Self::write_accumulated_gradient); that of the weights is left out if there is a
    /// [`deferred_weight_gradient`](Self::deferred_weight_gradient).
    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
        parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        gradient: &mut [f32],
    );

    /// Writes gradients that `backward` accumulated in the operator's own memory to `gradient`, and resets them.
    #[cfg(feature = "training")]
    fn write_accumulated_gradient(&mut self, _level: Level, _gradient: &mut [f32]) {}

    /// Returns the sums over the whole batch that the operator needs before it can run, if any.
    fn batch_statistics(&mut self) -> Option<&mut dyn BatchStatistics> {
        None
    }

    /// Offers the operator to apply the derivative of the `activation` that made its input in `backward`. Returns whether it
    /// does from now on.
    fn fuse_activation_backward(&mut self, _activation: Activation) -> bool {
        false
    }

    /// Returns how to compute the gradient of the weights over the whole batch, if `backward` leaves it out.
    #[cfg(feature = "training")]
    fn deferred_weight_gradient(&self) -> Option<&dyn DeferredWeightGradient> {
        None
    }

    /// Returns whether the operator takes the whole batch in one call rather than block by block.
    fn takes_whole_batch(&self) -> bool {
        false
    }
}

/// A layer in inference on one sample, in the layout `(channel / 8, height, width, lane = channel % 8)`.
///
/// The lanes after the last channel have any value.
pub(crate) trait SingleSampleOp: Send {
    /// Computes `y` of `x`, or works in place on `x` if [`is_in_place`](Self::is_in_place). `parameters` are those of the layer.
    fn forward(&mut self, level: Level, parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]);

    /// Returns whether the operator works in place. Then `y` is empty.
    fn is_in_place(&self) -> bool {
        false
    }
}

/// Returns the shape of a sample whose channels are grouped by eight: the number of channels is that of the groups.
pub(crate) fn channel_packed_shape(shape: Shape) -> Shape {
    Shape { channels: shape.channels.div_ceil(LANES), ..shape }
}

/// An operator without parameters that treats all channels alike. It runs on groups of channels as on channels of samples.
struct SingleSampleAdapter(Box<dyn Operator>);

impl SingleSampleOp for SingleSampleAdapter {
    fn forward(&mut self, level: Level, _parameters: &[f32], x: &mut [Lanes], y: &mut [Lanes]) {
        let pass = PassContext { level, training: false, dropout_key: None, first_block: 0, samples: 1 };
        self.0.forward(pass, &[], x, y);
    }
}

/// The two directions through a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// Sums over the whole batch, which all threads contribute to.
pub(crate) trait BatchStatistics {
    /// Adds blocks to this thread's sums: forward those of `x`, backward (with `dy`) those of the gradient.
    fn accumulate_blocks(&mut self, pass: PassContext, x: &[Lanes], dy: Option<&[Lanes]>);

    /// Returns this thread's sums, and the memory for those of the whole batch, of the same length.
    fn local_and_batch_sums(&mut self, direction: Direction) -> (&[f64], &mut [f64]);

    /// Moves the running averages among the layer's `parameters` towards the statistics of the last batch.
    fn update_running_stats(&self, parameters: &mut [f32]);
}

/// Returns the input of a layer and the gradient of its output, `(block, features)` each, of one thread's slice of a batch;
/// `None` after the last slice.
pub(crate) type BatchSlices<'a> = &'a dyn Fn(usize) -> Option<(&'a [Lanes], &'a [Lanes])>;

/// The gradient of a layer's weights, computed over the whole batch at once, a panel of the weights at a time.
pub(crate) trait DeferredWeightGradient {
    /// Returns the number of weights, which are the first of the layer's parameters.
    fn weight_count(&self) -> usize;

    /// Returns the number of weights in a panel; the last panel may have fewer.
    fn panel_weight_count(&self) -> usize;

    /// Returns the length of the scratch memory for a batch of at most `blocks`.
    fn scratch_len(&self, blocks: usize) -> usize;

    /// Writes the gradient of a panel, which begins with weight `start`, to `gradient`.
    fn write_weight_panel_gradient(
        &self,
        level: Level,
        start: usize,
        batch: BatchSlices,
        scratch: &mut [Lanes],
        gradient: &mut [f32],
    );
}
