//! A training that runs step by step.

use lenet::{
    PIXELS,
    metrics::Evaluation,
    nn::{Architecture, FeatureMaps, Network, argmax},
    onnx,
    recognize::QuantizedFeatureMaps,
    train::{Checkpoint, Progress, Recipe, Trainer, recipes},
    weights::{self, Provenance},
};
use lenet_report::{
    LearningCurves, Machine, Score, TrainingReport, confusion_matrix,
    format::{duration, percent, percent_or_dash, with_thousands_separators},
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::mnist::Mnist;

/// Name of the images that a network is evaluated on.
const EVAL_NAME: &str = "test";
/// Layers whose kernels are returned, and kernels of a layer, at most.
const MAX_KERNEL_LAYERS: usize = 2;
const MAX_KERNELS: usize = 40;

#[wasm_bindgen]
extern "C" {
    /// Returns the time in milliseconds.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn now_ms() -> f64;
}

/// What a training depends on, besides the data and the number of threads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    architecture: Architecture,
    recipe: Recipe,
    seed: u64,
}

/// The progress after a step.
#[derive(Serialize)]
struct StepResult {
    /// The epoch of the step, from 1.
    epoch: usize,
    epochs: usize,
    /// Images of the epoch that were trained on.
    images: usize,
    total: usize,
    loss: f64,
    is_epoch_end: bool,
    /// Images a second of this session.
    speed: String,
    /// Time that is left, without evaluations.
    time_left: String,
}

/// A row of the table of epochs.
#[derive(Serialize)]
struct EpochRow {
    loss: String,
    train_accuracy: String,
    test_accuracy: String,
    /// Accuracy that the tutorial published; empty if it has no such epoch.
    published: String,
    seconds: String,
}

/// A test image that was classified wrong.
#[derive(Serialize)]
struct MistakeRow {
    index: usize,
    label: u8,
    prediction: u8,
    confidence: String,
}

/// The classification of an image.
#[derive(Serialize)]
struct Classification {
    digit: u8,
    probabilities: Vec<f32>,
    maps: Vec<QuantizedFeatureMaps>,
}

/// A training in the browser. One call makes one step, so that messages are handled between two steps.
#[wasm_bindgen]
pub struct Training {
    mnist: Mnist,
    trainer: Trainer<'static>,
    step_losses: Vec<f32>,
    evaluation: Option<Evaluation>,
    /// Seconds of the current epoch's steps.
    epoch_seconds: f64,
    /// Images and seconds of all steps since the page was loaded.
    session_images: usize,
    session_seconds: f64,
}

#[wasm_bindgen]
impl Training {
    /// Prepares a training of a new network on all training images. `settings` is JSON with `architecture`, `recipe` and `seed`.
    ///
    /// # Errors
    /// If a layer or a setting is impossible.
    #[wasm_bindgen(constructor)]
    pub fn new(mnist: &Mnist, settings: &str) -> Result<Self, JsError> {
        let Settings { architecture, recipe, seed } = serde_json::from_str(settings)?;
        let network = Network::new(architecture, recipe.normalize, seed)?;
        Ok(Self::from_trainer(*mnist, Trainer::new(network, mnist.train, recipe, seed)?, Vec::new()))
    }

    /// Resumes a training from the bytes of a checkpoint and the losses of its steps, with the same bits as without the interruption.
    ///
    /// # Errors
    /// If the bytes are no checkpoint, or one of other images or another number of threads.
    pub fn resume(mnist: &Mnist, checkpoint: &[u8], step_losses: &[f32]) -> Result<Self, JsError> {
        let trainer = Trainer::resume(Checkpoint::from_bytes(checkpoint)?, mnist.train)?;
        let mut training = Self::from_trainer(*mnist, trainer, step_losses.to_vec());
        if training.trainer.checkpoint().completed_epochs() > 0 {
            training.evaluation = Some(training.evaluate_network()?);
        }
        Ok(training)
    }

    fn from_trainer(mnist: Mnist, trainer: Trainer<'static>, step_losses: Vec<f32>) -> Self {
        let (epoch_seconds, session_images, session_seconds) = Default::default();
        Self { mnist, trainer, step_losses, evaluation: None, epoch_seconds, session_images, session_seconds }
    }

    /// Makes a step, and evaluates the network on the test images after the last step of an epoch. Returns the progress as JSON, or
    /// `undefined` if all epochs are done.
    ///
    /// # Errors
    /// If the training has diverged.
    pub fn step(&mut self) -> Result<Option<String>, JsError> {
        let (epoch, start) = (self.trainer.checkpoint().completed_epochs() + 1, now_ms());
        let Some(progress) = self.trainer.run_step() else { return Ok(None) };
        let seconds = (now_ms() - start) / 1000.0;
        self.epoch_seconds += seconds;
        self.session_seconds += seconds;
        self.session_images += self.trainer.checkpoint().recipe().batch_size.min(progress.total);
        self.trainer.check_divergence()?;
        self.step_losses.push(progress.loss as f32);
        if progress.is_epoch_end() {
            let evaluation = self.evaluate_network()?;
            self.trainer.record_eval(Some(evaluation.accuracy()), self.epoch_seconds);
            self.epoch_seconds = 0.0;
            self.evaluation = Some(evaluation);
        }
        Ok(Some(serde_json::to_string(&self.step_result(epoch, progress))?))
    }

