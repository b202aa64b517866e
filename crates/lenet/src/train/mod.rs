//! Training: recipes, and the loop over epochs and batches.

mod checkpoint;

pub use checkpoint::Checkpoint;

use std::{hint::black_box, ops::ControlFlow};

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use crate::{
    Dataset, Error, PIXELS,
    data::augment::{Augmentation, Augmenter},
    data::synthetic::SyntheticData,
    error::ensure,
    nn::{
        BatchSlice, DataParallel, LANES, Network, Normalize, Targets, Worker, blocks, even_chunk,
        optim::{Average, Optimizer, Schedule},
        smooth,
    },
};

/// How a network is trained.
///
/// In a file, what may be left out is then not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the recipe is called.
    pub name: String,
    /// Times that every image is seen.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// BatchSlice of all steps in which the learning rate rises evenly to where the schedule, over the rest of the steps,
    /// begins.
    #[serde(default)]
    pub warmup: f32,
    /// BatchSlice of each target that is spread evenly over the classes, as PyTorch's `CrossEntropyLoss` does.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Decay of a moving average of the parameters: `a = d * a + (1 - d) * p` at the end of step `t`, counted from 1,
    /// with `d = min(ema, t / (9 + t))`. The average is the network that training ends with; 0 for the parameters
    /// themselves.
    #[serde(default)]
    pub ema: f32,
    /// Probability that a [`Dropout`](crate::nn::Dropout) layer zeroes an element, instead of what the architecture says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f32>,
    /// How the learning rate goes from the first step to the last.
    pub schedule: Schedule,
    /// What the network is fed.
    #[serde(alias = "scaling")]
    pub normalize: Normalize,
    /// How parameters follow from gradients.
    pub optimizer: Optimizer,
    /// What the network sees instead of some of the images, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<SyntheticData>,
    /// How each image is warped, anew every time that it is seen, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

/// Standardised inputs, Adam, a rate that falls to zero: good for all three of the tutorial's networks.
impl Default for Recipe {
    fn default() -> Self {
        Self {
            name: "default".into(),
            epochs: 10,
            batch_size: 100,
            warmup: 0.0,
            label_smoothing: 0.0,
            ema: 0.0,
            dropout: None,
            schedule: Schedule::Cosine,
            normalize: Normalize::MNIST,
            optimizer: Optimizer::Adam { lr: 0.002 },
            mixture: None,
            augmentation: None,
        }
    }
}

/// Epochs beyond which a recipe is refused: steps shall be countable, and a file's metadata hold what each epoch did.
const MAX_EPOCHS: usize = 100_000;
/// Images in a step beyond which a recipe is refused: each takes memory of its own, and a step can't be broken off.
const MAX_BATCH: usize = 4096;

