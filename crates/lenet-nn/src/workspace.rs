//! A network on one thread, with all the memory that it needs, so that a training step or inference allocates nothing.
//!
//! The layers before the first fully connected one are run block by block, so that the activations of a block are still in cache
//! when the next layer reads them. From the first fully connected layer on, each layer is run on the whole batch, whose samples
//! share each pass over the weights.

use std::ops::Range;

use crate::{
    Network, Normalize, Shape,
    activation_layout::{AlignedBuffer, LANES, Lanes, block_count, zeros},
    operator::{Activation, LayerContext, Operator, PassContext},
    ops::dropout::DropoutOp,
};

/// An operator with the activation function and the dropout that follow it, in place on its output.
pub(crate) struct FusedOp {
    pub operator: Box<dyn Operator>,
    pub activation: Option<Activation>,
    pub dropout: Option<DropoutOp>,
    /// Whether the backward pass of the next operator applies the derivative of the activation function.
    pub activation_is_fused: bool,
    /// Range of the operator's parameters among those of the network.
    pub parameters: Range<usize>,
    pub input: Shape,
    pub output: Shape,
}

impl FusedOp {
    fn new(
        operator: Box<dyn Operator>,
        activation: Option<Activation>,
        parameters: Range<usize>,
        input: Shape,
        output: Shape,
    ) -> Self {
        Self { operator, activation, dropout: None, activation_is_fused: false, parameters, input, output }
    }

    /// Returns whether dropout can follow in place: the derivative of the activation function must follow from the output after
    /// dropout.
    fn accepts_dropout(&self) -> bool {
        self.dropout.is_none() && matches!(self.activation, None | Some(Activation::Relu))
    }

    fn forward(&mut self, network: &Network, pass: PassContext, x: &[Lanes], y: &mut [Lanes]) {
        self.operator.forward(pass, &network.parameters()[self.parameters.clone()], x, y);
        if let Some(activation) = self.activation {
            activation.forward(pass.level, y);
        }
        if let Some(dropout) = self.dropout {
            dropout.apply(pass, y);
        }
    }
}

/// An operator that copies its input, for an activation function or statistics that can't work on it in place.
struct CopyOp;

impl Operator for CopyOp {
    fn forward(&mut self, _pass: PassContext, _parameters: &[f32], x: &[Lanes], y: &mut [Lanes]) {
        y.copy_from_slice(x);
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
        if let Some(dx) = dx {
            dx.copy_from_slice(dy);
        }
    }
}

/// Purpose of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All activations are kept for the backward pass, and batch statistics are those of the batch.
    Training,
    /// The activations of a block overwrite those of the block before.
    Inference,
}

/// The operators of a network with their activations.
///
/// Layers that need sums over the whole batch divide the operators into segments: the first of them up to the first such layer,
/// and so on. All threads wait for each other before the next segment.
pub(crate) struct Workspace {
    pub ops: Vec<FusedOp>,
    /// Index of the first operator that takes the whole batch.
    pub first_whole: usize,
    /// `activations[0]` is the input of the network and `activations[i + 1]` the output of operator `i`: `(block, shape)`.
    pub activations: Vec<AlignedBuffer>,
    /// For each of `activations`, whether it holds all blocks rather than the current one.
    pub holds_all: Vec<bool>,
    /// In training, the indices of the operators that need sums over the whole batch.
    pub barriers: Vec<usize>,
    /// Number of loaded samples.
    pub samples: usize,
    mode: Mode,
    input: Shape,
    /// Number of logits of a sample.
    logits: usize,
}

impl Workspace {
    /// Allocates memory for up to `samples`.
    pub fn new(network: &Network, samples: usize, mode: Mode) -> Self {
        let max_blocks = block_count(samples);
        let mut ops: Vec<FusedOp> = Vec::new();
        let architecture = network.architecture();
        let (mut input, mut start, mut random_stream) = (architecture.input_shape(), 0, 0);
        for row in network.layer_summaries() {
            let output = row.output;
            let context = LayerContext { input, output, max_blocks, random_stream };
            if let crate::Layer::Dropout(layer) = *row.layer {
                random_stream += 1;
                if let Some(op) = ops.last_mut()
                    && op.accepts_dropout()
                {
                    op.dropout = Some(DropoutOp::new(layer, context));
                    continue;
                }
            }
            let activation = row.layer.as_activation();
            let operator = match (row.layer.operator(context), activation) {
                (Some(operator), _) => Some(operator),
                (None, None) => None,
                (None, activation) => match ops.last_mut() {
                    Some(op) if op.activation.is_none() && op.dropout.is_none() => {
                        op.activation = activation;
                        None
                    }
                    // Of two activation functions in a row, each needs its own output.
                    _ => Some(Box::new(CopyOp) as Box<dyn Operator>),
                },
            };
            if let Some(mut operator) = operator {
                if ops.is_empty() && operator.batch_statistics().is_some() {
                    // Statistics are accumulated from the output of an operator.
                    ops.push(FusedOp::new(Box::new(CopyOp), None, 0..0, input, input));
                }
                let parameters = start..start + row.parameters + row.buffers;
                start = parameters.end;
                if let Some(op) = ops.last_mut()
                    && let Some(activation) = op.activation
                    && op.dropout.is_none()
                {
                    op.activation_is_fused = operator.fuse_activation_backward(activation);
                }
                ops.push(FusedOp::new(operator, activation, parameters, input, output));
            }
            input = output;
        }
        let first_whole = ops.iter().position(|op| op.operator.takes_whole_batch()).unwrap_or(ops.len());
        let training = mode == Mode::Training;
        let has_statistics = ops.iter_mut().map(|op| op.operator.batch_statistics().is_some()).enumerate();
        let barriers = has_statistics.filter_map(|(i, waits)| (training && waits).then_some(i)).collect();
        let holds_all: Vec<bool> = (0..=ops.len()).map(|i| training || i == 0 || i >= first_whole).collect();
        let (input, logits) = (architecture.input_shape(), architecture.output_shape().len());
        let lens = std::iter::once(input.len()).chain(ops.iter().map(|op| op.output.len()));
        let activations = lens
            .zip(&holds_all)
            .map(|(len, &holds_all)| zeros(if holds_all { max_blocks * len } else { len }))
            .collect();
        Self { ops, first_whole, activations, holds_all, barriers, samples: 0, mode, input, logits }
    }

