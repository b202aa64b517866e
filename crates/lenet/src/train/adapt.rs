//! Adaptation of a trained digit network to the handwriting of one person (fine-tuning with rehearsal).
//!
//! The network is trained for some steps on batches that mix three kinds of images:
//!
//! 1. the person's digits, augmented. The target of a digit is its label; if the network already knows the digit, the target is
//!    the network's answer, so that the digit changes nothing;
//! 2. rehearsed digits, of the images that the network was trained on, and synthetic ones;
//! 3. rehearsed outliers.
//!
//! The targets of rehearsed images are the answers of the network before the adaptation (distillation: Z. Li and D. Hoiem,
//! "Learning without forgetting", ECCV 2016), so that it keeps its answers, its confidence and its rejections. The temperature
//! and the rejection threshold stay as they are. Batch normalization uses its running averages, because a few images of one
//! person have other statistics: it is folded into the layers before it. In the end, the parameters are interpolated between
//! those before and those after the training (M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022), which
//! forgets less than a training with fewer steps or a lower learning rate that learns as much.

use std::ops::ControlFlow;

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};

use super::{Progress, Recipe, Trainer};
use crate::{
    CLASSES, Dataset, Error, PIXELS,
    data::{
        Task,
        augment::{Augmentation, Augmenter, Elastic},
        random::uniform_below,
        synthetic::SyntheticFractions,
    },
    error::ensure_setting,
    nn::{
        Network, Targets,
        optim::{Optimizer, Schedule},
        smooth_targets,
    },
    weights::Provenance,
};

/// The settings of [`adapt`]. All numbers were chosen by measurement; `docs/experiments/adaptation.md` has the trials.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptParams {
    /// Number of the person's digits, at least. Fewer say too little about a hand.
    pub min_digits: usize,
    /// Number of images that are trained on, at least: with the network `handwriting`, about 2 seconds in a browser.
    pub min_image_passes: usize,
    /// Number of images that are trained on for each of the person's digits, at least.
    pub min_image_passes_per_digit: f64,
    /// Fraction of the images that are the person's digits, above 0 and below 1. The others are rehearsed.
    pub digit_fraction: f64,
    /// Kinds of the rehearsed images; the rest are digits of the rehearsal dataset as they are.
    pub rehearsal: SyntheticFractions,
    /// Images per optimizer step.
    pub batch_size: usize,
    /// Learning rate of Adam, at its highest.
    pub lr: f32,
    /// Fraction of the steps in which the learning rate rises.
    pub warmup: f32,
    /// Probability of the label, by the network before the adaptation, from which on a digit is known.
    pub min_known_probability: f32,
    /// Fraction of the target's probability of a digit that is not known, spread evenly over the classes: that of the recipe of
    /// `handwriting`.
    pub label_smoothing: f32,
    /// Random transformation of the person's digits.
    pub augmentation: Augmentation,
    /// Weight of the trained parameters in the result, above 0 and at most 1; the rest is that of the parameters before.
    pub interpolation: f32,
}

impl Default for AdaptParams {
    fn default() -> Self {
        Self {
            min_digits: 10,
            min_image_passes: 576,
            min_image_passes_per_digit: 6.0,
            digit_fraction: 0.4,
            rehearsal: SyntheticFractions { glyphs: 0.1, line_crops: 0.07, outliers: 0.5, low_res: 0.1 },
            batch_size: 24,
            lr: 0.0005,
            warmup: 0.1,
            min_known_probability: 0.9,
            label_smoothing: 0.05,
            augmentation: Augmentation {
                rotation: 10.0,
                scale: 0.12,
                shear: 0.12,
                shift: 1.0,
                stroke: 0.5,
                noise: 0.0,
                elastic: Some(Elastic { rms: 0.6, sigma: 5.0 }),
            },
            interpolation: 0.6,
        }
    }
}

/// Limits the number of images that are trained on, because they are all in memory.
const MAX_IMAGE_PASSES: usize = 100_000;
/// Limits it for few digits.
const MAX_IMAGE_PASSES_PER_DIGIT: f64 = 100.0;

