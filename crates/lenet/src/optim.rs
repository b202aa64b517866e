//! Optimisers, with PyTorch's formulas, and learning-rate schedules.

use std::{f64::consts::PI, ops::Range};

use fearless_simd::{Level, dispatch};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, error::require};

/// How parameters follow from gradients.
///
/// Weight decay pulls the weights of layers towards zero. Biases, and whatever else has one dimension, are left alone:
/// they say where a function lies, not how steep it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent: `g = g + weight_decay * p`, `v = momentum * v + g`, `p = p - lr * v`.
    Sgd {
        /// Learning rate.
        lr: f32,
        /// Share of the last step's direction that is kept.
        #[serde(default)]
        momentum: f32,
        /// Share of a weight that is added to its gradient.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Adam (Kingma and Ba 2015, algorithm 1), with PyTorch's defaults for all but the learning rate:
    /// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    /// `p = p - lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)`.
    Adam {
        /// Learning rate.
        lr: f32,
    },
    /// Adam after a decay that doesn't go through its moments (Loshchilov and Hutter 2019):
    /// `p = p - lr * weight_decay * p`, then as Adam.
    AdamW {
        /// Learning rate.
        lr: f32,
        /// Share of a weight that a step takes away, times the learning rate.
        weight_decay: f32,
    },
}

impl Optimizer {
    /// The learning rate before any schedule.
    pub fn lr(&self) -> f32 {
        match *self {
            Self::Sgd { lr, .. } | Self::Adam { lr } | Self::AdamW { lr, .. } => lr,
        }
    }

    fn weight_decay(&self) -> f32 {
        match *self {
            Self::Sgd { weight_decay, .. } | Self::AdamW { weight_decay, .. } => weight_decay,
            Self::Adam { .. } => 0.0,
        }
    }

    /// Numbers that it remembers of each parameter.
    pub(crate) fn moments(&self) -> usize {
        match self {
            Self::Sgd { momentum: 0.0, .. } => 0,
            Self::Sgd { .. } => 1,
            Self::Adam { .. } | Self::AdamW { .. } => 2,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let (lr, decay) = (self.lr(), self.weight_decay());
        require("lr", lr > 0.0 && lr.is_finite(), "a positive number", lr)?;
        if let Self::Sgd { momentum, .. } = *self {
            require("momentum", (0.0..1.0).contains(&momentum), "at least 0 and below 1", momentum)?;
        }
        require("weight_decay", decay >= 0.0 && decay * lr < 1.0, "at least 0 and below 1 / lr", decay)
    }
}

/// How the learning rate goes from the first step to the last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to zero along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
    /// It falls by steps: training is cut into stages of the same length.
    Step {
        /// Number of stages.
        stages: u32,
        /// Factor from each stage to the next.
        gamma: f32,
    },
    /// It rises and falls along half a cosine each (Smith and Topin 2018), with its peak at the optimiser's rate: what
    /// PyTorch's `OneCycleLR` does with `cycle_momentum=False`.
    OneCycle {
        /// Share of the steps in which it rises.
        pct_start: f32,
        /// What the peak is divided by at the start.
        div_factor: f32,
        /// What the rate at the start is divided by at the end.
        final_div_factor: f32,
    },
}

