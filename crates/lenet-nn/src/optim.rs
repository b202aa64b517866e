//! Optimizers with PyTorch's formulas, and learning-rate schedules.
//!
//! ```
//! use lenet_nn::optim::{Optimizer, Schedule};
//!
//! let optimizer = Optimizer::AdamW { lr: 0.002, weight_decay: 0.05 };
//! optimizer.validate()?;
//! assert_eq!(Schedule::Cosine.factor(0, 100), 1.0);
//! assert!(Schedule::Cosine.factor(99, 100) < 0.001);
//! # Ok::<(), lenet_nn::Error>(())
//! ```

use std::{f64::consts::PI, ops::Range};

use fearless_simd::{Level, dispatch};
use serde::{Deserialize, Serialize};

use crate::{Error, error::ensure};

/// The formula by which parameters `p` follow from gradients `g`.
///
/// Weight decay is applied to the ranges given to [`OptimizerState::new`]. Usually these are the tensors of more than one
/// dimension, because biases and the parameters of a normalization do not make a function steeper.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum: `g = g + weight_decay * p`, `v = momentum * v + g`, `p = p - lr * v`.
    Sgd {
        /// Learning rate.
        lr: f32,
        /// Fraction of the last step's direction that is kept, at least 0 and below 1.
        #[serde(default)]
        momentum: f32,
        /// Fraction of a weight that is added to its gradient.
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
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2): `p = p - lr * weight_decay * p`, then as
    /// [`Adam`](Self::Adam).
    AdamW {
        /// Learning rate.
        lr: f32,
        /// Fraction of a weight that a step with learning rate 1 subtracts.
        weight_decay: f32,
    },
}

impl Optimizer {
    /// Returns the learning rate, which a schedule multiplies by its factor.
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

    /// Returns the number of moments that it keeps for each parameter.
    pub fn moment_count(&self) -> usize {
        match self {
            Self::Sgd { momentum: 0.0, .. } => 0,
            Self::Sgd { .. } => 1,
            Self::Adam { .. } | Self::AdamW { .. } => 2,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] with the name of a setting that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let (lr, decay) = (self.lr(), self.weight_decay());
        ensure("lr", lr > 0.0 && lr.is_finite(), "a positive number", lr)?;
        if let Self::Sgd { momentum, .. } = *self {
            ensure("momentum", (0.0..1.0).contains(&momentum), "at least 0 and below 1", momentum)?;
        }
        ensure("weight_decay", decay >= 0.0 && decay * lr < 1.0, "at least 0 and below 1 / lr", decay)
    }
}

/// The learning rate over the steps of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// Constant.
    Constant,
    /// Falls to 0 along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
    /// Piecewise constant: training is divided into stages of equal length.
    Step {
        /// Number of stages.
        stages: u32,
        /// Factor between neighboring stages.
        gamma: f32,
    },
    /// Rises to the optimizer's learning rate and falls, along half a cosine each (Smith and Topin 2018), as PyTorch's
    /// `OneCycleLR` with `cycle_momentum=False`.
    OneCycle {
        /// Fraction of the steps in which it rises.
        pct_start: f32,
        /// Ratio of the peak to the first learning rate.
        div_factor: f32,
        /// Ratio of the first learning rate to the last one.
        final_div_factor: f32,
    },
}

impl Schedule {
    /// Returns the factor of the learning rate in step `step` of `steps`, counted from 0. A training of 0 steps is treated
    /// as one of 1 step.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        let steps = steps.max(1);
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

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] with the name of a setting that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Constant | Self::Cosine => Ok(()),
            Self::Step { stages, gamma } => {
                ensure("stages", stages > 0, "at least 1", stages as f32)?;
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

/// Smallest magnitude of Adam's first moment; below, it is set to 0. If a gradient is 0 from some step on, as that of an
/// input that is always 0, the moment would shrink to a subnormal number, which slows some processors down by a factor of a
/// hundred.
const MIN_MOMENT: f32 = 1e-30;

/// The state of an optimizer.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    optimizer: Optimizer,
    /// Ranges of the parameters with weight decay.
    decayed: Vec<Range<usize>>,
    /// Momentum or Adam's first moment, and Adam's second moment, a value for each parameter; 0 if the optimizer doesn't use
    /// them.
    pub moments: [Vec<f32>; 2],
    /// Number of steps so far.
    pub steps: i32,
}

