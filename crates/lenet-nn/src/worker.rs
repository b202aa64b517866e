//! One thread's part of a training step: forward pass, loss and backward pass of its samples, with a gradient of its own.

use std::ops::Range;

use crate::{
    Network,
    activation_layout::{AlignedBuffer, Lanes, block_count, zeros},
    loss::{BatchMetrics, Loss},
    operator::{BatchStatistics, DeferredWeightGradient},
    workspace::{FusedOp, Mode, Workspace, buffer_range},
};

/// One thread's slice of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchSlice {
    /// Number of samples in the whole batch.
    pub total: usize,
    /// Key of the step's dropout masks; `None` disables dropout.
    pub dropout_key: Option<u64>,
    /// Index in the batch of the slice's first block.
    pub first_block: usize,
}

/// A layer whose weight gradient is computed over the whole batch when the weights are updated.
pub(crate) struct DeferredLayer {
    /// Index of the operator.
    pub op: usize,
    /// Range of the weights among the network's parameters.
    pub weights: Range<usize>,
}

/// A thread of [`DataParallel`](crate::DataParallel) with all its memory.
pub struct Worker {
    workspace: Workspace,
    /// `gradients[i]` is the gradient of the workspace's `activations[i]`, of all blocks or the current one.
    gradients: Vec<AlignedBuffer>,
    /// For each of `gradients`, whether it holds all blocks.
    holds_all: Vec<bool>,
    slice: BatchSlice,
    /// `(sample, output of the architecture)`: target probabilities.
    targets: Vec<f32>,
    /// Scratch memory of the loss, an element for each logit of a sample.
    row: Vec<f32>,
    /// Gradient of the network's parameters, without the weights of deferred layers.
    gradient: Vec<f32>,
    metrics: BatchMetrics,
    capacity: usize,
}

impl Worker {
    /// Allocates memory for slices of up to `samples`.
    pub(crate) fn new(network: &Network, samples: usize) -> Self {
        let workspace = Workspace::new(network, samples, Mode::Training);
        // All blocks where operators take the whole batch, and where sums over it are accumulated.
        let holds_all: Vec<bool> = (0..workspace.activations.len())
            .map(|i| i > 0 && (i >= workspace.first_whole || workspace.barriers.contains(&(i - 1))))
            .collect();
        let lens = std::iter::once(0).chain(workspace.ops.iter().map(|op| op.output.len()));
        let gradients = lens
            .zip(&holds_all)
            .map(|(len, &holds_all)| zeros(if holds_all { block_count(samples) * len } else { len }))
            .collect();
        let logits = network.architecture().output_shape().len();
        Self {
            workspace,
            gradients,
            holds_all,
            slice: BatchSlice { total: 0, dropout_key: None, first_block: 0 },
            targets: Vec::with_capacity(samples * logits),
            row: vec![0.0; logits],
            gradient: vec![0.0; network.parameters().len()],
            metrics: BatchMetrics::default(),
            capacity: samples,
        }
    }