impl AdaptParams {
    /// Returns the number of images that an adaptation to a number of `digits` trains on, each forward and backward: at most
    /// 100,000.
    pub fn image_passes(&self, digits: usize) -> usize {
        let for_digits = (self.min_image_passes_per_digit * digits as f64) as usize;
        self.min_image_passes.max(for_digits).min(MAX_IMAGE_PASSES)
    }

    /// Returns the provenance of a `network` that was adapted with a seed. `init_from` is the name of the network before.
    pub fn provenance(&self, network: &Network, init_from: String, seed: u64) -> Provenance {
        let (recipe, init_from) = (self.recipe(network), Some(init_from));
        Provenance { recipe, init_from, seed, epochs: 1, ..Provenance::default() }
    }

    /// Returns the recipe of the training.
    fn recipe(&self, network: &Network) -> Recipe {
        Recipe {
            name: "adapt".into(),
            epochs: 1,
            batch_size: self.batch_size,
            warmup: self.warmup,
            dropout: Some(0.0),
            schedule: Schedule::Cosine,
            normalize: network.normalization(),
            optimizer: Optimizer::Adam { lr: self.lr },
            ..Recipe::default()
        }
    }

    /// Checks the settings that [`Recipe::validate`] doesn't.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for the first one that is out of its range.
    fn validate(&self) -> Result<(), Error> {
        let fraction = self.digit_fraction;
        ensure_setting("digit_fraction", fraction > 0.0 && fraction < 1.0, "above 0 and below 1", fraction)?;
        let per_digit = self.min_image_passes_per_digit;
        let is_valid = (0.0..=MAX_IMAGE_PASSES_PER_DIGIT).contains(&per_digit);
        let expected = format!("0 to {MAX_IMAGE_PASSES_PER_DIGIT}");
        ensure_setting("min_image_passes_per_digit", is_valid, expected, per_digit)?;
        let (passes, max) = (self.min_image_passes, MAX_IMAGE_PASSES);
        ensure_setting("min_image_passes", (1..=max).contains(&passes), format!("1 to {max}"), passes)?;
        let smoothing = self.label_smoothing;
        let is_valid = (0.0..1.0).contains(&smoothing);
        ensure_setting("label_smoothing", is_valid, "at least 0 and below 1", smoothing)?;
        let weight = self.interpolation;
        ensure_setting("interpolation", weight > 0.0 && weight <= 1.0, "above 0 and at most 1", weight)?;
        self.rehearsal.validate()
    }
}

/// Returns `network` adapted to the handwriting of `digits`. Its batch normalization is
/// [folded](Network::with_folded_batch_norm) into the layers before it.
///
/// `rehearsal` are images that the network was trained on, of which some are chosen; a few hundred are enough. `observe` is
/// called after each step. The same arguments and number of threads of the current rayon pool give the same bits.
///
/// # Errors
/// [`Error::WrongTask`] if the network has another task than [`Task::Digits`], [`Error::TooFewDigits`] if there are fewer than
/// [`AdaptParams::min_digits`], [`Error::NoImages`] without `rehearsal`, [`Error::InvalidSetting`] if a setting is out of its
/// range, [`Error::Interrupted`] if `observe` returns [`ControlFlow::Break`], and [`Error::Diverged`].
pub fn adapt(
    network: &Network,
    digits: &Dataset,
    rehearsal: &Dataset,
    params: &AdaptParams,
    seed: u64,
    observe: impl FnMut(Progress) -> ControlFlow<()> + Send,
) -> Result<Network, Error> {
    Task::Digits.check(network)?;
    params.validate()?;
    if digits.len() < params.min_digits.max(1) {
        return Err(Error::TooFewDigits { expected: params.min_digits.max(1), found: digits.len() });
    }
    if rehearsal.is_empty() {
        return Err(Error::NoImages);
    }
    let samples = Samples::new(network, digits, rehearsal, params, seed)?;
    let recipe = params.recipe(network);
    let network = network.with_folded_batch_norm();
    let mut trainer =
        Trainer::new(network.clone(), &samples.data, recipe, seed)?.with_soft_targets(&samples.targets);
    trainer.run_epoch(observe)?;
    trainer.check_divergence()?;
    let mut adapted = trainer.into_trained_network();
    for (value, before) in adapted.parameters_mut().iter_mut().zip(network.parameters()) {
        *value = before + params.interpolation * (*value - before);
    }
    Ok(adapted)
}

