//! Optimisers, with PyTorch's formulas, and learning-rate schedules.

use std::{f64::consts::PI, ops::Range};

use fearless_simd::{Level, dispatch};
use serde::{Deserialize, Serialize};

use crate::{Error, error::ensure};

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
        /// BatchSlice of the last step's direction that is kept.
        #[serde(default)]
        momentum: f32,
        /// BatchSlice of a weight that is added to its gradient.
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
        /// BatchSlice of a weight that a step takes away, times the learning rate.
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
    pub fn moments(&self) -> usize {
        match self {
            Self::Sgd { momentum: 0.0, .. } => 0,
            Self::Sgd { .. } => 1,
            Self::Adam { .. } | Self::AdamW { .. } => 2,
        }
    }

    pub fn validate(&self) -> Result<(), Error> {
        let (lr, decay) = (self.lr(), self.weight_decay());
        ensure("lr", lr > 0.0 && lr.is_finite(), "a positive number", lr)?;
        if let Self::Sgd { momentum, .. } = *self {
            ensure("momentum", (0.0..1.0).contains(&momentum), "at least 0 and below 1", momentum)?;
        }
        ensure("weight_decay", decay >= 0.0 && decay * lr < 1.0, "at least 0 and below 1 / lr", decay)
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
        /// BatchSlice of the steps in which it rises.
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

    /// Returns the factor of the learning rate in step `step` of `steps`, counted from 0, with a warm-up: over the first
    /// `warmup` of all steps, a fraction, the factor rises evenly to 1, and the schedule spans the rest.
    pub fn factor_with_warmup(self, warmup: f32, step: usize, steps: usize) -> f64 {
        let warmup = (f64::from(warmup) * steps as f64).round() as usize;
        if step < warmup {
            (step + 1) as f64 / warmup as f64
        } else {
            self.factor(step - warmup, steps - warmup)
        }
    }

    pub fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Constant | Self::Cosine => Ok(()),
            Self::Step { stages, gamma } => {
                ensure("stages", stages > 0, "at least 1", stages)?;
                ensure("gamma", gamma > 0.0 && gamma <= 1.0, "above 0 and at most 1", gamma)
            }
            Self::OneCycle { pct_start, div_factor, final_div_factor } => {
                ensure("pct_start", (0.0..1.0).contains(&pct_start), "at least 0 and below 1", pct_start)?;
                for (name, factor) in [("div_factor", div_factor), ("final_div_factor", final_div_factor)] {
                    ensure(name, factor >= 1.0 && factor.is_finite(), "a number of at least 1", factor)?;
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

/// An optimiser's memory of the steps so far.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    optimizer: Optimizer,
    /// The parameters that decay.
    decayed: Vec<Range<usize>>,
    /// Momentum or Adam's first moment, and Adam's second: zeros where the optimiser has no use for them.
    pub moments: [Vec<f32>; 2],
    pub steps: i32,
}

/// A moving average of the parameters: `a = d * a + (1 - d) * p` at the end of step `t`, counted from 1, with
/// `d = min(decay, t / (9 + t))`, so that it soon forgets where training began.
pub struct Average<'a> {
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

    /// One step with learning rate `lr`, which `average` follows.
    pub fn step<'a>(
        &'a mut self,
        lr: f32,
        parameters: &'a mut [f32],
        average: Option<Average<'a>>,
    ) -> Update<'a> {
        self.steps = self.steps.saturating_add(1);
        let Self { optimizer, decayed, moments, steps } = self;
        let moments = moments.each_mut().map(Vec::as_mut_slice);
        let rule = Rule::new(*optimizer, lr, *steps);
        let average = average.map(|Average { decay, values }| {
            (1.0 - decay.min(*steps as f32 / (9.0 + *steps as f32)), values)
        });
        Update { rule, decayed, start: 0, parameters, moments, average }
    }
}

