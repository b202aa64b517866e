//! Fully connected layer.
//!
//! ```text
//! for each sample and output o:
//!     y[o] = b[o] + sum over inputs i of w[o, i] * x[i]
//! ```
//!
//! The three passes are matrix products, with `X` `(I, B)`, `Y` `(O, B)` and `W` `(O, I)`:
//!
//! ```text
//! forward          Y  = W X + b
//! backward_input   dX = W' dY
//! backward_weight  dW = dY X'
//! ```
//!
//! Departures for speed:
//!
//! 1. Weights are stored in panels of 48 inputs ([`panel`]), because each of the three products and the optimizer then read
//!    them from front to back.
//! 2. In the layout of the engine, `X` and `Y` are blocks of eight samples `(block, feature)`, which is almost the form that
//!    general matrix products pack their operands into. So little is packed or transposed:
//!    - [`forward()`]: vectors are samples. The inputs of a few blocks are packed side by side.
//!    - [`backward_input()`]: vectors are inputs, as weights are adjacent in memory; complete sums are transposed.
//!    - [`backward_weight()`]: vectors are inputs of a panel, for which `X` is transposed to rows `(sample, input)`. Each lane
//!      then holds a complete sum.
//! 3. The gradient of the weights of a large layer would fill the caches. It is *deferred*: computed over the whole batch, a
//!    panel at a time, just before the optimizer uses the panel ([`DeferredWeightGradient`]).

mod backward_input;
mod backward_weight;
mod forward;
mod layer_spec;
mod panel;
mod single_sample;

use fearless_simd::Level;
use serde::{Deserialize, Serialize};

use self::{
    backward_input::backward_input, backward_weight::backward_weight, forward::forward, panel::PANEL_INPUTS,
};
pub(crate) use single_sample::SingleSampleLinear;

use crate::{
    activation_layout::{AlignedBuffer, Lanes, zeros},
    operator::{BatchSlices, DeferredWeightGradient, Operator, PassContext},
    simd::kernel,
};

/// Fully connected layer.
///
/// - input: `(batch, in_features)`
/// - output: `(batch, out_features)`
/// - weight: `(out_features, in_features)`
/// - bias: `(out_features)`
///
/// ```
/// use lenet_nn::Linear;
///
/// assert_eq!(Linear::new(784, 10).out_features, 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Number of input features.
    pub in_features: usize,
    /// Number of output features.
    pub out_features: usize,
}

impl Linear {
    /// Returns a layer from `in_features` to `out_features`.
    pub const fn new(in_features: usize, out_features: usize) -> Self {
        Self { in_features, out_features }
    }

    /// Number of weights from which on the weight gradient is deferred: half a megabyte, a good part of a core's
    /// second-level cache.
    const MIN_DEFERRED_WEIGHTS: usize = 1 << 17;

    /// Returns whether the weight gradient is computed over the whole batch rather than by each thread over its slice.
    fn defers_weight_gradient(self) -> bool {
        self.weight_count() >= Self::MIN_DEFERRED_WEIGHTS
    }

    /// Returns the number of weights.
    pub(crate) fn weight_count(&self) -> usize {
        self.in_features * self.out_features
    }
}

/// [`Linear`] on one thread.
pub(crate) struct LinearOp {
    layer: Linear,
    /// Scratch memory of the forward pass; see [`forward::packed_inputs_len`].
    packed: AlignedBuffer,
    /// Scratch memory of the weight gradient; empty if it is deferred.
    x_transposed: AlignedBuffer,
}

impl LinearOp {
    /// Allocates memory for batches of at most `blocks` blocks.
    pub fn new(layer: Linear, blocks: usize) -> Self {
        let scratch_len = if layer.defers_weight_gradient() { 0 } else { layer.scratch_len(blocks) };
        Self { layer, packed: zeros(forward::packed_inputs_len(blocks)), x_transposed: zeros(scratch_len) }
    }
}

impl Operator for LinearOp {
    /// The whole batch in one call, because then more samples share a pass over the weights.
    fn takes_whole_batch(&self) -> bool {
        true
    }

    fn forward(&mut self, pass: PassContext, parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        let layer = self.layer;
        let (weight, bias) = parameters.split_at(layer.weight_count());
        kernel!(pass.level, forward(layer, weight, bias, x, &mut self.packed, y));
    }

    #[cfg(feature = "training")]
    fn backward(
        &mut self,
        pass: PassContext,
        parameters: &[f32],
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        gradient: &mut [f32],
    ) {
        let layer = self.layer;
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(layer.weight_count());
        backward_bias(dy, bias_gradient);
        if !layer.defers_weight_gradient() {
            let batch = |slice| (slice == 0).then_some((x, dy));
            for (_, weights) in layer.panel_ranges() {
                let (start, scratch) = (weights.start, &mut self.x_transposed);
                layer.write_weight_panel_gradient(
                    pass.level,
                    start,
                    &batch,
                    scratch,
                    &mut weight_gradient[weights],
                );
            }
        }
        if let Some(dx) = dx {
            kernel!(pass.level, backward_input(layer, &parameters[..layer.weight_count()], dy, dx));
        }
    }

    #[cfg(feature = "training")]
    fn deferred_weight_gradient(&self) -> Option<&dyn DeferredWeightGradient> {
        if self.layer.defers_weight_gradient() { Some(&self.layer) } else { None }
    }
}

impl DeferredWeightGradient for Linear {
    fn weight_count(&self) -> usize {
        self.weight_count()
    }

    fn panel_weight_count(&self) -> usize {
        PANEL_INPUTS * self.out_features
    }

    /// Room for the inputs of a panel, transposed to `(sample, vector of eight inputs)`.
    fn scratch_len(&self, blocks: usize) -> usize {
        blocks * PANEL_INPUTS
    }

    fn write_weight_panel_gradient(
        &self,
        level: Level,
        start: usize,
        batch: BatchSlices,
        scratch: &mut [Lanes],
        gradient: &mut [f32],
    ) {
        let (layer, first) = (*self, start / self.out_features);
        kernel!(level, backward_weight(layer, first, batch, scratch, gradient));
    }
}

/// Computes the gradient of the bias, `gradient (output) = sum over the samples of dy (sample, output)`.
fn backward_bias(dy: &[Lanes], gradient: &mut [f32]) {
    let outputs = gradient.len();
    for (output, gradient) in gradient.iter_mut().enumerate() {
        let mut sums = Lanes::default();
        for dy in dy.chunks_exact(outputs) {
            for (sum, value) in sums.0.iter_mut().zip(dy[output].0) {
                *sum += value;
            }
        }
        *gradient = sums.sum();
    }
}