impl Schedule {
    /// The factor of the learning rate in step `step` of `steps`, counted from 0.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        let cosine =
            |from: f64, to: f64, progress: f64| to + (from - to) * 0.5 * (1.0 + (PI * progress).cos());
        match self {
            Self::Constant => 1.0,
            Self::Cosine => cosine(1.0, 0.0, step as f64 / steps as f64),
            Self::Step { stages, gamma } => {
                let stage = step as u128 * u128::from(stages) / steps as u128;
                f64::from(gamma).powf(stage as f64)
            }
            Self::OneCycle { pct_start, div_factor, final_div_factor } => {
                let start = 1.0 / f64::from(div_factor);
                let (step, last) = (step as f64, steps as f64 - 1.0);
                let peak = f64::from(pct_start) * steps as f64 - 1.0;
                if step < peak {
                    cosine(start, 1.0, step / peak)
                } else {
                    cosine(1.0, start / f64::from(final_div_factor), (step - peak) / (last - peak))
                }
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match *self {
            Self::Constant | Self::Cosine => Ok(()),
            Self::Step { stages, gamma } => {
                require("stages", stages > 0, "at least 1", stages)?;
                require("gamma", gamma > 0.0 && gamma <= 1.0, "above 0 and at most 1", gamma)
            }
            Self::OneCycle { pct_start, div_factor, final_div_factor } => {
                require("pct_start", (0.0..1.0).contains(&pct_start), "at least 0 and below 1", pct_start)?;
                for (name, factor) in [("div_factor", div_factor), ("final_div_factor", final_div_factor)] {
                    require(name, factor >= 1.0 && factor.is_finite(), "a number of at least 1", factor)?;
                }
                Ok(())
            }
        }
    }
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// A first moment of Adam below which it is nothing. Where a gradient is 0 from some step on, as where an input always is, the
/// moment would shrink to a subnormal number, with which some processors take a hundred times as long.
const NOTHING: f32 = 1e-30;

/// Parameters that a thread changes at a time.
const CHUNK: usize = 4096;

/// An optimiser's memory of the steps so far.
#[derive(Debug, Clone)]
pub(crate) struct OptimizerState {
    optimizer: Optimizer,
    /// The parameters that decay.
    decayed: Vec<Range<usize>>,
    /// Momentum or Adam's first moment, and Adam's second: zeros where the optimiser has no use for them.
    pub moments: [Vec<f32>; 2],
    pub steps: i32,
}

/// A moving average of the parameters: `a = d * a + (1 - d) * p` at the end of step `t`, counted from 1, with
/// `d = min(decay, t / (9 + t))`, so that it soon forgets where training began.
pub(crate) struct Average<'a> {
    pub decay: f32,
    /// As many as there are parameters.
    pub values: &'a mut [f32],
}

impl OptimizerState {
    /// No steps yet, for a number of `parameters`, of which those in the ranges `decayed` are subject to weight decay.
    pub fn new(optimizer: Optimizer, parameters: usize, decayed: Vec<Range<usize>>) -> Self {
        let decayed = if optimizer.weight_decay() > 0.0 { decayed } else { Vec::new() };
        Self { optimizer, decayed, moments: [vec![0.0; parameters], vec![0.0; parameters]], steps: 0 }
    }

    /// One step with learning rate `lr` along the gradient that `add_gradient` adds to zeros, for the parameters from the
    /// one it is told on; `average` follows.
    pub fn step(
        &mut self,
        parameters: &mut [f32],
        add_gradient: impl Fn(usize, &mut [f32]) + Sync,
        lr: f32,
        average: Option<Average>,
    ) {
        self.steps = self.steps.saturating_add(1);
        let Self { optimizer, decayed, moments: [first, second], steps } = self;
        let level = Level::new();
        let change = |chunk: usize, p: &mut [f32], first: &mut [f32], second: &mut [f32]| {
            let start = chunk * CHUNK;
            let mut gradient = [0.0; CHUNK];
            let gradient = &mut gradient[..p.len()];
            add_gradient(start, gradient);
            for range in decayed.iter() {
                let clip = |index: usize| index.clamp(start, start + p.len()) - start;
                let range = clip(range.start)..clip(range.end);
                optimizer.decay(lr, &mut p[range.clone()], &mut gradient[range]);
            }
            // The compiler makes vectors of as many numbers as the level has.
            dispatch!(level, _simd => optimizer.update(lr, *steps, p, gradient, first, second));
        };
        let chunks =
            (parameters.par_chunks_mut(CHUNK), first.par_chunks_mut(CHUNK), second.par_chunks_mut(CHUNK));
        let chunks = chunks.into_par_iter().enumerate();
        match average {
            None => {
                chunks.with_min_len(8).for_each(|(chunk, (p, first, second))| change(chunk, p, first, second))
            }
            Some(Average { decay, values }) => {
                let rest = 1.0 - decay.min(*steps as f32 / (9.0 + *steps as f32));
                chunks.zip(values.par_chunks_mut(CHUNK)).with_min_len(8).for_each(
                    |((chunk, (p, first, second)), values)| {
                        change(chunk, p, first, second);
                        for (a, p) in values.iter_mut().zip(p) {
                            *a += rest * (*p - *a);
                        }
                    },
                );
            }
        }
    }
}

impl Optimizer {
    fn decay(self, lr: f32, p: &mut [f32], g: &mut [f32]) {
        match self {
            Self::Sgd { weight_decay, .. } => {
                for (p, g) in p.iter().zip(g) {
                    *g += weight_decay * p;
                }
            }
            Self::Adam { .. } => {}
            Self::AdamW { weight_decay, .. } => {
                for p in p {
                    *p *= 1.0 - lr * weight_decay;
                }
            }
        }
    }

