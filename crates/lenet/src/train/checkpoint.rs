//! Training between two epochs, as bytes: what was broken off can go on as if it never was.

use std::ops::Range;

use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::{
    Dataset, Error,
    error::ensure,
    nn::{Architecture, Network, Tensor, blocks, optim::OptimizerState},
    train::{EpochMetrics, Recipe},
    weights::{self, Tensors, untempered},
};

/// All that an epoch of training changes, and what it depends on.
///
/// Random numbers are drawn anew in each epoch, from the seed and the epoch's number: they have no state.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(crate) network: Network,
    /// The network with the moving average of its parameters.
    pub(crate) average: Option<Network>,
    pub(crate) optimizer: OptimizerState,
    pub(crate) recipe: Recipe,
    /// What the network is called that training began with.
    pub(crate) init_from: Option<String>,
    pub(crate) seed: u64,
    /// Shares of a batch: how many decides the order in which gradients are added.
    pub(crate) threads: usize,
    /// The digest of the training images.
    pub(crate) data: u64,
    /// What each whole epoch did.
    pub(crate) history: Vec<EpochMetrics>,
}

/// What the metadata of a file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    architecture: Architecture,
    #[serde(default = "untempered")]
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
}

const NETWORK: &str = "network/";
const AVERAGE: &str = "average/";
const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

impl Checkpoint {
    /// Before the first epoch.
    pub(crate) fn new(network: Network, recipe: Recipe, seed: u64, threads: usize, data: &Dataset) -> Self {
        let average = (recipe.ema > 0.0).then(|| network.clone());
        let optimizer = OptimizerState::new(recipe.optimizer, network.parameters().len(), decayed(&network));
        let (init_from, data, history) = (None, data.digest(), Vec::new());
        Self { network, average, optimizer, recipe, init_from, seed, threads, data, history }
    }

    /// The network: with the average of its parameters, if the recipe asks for it.
    pub fn network(&self) -> &Network {
        self.average.as_ref().unwrap_or(&self.network)
    }

    /// How the network is trained.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What the network is called that training began with, if [`Trainer::init_from`](crate::train::Trainer::init_from) was
    /// told.
    pub fn init_from(&self) -> Option<&str> {
        self.init_from.as_deref()
    }

    /// The seed of the training.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The number of rayon's threads on which training goes on with the same bits.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whole epochs done.
    pub fn epochs(&self) -> usize {
        self.history.len()
    }

    /// What each whole epoch did.
    pub fn history(&self) -> &[EpochMetrics] {
        &self.history
    }

    /// The state as a safetensors file, with one metadata key as [`checkpoint`].
    ///
    /// # Errors
    /// [`Error::Malformed`] if a layer's name can't stand in the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let metadata = Metadata {
            architecture: self.network.architecture().clone(),
            temperature: self.network.temperature(),
            threshold: self.network.threshold(),
            recipe: self.recipe.clone(),
            init_from: self.init_from.clone(),
            seed: self.seed,
            threads: self.threads,
            data: self.data,
            steps: self.optimizer.steps,
            history: self.history.clone(),
        };
        let networks = [(NETWORK, Some(&self.network)), (AVERAGE, self.average.as_ref())];
        let networks = networks.into_iter().flat_map(|(prefix, network)| {
            let tensors = network.into_iter().flat_map(Network::tensors);
            tensors.map(move |tensor| Tensor { name: format!("{prefix}{}", tensor.name), ..tensor })
        });
        let moments = MOMENTS.iter().zip(&self.optimizer.moments).take(self.recipe.optimizer.moments());
        let moments = moments.map(|(name, values)| {
            let (name, shape) = ((*name).to_owned(), vec![values.len()]);
            Tensor { name, shape, values: self.network.to_rows(values) }
        });
        weights::write(networks.chain(moments), Dtype::F32, &metadata)
    }

    /// The state that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] if `bytes` are not such a file, whole and undamaged; [`Error::Setting`] if its recipe or
    /// counts, and [`Error::Architecture`] if its network, can't be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut tensors = Tensors::read(bytes)?;
        let metadata: Metadata = tensors.metadata("the state of training")?;
        let Metadata { architecture, temperature, threshold, recipe, init_from, .. } = metadata;
        let Metadata { seed, threads, data, steps, history, .. } = metadata;
        recipe.validate()?;
        let most = blocks(recipe.batch_size);
        ensure("threads", (1..=most).contains(&threads), &format!("1 to {most}"), threads)?;
        let (done, epochs) = (history.len(), recipe.epochs);
        ensure("history", done <= epochs, &format!("at most {epochs} epochs"), done)?;
        for (number, epoch) in (1..).zip(&history) {
            // JSON has finite numbers only.
            let (measured, seconds) = (epoch.measured.unwrap_or(0.0), epoch.seconds.unwrap_or(0.0));
            for (name, value) in [("accuracy", epoch.accuracy), ("measured", measured)] {
                ensure(&format!("{name}, epoch {number}"), (0.0..=1.0).contains(&value), "0 to 1", value)?;
            }
            ensure(&format!("seconds, epoch {number}"), seconds >= 0.0, "at least 0", seconds)?;
        }
        ensure("steps", steps >= 0, "at least 0", steps)?;
        let mut network = |prefix: &str| {
            let network = tensors.network(prefix, architecture.clone(), recipe.normalize)?;
            Ok::<_, Error>(network.with_temperature(temperature)?.with_threshold(threshold)?)
        };
        let average = (recipe.ema > 0.0).then(|| network(AVERAGE)).transpose()?;
        let network = network(NETWORK)?;
        let parameters = network.parameters().len();
        let mut optimizer = OptimizerState::new(recipe.optimizer, parameters, decayed(&network));
        optimizer.steps = steps;
        for (name, moment) in MOMENTS.iter().zip(&mut optimizer.moments).take(recipe.optimizer.moments()) {
            *moment = network.to_panels(&tensors.tensor((*name).to_owned(), &[parameters])?);
        }
        tensors.end()?;
        if let Some(negative) = optimizer.moments[1].iter().find(|value| **value < 0.0) {
            return Err(Error::malformed(MOMENTS[1], "numbers of at least 0", negative));
        }
        Ok(Self { network, average, optimizer, recipe, init_from, seed, threads, data, history })
    }
}

