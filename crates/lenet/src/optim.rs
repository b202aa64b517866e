//! Optimisers, with PyTorch's formulas, and learning-rate schedules.

use std::f32::consts::PI;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How parameters follow from gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent: `v = momentum * v + g`, `p = p - lr * v`.
    Sgd {
        /// Learning rate.
        lr: f32,
        /// Share of the last step's direction that is kept.
        momentum: f32,
    },
    /// Adam (Kingma and Ba 2015, algorithm 1), with PyTorch's defaults for all but the learning rate:
    /// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    /// `p = p - lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)`.
    Adam {
        /// Learning rate.
        lr: f32,
    },
}

impl Optimizer {
    /// The learning rate before any schedule.
    pub fn lr(&self) -> f32 {
        match *self {
            Self::Sgd { lr, .. } | Self::Adam { lr } => lr,
        }
    }
}

/// How the learning rate goes from the first step to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to zero along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
}

impl Schedule {
    /// The factor of the learning rate when `progress` of all steps, from 0 to 1, are done.
    pub fn factor(self, progress: f32) -> f32 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        }
    }
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Parameters that a thread changes at a time.
const CHUNK: usize = 4096;

/// An optimiser's memory of the steps so far.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    optimizer: Optimizer,
    /// Momentum, or Adam's first moment.
    first: Vec<f32>,
    /// Adam's second moment.
    second: Vec<f32>,
    steps: i32,
}

impl OptimizerState {
    /// No steps yet, for a number of `parameters`.
    pub fn new(optimizer: Optimizer, parameters: usize) -> Self {
        Self { optimizer, first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 }
    }

    /// One step along the sum of `gradients`, added in their order, with the learning rate times `factor`.
    ///
    /// # Panics
    /// If a gradient has fewer elements than `parameters`.
    pub fn step<G: AsRef<[f32]> + Sync>(&mut self, parameters: &mut [f32], gradients: &[G], factor: f32) {
        self.steps += 1;
        let lr = self.optimizer.lr() * factor;
        let (optimizer, steps) = (self.optimizer, self.steps);
        let chunks = (
            parameters.par_chunks_mut(CHUNK),
            self.first.par_chunks_mut(CHUNK),
            self.second.par_chunks_mut(CHUNK),
        );
        chunks.into_par_iter().enumerate().with_min_len(8).for_each(|(chunk, (p, first, second))| {
            let mut gradient = [0.0; CHUNK];
            let gradient = &mut gradient[..p.len()];
            for part in gradients {
                for (sum, g) in gradient.iter_mut().zip(&part.as_ref()[chunk * CHUNK..][..p.len()]) {
                    *sum += g;
                }
            }
            optimizer.update(lr, steps, p, gradient, first, second);
        });
    }
}

impl Optimizer {
    fn update(self, lr: f32, steps: i32, p: &mut [f32], g: &[f32], first: &mut [f32], second: &mut [f32]) {
        match self {
            Self::Sgd { momentum: 0.0, .. } => {
                for (p, g) in p.iter_mut().zip(g) {
                    *p -= lr * g;
                }
            }
            Self::Sgd { momentum, .. } => {
                for ((p, g), v) in p.iter_mut().zip(g).zip(first) {
                    *v = momentum * *v + g;
                    *p -= lr * *v;
                }
            }
            Self::Adam { .. } => {
                let lr = lr / (1.0 - BETA1.powi(steps));
                let correction = 1.0 / (1.0 - BETA2.powi(steps)).sqrt();
                for ((p, g), (m, v)) in p.iter_mut().zip(g).zip(first.iter_mut().zip(second)) {
                    *m = BETA1 * *m + (1.0 - BETA1) * g;
                    *v = BETA2 * *v + (1.0 - BETA2) * (g * g);
                    *p -= lr * *m / (v.sqrt() * correction + EPSILON);
                }
            }
        }
    }
}