/// A step of some parameters that follow each other, taken when their gradient is known.
pub struct Update<'a> {
    rule: Rule,
    decayed: &'a [Range<usize>],
    /// The place of the first among all parameters.
    start: usize,
    parameters: &'a mut [f32],
    moments: [&'a mut [f32]; 2],
    /// The share of the way to the parameters that it goes in this step, and its values.
    average: Option<(f32, &'a mut [f32])>,
}

impl<'a> Update<'a> {
    /// The place of the first parameter among all.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Those before a place among all parameters, and those from there on.
    pub fn split_at(self, place: usize) -> (Self, Self) {
        let Self { rule, decayed, start, parameters, moments: [first, second], average } = self;
        let middle = place - start;
        let (parameters, parameters_after) = parameters.split_at_mut(middle);
        let ((first, first_after), (second, second_after)) =
            (first.split_at_mut(middle), second.split_at_mut(middle));
        let (average, average_after) = average
            .map(|(share, values)| {
                let (values, after) = values.split_at_mut(middle);
                ((share, values), (share, after))
            })
            .unzip();
        let after = Self {
            rule,
            decayed,
            start: place,
            parameters: parameters_after,
            moments: [first_after, second_after],
            average: average_after,
        };
        (Self { rule, decayed, start, parameters, moments: [first, second], average }, after)
    }

    /// Takes the step along `gradient`, which is overwritten.
    pub fn take(self, level: Level, gradient: &mut [f32]) {
        let Self { rule, decayed, start, parameters, moments: [first, second], average } = self;
        let end = start + parameters.len();
        let clip = |place: usize| place.clamp(start, end) - start;
        for range in decayed {
            let range = clip(range.start)..clip(range.end);
            rule.decay(&mut parameters[range.clone()], &mut gradient[range]);
        }
        // The compiler makes vectors of as many numbers as the level has.
        dispatch!(level, _simd => rule.update(parameters, gradient, first, second));
        if let Some((share, values)) = average {
            for (a, p) in values.iter_mut().zip(parameters) {
                *a += share * (*p - *a);
            }
        }
    }
}

/// An optimiser's formula in one step.
#[derive(Clone, Copy)]
enum Rule {
    Sgd {
        lr: f32,
        momentum: f32,
        weight_decay: f32,
    },
    Adam {
        /// The share of a weight that decays.
        decay: f32,
        /// `lr / (1 - b1^t)`
        lr: f32,
        /// `1 / sqrt(1 - b2^t)`
        correction: f32,
    },
}

impl Rule {
    /// That of step `steps`, counted from 1.
    fn new(optimizer: Optimizer, lr: f32, steps: i32) -> Self {
        match optimizer {
            Optimizer::Sgd { momentum, weight_decay, .. } => Self::Sgd { lr, momentum, weight_decay },
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => Self::Adam {
                decay: lr * optimizer.weight_decay(),
                lr: lr / (1.0 - BETA1.powi(steps)),
                correction: 1.0 / (1.0 - BETA2.powi(steps)).sqrt(),
            },
        }
    }

    fn decay(self, p: &mut [f32], g: &mut [f32]) {
        match self {
            Self::Sgd { weight_decay, .. } => {
                for (p, g) in p.iter().zip(g) {
                    *g += weight_decay * p;
                }
            }
            Self::Adam { decay, .. } => {
                for p in p {
                    *p *= 1.0 - decay;
                }
            }
        }
    }

    #[inline(always)]
    fn update(self, p: &mut [f32], g: &[f32], first: &mut [f32], second: &mut [f32]) {
        match self {
            Self::Sgd { lr, momentum: 0.0, .. } => {
                for (p, g) in p.iter_mut().zip(g) {
                    *p -= lr * g;
                }
            }
            Self::Sgd { lr, momentum, .. } => {
                for ((p, g), v) in p.iter_mut().zip(g).zip(first) {
                    *v = momentum * *v + g;
                    *p -= lr * *v;
                }
            }
            Self::Adam { lr, correction, .. } => {
                for ((p, g), (first, second)) in p.iter_mut().zip(g).zip(first.iter_mut().zip(second)) {
                    let m = BETA1 * *first + (1.0 - BETA1) * g;
                    let m = if m.abs() < NOTHING { 0.0 } else { m };
                    let v = BETA2 * *second + (1.0 - BETA2) * (g * g);
                    (*first, *second) = (m, v);
                    *p -= lr * m / (v.sqrt() * correction + EPSILON);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Components of some size, the last of them shorter, and decay that starts and ends within them.
    const PART: usize = 500;
    const LEN: usize = 20 * PART + 5;
    const DECAYED: [Range<usize>; 4] = [3..5, 100..2 * PART, 3 * PART + 1..9 * PART - 1, LEN - 4..LEN];

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
            for _ in 0..20 {
                let mut rest = state.step(0.01, &mut all, None);
                while rest.len() > 0 {
                    let start = rest.start();
                    let (part, after) = rest.split_at(LEN.min(start + PART));
                    let mut gradient = gradient[start..start + part.len()].to_vec();
                    part.take(Level::new(), &mut gradient);
                    rest = after;
                }
            }
            for &index in &indices {
                let decays = DECAYED.iter().any(|range| range.contains(&index));
                let mut alone = [start[index]];
                let mut state = OptimizerState::new(optimizer, 1, vec![0..1; usize::from(decays)]);
                for _ in 0..20 {
                    state.step(0.01, &mut alone, None).take(Level::new(), &mut [gradient[index]]);
                }
                assert_eq!(alone[0], all[index], "{index} of {optimizer:?}");
            }
        }
    }

    #[test]
    fn a_moment_that_shrinks_becomes_zero() {
        let mut state = OptimizerState::new(Optimizer::Adam { lr: 0.01 }, 1, Vec::new());
        let mut parameter = [1.0];
        for gradient in [0.5].into_iter().chain([0.0; 800]) {
            state.step(0.01, &mut parameter, None).take(Level::new(), &mut [gradient]);
        }
        assert_eq!(state.moments[0], [0.0]);
    }
}
