//! Networks: inference, files, and tensors.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use lenet::{
    CLASSES,
    data::{MNIST_NORMALIZE, Task},
    metrics::Evaluation,
    nn::{self, Normalize, argmax},
    onnx::{self, PixelType},
    pretrained,
    weights::{self, Provenance},
};
use lenet_cli::{bounded_read::read_file, evaluation_json, output::write_atomically};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict, PyMapping, PyType},
};
use safetensors::{Dtype, tensor::TensorView};

use crate::{
    arrays::{Images, Labels},
    error::OrRaise,
    layers::Architecture,
    pool,
    reading::{Reduced, to_python},
};

/// A network that classifies images of 28x28 pixels as ten digits.
///
/// `Network(architecture)` has random weights that follow from `seed`, as PyTorch initializes them. `normalize` is the mean
/// and the standard deviation by which pixels from 0 to 1 are normalized.
///
/// Images are an array (n, 28, 28) or (n, 784) of uint8 from 0, paper, to 255, ink. Floats from 0 to 1 are rounded to it.
///
/// Raises `lenet.Error` if the layers don't fit.
#[pyclass(frozen, module = "lenet")]
#[derive(Clone)]
pub struct Network {
    pub network: Arc<nn::Network>,
    /// How it was trained; `None` if it was not.
    provenance: Option<Arc<Provenance>>,
}

impl Network {
    /// Makes a network that was trained, or has random weights.
    ///
    /// # Errors
    /// If it doesn't classify digits.
    pub fn new(network: nn::Network, provenance: Option<Provenance>) -> Result<Self, lenet::Error> {
        Task::Digits.check(&network)?;
        Ok(Self { network: Arc::new(network), provenance: provenance.map(Arc::new) })
    }

    /// Returns `weights` itself if it is a network, and loads it otherwise.
    pub fn from_weights(weights: &Bound<PyAny>) -> PyResult<Self> {
        match weights.cast::<Self>() {
            Ok(network) => Ok(network.get().clone()),
            Err(_) => Self::load_weights(weights.py(), &weights.extract::<PathBuf>()?),
        }
    }

    /// Loads pretrained weights by name, or a weights file.
    pub fn load_weights(py: Python, source: &Path) -> PyResult<Self> {
        let load = || {
            let built_in = source.to_str().and_then(pretrained::by_name);
            let (network, provenance) = match built_in {
                Some(built_in) => built_in,
                None => {
                    weights::from_bytes(&read_file(source)?).with_context(|| source.display().to_string())?
                }
            };
            Self::new(network, Some(provenance)).with_context(|| source.display().to_string())
        };
        py.detach(load).or_raise()
    }

    pub fn repr(&self) -> String {
        let (name, parameters) = (self.network.architecture().name(), self.network.parameters().len());
        let state = if self.provenance.is_some() { "trained" } else { "random weights" };
        format!("<Network {name}: {parameters} parameters, {state}>")
    }

    /// Computes rows of ten numbers for images, on all cores.
    fn rows<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        compute: fn(&nn::Network, &[u8]) -> Vec<f32>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let images = Images::extract(images, "images")?;
        let pixels = images.pixels()?;
        let rows = pool::run(py, || compute(&self.network, pixels))?;
        PyArray1::from_vec(py, rows).reshape([images.len(), CLASSES])
    }
}