/// The images that are trained on, with their targets.
struct Samples {
    /// The labels are not used.
    data: Dataset,
    /// `(image, class)`
    targets: Vec<[f32; CLASSES]>,
}

impl Samples {
    /// Augments digits, and chooses and draws rehearsed images.
    fn new(
        network: &Network,
        digits: &Dataset,
        rehearsal: &Dataset,
        params: &AdaptParams,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let passes = params.image_passes(digits.len());
        let own = (params.digit_fraction * passes as f64) as usize;
        let mut images = Vec::with_capacity(passes * PIXELS);

        let mut augmenter = Augmenter::new(params.augmentation)?;
        for index in (0..digits.len()).cycle().take(own) {
            let mut augmented = [0; PIXELS];
            augmenter.augment(digits.image(index), random.next_u64(), &mut augmented);
            images.extend(augmented);
        }
        for _ in own..passes {
            let original = rehearsal.image(uniform_below(rehearsal.len(), &mut random));
            match params.rehearsal.replacement(random.next_u64(), rehearsal) {
                Some(synthetic) => images.extend(synthetic.render(rehearsal)),
                None => images.extend(original),
            }
        }
        // The loss is that of logits at temperature 1.
        let teacher = network.clone().with_temperature(1.0)?;
        let answers = |images: &[u8]| teacher.probabilities(images).as_chunks::<CLASSES>().0.to_vec();
        let mut targets = answers(&images);
        let labels = label_targets(digits, &answers(digits.images()), params);
        for (target, label) in targets[..own].iter_mut().zip(labels.iter().cycle()) {
            *target = label.unwrap_or(*target);
        }
        Ok(Self { data: Dataset::new(images, vec![0; passes])?, targets })
    }
}

