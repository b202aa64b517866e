//! A network at work on one thread, with all the memory that it needs: nothing is allocated in a step.
//!
//! The layers up to the first fully connected one are run block by block, so that a block's activations are
//! still in cache when the next layer reads them; from there on the whole batch shares each pass over the weights.

use std::ops::Range;

use super::{
    Dropout, Layer, Network, Normalize, Shape,
    dropout::DropoutOp,
    lanes::{Buffer, LANES, Lanes, blocks, zeros},
    loss::cross_entropy,
    operator::{Activation, BatchStatistics, DeferredWeightGradient, Operator, Pass},
};
use crate::{CLASSES, PIXELS, SIDE};

/// An operator with the activation and the dropout that follow it, done in place on its output.
struct Step {
    operator: Box<dyn Operator>,
    activation: Option<Activation>,
    dropout: Option<DropoutOp>,
    /// Whether the next step goes back through the activation.
    fused: bool,
    /// Its part of the network's parameters.
    parameters: Range<usize>,
    input: Shape,
    output: Shape,
}

impl Step {
    fn new(
        operator: Box<dyn Operator>,
        activation: Option<Activation>,
        parameters: Range<usize>,
        input: Shape,
        output: Shape,
    ) -> Self {
        Self { operator, activation, dropout: None, fused: false, parameters, input, output }
    }

    /// Whether dropout can follow in place: where the derivative of the activation can be told from what it leaves.
    fn takes_dropout(&self) -> bool {
        self.dropout.is_none() && matches!(self.activation, None | Some(Activation::Relu))
    }

    fn forward(&mut self, network: &Network, pass: Pass, x: &[Lanes], y: &mut [Lanes]) {
        self.operator.forward(pass, &network.parameters()[self.parameters.clone()], x, y);
        if let Some(activation) = self.activation {
            activation.forward(pass.level, y);
        }
        if let Some(dropout) = self.dropout {
            dropout.apply(pass, y);
        }
    }

    fn backward(
        &mut self,
        network: &Network,
        pass: Pass,
        x: &[Lanes],
        dy: &[Lanes],
        dx: Option<&mut [Lanes]>,
        gradient: &mut [f32],
    ) {
        let range = self.parameters.clone();
        let parameters = &network.parameters()[range.clone()];
        self.operator.backward(pass, parameters, x, dy, dx, &mut gradient[range]);
    }
}

/// The operators of a network and their activations.
pub(crate) struct Workspace {
    steps: Vec<Step>,
    /// The first step that takes the whole batch.
    whole: usize,
    /// `values[0]` is the input, `values[i + 1]` the output of step `i`: (block, shape).
    values: Vec<Buffer>,
    /// Whether each of `values` holds all blocks, or the one at work.
    kept: Vec<bool>,
    /// In training, the steps that need sums over the whole batch: before each, threads wait for each other.
    barriers: Vec<usize>,
    samples: usize,
    /// Whether it keeps what a backward pass needs.
    training: bool,
}

impl Workspace {
    /// Reads up to `samples` at a time; an activation is overwritten when the next block comes.
    pub fn for_inference(network: &Network, samples: usize) -> Self {
        let mut workspace = Self::new(network, samples, false);
        workspace.prepare(network);
        workspace
    }

    /// For up to `samples`; for training it keeps all activations.
    fn new(network: &Network, samples: usize, keep: bool) -> Self {
        let blocks = blocks(samples);
        let mut steps: Vec<Step> = Vec::new();
        let mut input = Shape { channels: 1, height: SIDE, width: SIDE };
        let mut start = 0;
        for row in network.rows() {
            let output = row.output;
            if let (&Layer::Dropout(Dropout { p }), Some(step)) = (row.layer, steps.last_mut())
                && step.takes_dropout()
            {
                step.dropout = Some(DropoutOp { p, len: input.len() });
                continue;
            }
            let operator = row.layer.operator(input, output, blocks);
            let operator = match (operator, row.layer.activation()) {
                (Some(operator), _) => Some(operator),
                (None, None) => None,
                (None, activation) => match steps.last_mut() {
                    Some(step) if step.activation.is_none() && step.dropout.is_none() => {
                        step.activation = activation;
                        None
                    }
                    // Two in a row each need their output: the second works on a copy.
                    _ => Some(copy(input)),
                },
            };
            if let Some(mut operator) = operator {
                if steps.is_empty() && operator.batch_statistics().is_some() {
                    // Sums are gathered from what a step has made.
                    steps.push(Step::new(copy(input), None, 0..0, input, input));
                }
                let parameters = start..start + row.parameters + row.buffers;
                start = parameters.end;
                if let Some(step) = steps.last_mut()
                    && let Some(activation) = step.activation
                    && step.dropout.is_none()
                {
                    step.fused = operator.fuse_activation(activation);
                }
                let activation = row.layer.activation();
                steps.push(Step::new(operator, activation, parameters, input, output));
            }
            input = output;
        }
        let whole = steps.iter().position(|step| step.operator.takes_whole_batch()).unwrap_or(steps.len());
        let barriers = steps.iter_mut().map(|step| step.operator.batch_statistics().is_some()).enumerate();
        let barriers: Vec<usize> = barriers.filter_map(|(i, waits)| (keep && waits).then_some(i)).collect();
        let kept: Vec<bool> = (0..=steps.len()).map(|i| keep || i == 0 || i >= whole).collect();
        let lens = std::iter::once(PIXELS).chain(steps.iter().map(|step| step.output.len()));
        let values =
            lens.zip(&kept).map(|(len, &kept)| zeros(if kept { blocks * len } else { len })).collect();
        Self { steps, whole, values, kept, barriers, samples: 0, training: keep }
    }