/// Returns the normalization that an argument gives, or that of MNIST.
fn normalize_or_default(normalize: Option<(f32, f32)>) -> Normalize {
    normalize.map_or(MNIST_NORMALIZE, |(mean, std)| Normalize { mean, std })
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (architecture, *, seed = 0, normalize = None))]
    fn py_new(architecture: &Bound<PyAny>, seed: u64, normalize: Option<(f32, f32)>) -> PyResult<Self> {
        let architecture = Architecture::extract(architecture)?.0;
        let network = nn::Network::new(architecture, normalize_or_default(normalize), seed).or_raise()?;
        Self::new(network, None).or_raise()
    }

    /// Loads pretrained weights by name, `lenet5`, `vgg` or `handwriting`, or a safetensors file.
    ///
    /// `architecture`, a name or an `Architecture`, and `normalize`, mean and standard deviation, describe a file that
    /// doesn't name them, such as one that PyTorch saved.
    ///
    /// Raises `OSError` if the file can't be read, and `lenet.Error` if it doesn't hold a network for digits.
    #[staticmethod]
    #[pyo3(signature = (path, *, architecture = None, normalize = None))]
    fn load(
        py: Python,
        path: PathBuf,
        architecture: Option<&Bound<PyAny>>,
        normalize: Option<(f32, f32)>,
    ) -> PyResult<Self> {
        let Some(architecture) = architecture else { return Self::load_weights(py, &path) };
        let architecture = Architecture::extract(architecture)?.0;
        let load = || {
            let bytes = read_file(&path)?;
            weights::from_state_dict(&bytes, architecture, normalize_or_default(normalize))
                .and_then(|network| Self::new(network, Some(Provenance::default())))
                .with_context(|| path.display().to_string())
        };
        py.detach(load).or_raise()
    }

    /// Saves the network as a safetensors file, which `lenet` and PyTorch's safetensors load. The file is replaced as a
    /// whole or not at all.
    ///
    /// Raises `OSError` if the file can't be written.
    fn save(&self, py: Python, path: PathBuf) -> PyResult<()> {
        py.detach(|| write_atomically(&path, &self.file()?)).or_raise()
    }

    /// Returns the content of the file that `save` writes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.file().or_raise()?))
    }

    /// Returns an ONNX model: its input `pixels` is (batch, 28, 28), 0 to 255, and its output `probabilities` is (batch, 10).
    ///
    /// `input` is the type of the pixels, "uint8" or "float". `opset` is the version of ONNX's operators, 13 to 24.
    ///
    /// Raises `ValueError` for another type or version.
    #[pyo3(signature = (*, input = "uint8", opset = 17))]
    fn to_onnx<'py>(&self, py: Python<'py>, input: &str, opset: u32) -> PyResult<Bound<'py, PyBytes>> {
        let input = match input {
            "uint8" => PixelType::Uint8,
            "float" => PixelType::Float,
            _ => {
                let message = format!("input: expected \"uint8\" or \"float\", found \"{input}\"");
                return Err(PyValueError::new_err(message));
            }
        };
        let model = onnx::to_bytes(&self.network, self.provenance.as_deref(), input, opset).or_raise()?;
        Ok(PyBytes::new(py, &model))
    }

    /// Restores a network from the content of a file that `save` wrote.
    ///
    /// Raises `lenet.Error` for other bytes.
    #[classmethod]
    fn from_bytes(_: &Bound<PyType>, content: &[u8]) -> PyResult<Self> {
        let (network, provenance) = weights::from_bytes(content).or_raise()?;
        Self::new(network, Some(provenance)).or_raise()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py, (Bound<'py, PyBytes>,)> {
        Ok((slf.get_type().getattr("from_bytes")?, (slf.get().to_bytes(slf.py())?,)))
    }

    /// Returns the label of each image, the most probable digit: int64 array (n,).
    ///
    /// Raises `TypeError` or `ValueError` for images of another dtype, shape or range.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let images = Images::extract(images, "images")?;
        let pixels = images.pixels()?;
        let labels = pool::run(py, || {
            let logits = self.network.logits(pixels);
            logits.chunks_exact(CLASSES).map(|row| i64::from(argmax(row))).collect()
        })?;
        Ok(PyArray1::from_vec(py, labels))
    }

    /// Returns the probability of each digit: float32 array (n, 10). A row adds up to 1, or to the probability of being a
    /// digit if the network has an outlier class.
    ///
    /// Raises `TypeError` or `ValueError` for images of another dtype, shape or range.
    fn predict_proba<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        self.rows(py, images, nn::Network::probabilities)
    }

    /// Returns the logits: float32 array (n, 10).
    ///
    /// Raises `TypeError` or `ValueError` for images of another dtype, shape or range.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        self.rows(py, images, nn::Network::logits)
    }

    /// Returns the metrics of `lenet eval --json`: accuracy, confidence interval, calibration error, confusion matrix and
    /// others. `labels` is an array (n,) of integers from 0 to 9.
    ///
    /// Raises `TypeError` or `ValueError` for other images and labels, and `lenet.Error` without any.
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (images, labels) = (Images::extract(images, "images")?, Labels::extract(labels, "labels")?);
        let (pixels, labels) = (images.pixels()?, labels.of(&images)?);
        let evaluate = || Evaluation::new(labels, &self.network.probabilities(pixels));
        let metrics = to_python(py, &evaluation_json(&pool::run(py, evaluate)?.or_raise()?))?;
        py.import("lenet._results")?.getattr("Evaluation")?.call((), Some(metrics.cast()?))
    }

    /// Returns the parameters with the names of PyTorch: float32 arrays.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors = PyDict::new(py);
        for tensor in self.network.tensors() {
            tensors.set_item(tensor.name, PyArray1::from_vec(py, tensor.values).reshape(tensor.shape)?)?;
        }
        Ok(tensors)
    }

    /// Makes a network of parameters with the names of PyTorch: arrays or tensors that numpy converts to float32.
    ///
    /// `architecture` is a name or an `Architecture`, `normalize` the mean and the standard deviation by which pixels from 0
    /// to 1 are normalized, those of MNIST by default.
    ///
    /// Raises `lenet.Error` if names or shapes are not those of the architecture, or a value is not finite.
    #[staticmethod]
    #[pyo3(signature = (state_dict, architecture, *, normalize = None))]
    fn from_state_dict(
        state_dict: &Bound<PyMapping>,
        architecture: &Bound<PyAny>,
        normalize: Option<(f32, f32)>,
    ) -> PyResult<Self> {
        let architecture = Architecture::extract(architecture)?.0;
        let as_float32 = state_dict.py().import("lenet._convert")?.getattr("as_float32")?;
        let mut tensors = Vec::new();
        for item in state_dict.items()?.iter() {
            let (name, tensor): (Bound<PyAny>, Bound<PyAny>) = item.extract()?;
            let name: String = name.extract()?;
            let tensor: PyReadonlyArrayDyn<f32> = as_float32.call1((tensor, &name))?.extract()?;
            let bytes: Vec<u8> = tensor.as_slice()?.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((name, tensor.shape().to_vec(), bytes));
        }
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
        let views: Vec<_> = views.collect::<Result<_, safetensors::SafeTensorError>>().or_raise()?;
        let file = safetensors::serialize(views, None).or_raise()?;
        let network =
            weights::from_state_dict(&file, architecture, normalize_or_default(normalize)).or_raise()?;
        Self::new(network, Some(Provenance::default())).or_raise()
    }

    /// The architecture.
    #[getter]
    fn architecture(&self) -> Architecture {
        Architecture(self.network.architecture().clone())
    }

    /// The mean and the standard deviation by which pixels from 0 to 1 are normalized.
    #[getter]
    fn normalize(&self) -> (f32, f32) {
        let Normalize { mean, std } = self.network.normalization();
        (mean, std)
    }

    /// The softmax temperature, by which logits are divided.
    #[getter]
    fn temperature(&self) -> f32 {
        self.network.temperature()
    }

    /// The probability of being a digit below which a candidate is rejected, or `None`.
    #[getter]
    fn rejection_threshold(&self) -> Option<f32> {
        self.network.rejection_threshold()
    }

    /// How the network was trained, as in the metadata of a weights file, or `None` if the weights are random.
    #[getter]
    fn provenance<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.provenance.as_ref().map(|provenance| to_python(py, &**provenance)).transpose()
    }

    fn __repr__(&self) -> String {
        self.repr()
    }
}

impl Network {
    /// Returns the content of a weights file.
    fn file(&self) -> anyhow::Result<Vec<u8>> {
        Ok(weights::to_bytes(&self.network, self.provenance.as_deref().unwrap_or(&Provenance::default()))?)
    }
}
