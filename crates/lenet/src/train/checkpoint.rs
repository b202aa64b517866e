//! Checkpoints: the state of a training between two steps, as bytes.

use std::ops::Range;

use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use super::{history::EpochMetrics, recipe::Recipe};
use crate::{
    Dataset, Error,
    metadata::{default_temperature, deserialize_architecture, restore_calibration},
    nn::{Architecture, DataParallel, NamedTensor, Network, optim::OptimizerState},
    tensor_file::{self, TensorReader},
};

/// The state of a training between two steps: all values that a step changes, and all that it depends on.
///
/// Random number generators have no state here, because each epoch seeds its own from the seed and the epoch's number.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(super) network: Network,
    /// The network with the moving average of its parameters.
    pub(super) average: Option<Network>,
    pub(super) optimizer: OptimizerState,
    pub(super) recipe: Recipe,
    /// Name of the weights that training started from.
    pub(super) init_from: Option<String>,
    pub(super) seed: u64,
    /// Chunks per batch, which determine the order in which gradients are added.
    pub(super) threads: usize,
    /// Digest of the training images.
    pub(super) data: u64,
    /// Metrics of each whole epoch.
    pub(super) history: Vec<EpochMetrics>,
    pub(super) partial_epoch: PartialEpoch,
}

/// The steps of an epoch that has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartialEpoch {
    pub steps: usize,
    /// Sum of the losses of the images.
    pub loss: f64,
    /// Number of correctly classified images.
    pub correct: f64,
}

impl PartialEpoch {
    /// Checks that the epoch, which has `steps` steps, has not ended.
    ///
    /// # Errors
    /// [`Error::InvalidMetadata`] otherwise.
    pub fn validate(&self, steps: usize) -> Result<(), Error> {
        ensure_metadata("steps of partial_epoch", self.steps < steps, self.steps as f64, || {
            format!("fewer than {steps}")
        })
    }
}

/// The JSON object under the metadata key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(deserialize_with = "deserialize_architecture")]
    architecture: Architecture,
    #[serde(default = "default_temperature")]
    temperature: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    recipe: Recipe,
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "initial")]
    init_from: Option<String>,
    seed: u64,
    threads: usize,
    data: u64,
    steps: i32,
    history: Vec<EpochMetrics>,
    /// Absent between two epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial_epoch: Option<PartialEpoch>,
}

/// Prefix of the names of the network's tensors.
const NETWORK_PREFIX: &str = "network/";
/// Prefix of the names of the averaged network's tensors.
const AVERAGE_PREFIX: &str = "average/";
/// Names of the tensors of the optimizer's moments.
const MOMENT_NAMES: [&str; 2] = ["first_moment", "second_moment"];

impl Checkpoint {
    /// Returns the state before the first epoch.
    pub(super) fn new(network: Network, recipe: Recipe, seed: u64, threads: usize, data: &Dataset) -> Self {
        let average = (recipe.ema > 0.0).then(|| network.clone());
        let optimizer =
            OptimizerState::new(recipe.optimizer, network.parameters().len(), decayed_ranges(&network));
        let (init_from, data, history) = (None, data.digest(), Vec::new());
        let partial_epoch = PartialEpoch::default();
        Self { network, average, optimizer, recipe, init_from, seed, threads, data, history, partial_epoch }
    }

    /// Returns the network: with averaged parameters if the recipe has an [`ema`](Recipe::ema).
    pub fn trained_network(&self) -> &Network {
        self.average.as_ref().unwrap_or(&self.network)
    }

    /// Returns the recipe of the training.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns the name of the weights that training started from, if
    /// [`Trainer::with_init_weights_name`](crate::train::Trainer::with_init_weights_name) recorded it.
    pub fn init_weights_name(&self) -> Option<&str> {
        self.init_from.as_deref()
    }

    /// Returns the seed of the training.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the number of rayon's threads with which training resumes to the same bits.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Returns the number of completed epochs.
    pub fn completed_epochs(&self) -> usize {
        self.history.len()
    }

    /// Returns the metrics of each completed epoch.
    pub fn history(&self) -> &[EpochMetrics] {
        &self.history
    }