/// An exponential moving average of the parameters: `a = d * a + (1 - d) * p` after step `t`, counted from 1, with
/// `d = min(decay, t / (9 + t))`. The smaller `d` of early steps removes the initial parameters from the average.
pub struct ParameterEma<'a> {
    /// Largest weight of the old average.
    pub decay: f32,
    /// The average, a value for each parameter.
    pub values: &'a mut [f32],
}

impl OptimizerState {
    /// Returns the state before the first step, for a number of `parameters`, those in the ranges `decayed` with weight decay.
    pub fn new(optimizer: Optimizer, parameters: usize, decayed: Vec<Range<usize>>) -> Self {
        let decayed = if optimizer.weight_decay() > 0.0 { decayed } else { Vec::new() };
        Self { optimizer, decayed, moments: [vec![0.0; parameters], vec![0.0; parameters]], steps: 0 }
    }

    /// Returns a step with learning rate `lr` of all `parameters` and their `average`. It takes effect with
    /// [`PendingUpdate::apply`].
    pub fn begin_step<'a>(
        &'a mut self,
        lr: f32,
        parameters: &'a mut [f32],
        average: Option<ParameterEma<'a>>,
    ) -> PendingUpdate<'a> {
        self.steps = self.steps.saturating_add(1);
        let Self { optimizer, decayed, moments, steps } = self;
        let moments = moments.each_mut().map(Vec::as_mut_slice);
        let rule = UpdateRule::new(*optimizer, lr, *steps);
        let average = average.map(|ParameterEma { decay, values }| {
            (1.0 - decay.min(*steps as f32 / (9.0 + *steps as f32)), values)
        });
        PendingUpdate { rule, decayed, start: 0, parameters, moments, average }
    }
}