    /// Takes in `images`, each (row, column), scaled.
    pub fn load<'a>(&mut self, normalize: Normalize, images: impl ExactSizeIterator<Item = &'a [u8]>) {
        let table = normalize.table();
        self.samples = images.len();
        let input = &mut self.values[0];
        input[self.samples / LANES * PIXELS..blocks(self.samples) * PIXELS].fill(Lanes::default());
        for (sample, image) in images.enumerate() {
            let block = &mut input[sample / LANES * PIXELS..][..PIXELS];
            for (lanes, &pixel) in block.iter_mut().zip(image) {
                lanes.0[sample % LANES] = table[usize::from(pixel)];
            }
        }
    }

    /// Takes in the network's parameters: before the first pass with them.
    pub fn prepare(&mut self, network: &Network) {
        for step in &mut self.steps {
            step.operator.prepare(network.level(), &network.parameters()[step.parameters.clone()]);
        }
    }

    /// The logits (block, class) of the loaded images.
    pub fn infer(&mut self, network: &Network) -> &[Lanes] {
        self.forward(network, None, 0, 0);
        &self.values[self.steps.len()][..blocks(self.samples) * CLASSES]
    }

    /// The pass of `blocks`, of which `first_block` is the place of the first of all in the batch.
    fn pass(
        &self,
        network: &Network,
        dropout_key: Option<u64>,
        first_block: usize,
        blocks: &Range<usize>,
    ) -> Pass {
        let samples = self.samples.min(blocks.end * LANES) - blocks.start * LANES;
        Pass {
            level: network.level(),
            training: self.training,
            dropout_key,
            first_block: first_block + blocks.start,
            samples,
        }
    }

    /// The steps from one barrier on to the next.
    fn stage(&self, stage: usize) -> Range<usize> {
        let start = if stage == 0 { 0 } else { self.barriers[stage - 1] };
        start..self.barriers.get(stage).copied().unwrap_or(self.steps.len())
    }

    fn forward(&mut self, network: &Network, dropout_key: Option<u64>, first_block: usize, stage: usize) {
        let (blocks, steps) = (blocks(self.samples), self.stage(stage));
        let whole = self.whole.clamp(steps.start, steps.end);
        for block in 0..blocks {
            for i in steps.start..whole {
                self.forward_step(i, network, dropout_key, first_block, block..block + 1);
            }
        }
        for i in whole..steps.end {
            self.forward_step(i, network, dropout_key, first_block, 0..blocks);
        }
    }

    fn forward_step(
        &mut self,
        i: usize,
        network: &Network,
        dropout_key: Option<u64>,
        first_block: usize,
        blocks: Range<usize>,
    ) {
        let pass = self.pass(network, dropout_key, first_block, &blocks);
        let step = &mut self.steps[i];
        let x = part(blocks.clone(), self.kept[i], step.input);
        let y = part(blocks, self.kept[i + 1], step.output);
        let (before, after) = self.values.split_at_mut(i + 1);
        let y = &mut after[0][y];
        step.forward(network, pass, &before[i][x], y);
        if self.barriers.contains(&(i + 1))
            && let Some(statistics) = self.steps[i + 1].operator.batch_statistics()
        {
            statistics.accumulate(pass, y, None);
        }
    }
}

/// Who passes on what it gets.
fn copy(shape: Shape) -> Box<dyn Operator> {
    Box::new(DropoutOp { p: 0.0, len: shape.len() })
}