    /// Writes the checkpoint as a safetensors file.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if the format cannot hold the name of a layer.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let metadata = Metadata {
            architecture: self.network.architecture().clone(),
            temperature: self.network.temperature(),
            threshold: self.network.rejection_threshold(),
            recipe: self.recipe.clone(),
            init_from: self.init_from.clone(),
            seed: self.seed,
            threads: self.threads,
            data: self.data,
            steps: self.optimizer.steps,
            history: self.history.clone(),
            partial_epoch: (self.partial_epoch.steps > 0).then_some(self.partial_epoch),
        };
        let networks = [(NETWORK_PREFIX, Some(&self.network)), (AVERAGE_PREFIX, self.average.as_ref())];
        let networks = networks.into_iter().flat_map(|(prefix, network)| {
            let tensors = network.into_iter().flat_map(Network::tensors);
            tensors.map(move |tensor| NamedTensor { name: format!("{prefix}{}", tensor.name), ..tensor })
        });
        let moments =
            MOMENT_NAMES.iter().zip(&self.optimizer.moments).take(self.recipe.optimizer.moment_count());
        let moments = moments.map(|(name, values)| {
            let (name, shape) = ((*name).to_owned(), vec![values.len()]);
            NamedTensor { name, shape, values: self.network.to_pytorch_order(values) }
        });
        tensor_file::serialize_tensors(networks.chain(moments), Dtype::F32, &metadata)
    }

    /// Reads a checkpoint from a file that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::Safetensors`] if `bytes` are not a whole safetensors file; [`Error::MissingMetadata`] or [`Error::Metadata`]
    /// if the metadata do not describe a checkpoint; [`Error::InvalidSetting`], [`Error::InvalidMetadata`] or
    /// [`Error::Network`] if a value is invalid; and [`Error::MissingTensor`], [`Error::UnknownTensors`],
    /// [`Error::ShapeMismatch`], [`Error::UnsupportedDtype`] or [`Error::InvalidValue`] if the tensors are not those of the
    /// architecture and the optimizer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut tensors = TensorReader::new(bytes)?;
        let metadata: Metadata = tensors.metadata("the state of training")?;
        metadata.recipe.validate()?;
        metadata.validate()?;
        let Metadata { architecture, temperature, threshold, recipe, init_from, .. } = metadata;
        let Metadata { seed, threads, data, steps, history, .. } = metadata;
        let partial_epoch = metadata.partial_epoch.unwrap_or_default();
        let mut network = |prefix: &str| {
            let network = tensors.read_network(prefix, architecture.clone(), recipe.normalize)?;
            restore_calibration(network, temperature, threshold)
        };
        let average = (recipe.ema > 0.0).then(|| network(AVERAGE_PREFIX)).transpose()?;
        let network = network(NETWORK_PREFIX)?;
        let parameters = network.parameters().len();
        let mut optimizer = OptimizerState::new(recipe.optimizer, parameters, decayed_ranges(&network));
        optimizer.steps = steps;
        let moments = MOMENT_NAMES.iter().zip(&mut optimizer.moments).take(recipe.optimizer.moment_count());
        for (name, moment) in moments {
            *moment = network.to_engine_order(&tensors.read_tensor((*name).to_owned(), &[parameters])?);
        }
        tensors.ensure_all_read()?;
        if let Some(&value) = optimizer.moments[1].iter().find(|value| **value < 0.0) {
            let name = MOMENT_NAMES[1].to_owned();
            return Err(Error::InvalidValue { name, expected: "numbers of at least 0", value });
        }
        Ok(Self {
            network,
            average,
            optimizer,
            recipe,
            init_from,
            seed,
            threads,
            data,
            history,
            partial_epoch,
        })
    }
}

impl Metadata {
    /// Checks the numbers that the types leave open. JSON has finite numbers only.
    ///
    /// # Errors
    /// [`Error::InvalidMetadata`] for the first number that is out of its range.
    fn validate(&self) -> Result<(), Error> {
        let max_threads = DataParallel::max_workers(self.recipe.batch_size);
        ensure_metadata("threads", (1..=max_threads).contains(&self.threads), self.threads as f64, || {
            format!("1 to {max_threads}")
        })?;
        let (epochs, done) = (self.recipe.epochs, self.history.len());
        ensure_metadata("history", done <= epochs, done as f64, || format!("at most {epochs} epochs"))?;
        for (number, epoch) in (1..).zip(&self.history) {
            for (name, value) in [
                ("train_accuracy", epoch.train_accuracy),
                ("eval_accuracy", epoch.eval_accuracy.unwrap_or(0.0)),
            ] {
                let key = format!("{name}, epoch {number}");
                ensure_metadata(&key, (0.0..=1.0).contains(&value), value, || "0 to 1".into())?;
            }
            let (key, seconds) = (format!("seconds, epoch {number}"), epoch.seconds.unwrap_or(0.0));
            ensure_metadata(&key, seconds >= 0.0, seconds, || "at least 0".into())?;
        }
        let PartialEpoch { steps, loss, correct } = self.partial_epoch.unwrap_or_default();
        let max_steps = if done < epochs { usize::MAX } else { 1 };
        ensure_metadata("steps of partial_epoch", steps < max_steps, steps as f64, || {
            "0 after the last epoch".into()
        })?;
        for (name, value) in [("loss", loss), ("correct", correct)] {
            let key = format!("{name} of partial_epoch");
            ensure_metadata(&key, value >= 0.0, value, || "at least 0".into())?;
        }
        ensure_metadata("steps", self.steps >= 0, self.steps.into(), || "at least 0".into())
    }
}