/// A step of a range of the parameters, which is applied when their gradient is known.
pub struct PendingUpdate<'a> {
    rule: UpdateRule,
    decayed: &'a [Range<usize>],
    /// Index of the first parameter.
    start: usize,
    parameters: &'a mut [f32],
    moments: [&'a mut [f32]; 2],
    /// Weight of the parameters in the new average, and the average.
    average: Option<(f32, &'a mut [f32])>,
}

impl<'a> PendingUpdate<'a> {
    /// Returns the index of the first parameter among all.
    pub fn start_index(&self) -> usize {
        self.start
    }

    /// Returns the number of parameters.
    #[allow(clippy::len_without_is_empty, reason = "only the length is needed")]
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Divides the step at the parameter with an index among all.
    ///
    /// # Panics
    /// If the parameter is before the range or after its end.
    pub fn split_at(self, index: usize) -> (Self, Self) {
        let Self { rule, decayed, start, parameters, moments: [first, second], average } = self;
        let middle = index - start;
        let (parameters, parameters_after) = parameters.split_at_mut(middle);
        let ((first, first_after), (second, second_after)) =
            (first.split_at_mut(middle), second.split_at_mut(middle));
        let (average, average_after) = average
            .map(|(weight, values)| {
                let (values, after) = values.split_at_mut(middle);
                ((weight, values), (weight, after))
            })
            .unzip();
        let after = Self {
            rule,
            decayed,
            start: index,
            parameters: parameters_after,
            moments: [first_after, second_after],
            average: average_after,
        };
        (Self { rule, decayed, start, parameters, moments: [first, second], average }, after)
    }

    /// Applies the step with the `gradient` of these parameters, which is overwritten.
    pub fn apply(self, level: Level, gradient: &mut [f32]) {
        let Self { rule, decayed, start, parameters, moments: [first, second], average } = self;
        let end = start + parameters.len();
        let clip = |index: usize| index.clamp(start, end) - start;
        for range in decayed {
            let range = clip(range.start)..clip(range.end);
            rule.apply_weight_decay(&mut parameters[range.clone()], &mut gradient[range]);
        }
        // The compiler vectorizes the loops for the SIMD level.
        dispatch!(level, _simd => rule.update(parameters, gradient, first, second));
        if let Some((weight, values)) = average {
            for (a, p) in values.iter_mut().zip(parameters) {
                *a += weight * (*p - *a);
            }
        }
    }
}

/// The formula of an optimizer in one step.
#[derive(Clone, Copy)]
enum UpdateRule {
    Sgd {
        lr: f32,
        momentum: f32,
        weight_decay: f32,
    },
    Adam {
        /// Fraction of a weight that decays.
        decay: f32,
        /// `lr / (1 - b1^t)`
        lr: f32,
        /// `1 / sqrt(1 - b2^t)`
        correction: f32,
    },
}

impl UpdateRule {
    /// Returns the formula in step `steps`, counted from 1.
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

    /// Applies weight decay.
    fn apply_weight_decay(self, p: &mut [f32], g: &mut [f32]) {
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

    /// Updates parameters and moments.
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
                    let m = if m.abs() < MIN_MOMENT { 0.0 } else { m };
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

    /// Length of a chunk of parameters. The last chunk is shorter, and ranges with decay start and end within chunks.
    const CHUNK: usize = 500;
    const LEN: usize = 20 * CHUNK + 5;
    const DECAYED: [Range<usize>; 4] = [3..5, 100..2 * CHUNK, 3 * CHUNK + 1..9 * CHUNK - 1, LEN - 4..LEN];

    fn values(seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..LEN).map(|_| random.f32() - 0.5).collect()
    }

    #[test]
    fn updates_in_chunks_equal_updates_of_single_parameters() {
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
                let mut rest = state.begin_step(0.01, &mut all, None);
                while rest.len() > 0 {
                    let start = rest.start_index();
                    let (part, after) = rest.split_at(LEN.min(start + CHUNK));
                    let mut gradient = gradient[start..start + part.len()].to_vec();
                    part.apply(Level::new(), &mut gradient);
                    rest = after;
                }
            }
            for &index in &indices {
                let decays = DECAYED.iter().any(|range| range.contains(&index));
                let mut alone = [start[index]];
                let mut state = OptimizerState::new(optimizer, 1, vec![0..1; usize::from(decays)]);
                for _ in 0..20 {
                    state.begin_step(0.01, &mut alone, None).apply(Level::new(), &mut [gradient[index]]);
                }
                assert_eq!(alone[0], all[index], "{index} of {optimizer:?}");
            }
        }
    }

    #[test]
    fn flushes_subnormal_first_moment_to_zero() {
        let mut state = OptimizerState::new(Optimizer::Adam { lr: 0.01 }, 1, Vec::new());
        let mut parameter = [1.0];
        for gradient in [0.5].into_iter().chain([0.0; 800]) {
            state.begin_step(0.01, &mut parameter, None).apply(Level::new(), &mut [gradient]);
        }
        assert_eq!(state.moments[0], [0.0]);
    }

    #[test]
    fn schedules_of_zero_steps_are_finite() {
        for schedule in [
            Schedule::Constant,
            Schedule::Cosine,
            Schedule::Step { stages: 3, gamma: 0.5 },
            Schedule::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 10.0 },
        ] {
            for warmup in [0.0, 0.5] {
                assert!(schedule.factor_with_warmup(warmup, 0, 0).is_finite(), "{schedule:?}");
            }
        }
    }
}