    fn step_result(&self, epoch: usize, Progress { images, total, loss }: Progress) -> StepResult {
        let epochs = self.trainer.checkpoint().recipe().epochs;
        let speed = self.session_images as f64 / self.session_seconds.max(f64::MIN_POSITIVE);
        let left = (epochs - epoch) * total + total - images;
        StepResult {
            epoch,
            epochs,
            images,
            total,
            loss,
            is_epoch_end: images == total,
            speed: format!("{} images a second", with_thousands_separators(speed as usize)),
            time_left: duration(left as f64 / speed),
        }
    }

    fn evaluate_network(&self) -> Result<Evaluation, JsError> {
        let test = self.mnist.test;
        Ok(Evaluation::new(test.labels(), &self.network().probabilities(test.images()))?)
    }

    fn network(&self) -> &Network {
        self.trainer.trained_network()
    }

    /// Returns the number of completed epochs.
    #[wasm_bindgen(getter, js_name = completedEpochs)]
    pub fn completed_epochs(&self) -> usize {
        self.trainer.checkpoint().completed_epochs()
    }

    /// Returns the number of epochs of the recipe.
    #[wasm_bindgen(getter)]
    pub fn epochs(&self) -> usize {
        self.trainer.checkpoint().recipe().epochs
    }

    /// Returns the architecture as JSON.
    #[wasm_bindgen(getter)]
    pub fn architecture(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(self.network().architecture())?)
    }

    /// Returns the recipe as JSON.
    #[wasm_bindgen(getter)]
    pub fn recipe(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(self.trainer.checkpoint().recipe())?)
    }

    /// Returns the mean loss of each step.
    #[wasm_bindgen(getter, js_name = stepLosses)]
    pub fn step_losses(&self) -> Vec<f32> {
        self.step_losses.clone()
    }

    /// Returns the test accuracy of the last evaluation, such as `98.76%`, or `-`.
    #[wasm_bindgen(getter, js_name = testAccuracy)]
    pub fn test_accuracy(&self) -> String {
        percent_or_dash(self.evaluation.as_ref().map(Evaluation::accuracy))
    }

    /// Returns a row for each completed epoch, as JSON.
    #[wasm_bindgen(getter)]
    pub fn history(&self) -> Result<String, JsError> {
        let published = self.published_accuracies();
        let history = self.trainer.checkpoint().history();
        let rows: Vec<_> = (0..)
            .zip(history)
            .map(|(index, epoch): (usize, _)| EpochRow {
                loss: format!("{:.4}", epoch.loss),
                train_accuracy: percent(epoch.train_accuracy),
                test_accuracy: percent_or_dash(epoch.eval_accuracy),
                published: published.get(index).copied().map_or(String::new(), percent),
                seconds: epoch.seconds.map_or(String::new(), duration),
            })
            .collect();
        Ok(serde_json::to_string(&rows)?)
    }

    /// Returns the accuracies that the tutorial published for this architecture; none for an architecture that it doesn't have.
    fn published_accuracies(&self) -> Vec<f64> {
        let name = self.network().architecture().name();
        recipes::tutorial_accuracies(name).map_or(Vec::new(), |accuracies| accuracies.to_vec())
    }

    /// Returns the figure of the accuracy by epoch, in HTML.
    #[wasm_bindgen(js_name = accuracyFigure)]
    pub fn accuracy_figure(&self) -> String {
        self.with_learning_curves(|curves| curves.accuracy_figure())
    }

    /// Returns the figure of the loss by epoch and step, in HTML.
    #[wasm_bindgen(js_name = lossFigure)]
    pub fn loss_figure(&self) -> String {
        self.with_learning_curves(|curves| curves.loss_figure())
    }

    fn with_learning_curves(&self, figure: impl Fn(LearningCurves) -> String) -> String {
        let (checkpoint, published) = (self.trainer.checkpoint(), self.published_accuracies());
        figure(LearningCurves {
            history: checkpoint.history(),
            epochs: checkpoint.recipe().epochs,
            eval_name: EVAL_NAME,
            step_losses: &self.step_losses,
            steps_per_epoch: self.mnist.train.len().div_ceil(checkpoint.recipe().batch_size),
            published: &published,
        })
    }

    /// Returns the confusion matrix of the test images, in HTML; nothing before the first evaluation.
    #[wasm_bindgen(js_name = confusionMatrix)]
    pub fn confusion_matrix(&self) -> String {
        self.evaluation.as_ref().map_or(String::new(), confusion_matrix)
    }

    /// Returns up to `count` mistakes on the test images, the most confident ones first, as JSON.
    pub fn mistakes(&self, count: usize) -> Result<String, JsError> {
        let mistakes = self.evaluation.as_ref().map_or(&[][..], Evaluation::mistakes);
        let rows: Vec<_> = mistakes
            .iter()
            .take(count)
            .map(|mistake| MistakeRow {
                index: mistake.index,
                label: mistake.label,
                prediction: mistake.prediction,
                confidence: percent(mistake.confidence.into()),
            })
            .collect();
        Ok(serde_json::to_string(&rows)?)
    }

    /// Classifies an image of 28x28 pixels, and returns the probabilities and the feature maps of the first convolutions as JSON.
    ///
    /// # Errors
    /// If the image has another size.
    pub fn classify(&self, image: &[u8]) -> Result<String, JsError> {
        if image.len() != PIXELS {
            return Err(JsError::new(&format!("image: expected {PIXELS} pixels, found {}", image.len())));
        }
        let network = self.network();
        let probabilities = network.probabilities(image);
        let maps = QuantizedFeatureMaps::of_image(network, image);
        Ok(serde_json::to_string(&Classification { digit: argmax(&probabilities), probabilities, maps })?)
    }

    /// Returns the kernels of the first layers, each scaled to 256 levels, as JSON: those of convolutions, or the weights of a first
    /// linear layer as images.
    pub fn kernels(&self) -> Result<String, JsError> {
        let side_of = |shape: &[usize]| match *shape {
            [outputs, inputs, height, width] => Some((outputs * inputs, height, width)),
            [outputs, PIXELS] => Some((outputs, lenet::SIDE, lenet::SIDE)),
            _ => None,
        };
        let kernels = self.network().tensors().filter_map(|tensor| {
            let (channels, height, width) = side_of(&tensor.shape)?;
            let channels = channels.min(MAX_KERNELS);
            let mut values = tensor.values;
            values.truncate(channels * height * width);
            let shape = lenet::nn::Shape { channels, height, width };
            let layer = tensor.name.trim_end_matches(".weight").to_owned();
            Some(QuantizedFeatureMaps::from(FeatureMaps { layer, shape, values }))
        });
        Ok(serde_json::to_string(&kernels.take(MAX_KERNEL_LAYERS).collect::<Vec<_>>())?)
    }

    /// Returns the checkpoint, from which [`resume`](Self::resume) and `lenet train --resume` continue.
    ///
    /// # Errors
    /// If the format can't hold the name of a layer.
    pub fn checkpoint(&self) -> Result<Vec<u8>, JsError> {
        Ok(self.trainer.checkpoint().to_bytes()?)
    }

    /// Returns the weights file of the network (safetensors).
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn weights(&self) -> Result<Vec<u8>, JsError> {
        Ok(weights::to_bytes(self.network(), &self.provenance())?)
    }

    /// Returns the ONNX model of the network.
    ///
    /// # Errors
    /// If a name can't be written.
    pub fn onnx(&self) -> Result<Vec<u8>, JsError> {
        let (provenance, input) = (self.provenance(), onnx::PixelType::default());
        Ok(onnx::to_bytes(self.network(), Some(&provenance), input, onnx::DEFAULT_OPSET)?)
    }

    /// Returns the report of the training, an HTML page. `time` is in UTC, such as `2026-11-28 17:45`.
    ///
    /// # Errors
    /// If no epoch has ended.
    pub fn report(&self, browser: String, cores: usize, time: &str) -> Result<String, JsError> {
        let evaluation = self.evaluation.clone().map(|evaluation| Score::Digits(Box::new(evaluation)));
        let machine = Machine {
            processor: browser,
            cores,
            threads: self.trainer.checkpoint().threads(),
            system: "WebAssembly".to_owned(),
        };
        let report = TrainingReport {
            network: self.network(),
            provenance: &self.provenance(),
            history: self.trainer.checkpoint().history(),
            train_images: self.mnist.train.len(),
            eval_name: EVAL_NAME,
            eval_data: self.mnist.test,
            evaluation: &evaluation
                .ok_or_else(|| JsError::new(&lenet_report::Error::NoEpochs.to_string()))?,
            machine: &machine,
            time,
        };
        Ok(report.page()?)
    }

    fn provenance(&self) -> Provenance {
        let checkpoint = self.trainer.checkpoint();
        Provenance {
            recipe: checkpoint.recipe().clone(),
            init_from: None,
            seed: checkpoint.seed(),
            epochs: checkpoint.completed_epochs(),
            test_accuracy: self.evaluation.as_ref().map(Evaluation::accuracy),
            holdout: None,
            interrupted: checkpoint.completed_epochs() < checkpoint.recipe().epochs,
        }
    }
}