/// Returns [`Error::InvalidMetadata`] unless `valid`.
fn ensure_metadata(key: &str, valid: bool, found: f64, expected: impl Fn() -> String) -> Result<(), Error> {
    if valid {
        return Ok(());
    }
    Err(Error::InvalidMetadata { key: key.to_owned(), expected: expected(), found })
}

/// Returns the ranges of the parameters that are subject to weight decay: the tensors of more than one dimension.
fn decayed_ranges(network: &Network) -> Vec<Range<usize>> {
    let mut end = 0;
    let ranges = network.architecture().tensor_shapes().map(|(_, shape)| {
        let start = end;
        end += shape.iter().product::<usize>();
        (shape.len() > 1).then_some(start..end)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use serde_json::{Value, json};

    use super::*;
    use crate::{PIXELS, models, nn::optim::Optimizer, train::Trainer, weights};

    /// Returns a checkpoint after two of three epochs, with all optional parts of the state.
    fn checkpoint() -> Checkpoint {
        let data = Dataset::new((0..20 * PIXELS).map(|i| i as u8).collect(), vec![3; 20]).unwrap();
        let optimizer = Optimizer::AdamW { lr: 0.001, weight_decay: 0.1 };
        let recipe = Recipe { epochs: 3, batch_size: 20, ema: 0.5, optimizer, ..Recipe::default() };
        let network =
            Network::new(models::lenet5(), recipe.normalize, 7).unwrap().with_temperature(0.5).unwrap();
        let network = network.with_implicit_outlier_class().with_rejection_threshold(Some(0.25)).unwrap();
        let mut trainer = Trainer::new(network, &data, recipe, 8).unwrap().with_init_weights_name("random");
        for eval_accuracy in [None, Some(0.7)] {
            assert!(trainer.run_epoch(|_| ControlFlow::Continue(())).unwrap().is_some());
            trainer.record_eval(eval_accuracy, 0.1);
        }
        trainer.checkpoint().clone()
    }

    /// Returns the file of the checkpoint after changes of its metadata and tensors.
    fn changed(
        change_metadata: impl Fn(&mut Value),
        change_tensor: impl Fn(&mut String, &mut Vec<f32>),
    ) -> Vec<u8> {
        tensor_file::tests::changed(&checkpoint().to_bytes().unwrap(), change_metadata, change_tensor)
    }

    #[track_caller]
    fn assert_rejected(bytes: &[u8], message: &str) {
        let error = Checkpoint::from_bytes(bytes).err();
        let found = error.as_ref().map(Error::to_string).unwrap_or_default();
        assert!(found.starts_with(message), "expected {message}, found {found}");
    }

    #[test]
    fn round_trip_keeps_everything() {
        let bytes = checkpoint().to_bytes().unwrap();
        for file in [&bytes, &changed(|_| (), |_, _| ())] {
            let found = Checkpoint::from_bytes(file).unwrap();
            assert_eq!(
                (found.completed_epochs(), found.seed(), found.recipe()),
                (2, 8, checkpoint().recipe())
            );
            assert_eq!(
                (found.trained_network().temperature(), found.init_weights_name()),
                (0.5, Some("random"))
            );
            assert_eq!(found.trained_network().rejection_threshold(), Some(0.25));
            assert_eq!(found.history(), checkpoint().history());
            assert!(found.trained_network().parameters() == checkpoint().trained_network().parameters());
            assert!(found.to_bytes().unwrap() == bytes);
        }
    }

    #[test]
    fn rejects_truncated_files_and_trailing_bytes() {
        let bytes = checkpoint().to_bytes().unwrap();
        for len in (0..bytes.len()).step_by(9973) {
            assert_rejected(&bytes[..len], "content: expected a safetensors file");
        }
        assert_rejected(&[&bytes[..], &[0]].concat(), "content: expected a safetensors file");
    }

    #[test]
    fn weights_and_checkpoints_are_distinguished() {
        let bytes =
            weights::to_bytes(checkpoint().trained_network(), &weights::Provenance::default()).unwrap();
        assert_rejected(&bytes, "metadata: expected the state of training");
        let error = weights::from_bytes(&checkpoint().to_bytes().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("metadata: expected a network's description"), "{error}");
    }

    #[test]
    fn rejects_metadata_out_of_range() {
        for (key, value, message) in [
            ("more", json!(1), "metadata: expected the state of training"),
            ("seed", json!(-1), "metadata: expected the state of training"),
            ("threads", json!(0), "threads: expected 1 to 3, found 0"),
            ("threads", json!(4), "threads: expected 1 to 3, found 4"),
            ("steps", json!(-1), "steps: expected at least 0, found -1"),
        ] {
            assert_rejected(&changed(|metadata| metadata[key] = value.clone(), |_, _| ()), message);
        }
        let batch_size = changed(|metadata| metadata["recipe"]["batch_size"] = json!(0), |_, _| ());
        assert_rejected(&batch_size, "batch_size: expected 1 to 4096, found 0");
        let layers = changed(|metadata| metadata["architecture"]["layers"] = json!([]), |_, _| ());
        assert_rejected(&layers, "layer (none): expected logits of (10, 1, 1)");
    }

    #[test]
    fn rejects_history_out_of_range() {
        let not_a_checkpoint = "metadata: expected the state of training";
        for (key, value, message) in [
            ("loss", json!(null), not_a_checkpoint),
            ("more", json!(1), not_a_checkpoint),
            ("train_accuracy", json!(1.5), "train_accuracy, epoch 2: expected 0 to 1, found 1.5"),
            ("eval_accuracy", json!(-0.1), "eval_accuracy, epoch 2: expected 0 to 1, found -0.1"),
            ("seconds", json!(-1), "seconds, epoch 2: expected at least 0, found -1"),
        ] {
            let change = |metadata: &mut Value| metadata["history"][1][key] = value.clone();
            assert_rejected(&changed(change, |_, _| ()), message);
        }
        for (history, message) in [
            (json!(2), not_a_checkpoint),
            (json!([{"loss": 1.0}]), not_a_checkpoint),
            (json!(vec![checkpoint().history()[0]; 4]), "history: expected at most 3 epochs, found 4"),
        ] {
            let change = |metadata: &mut Value| metadata["history"] = history.clone();
            assert_rejected(&changed(change, |_, _| ()), message);
        }
    }

    #[test]
    fn rejects_steps_of_an_epoch_out_of_range() {
        let data = Dataset::new((0..20 * PIXELS).map(|i| i as u8).collect(), vec![3; 20]).unwrap();
        let partial = |epochs: usize, partial: Value| {
            let change = |metadata: &mut Value| {
                metadata["history"].as_array_mut().unwrap().truncate(epochs);
                metadata["recipe"]["epochs"] = json!(2);
                metadata["partial_epoch"] = partial.clone();
            };
            changed(change, |_, _| ())
        };
        let steps = |steps| json!({ "steps": steps, "loss": 1.0, "correct": 1.0 });
        assert_rejected(
            &partial(2, steps(1)),
            "steps of partial_epoch: expected 0 after the last epoch, found 1",
        );
        let negative = json!({ "steps": 1, "loss": -1.0, "correct": 1.0 });
        assert_rejected(&partial(1, negative), "loss of partial_epoch: expected at least 0, found -1");
        let checkpoint = Checkpoint::from_bytes(&partial(1, steps(1))).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(checkpoint.threads()).build().unwrap();
        let error = pool.install(|| Trainer::resume(checkpoint, &data).err()).unwrap().to_string();
        assert_eq!(error, "steps of partial_epoch: expected fewer than 1, found 1");
    }

    #[test]
    fn rejects_missing_misshapen_and_invalid_tensors() {
        for name in ["network/fc1.bias", "average/fc1.bias", "first_moment", "second_moment"] {
            let found = |tensor: fn(&mut String, &mut Vec<f32>)| {
                let change = |other: &mut String, values: &mut Vec<f32>| {
                    if *other == name {
                        tensor(other, values);
                    }
                };
                changed(|_| (), change)
            };
            assert_rejected(
                &found(|name, _| name.push('?')),
                &format!("{name}: expected a tensor of this name, found none"),
            );
            assert_rejected(&found(|_, values| values.truncate(3)), &format!("{name}: expected shape ["));
            assert_rejected(
                &found(|_, values| values[1] = f32::INFINITY),
                &format!("{name}: expected finite numbers, found inf"),
            );
        }
        let negative = changed(
            |_| (),
            |name, values| {
                if name == "second_moment" {
                    values[1] = -1.0;
                }
            },
        );
        assert_rejected(&negative, "second_moment: expected numbers of at least 0, found -1");
        let no_average = changed(|metadata| metadata["recipe"]["ema"] = json!(0.0), |_, _| ());
        assert_rejected(
            &no_average,
            "tensors: expected 12, found also average/conv1.bias, average/conv1.weight",
        );
    }
}