/// Where `blocks` of an activation are.
fn part(blocks: Range<usize>, kept: bool, shape: Shape) -> Range<usize> {
    if kept { blocks.start * shape.len()..blocks.end * shape.len() } else { 0..blocks.len() * shape.len() }
}

/// A thread's share of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchSlice {
    /// Samples in the whole batch.
    pub total: usize,
    /// The key of the step's random numbers, none for no dropout.
    pub dropout_key: Option<u64>,
    /// The place of the share's first block in the batch.
    pub first_block: usize,
    /// Whether the network learns what is of no class.
    pub none: bool,
}

/// A layer whose weights' gradient is computed over the whole batch when they are updated.
pub(super) struct Deferred {
    pub step: usize,
    /// The place of the weights among the network's parameters.
    pub weights: Range<usize>,
}

/// One thread's share of a training step: forward, loss and backward of its samples, with a gradient of its own.
pub struct Worker {
    workspace: Workspace,
    /// `gradients[i]` is the gradient of `values[i]`: of all blocks, or of the one at work.
    gradients: Vec<Buffer>,
    kept: Vec<bool>,
    share: BatchSlice,
    /// For each sample a row of probabilities.
    targets: Vec<[f32; CLASSES]>,
    /// Gradient of the network's parameters, but for the weights of wide layers.
    pub gradient: Vec<f32>,
    /// Summed loss of the last step's images.
    pub loss: f64,
    /// How many of them were answered right.
    pub correct: usize,
}

impl Worker {
    /// A share of up to `samples`.
    pub fn new(network: &Network, samples: usize) -> Self {
        let workspace = Workspace::new(network, samples, true);
        // All blocks from the first step on that takes the whole batch, and where sums are gathered over it.
        let kept: Vec<bool> = (0..workspace.values.len())
            .map(|i| i > 0 && (i >= workspace.whole || workspace.barriers.contains(&(i - 1))))
            .collect();
        let lens = std::iter::once(0).chain(workspace.steps.iter().map(|step| step.output.len()));
        let gradients = lens
            .zip(&kept)
            .map(|(len, &kept)| zeros(if kept { blocks(samples) * len } else { len }))
            .collect();
        Self {
            workspace,
            gradients,
            kept,
            share: BatchSlice { total: 0, dropout_key: None, first_block: 0, none: false },
            targets: Vec::with_capacity(samples),
            gradient: vec![0.0; network.parameters().len()],
            loss: 0.0,
            correct: 0,
        }
    }

