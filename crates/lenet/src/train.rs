//! Training: recipes, and the loop over epochs and batches.

use std::ops::ControlFlow;

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Dataset, Error, PIXELS,
    augment::{Augmentation, Augmenter},
    nn::{LANES, Network, Scaling, Shard, Targets, blocks, piece},
    optim::{Optimizer, OptimizerState, Schedule},
};

/// How a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the recipe is called.
    pub name: String,
    /// What the network is fed.
    pub scaling: Scaling,
    /// How parameters follow from gradients.
    pub optimizer: Optimizer,
    /// How the learning rate goes from the first step to the last.
    pub schedule: Schedule,
    /// Times that every image is seen.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// How each image is warped, anew every time that it is seen, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

/// Standardised inputs, Adam, a rate that falls to zero: good for all three of the tutorial's networks.
impl Default for Recipe {
    fn default() -> Self {
        Self {
            name: "default".into(),
            scaling: Scaling::STANDARD,
            optimizer: Optimizer::Adam { lr: 0.002 },
            schedule: Schedule::Cosine,
            epochs: 10,
            batch_size: 100,
            augmentation: None,
        }
    }
}

/// Images in a step beyond which a recipe is refused: each takes memory of its own, and a step can't be broken off.
const MAX_BATCH: usize = 4096;

impl Recipe {
    fn check(&self) -> Result<(), Error> {
        let wrong = |name: &str, expected: &str, found: String| {
            Err(Error::Setting { name: name.into(), expected: expected.into(), found })
        };
        let momentum = match self.optimizer {
            Optimizer::Sgd { momentum, .. } => momentum,
            Optimizer::Adam { .. } => 0.0,
        };
        let lr = self.optimizer.lr();
        if self.epochs == 0 {
            wrong("epochs", "at least 1", self.epochs.to_string())
        } else if !(1..=MAX_BATCH).contains(&self.batch_size) {
            wrong("batch_size", &format!("1 to {MAX_BATCH}"), self.batch_size.to_string())
        } else if !(lr > 0.0 && lr.is_finite()) {
            wrong("lr", "a positive number", lr.to_string())
        } else if !(0.0..1.0).contains(&momentum) {
            wrong("momentum", "at least 0 and below 1", momentum.to_string())
        } else {
            self.augmentation.map_or(Ok(()), |augmentation| augmentation.check())
        }
    }
}

/// How far an epoch is, told after each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Images seen in this epoch.
    pub images: usize,
    /// Images in an epoch.
    pub total: usize,
}

/// What an epoch did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Mean loss over the epoch's images, each as it was met.
    pub loss: f64,
    /// Share of images that were answered right when they were met.
    pub accuracy: f64,
}

/// A network in training.
///
/// A batch is split between threads once a step; each runs forward and backward on its share with a gradient of its
/// own, and these are added in a fixed order: the same seed, recipe and number of threads give the same bits.
pub struct Trainer<'a> {
    network: Network,
    data: &'a Dataset,
    targets: Targets<'a>,
    recipe: Recipe,
    seed: u64,
    optimizer: OptimizerState,
    shards: Vec<Shard>,
    /// One for each shard.
    warpers: Vec<Option<Warper>>,
    epoch: usize,
}

impl<'a> Trainer<'a> {
    /// Readies `network` for training on `data` in as many shares as rayon has threads here.
    ///
    /// # Errors
    /// [`Error::Setting`] if the recipe asks for something impossible or scales otherwise than `network`, or `data` is
    /// empty.
    pub fn new(network: Network, data: &'a Dataset, recipe: Recipe, seed: u64) -> Result<Self, Error> {
        recipe.check()?;
        let wrong = |name: &str, expected: String, found: String| {
            Err(Error::Setting { name: name.into(), expected, found })
        };
        if data.is_empty() {
            return wrong("data", "at least one image".into(), "none".into());
        }
        if recipe.scaling != network.scaling() {
            let expected = format!("the network's {:?}", network.scaling());
            return wrong("scaling", expected, format!("{:?}", recipe.scaling));
        }
        let all = blocks(recipe.batch_size);
        let threads = rayon::current_num_threads().min(all);
        let sizes = || (0..threads).map(|i| piece(all, threads, i).1 * LANES);
        let shards = sizes().map(|size| Shard::new(&network, size)).collect();
        let augmenter = recipe.augmentation.map(Augmenter::new).transpose()?;
        let warper =
            |size| augmenter.clone().map(|augmenter| Warper { augmenter, warped: vec![0; size * PIXELS] });
        let warpers = sizes().map(warper).collect();
        let optimizer = OptimizerState::new(recipe.optimizer, network.parameters().len());
        let targets = Targets::Classes(data.labels());
        Ok(Self { network, data, targets, recipe, seed, optimizer, shards, warpers, epoch: 0 })
    }