/// Returns the smoothed label of each of the person's digits, or `None` for those that the network knows, given its `answers`.
fn label_targets(
    digits: &Dataset,
    answers: &[[f32; CLASSES]],
    params: &AdaptParams,
) -> Vec<Option<[f32; CLASSES]>> {
    let target = |(answer, &label): (&[f32; CLASSES], &u8)| {
        let mut row = [0.0; CLASSES];
        Targets::Labels(&[label]).write_row(0, &mut row);
        smooth_targets(&mut row, params.label_smoothing);
        (answer[usize::from(label)] < params.min_known_probability).then_some(row)
    };
    answers.iter().zip(digits.labels()).map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::Drawing, metrics::DigitErrors, pretrained, recognize::Recognizer};

    /// Draws `count` images of each digit. `strokes` are those of a digit in units of its height; points are moved at random.
    fn draw(count: usize, seed: u64, strokes: &[(u8, &[[f32; 2]])]) -> Dataset {
        let recognizer = Recognizer::new(pretrained::lenet5().0).unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for (digit, points) in strokes.iter().cycle().take(count * strokes.len()) {
            let points = points.iter().map(|point| point.map(|at| 100.0 * at + 12.0 * random.f32()));
            let drawing = Drawing::new(&[points.collect()]).unwrap();
            images.extend(recognizer.read_drawing(&drawing, true).digits[0].normalized);
            labels.push(*digit);
        }
        Dataset::new(images, labels).unwrap()
    }

    /// Digits as most people write them.
    const USUAL: [(u8, &[[f32; 2]]); 5] = [
        (0, &[[0.3, 0.0], [0.0, 0.3], [0.0, 0.7], [0.3, 1.0], [0.6, 0.7], [0.6, 0.3], [0.3, 0.0]]),
        (1, &[[0.3, 0.0], [0.3, 1.0]]),
        (2, &[[0.0, 0.2], [0.3, 0.0], [0.6, 0.2], [0.5, 0.5], [0.0, 1.0], [0.6, 1.0]]),
        (3, &[[0.0, 0.0], [0.6, 0.0], [0.3, 0.4], [0.6, 0.6], [0.5, 0.9], [0.0, 1.0]]),
        (7, &[[0.0, 0.0], [0.6, 0.0], [0.2, 1.0]]),
    ];
    /// A 4 and an 8 as triangles, an 8 that stands on its tip.
    const UNUSUAL: [(u8, &[[f32; 2]]); 2] = [
        (4, &[[0.5, 0.0], [0.0, 0.8], [0.9, 0.8], [0.5, 0.0]]),
        (8, &[[0.0, 0.0], [0.8, 0.0], [0.4, 0.9], [0.0, 0.0]]),
    ];

    fn adapted(seed: u64) -> Network {
        let (digits, rehearsal) = (draw(8, 1, &UNUSUAL), draw(20, 2, &USUAL));
        let (network, params) = (pretrained::handwriting().0, AdaptParams::default());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let mut images = 0;
        let observe = |progress: Progress| {
            images = progress.images;
            ControlFlow::Continue(())
        };
        let adapted = pool.install(|| adapt(&network, &digits, &rehearsal, &params, seed, observe)).unwrap();
        assert_eq!(images, params.image_passes(digits.len()));
        adapted
    }

    #[test]
    fn learns_an_unusual_hand_and_forgets_nothing() {
        let (network, adapted) = (pretrained::handwriting().0, adapted(0));
        let errors = |network: &Network, digits: &Dataset| {
            let DigitErrors { misread, rejected, .. } = DigitErrors::of_network(network, digits).unwrap();
            misread + rejected
        };
        let unusual = draw(20, 3, &UNUSUAL);
        let [before, after] = [&network, &adapted].map(|network| errors(network, &unusual));
        assert!(before > 20 && after < before / 4, "{before} {after}");
        let usual = draw(20, 4, &USUAL);
        let [before, after] = [&network, &adapted].map(|network| errors(network, &usual));
        assert!(after <= before, "{before} {after}");
        assert_eq!(adapted.rejection_threshold(), network.rejection_threshold());
        assert_eq!(adapted.temperature(), network.temperature());
    }

    #[test]
    fn equal_seeds_give_equal_bits() {
        let [first, second, other] = [1, 1, 2].map(adapted);
        assert!(first.parameters() == second.parameters());
        assert!(first.parameters() != other.parameters());
    }

    #[test]
    fn rejects_what_it_cannot_adapt_to() {
        let (digits, network) = (draw(5, 1, &UNUSUAL), pretrained::lenet5().0);
        let empty = digits.slice(0..0);
        let run = |network: &Network, digits: &Dataset, rehearsal: &Dataset, params: &AdaptParams| {
            adapt(network, digits, rehearsal, params, 0, |_| ControlFlow::Break(())).unwrap_err()
        };
        let params = AdaptParams::default();
        let too_few = run(&network, &digits.slice(0..9), &digits, &params);
        assert!(matches!(too_few, Error::TooFewDigits { expected: 10, found: 9 }), "{too_few}");
        assert!(matches!(run(&network, &digits, &empty, &params), Error::NoImages));
        let wrong_task = run(&pretrained::ink().0, &digits, &digits, &params);
        assert!(matches!(wrong_task, Error::WrongTask { expected: Task::Digits, .. }), "{wrong_task}");
        assert!(matches!(run(&network, &digits, &digits, &params), Error::Interrupted(_)));
        let default = AdaptParams::default;
        for (name, params) in [
            ("digit_fraction", AdaptParams { digit_fraction: 1.0, ..default() }),
            ("min_image_passes", AdaptParams { min_image_passes: usize::MAX, ..default() }),
            ("min_image_passes_per_digit", AdaptParams { min_image_passes_per_digit: f64::NAN, ..default() }),
            ("label_smoothing", AdaptParams { label_smoothing: 1.0, ..default() }),
            ("interpolation", AdaptParams { interpolation: 0.0, ..default() }),
            ("batch_size", AdaptParams { batch_size: 0, ..default() }),
            ("lr", AdaptParams { lr: -1.0, ..default() }),
        ] {
            assert_eq!(run(&network, &digits, &digits, &params).setting_name(), Some(name));
        }
    }
}
