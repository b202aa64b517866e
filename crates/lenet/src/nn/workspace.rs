//! A network at work on one thread, with all the memory that it needs: nothing is allocated in a step.
//!
//! The layers up to the first fully connected one are run block by block, so that a block's activations are
//! still in cache when the next layer reads them; from there on the whole batch shares each pass over the weights.

use std::ops::Range;

use super::{
    Network, Scaling, Shape,
    activation::Activation,
    dropout::Dropping,
    lanes::{LANES, Lanes, blocks, zeros},
    layer::{Operator, Pass},
    loss::cross_entropy,
};
use crate::{CLASSES, PIXELS, SIDE};

/// An operator with the activation that follows it, done in place on its output.
struct Step {
    operator: Box<dyn Operator>,
    activation: Option<Activation>,
    /// Its part of the network's parameters.
    parameters: Range<usize>,
    input: Shape,
    output: Shape,
}

impl Step {
    fn forward(&mut self, network: &Network, pass: Pass, x: &[Lanes], y: &mut [Lanes]) {
        self.operator.forward(pass, &network.parameters()[self.parameters.clone()], x, y);
        if let Some(activation) = self.activation {
            activation.forward(pass.level, y);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "values and gradients of both sides")]
    fn backward(
        &mut self,
        network: &Network,
        pass: Pass,
        (x, y): (&[Lanes], &[Lanes]),
        dy: &mut [Lanes],
        dx: Option<&mut [Lanes]>,
        gradient: &mut [f32],
    ) {
        if let Some(activation) = self.activation {
            activation.backward(pass.level, y, dy);
        }
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
    values: Vec<Vec<Lanes>>,
    /// Whether each of `values` holds all blocks, or the one at work.
    kept: Vec<bool>,
    samples: usize,
}

impl Workspace {
    /// Reads up to `samples` at a time; an activation is overwritten when the next block comes.
    pub fn for_inference(network: &Network, samples: usize) -> Self {
        let mut workspace = Self::new(network, samples, false);
        workspace.prepare(network);
        workspace
    }

    fn new(network: &Network, samples: usize, keep: bool) -> Self {
        let blocks = blocks(samples);
        let mut steps: Vec<Step> = Vec::new();
        let mut input = Shape { channels: 1, height: SIDE, width: SIDE };
        let mut start = 0;
        for row in network.rows() {
            let output = row.output;
            let operator = match (row.layer.operator(input, output, blocks), row.layer.activation()) {
                (Some(operator), _) => Some(operator),
                (None, None) => None,
                (None, activation) => match steps.last_mut() {
                    Some(step) if step.activation.is_none() => {
                        step.activation = activation;
                        None
                    }
                    // Two activations in a row each need their output: the second works on a copy.
                    _ => Some(Box::new(Dropping { p: 0.0, len: input.len() }) as Box<dyn Operator>),
                },
            };
            if let Some(operator) = operator {
                let parameters = start..start + row.parameters;
                start = parameters.end;
                let activation = row.layer.activation();
                steps.push(Step { operator, activation, parameters, input, output });
            }
            input = output;
        }
        let whole = steps.iter().position(|step| step.operator.takes_whole_batch()).unwrap_or(steps.len());
        let kept: Vec<bool> = (0..=steps.len()).map(|i| keep || i == 0 || i >= whole).collect();
        let lens = std::iter::once(PIXELS).chain(steps.iter().map(|step| step.output.len()));
        let values =
            lens.zip(&kept).map(|(len, &kept)| zeros(if kept { blocks * len } else { len })).collect();
        Self { steps, whole, values, kept, samples: 0 }
    }

    /// Takes in `images`, each (row, column), scaled.
    pub fn load<'a>(&mut self, scaling: Scaling, images: impl ExactSizeIterator<Item = &'a [u8]>) {
        let table = scaling.table();
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
            step.operator.prepare(&network.parameters()[step.parameters.clone()]);
        }
    }

    /// The logits (block, class) of the loaded images.
    pub fn infer(&mut self, network: &Network) -> &[Lanes] {
        self.forward(network, None, 0);
        &self.values[self.steps.len()][..blocks(self.samples) * CLASSES]
    }

    fn pass(network: &Network, training: Option<u64>, first_block: usize) -> Pass {
        Pass { level: network.level(), training, first_block }
    }

    fn forward(&mut self, network: &Network, training: Option<u64>, first_block: usize) {
        let blocks = blocks(self.samples);
        for block in 0..blocks {
            let pass = Self::pass(network, training, first_block + block);
            for i in 0..self.whole {
                self.forward_step(i, network, pass, block..block + 1);
            }
        }
        let pass = Self::pass(network, training, first_block);
        for i in self.whole..self.steps.len() {
            self.forward_step(i, network, pass, 0..blocks);
        }
    }

    fn forward_step(&mut self, i: usize, network: &Network, pass: Pass, blocks: Range<usize>) {
        let step = &mut self.steps[i];
        let x = part(blocks.clone(), self.kept[i], step.input);
        let y = part(blocks, self.kept[i + 1], step.output);
        let (before, after) = self.values.split_at_mut(i + 1);
        step.forward(network, pass, &before[i][x], &mut after[0][y]);
    }
}