    /// Learns rows of probabilities, one for each image, instead of the labels.
    ///
    /// # Panics
    /// If there is not one row for each image.
    pub fn with_probabilities(mut self, rows: &'a [[f32; crate::CLASSES]]) -> Self {
        assert_eq!(rows.len(), self.data.len(), "one row for each image");
        self.targets = Targets::Probabilities(rows);
        self
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network as it is now.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// Sees every image once, in a new order, and tells `observe` after each step. `None` if that breaks off (the
    /// network is then somewhere within the epoch), or the recipe's epochs are over.
    pub fn epoch(&mut self, observe: impl FnMut(Progress) -> ControlFlow<()> + Send) -> Option<Epoch> {
        // Inside the pool already, a step costs one wake-up less.
        rayon::scope(|_| self.run_epoch(observe))
    }

    fn run_epoch(&mut self, mut observe: impl FnMut(Progress) -> ControlFlow<()>) -> Option<Epoch> {
        if self.epoch == self.recipe.epochs {
            return None;
        }
        let total = self.data.len();
        let mut random = Pcg64Mcg::seed_from_u64(self.seed ^ ((self.epoch as u64 + 1) << 32));
        let order = shuffled(total, &mut random);
        let steps = total.div_ceil(self.recipe.batch_size);
        let (mut loss, mut correct) = (0.0, 0);
        for (step, batch) in order.chunks(self.recipe.batch_size).enumerate() {
            let progress = (self.epoch * steps + step) as f32 / (self.recipe.epochs * steps) as f32;
            let factor = self.recipe.schedule.factor(progress);
            let (batch_loss, batch_correct) = self.step(batch, random.next_u64(), factor);
            loss += batch_loss;
            correct += batch_correct;
            let images = total.min((step + 1) * self.recipe.batch_size);
            if observe(Progress { images, total }).is_break() {
                return None;
            }
        }
        self.epoch += 1;
        Some(Epoch { loss: loss / total as f64, accuracy: correct as f64 / total as f64 })
    }

    /// One step on the images `batch`, with the key of its random numbers: (summed loss, right answers).
    fn step(&mut self, batch: &[u32], key: u64, factor: f32) -> (f64, usize) {
        let Self { network, data, targets, shards, warpers, .. } = self;
        let (network, data, targets) = (&*network, *data, *targets);
        let (all, count) = (blocks(batch.len()), shards.len());
        let run = |(i, (shard, warper)): (usize, (&mut Shard, &mut Option<Warper>))| {
            let (first, len) = piece(all, count, i);
            let share = &batch[first * LANES..batch.len().min((first + len) * LANES)];
            let images = share.iter().map(|&index| data.image(index as usize));
            match warper {
                Some(warper) => shard.load(network.scaling(), warper.warp(images, key, first * LANES)),
                None => shard.load(network.scaling(), images),
            }
            let rows = share.iter().map(|&index| targets.row(index as usize));
            shard.step(network, rows, batch.len(), Some(key), first);
        };
        shards.par_iter_mut().zip(warpers).enumerate().for_each(run);

        self.optimizer.step(self.network.parameters_mut(), shards, factor);
        self.shards.iter().fold((0.0, 0), |sum, shard| (sum.0 + shard.loss, sum.1 + shard.correct))
    }
}

/// What warps a thread's share of a batch, where the recipe has augmentation.
struct Warper {
    augmenter: Augmenter,
    /// (image, row, column)
    warped: Vec<u8>,
}

impl Warper {
    /// Warps `images`, the first of which has the place `first` in its batch, for the step with the key `key`.
    fn warp<'a>(
        &'a mut self,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        key: u64,
        first: usize,
    ) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let Self { augmenter, warped } = self;
        images.zip(warped.chunks_exact_mut(PIXELS)).enumerate().map(move |(i, (image, warped))| {
            // In the upper half of the key: dropout counts in the lower.
            augmenter.warp(image, key ^ (((first + i + 1) as u64) << 32), warped);
            &*warped
        })
    }
}

/// The indices of `len` images in random order (Fisher-Yates).
fn shuffled(len: usize, random: &mut impl Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    for last in (1..len).rev() {
        // Bias of a 64-bit product over 32-bit lengths is below 2^-32.
        let other = ((u128::from(random.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, other);
    }
    order
}