    /// Takes in the parameters of `network` and a share of a batch: images, and for each a row of probabilities.
    pub fn load<'a>(
        &mut self,
        network: &Network,
        share: BatchSlice,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        targets: impl Iterator<Item = [f32; CLASSES]>,
    ) {
        self.share = share;
        self.targets.clear();
        self.targets.extend(targets);
        self.workspace.load(network.normalize(), images);
        self.workspace.prepare(network);
    }

    /// Goes forward from the barrier before `stage`, and after the last one back to the barrier behind it.
    pub fn forward(&mut self, network: &Network, stage: usize) {
        let BatchSlice { dropout_key, first_block, total, none } = self.share;
        self.workspace.forward(network, dropout_key, first_block, stage);
        if stage == self.workspace.barriers.len() {
            let len = blocks(self.workspace.samples) * CLASSES;
            let (logits, gradient) = (self.workspace.values.last(), self.gradients.last_mut());
            if let (Some(logits), Some(gradient)) = (logits, gradient) {
                let targets = self.targets.iter().copied();
                (self.loss, self.correct) =
                    cross_entropy(&logits[..len], targets, total, none, &mut gradient[..len]);
            }
            let last = self.workspace.steps.len() - 1;
            if self.workspace.barriers.contains(&last) {
                self.through_activation(last, network, 0..blocks(self.workspace.samples));
            }
            self.backward(network, stage);
        }
    }

    /// Goes back from the barrier after `stage` to the one before it.
    pub fn backward(&mut self, network: &Network, stage: usize) {
        let (blocks, steps) = (blocks(self.workspace.samples), self.workspace.stage(stage));
        // The layer at a barrier goes back only when the sums over its gradient are known.
        let start = if stage == 0 { 0 } else { steps.start + 1 };
        let end = if stage == self.workspace.barriers.len() { steps.end } else { steps.end + 1 };
        let whole = self.workspace.whole.clamp(start, end);
        for i in (whole..end).rev() {
            self.backward_step(i, network, 0..blocks);
        }
        for block in 0..blocks {
            for i in (start..whole).rev() {
                self.backward_step(i, network, block..block + 1);
            }
        }
        if stage == 0 {
            for step in &mut self.workspace.steps {
                step.operator.reduce_gradient(network.level(), &mut self.gradient[step.parameters.clone()]);
            }
        }
    }

    /// `blocks` of step `i`, when the gradient of its output is known.
    fn backward_step(&mut self, i: usize, network: &Network, blocks: Range<usize>) {
        // Not before: the gradient of a whole batch would go through the caches once more. Only sums must be known in time.
        if !self.workspace.barriers.contains(&i) {
            self.through_activation(i, network, blocks.clone());
        }
        let BatchSlice { dropout_key, first_block, .. } = self.share;
        let pass = self.workspace.pass(network, dropout_key, first_block, &blocks);
        let Workspace { steps, values, kept, .. } = &mut self.workspace;
        let step = &mut steps[i];
        let x = &values[i][part(blocks.clone(), kept[i], step.input)];
        let (before, after) = self.gradients.split_at_mut(i + 1);
        let dy = &after[0][part(blocks.clone(), self.kept[i + 1], step.output)];
        let dx = (i > 0).then(|| &mut before[i][part(blocks.clone(), self.kept[i], step.input)]);
        step.backward(network, pass, x, dy, dx, &mut self.gradient);
        if i > 0 && self.workspace.barriers.contains(&(i - 1)) {
            self.through_activation(i - 1, network, blocks);
        }
    }

    /// Makes the gradient of what step `i` puts out that of what its operator does.
    fn through_activation(&mut self, i: usize, network: &Network, blocks: Range<usize>) {
        let BatchSlice { dropout_key, first_block, .. } = self.share;
        let pass = self.workspace.pass(network, dropout_key, first_block, &blocks);
        let Workspace { steps, values, kept, barriers, .. } = &mut self.workspace;
        let step = &mut steps[i];
        let y = &values[i + 1][part(blocks.clone(), kept[i + 1], step.output)];
        let dy = &mut self.gradients[i + 1][part(blocks.clone(), self.kept[i + 1], step.output)];
        if let Some(dropout) = step.dropout {
            dropout.apply(pass, dy);
        }
        if let Some(activation) = step.activation
            && !step.fused
        {
            activation.backward(pass.level, y, dy);
        }
        if barriers.contains(&i)
            && let Some(statistics) = step.operator.batch_statistics()
        {
            let x = &values[i][part(blocks, kept[i], step.input)];
            statistics.accumulate(pass, x, Some(dy));
        }
    }

    /// How many times threads wait for each other in a step, forward and as often backward.
    pub fn barriers(&self) -> usize {
        self.workspace.barriers.len()
    }

    /// What needs sums over the whole batch at a barrier.
    pub(super) fn batch_statistics(&mut self, barrier: usize) -> Option<&mut dyn BatchStatistics> {
        let step = self.workspace.barriers[barrier];
        self.workspace.steps[step].operator.batch_statistics()
    }

    /// The wide layers, in the order of their parameters.
    pub(super) fn deferred(&self) -> impl Iterator<Item = Deferred> {
        self.workspace.steps.iter().enumerate().filter_map(|(i, step)| {
            let (weights, start) =
                (step.operator.deferred_weight_gradient()?.weights(), step.parameters.start);
            Some(Deferred { step: i, weights: start..start + weights })
        })
    }

    /// How to compute the gradient of the weights of a step's deferred layer.
    pub(super) fn deferred_weight_gradient(&self, step: usize) -> Option<&dyn DeferredWeightGradient> {
        self.workspace.steps[step].operator.deferred_weight_gradient()
    }

    /// The input of a step that takes the whole batch, and the gradient of its output: (block, shape) each.
    pub fn around(&self, step: usize) -> (&[Lanes], &[Lanes]) {
        let blocks = 0..blocks(self.workspace.samples);
        let Step { input, output, .. } = self.workspace.steps[step];
        let x = &self.workspace.values[step][part(blocks.clone(), true, input)];
        (x, &self.gradients[step + 1][part(blocks, true, output)])
    }

    /// Moves the running averages among the network's `parameters` towards what the last step's batch had.
    pub fn update_running(&mut self, parameters: &mut [f32]) {
        for &barrier in &self.workspace.barriers {
            let step = &mut self.workspace.steps[barrier];
            if let Some(statistics) = step.operator.batch_statistics() {
                statistics.update_running(&mut parameters[step.parameters.clone()]);
            }
        }
    }
}