/// Where `blocks` of an activation are.
fn part(blocks: Range<usize>, kept: bool, shape: Shape) -> Range<usize> {
    if kept { blocks.start * shape.len()..blocks.end * shape.len() } else { 0..blocks.len() * shape.len() }
}

/// One thread's share of a training step: forward, loss and backward of its samples, with a gradient of its own.
pub(crate) struct Shard {
    workspace: Workspace,
    /// `gradients[i]` is the gradient of `values[i]`: all blocks from the first step on that takes the whole batch,
    /// else the one at work.
    gradients: Vec<Vec<Lanes>>,
    kept: Vec<bool>,
    /// Gradient of the network's parameters.
    gradient: Vec<f32>,
    /// Summed loss of the last step's images.
    pub loss: f64,
    /// How many of them were answered right.
    pub correct: usize,
}

impl Shard {
    /// A share of up to `samples`.
    pub fn new(network: &Network, samples: usize) -> Self {
        let workspace = Workspace::new(network, samples, true);
        let kept: Vec<bool> = (0..workspace.values.len()).map(|i| i > 0 && i >= workspace.whole).collect();
        let lens = std::iter::once(0).chain(workspace.steps.iter().map(|step| step.output.len()));
        let gradients = lens
            .zip(&kept)
            .map(|(len, &kept)| zeros(if kept { blocks(samples) * len } else { len }))
            .collect();
        Self {
            workspace,
            gradients,
            kept,
            gradient: vec![0.0; network.parameters().len()],
            loss: 0.0,
            correct: 0,
        }
    }

    /// As [`Workspace::load`].
    pub fn load<'a>(&mut self, scaling: Scaling, images: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.workspace.load(scaling, images);
    }

    /// Forward, loss over `total` samples and backward of the loaded images, whose `targets` are rows of
    /// probabilities. `training` is the key of the step's random numbers, none for
    /// no dropout; `first_block` is the place of the first image in the whole batch.
    pub fn step(
        &mut self,
        network: &Network,
        targets: impl Iterator<Item = [f32; CLASSES]>,
        total: usize,
        training: Option<u64>,
        first_block: usize,
    ) {
        self.workspace.prepare(network);
        self.workspace.forward(network, training, first_block);

        let (whole, last) = (self.workspace.whole, self.workspace.steps.len());
        let blocks = blocks(self.workspace.samples);
        let logits = &self.workspace.values[last][..blocks * CLASSES];
        (self.loss, self.correct) =
            cross_entropy(logits, targets, total, &mut self.gradients[last][..blocks * CLASSES]);

        let pass = Workspace::pass(network, training, first_block);
        for i in (whole..last).rev() {
            self.backward_step(i, network, pass, 0..blocks);
        }
        for block in 0..blocks {
            let pass = Workspace::pass(network, training, first_block + block);
            for i in (0..whole).rev() {
                self.backward_step(i, network, pass, block..block + 1);
            }
        }
        for step in &mut self.workspace.steps {
            step.operator.finish(&mut self.gradient[step.parameters.clone()]);
        }
    }

    fn backward_step(&mut self, i: usize, network: &Network, pass: Pass, blocks: Range<usize>) {
        let Workspace { steps, values, kept, .. } = &mut self.workspace;
        let step = &mut steps[i];
        let (input, output) = (step.input, step.output);
        let x = &values[i][part(blocks.clone(), kept[i], input)];
        let y = &values[i + 1][part(blocks.clone(), kept[i + 1], output)];
        let (before, after) = self.gradients.split_at_mut(i + 1);
        let dy = &mut after[0][part(blocks.clone(), self.kept[i + 1], output)];
        let dx = (i > 0).then(|| &mut before[i][part(blocks, self.kept[i], input)]);
        step.backward(network, pass, (x, y), dy, dx, &mut self.gradient);
    }

    /// The gradient that the last step left.
    pub fn into_gradient(self) -> Vec<f32> {
        self.gradient
    }
}

/// The gradient that the last step left.
impl AsRef<[f32]> for Shard {
    fn as_ref(&self) -> &[f32] {
        &self.gradient
    }
}