    /// Loads samples, each `(channels, height, width)`, and normalizes them.
    pub fn load_images<'a>(&mut self, normalize: Normalize, images: impl ExactSizeIterator<Item = &'a [u8]>) {
        let (table, len) = (normalize.lookup_table(), self.input.len());
        self.samples = images.len();
        let input = &mut self.activations[0];
        input[self.samples / LANES * len..block_count(self.samples) * len].fill(Lanes::default());
        for (sample, image) in images.enumerate() {
            let block = &mut input[sample / LANES * len..][..len];
            for (lanes, &pixel) in block.iter_mut().zip(image) {
                lanes.0[sample % LANES] = table[usize::from(pixel)];
            }
        }
    }

    /// Prepares the operators for the network's current parameters.
    pub fn prepare_parameters(&mut self, network: &Network) {
        for op in &mut self.ops {
            op.operator
                .prepare_parameters(network.simd_level(), &network.parameters()[op.parameters.clone()]);
        }
    }

    /// Returns the logits `(block, output of the architecture)` of the loaded samples.
    pub fn infer(&mut self, network: &Network) -> &[Lanes] {
        self.forward(network, None, 0, 0);
        self.logits()
    }

    /// Returns the logits of the last forward pass, as [`infer`](Self::infer).
    pub fn logits(&self) -> &[Lanes] {
        &self.activations[self.ops.len()][..block_count(self.samples) * self.logits]
    }

    /// Returns the pass over `blocks`, where `first_block` is the index in the batch of the first loaded block.
    pub fn pass_context(
        &self,
        network: &Network,
        dropout_key: Option<u64>,
        first_block: usize,
        blocks: &Range<usize>,
    ) -> PassContext {
        let samples = self.samples.min(blocks.end * LANES) - blocks.start * LANES;
        PassContext {
            level: network.simd_level(),
            training: self.mode == Mode::Training,
            dropout_key,
            first_block: first_block + blocks.start,
            samples,
        }
    }

    /// Returns the operators between two barriers.
    pub fn segment_ops(&self, segment: usize) -> Range<usize> {
        let start = if segment == 0 { 0 } else { self.barriers[segment - 1] };
        start..self.barriers.get(segment).copied().unwrap_or(self.ops.len())
    }

    /// Runs the operators of a segment forward.
    pub fn forward(
        &mut self,
        network: &Network,
        dropout_key: Option<u64>,
        first_block: usize,
        segment: usize,
    ) {
        let (blocks, ops) = (block_count(self.samples), self.segment_ops(segment));
        let first_whole = self.first_whole.clamp(ops.start, ops.end);
        for block in 0..blocks {
            for i in ops.start..first_whole {
                self.forward_op(i, network, dropout_key, first_block, block..block + 1);
            }
        }
        for i in first_whole..ops.end {
            self.forward_op(i, network, dropout_key, first_block, 0..blocks);
        }
    }

    fn forward_op(
        &mut self,
        i: usize,
        network: &Network,
        dropout_key: Option<u64>,
        first_block: usize,
        blocks: Range<usize>,
    ) {
        let pass = self.pass_context(network, dropout_key, first_block, &blocks);
        let op = &mut self.ops[i];
        let x = buffer_range(blocks.clone(), self.holds_all[i], op.input);
        let y = buffer_range(blocks, self.holds_all[i + 1], op.output);
        let (before, after) = self.activations.split_at_mut(i + 1);
        let y = &mut after[0][y];
        op.forward(network, pass, &before[i][x], y);
        if self.barriers.contains(&(i + 1))
            && let Some(statistics) = self.ops[i + 1].operator.batch_statistics()
        {
            statistics.accumulate_blocks(pass, y, None);
        }
    }
}

/// Returns the range of `blocks` in a buffer of all blocks or of the current one.
pub(crate) fn buffer_range(blocks: Range<usize>, holds_all: bool, shape: Shape) -> Range<usize> {
    let len = shape.len();
    if holds_all { blocks.start * len..blocks.end * len } else { 0..blocks.len() * len }
}