    /// Loads the worker's slice of the batch, and prepares it for the current parameters of `network`.
    ///
    /// There are as many `targets` as `images`. An image is `(channels, height, width)`, a target has a probability for each
    /// class, or for each label of each pixel: `(labels, height, width)`.
    ///
    /// # Panics
    /// If there is not one probability for each logit of the samples.
    pub fn load_samples<'a, T: AsRef<[f32]>>(
        &mut self,
        network: &Network,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        targets: impl Iterator<Item = T>,
    ) {
        self.targets.clear();
        for target in targets {
            self.targets.extend_from_slice(target.as_ref());
        }
        let expected = images.len() * self.row.len();
        assert_eq!(self.targets.len(), expected, "expected a target for each logit");
        self.workspace.load_images(network.normalization(), images);
        self.workspace.prepare_parameters(network);
    }

    /// Sets which slice of the batch the next samples are.
    pub(crate) fn set_slice(&mut self, slice: BatchSlice) {
        self.slice = slice;
    }

    /// Runs a segment of the operators forward. After the last one, computes the loss and runs that segment backward.
    pub(crate) fn forward(&mut self, network: &Network, segment: usize) {
        let BatchSlice { dropout_key, first_block, total } = self.slice;
        self.workspace.forward(network, dropout_key, first_block, segment);
        if segment < self.workspace.barriers.len() {
            return;
        }
        let logits = self.workspace.logits();
        let last = self.workspace.ops.len() - 1;
        let prediction = network.architecture().prediction_kind();
        let loss = Loss { prediction, targets: &self.targets, total, row: &mut self.row };
        self.metrics = loss.backward(logits, &mut self.gradients[last + 1][..logits.len()]);
        if self.workspace.barriers.contains(&last) {
            self.activation_backward(last, network, 0..block_count(self.workspace.samples));
        }
        self.backward(network, segment);
    }

    /// Runs a segment of the operators backward, without the operator at its first barrier, and with that at its last.
    pub(crate) fn backward(&mut self, network: &Network, segment: usize) {
        let (blocks, ops) = (block_count(self.workspace.samples), self.workspace.segment_ops(segment));
        // The operator at a barrier can go backward only after the sums over its gradient are known.
        let start = if segment == 0 { 0 } else { ops.start + 1 };
        let end = if segment == self.workspace.barriers.len() { ops.end } else { ops.end + 1 };
        let first_whole = self.workspace.first_whole.clamp(start, end);
        for i in (first_whole..end).rev() {
            self.backward_op(i, network, 0..blocks);
        }
        for block in 0..blocks {
            for i in (start..first_whole).rev() {
                self.backward_op(i, network, block..block + 1);
            }
        }
        if segment == 0 {
            for op in &mut self.workspace.ops {
                op.operator.write_accumulated_gradient(
                    network.simd_level(),
                    &mut self.gradient[op.parameters.clone()],
                );
            }
        }
    }

    /// Runs operator `i` backward on `blocks`, when the gradient of its output is known.
    fn backward_op(&mut self, i: usize, network: &Network, blocks: Range<usize>) {
        // At a barrier this has been done before, because the sums need it. Elsewhere it is done now rather than for the whole
        // batch, so that gradients stay in cache.
        if !self.workspace.barriers.contains(&i) {
            self.activation_backward(i, network, blocks.clone());
        }
        let BatchSlice { dropout_key, first_block, .. } = self.slice;
        let pass = self.workspace.pass_context(network, dropout_key, first_block, &blocks);
        let Workspace { ops, activations, holds_all, .. } = &mut self.workspace;
        let FusedOp { operator, parameters, input, output, .. } = &mut ops[i];
        let x = &activations[i][buffer_range(blocks.clone(), holds_all[i], *input)];
        let (before, after) = self.gradients.split_at_mut(i + 1);
        let dy = &after[0][buffer_range(blocks.clone(), self.holds_all[i + 1], *output)];
        let dx = (i > 0).then(|| &mut before[i][buffer_range(blocks.clone(), self.holds_all[i], *input)]);
        let gradient = &mut self.gradient[parameters.clone()];
        operator.backward(pass, &network.parameters()[parameters.clone()], x, dy, dx, gradient);
        if i > 0 && self.workspace.barriers.contains(&(i - 1)) {
            self.activation_backward(i - 1, network, blocks);
        }
    }

    /// Replaces the gradient of the output of op `i` by that of the output of its operator, before dropout and activation
    /// function, and accumulates the sums over it.
    fn activation_backward(&mut self, i: usize, network: &Network, blocks: Range<usize>) {
        let BatchSlice { dropout_key, first_block, .. } = self.slice;
        let pass = self.workspace.pass_context(network, dropout_key, first_block, &blocks);
        let Workspace { ops, activations, holds_all, barriers, .. } = &mut self.workspace;
        let op = &mut ops[i];
        let y = &activations[i + 1][buffer_range(blocks.clone(), holds_all[i + 1], op.output)];
        let dy = &mut self.gradients[i + 1][buffer_range(blocks.clone(), self.holds_all[i + 1], op.output)];
        if let Some(dropout) = op.dropout {
            dropout.apply(pass, dy);
        }
        if let Some(activation) = op.activation
            && !op.activation_is_fused
        {
            activation.backward(pass.level, y, dy);
        }
        if barriers.contains(&i)
            && let Some(statistics) = op.operator.batch_statistics()
        {
            let x = &activations[i][buffer_range(blocks, holds_all[i], op.input)];
            statistics.accumulate_blocks(pass, x, Some(dy));
        }
    }

    /// Returns the largest number of samples in a slice.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the metrics of the slice in the last step.
    pub(crate) fn last_slice_metrics(&self) -> BatchMetrics {
        self.metrics
    }

    /// Returns the gradient of the network's parameters, without the weights of deferred layers.
    pub(crate) fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// Returns how often the threads wait for each other in a step, forward and as often backward.
    pub(crate) fn barrier_count(&self) -> usize {
        self.workspace.barriers.len()
    }

    /// Returns the sums over the whole batch that the operator at a barrier needs.
    pub(crate) fn batch_statistics(&mut self, barrier: usize) -> Option<&mut dyn BatchStatistics> {
        let op = self.workspace.barriers[barrier];
        self.workspace.ops[op].operator.batch_statistics()
    }

    /// Returns the layers with deferred weight gradients, in the order of their parameters.
    pub(crate) fn deferred_layers(&self) -> impl Iterator<Item = DeferredLayer> {
        self.workspace.ops.iter().enumerate().filter_map(|(i, op)| {
            let weights = op.operator.deferred_weight_gradient()?.weight_count();
            let start = op.parameters.start;
            Some(DeferredLayer { op: i, weights: start..start + weights })
        })
    }

    /// Returns how to compute the deferred weight gradient of an operator.
    pub(crate) fn deferred_weight_gradient(&self, op: usize) -> Option<&dyn DeferredWeightGradient> {
        self.workspace.ops[op].operator.deferred_weight_gradient()
    }

    /// Returns the input of an operator that takes the whole batch, and the gradient of its output, `(block, shape)` each.
    pub(crate) fn input_with_output_gradient(&self, op: usize) -> (&[Lanes], &[Lanes]) {
        let blocks = 0..block_count(self.workspace.samples);
        let FusedOp { input, output, .. } = self.workspace.ops[op];
        let x = &self.workspace.activations[op][buffer_range(blocks.clone(), true, input)];
        (x, &self.gradients[op + 1][buffer_range(blocks, true, output)])
    }

    /// Moves the running averages among the network's `parameters` towards the statistics of the last batch.
    pub(crate) fn update_running_stats(&mut self, parameters: &mut [f32]) {
        for &barrier in &self.workspace.barriers {
            let op = &mut self.workspace.ops[barrier];
            if let Some(statistics) = op.operator.batch_statistics() {
                statistics.update_running_stats(&mut parameters[op.parameters.clone()]);
            }
        }
    }
}