impl Recipe {
    /// Whether training can follow the recipe.
    ///
    /// # Errors
    /// [`Error::Setting`] with the name of a field, here or in the optimiser or schedule, that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { epochs, batch_size, .. } = *self;
        for (name, max, value) in [("epochs", MAX_EPOCHS, epochs), ("batch_size", MAX_BATCH, batch_size)] {
            ensure(name, (1..=max).contains(&value), &format!("1 to {max}"), value)?;
        }
        for (name, share) in [
            ("warmup", self.warmup),
            ("label_smoothing", self.label_smoothing),
            ("ema", self.ema),
            ("dropout", self.dropout.unwrap_or(0.0)),
        ] {
            ensure(name, (0.0..1.0).contains(&share), "at least 0 and below 1", share)?;
        }
        self.mixture.map_or(Ok(()), |mixture| mixture.validate())?;
        self.augmentation.map_or(Ok(()), |augmentation| augmentation.validate())?;
        self.schedule.validate()?;
        self.normalize.validate()?;
        Ok(self.optimizer.validate()?)
    }

    /// The learning rate in step `step` of `steps`, counted from 0.
    pub fn learning_rate(&self, step: usize, steps: usize) -> f64 {
        let factor = self.schedule.factor_with_warmup(self.warmup, step, steps);
        f64::from(self.optimizer.lr()) * factor
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochMetrics {
    /// Mean loss over the epoch's images, each as it was met.
    pub loss: f64,
    /// BatchSlice of images that were answered right when they were met.
    pub accuracy: f64,
    /// BatchSlice of other images that the network answers right after the epoch, if [`Trainer::record_eval`] was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// How long the epoch took, if [`Trainer::record_eval`] was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// A network in training.
///
/// A batch is split between threads once a step; each runs forward and backward on its share with a gradient of its
/// own, and these are added in a fixed order: the same seed, recipe and number of threads give the same bits.
pub struct Trainer<'a> {
    checkpoint: Checkpoint,
    data: &'a Dataset,
    targets: Targets<'a>,
    shards: DataParallel,
    /// One for each shard.
    warpers: Vec<Option<Warper>>,
}

impl<'a> Trainer<'a> {
    /// Readies `network` for training on `data` in as many shares as rayon has threads here.
    ///
    /// # Errors
    /// [`Error::Setting`] if the recipe asks for something impossible or scales otherwise than `network`, or `data` is
    /// empty.
    pub fn new(mut network: Network, data: &'a Dataset, recipe: Recipe, seed: u64) -> Result<Self, Error> {
        recipe.validate()?;
        let (wanted, found) = (network.normalize(), recipe.normalize);
        ensure("scaling", wanted == found, &format!("the network's {wanted:?}"), format!("{found:?}"))?;
        if let Some(p) = recipe.dropout {
            network.set_dropout(p);
        }
        if network.threshold().is_none() && recipe.mixture.is_some_and(|mixture| mixture.outliers > 0.0) {
            network = network.with_threshold(Some(0.5))?;
        }
        let threads = threads(&recipe);
        Self::on(data, Checkpoint::new(network, recipe, seed, threads, data))
    }

    /// Goes on from `state`, to the same bits as if it had never stopped.
    ///
    /// # Errors
    /// [`Error::Setting`] if `data` are not the images that training began with, or rayon has another number of threads
    /// than the checkpoint asks for.
    pub fn resume(checkpoint: Checkpoint, data: &'a Dataset) -> Result<Self, Error> {
        let same = checkpoint.data == data.digest();
        ensure("data", same, "the images that training began with", format!("{} others", data.len()))?;
        let found = threads(&checkpoint.recipe);
        let expected = format!("{}, as training began with", checkpoint.threads);
        ensure("threads", checkpoint.threads == found, &expected, found)?;
        Self::on(data, checkpoint)
    }

    fn on(data: &'a Dataset, checkpoint: Checkpoint) -> Result<Self, Error> {
        ensure("data", !data.is_empty(), "at least one image", "none")?;
        let (all, count) = (blocks(checkpoint.recipe.batch_size), checkpoint.threads);
        let sizes: Vec<usize> = (0..count).map(|i| even_chunk(all, count, i).1 * LANES).collect();
        let shards = DataParallel::new(&checkpoint.network, &sizes);
        let Recipe { mixture, augmentation, .. } = checkpoint.recipe;
        let augmenter = augmentation.map(Augmenter::new).transpose()?;
        let warper = |size| {
            let warper = || Warper { mixture, augmenter: augmenter.clone(), warped: vec![0; size * PIXELS] };
            (mixture.is_some() || augmenter.is_some()).then(warper)
        };
        let warpers = sizes.into_iter().map(warper).collect();
        Ok(Self { checkpoint, data, targets: Targets::Labels(data.labels()), shards, warpers })
    }

    /// Keeps in the checkpoint what the network is called that training begins with.
    pub fn init_from(mut self, name: impl Into<String>) -> Self {
        self.checkpoint.init_from = Some(name.into());
        self
    }

    /// Learns rows of probabilities, one for each image, instead of the labels. They are no part of the checkpoint.
    ///
    /// # Panics
    /// If there is not one row for each image.
    pub fn with_soft_targets(mut self, rows: &'a [[f32; crate::CLASSES]]) -> Self {
        assert_eq!(rows.len(), self.data.len(), "one row for each image");
        self.targets = Targets::Probabilities(rows);
        self
    }

    /// The network as it is now: with the average of its parameters, if the recipe asks for it.
    pub fn network(&self) -> &Network {
        self.checkpoint.network()
    }

    /// As [`network`](Self::network).
    pub fn into_network(self) -> Network {
        self.checkpoint.average.unwrap_or(self.checkpoint.network)
    }

    /// What training goes on from. After an epoch that was broken off that is somewhere within it, and going on begins
    /// the epoch again.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Adds to the state's history what the caller alone knows of the last epoch: the accuracy on images that it
    /// measured, from 0 to 1, and the time. Training depends on neither.
    pub fn record_eval(&mut self, measured: Option<f64>, seconds: f64) {
        if let Some(epoch) = self.checkpoint.history.last_mut() {
            (epoch.measured, epoch.seconds) = (measured, Some(seconds));
        }
    }

    /// Sees every image once, in a new order, and tells `observe` after each step. `None` if that breaks off (the
    /// network is then somewhere within the epoch), or the recipe's epochs are over.
    pub fn epoch(&mut self, observe: impl FnMut(Progress) -> ControlFlow<()> + Send) -> Option<EpochMetrics> {
        // Inside the pool already, a step costs one wake-up less.
        rayon::scope(|_| self.run_epoch(observe))
    }

    fn run_epoch(&mut self, mut observe: impl FnMut(Progress) -> ControlFlow<()>) -> Option<EpochMetrics> {
        let Checkpoint { seed, recipe: Recipe { epochs, batch_size, .. }, .. } = self.checkpoint;
        let done = self.checkpoint.epochs();
        if done == epochs {
            return None;
        }
        let total = self.data.len();
        let mut random = Pcg64Mcg::seed_from_u64(seed ^ ((done as u64 + 1) << 32));
        let order = shuffled(total, &mut random);
        let steps = total.div_ceil(batch_size);
        let (mut loss, mut correct) = (0.0, 0);
        for (step, batch) in order.chunks(batch_size).enumerate() {
            let lr = self.checkpoint.recipe.learning_rate(done * steps + step, epochs * steps);
            let (batch_loss, batch_correct) = self.step(batch, random.next_u64(), lr as f32);
            loss += batch_loss;
            correct += batch_correct;
            let images = total.min((step + 1) * batch_size);
            if observe(Progress { images, total }).is_break() {
                return None;
            }
        }
        let (loss, accuracy) = (loss / total as f64, correct as f64 / total as f64);
        let epoch = EpochMetrics { loss, accuracy, measured: None, seconds: None };
        self.checkpoint.history.push(epoch);
        Some(epoch)
    }

    /// One step on the images `batch`, with the key of its random numbers: (summed loss, right answers).
    fn step(&mut self, batch: &[u32], key: u64, lr: f32) -> (f64, usize) {
        let Self {
            checkpoint: Checkpoint { network, average, optimizer, recipe, .. },
            data,
            targets,
            shards,
            warpers,
            ..
        } = self;
        let (reader, data, targets) = (&*network, *data, *targets);
        let Recipe { label_smoothing, mixture, .. } = *recipe;
        let none = reader.threshold().is_some();
        let (all, count) = (blocks(batch.len()), shards.len());
        let load = |i, shard: &mut Worker, warper: &mut Option<Warper>| {
            let (first_block, len) = even_chunk(all, count, i);
            let first = first_block * LANES;
            let indices = &batch[first.min(batch.len())..batch.len().min(first + len * LANES)];
            // They lie anywhere in memory: asked for all together, none is waited for alone.
            for line in indices.iter().flat_map(|&index| data.image(index as usize).chunks(64)) {
                black_box(line[0]);
            }
            let images = indices.iter().map(|&index| data.image(index as usize));
            let rows = indices.iter().enumerate().map(|(i, &index)| {
                let substitute =
                    mixture.and_then(|mixture| mixture.substitute(image_key(key, first + i), data));
                let row = substitute
                    .map_or_else(|| targets.row(index as usize), |substitute| substitute.target(targets));
                smooth(row, label_smoothing)
            });
            let share = BatchSlice { total: batch.len(), dropout_key: Some(key), first_block, none };
            match warper {
                Some(warper) => shard.load(reader, share, warper.warp(data, images, key, first), rows),
                None => shard.load(reader, share, images, rows),
            }
        };
        shards.step(reader, warpers, load);
        shards.update_running(network.parameters_mut());

        let average =
            average.as_mut().map(|network| Average { decay: recipe.ema, values: network.parameters_mut() });
        let level = network.level();
        shards.update(level, optimizer.step(lr, network.parameters_mut(), average));
        shards.result()
    }
}

/// Shares of a batch: one for each of rayon's threads, as far as there are blocks of images.
fn threads(recipe: &Recipe) -> usize {
    rayon::current_num_threads().min(blocks(recipe.batch_size))
}

/// What changes a thread's share of a batch, where the recipe has a mixture or augmentation.
struct Warper {
    mixture: Option<SyntheticData>,
    augmenter: Option<Augmenter>,
    /// (image, row, column)
    warped: Vec<u8>,
}

impl Warper {
    /// Warps `images` of `data`, or what takes their place, the first of which has the place `first` in its batch, for the
    /// step with the key `key`.
    fn warp<'a>(
        &'a mut self,
        data: &'a Dataset,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        key: u64,
        first: usize,
    ) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let Self { mixture, augmenter, warped } = self;
        images.zip(warped.chunks_exact_mut(PIXELS)).enumerate().map(move |(i, (image, warped))| {
            let key = image_key(key, first + i);
            let substitute = mixture.and_then(|mixture| mixture.substitute(key, data));
            let substitute = substitute.map(|substitute| substitute.draw(data));
            let image = substitute.as_ref().map_or(image, |substitute| substitute);
            match augmenter {
                Some(augmenter) => augmenter.warp(image, key, warped),
                None => warped.copy_from_slice(image),
            }
            &*warped
        })
    }
}

/// The key of the random numbers of the image with a place in its batch.
fn image_key(key: u64, place: usize) -> u64 {
    // In the upper half of the key: dropout counts in the lower.
    key ^ ((place as u64 + 1) << 32)
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