    #[inline(always)]
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
            Self::Adam { .. } | Self::AdamW { .. } => {
                let lr = lr / (1.0 - BETA1.powi(steps));
                let correction = 1.0 / (1.0 - BETA2.powi(steps)).sqrt();
                for ((p, g), (m, v)) in p.iter_mut().zip(g).zip(first.iter_mut().zip(second)) {
                    let moment = BETA1 * *m + (1.0 - BETA1) * g;
                    *m = if moment.abs() < NOTHING { 0.0 } else { moment };
                    *v = BETA2 * *v + (1.0 - BETA2) * (g * g);
                    *p -= lr * *m / (v.sqrt() * correction + EPSILON);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many chunks, the last of them shorter, and decay that starts and ends within them.
    const LEN: usize = 20 * CHUNK + 5;
    const DECAYED: [Range<usize>; 4] = [3..5, 100..2 * CHUNK, 3 * CHUNK + 1..9 * CHUNK - 1, LEN - 4..LEN];

    fn values(seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..LEN).map(|_| random.f32() - 0.5).collect()
    }

    #[test]
    fn parameters_change_as_each_would_alone() {
        let (start, gradient) = (values(0), values(1));
        let ends = DECAYED.iter().flat_map(|range| [range.start - 1, range.start, range.end - 1]);
        let indices: Vec<usize> = ends.chain((0..LEN).step_by(997)).collect();
        for optimizer in [
            Optimizer::Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.5 },
            Optimizer::AdamW { lr: 0.01, weight_decay: 5.0 },
        ] {
            let mut all = start.clone();
            let mut state = OptimizerState::new(optimizer, LEN, DECAYED.to_vec());
            let add = |start: usize, sums: &mut [f32]| sums.copy_from_slice(&gradient[start..][..sums.len()]);
            (0..20).for_each(|_| state.step(&mut all, add, 0.01, None));
            for &index in &indices {
                let decays = DECAYED.iter().any(|range| range.contains(&index));
                let mut alone = [start[index]];
                let mut state = OptimizerState::new(optimizer, 1, vec![0..1; usize::from(decays)]);
                let add = |_, sums: &mut [f32]| sums[0] = gradient[index];
                (0..20).for_each(|_| state.step(&mut alone, add, 0.01, None));
                assert_eq!(alone[0], all[index], "{index} of {optimizer:?}");
            }
        }
    }

    #[test]
    fn a_moment_that_shrinks_becomes_zero() {
        let mut state = OptimizerState::new(Optimizer::Adam { lr: 0.01 }, 1, Vec::new());
        let mut parameter = [1.0];
        state.step(&mut parameter, |_, sums| sums[0] = 0.5, 0.01, None);
        (0..800).for_each(|_| state.step(&mut parameter, |_, _| (), 0.01, None));
        assert_eq!(state.moments[0], [0.0]);
    }
}