/// Where the parameters are that are subject to weight decay: the tensors of more than one dimension.
fn decayed(network: &Network) -> Vec<Range<usize>> {
    let mut end = 0;
    let ranges = network.architecture().tensors().map(|(_, shape)| {
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
    use crate::{PIXELS, models, nn::optim::Optimizer, train::Trainer};

    /// After two of three epochs with all that a recipe can ask for.
    fn state() -> Checkpoint {
        let data = Dataset::new((0..20 * PIXELS).map(|i| i as u8).collect(), vec![3; 20]).unwrap();
        let optimizer = Optimizer::AdamW { lr: 0.001, weight_decay: 0.1 };
        let recipe = Recipe { epochs: 3, batch_size: 20, ema: 0.5, optimizer, ..Recipe::default() };
        let network =
            Network::new(models::lenet5(), recipe.normalize, 7).unwrap().with_temperature(0.5).unwrap();
        let network = network.with_threshold(Some(0.25)).unwrap();
        let mut trainer = Trainer::new(network, &data, recipe, 8).unwrap().init_from("random");
        for measured in [None, Some(0.7)] {
            assert!(trainer.epoch(|_| ControlFlow::Continue(())).is_some());
            trainer.record_eval(measured, 0.1);
        }
        trainer.checkpoint().clone()
    }

    /// The file of a state with changes to the metadata and to the tensors.
    fn changed(metadata: impl Fn(&mut Value), tensor: impl Fn(&mut String, &mut Vec<f32>)) -> Vec<u8> {
        let bytes = state().to_bytes().unwrap();
        let tensors = Tensors::read(&bytes).unwrap();
        let mut value = tensors.metadata("").unwrap();
        metadata(&mut value);
        let changed: Vec<(String, Vec<usize>, Vec<f32>)> = tensors
            .file
            .iter()
            .map(|(name, view)| {
                let mut name = name.to_owned();
                let words = view.data().as_chunks().0.iter();
                let mut values: Vec<f32> = words.map(|word| f32::from_le_bytes(*word)).collect();
                let len = values.len();
                tensor(&mut name, &mut values);
                let shape = if values.len() == len { view.shape().to_vec() } else { vec![values.len()] };
                (name, shape, values)
            })
            .collect();
        let tensors = changed.iter().map(|(name, shape, values)| Tensor {
            name: name.clone(),
            shape: shape.clone(),
            values: values.clone(),
        });
        weights::write(tensors, Dtype::F32, &value).unwrap()
    }

    #[track_caller]
    fn assert_refused(bytes: &[u8], message: &str) {
        let found = Checkpoint::from_bytes(bytes).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(found.starts_with(message), "expected {message}, found {found}");
    }

    #[test]
    fn round_trip() {
        let bytes = state().to_bytes().unwrap();
        for file in [&bytes, &changed(|_| (), |_, _| ())] {
            let found = Checkpoint::from_bytes(file).unwrap();
            assert_eq!((found.epochs(), found.seed(), found.recipe()), (2, 8, state().recipe()));
            assert_eq!((found.network().temperature(), found.init_from()), (0.5, Some("random")));
            assert_eq!(found.network().threshold(), Some(0.25));
            assert_eq!(found.history(), state().history());
            assert!(found.network().parameters() == state().network().parameters());
            assert!(found.to_bytes().unwrap() == bytes);
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = state().to_bytes().unwrap();
        for len in (0..bytes.len()).step_by(9973) {
            assert_refused(&bytes[..len], "content: expected a safetensors file");
        }
        assert_refused(&[&bytes[..], &[0]].concat(), "content: expected a safetensors file");
    }

    #[test]
    fn a_network_is_no_state_and_a_state_no_network() {
        let bytes = weights::to_bytes(state().network(), &weights::Provenance::default()).unwrap();
        assert_refused(&bytes, "metadata: expected the state of training, found ");
        let error = weights::from_bytes(&state().to_bytes().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("metadata: expected a network's description, found "), "{error}");
    }

    #[test]
    fn impossible_metadata_is_refused() {
        for (key, value, message) in [
            ("more", json!(1), "metadata: expected the state of training, found unknown field `more`"),
            ("seed", json!(-1), "metadata: expected the state of training, found "),
            ("threads", json!(0), "threads: expected 1 to 3, found 0"),
            ("threads", json!(4), "threads: expected 1 to 3, found 4"),
            ("steps", json!(-1), "steps: expected at least 0, found -1"),
        ] {
            assert_refused(&changed(|metadata| metadata[key] = value.clone(), |_, _| ()), message);
        }
        let batch_size = changed(|metadata| metadata["recipe"]["batch_size"] = json!(0), |_, _| ());
        assert_refused(&batch_size, "batch_size: expected 1 to 4096, found 0");
        let layers = changed(|metadata| metadata["architecture"]["layers"] = json!([]), |_, _| ());
        assert_refused(&layers, "layer (none): expected 10 logits");
    }

    #[test]
    fn an_impossible_history_is_refused() {
        let no_state = "metadata: expected the state of training, found ";
        for (key, value, message) in [
            ("loss", json!(null), no_state),
            ("more", json!(1), no_state),
            ("accuracy", json!(1.5), "accuracy, epoch 2: expected 0 to 1, found 1.5"),
            ("measured", json!(-0.1), "measured, epoch 2: expected 0 to 1, found -0.1"),
            ("seconds", json!(-1), "seconds, epoch 2: expected at least 0, found -1"),
        ] {
            let change = |metadata: &mut Value| metadata["history"][1][key] = value.clone();
            assert_refused(&changed(change, |_, _| ()), message);
        }
        for (history, message) in [
            (json!(2), no_state),
            (json!([{"loss": 1.0}]), no_state),
            (json!(vec![state().history()[0]; 4]), "history: expected at most 3 epochs, found 4"),
        ] {
            let change = |metadata: &mut Value| metadata["history"] = history.clone();
            assert_refused(&changed(change, |_, _| ()), message);
        }
    }

    #[test]
    fn wrong_tensors_are_refused() {
        for name in ["network/fc1.bias", "average/fc1.bias", "first_moment", "second_moment"] {
            let found = |tensor: fn(&mut String, &mut Vec<f32>)| {
                let change = |other: &mut String, values: &mut Vec<f32>| {
                    if *other == name {
                        tensor(other, values);
                    }
                };
                changed(|_| (), change)
            };
            assert_refused(
                &found(|name, _| name.push('?')),
                &format!("{name}: expected a tensor of this name, found none"),
            );
            assert_refused(
                &found(|_, values| values.truncate(3)),
                &format!("{name}: expected F32 or F16 of ["),
            );
            assert_refused(
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
        assert_refused(&negative, "second_moment: expected numbers of at least 0, found -1");
        let no_average = changed(|metadata| metadata["recipe"]["ema"] = json!(0.0), |_, _| ());
        assert_refused(
            &no_average,
            "tensors: expected 12, found also average/conv1.bias, average/conv1.weight",
        );
    }
}
