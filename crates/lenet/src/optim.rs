//! Optimisers, with PyTorch's formulas, and learning-rate schedules.

use std::f32::consts::PI;

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

/// An optimiser's memory of the steps so far.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    optimizer: Optimizer,
    /// Momentum, or Adam's first moment; empty where there is none.
    first: Vec<f32>,
    /// Adam's second moment.
    second: Vec<f32>,
    steps: i32,
}

impl OptimizerState {
    /// No steps yet, for a number of `parameters`.
    pub fn new(optimizer: Optimizer, parameters: usize) -> Self {
        let (first, second) = match optimizer {
            Optimizer::Sgd { momentum: 0.0, .. } => (0, 0),
            Optimizer::Sgd { .. } => (parameters, 0),
            Optimizer::Adam { .. } => (parameters, parameters),
        };
        Self { optimizer, first: vec![0.0; first], second: vec![0.0; second], steps: 0 }
    }

    /// One step along `gradient`, with the learning rate times `factor`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], factor: f32) {
        self.steps += 1;
        let lr = self.optimizer.lr() * factor;
        match self.optimizer {
            Optimizer::Sgd { momentum: 0.0, .. } => {
                for (p, g) in parameters.iter_mut().zip(gradient) {
                    *p -= lr * g;
                }
            }
            Optimizer::Sgd { momentum, .. } => {
                for ((p, g), v) in parameters.iter_mut().zip(gradient).zip(&mut self.first) {
                    *v = momentum * *v + g;
                    *p -= lr * *v;
                }
            }
            Optimizer::Adam { .. } => {
                let lr = lr / (1.0 - BETA1.powi(self.steps));
                let correction = 1.0 / (1.0 - BETA2.powi(self.steps)).sqrt();
                let moments = self.first.iter_mut().zip(&mut self.second);
                for ((p, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
                    *m = BETA1 * *m + (1.0 - BETA1) * g;
                    *v = BETA2 * *v + (1.0 - BETA2) * (g * g);
                    *p -= lr * *m / (v.sqrt() * correction + EPSILON);
                }
            }
        }
    }
}
