//! Architectures layer by layer, with the names of PyTorch.

use lenet::{
    CLASSES,
    data::INPUT_SHAPE,
    models,
    nn::{self, Layer as Kind},
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyDictMethods, PyType},
};

use crate::{
    error::OrRaise,
    reading::{Reduced, from_json, to_json, to_python},
};

/// A layer of an `Architecture`. The functions `Conv2d`, `Linear`, `MaxPool2d`, `AvgPool2d`, `BatchNorm2d`, `Dropout`,
/// `ReLU`, `Tanh` and `Flatten` make one.
#[pyclass(frozen, eq, module = "lenet.nn", from_py_object)]
#[derive(Clone, PartialEq)]
pub struct Layer(Kind);

#[pymethods]
impl Layer {
    /// Restores a layer from its JSON form.
    ///
    /// Raises `lenet.Error` for other text.
    #[classmethod]
    fn from_json(_: &Bound<PyType>, json: &str) -> PyResult<Self> {
        from_json("Layer", json).map(Self)
    }

    /// Returns the type and the settings as a dictionary.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py, (String,)> {
        Ok((slf.get_type().getattr("from_json")?, (to_json(&slf.get().0)?,)))
    }

    fn __repr__(&self, py: Python) -> PyResult<String> {
        let fields: Bound<PyDict> = self.to_dict(py)?.cast_into()?;
        let settings = fields.iter().filter(|(name, _)| name.to_string() != "type");
        let settings: Vec<_> = settings.map(|(name, value)| format!("{name}={value}")).collect();
        Ok(format!("{}({})", self.0.type_name(), settings.join(", ")))
    }
}

/// Returns a 2-D convolution with square kernels.
#[pyfunction]
#[pyo3(name = "Conv2d", signature = (in_channels, out_channels, kernel_size, *, stride = 1, padding = 0, dilation = 1))]
fn conv2d(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Layer {
    Layer(nn::Conv2d { in_channels, out_channels, kernel_size, stride, padding, dilation }.into())
}

/// Returns a fully connected layer.
#[pyfunction]
#[pyo3(name = "Linear")]
fn linear(in_features: usize, out_features: usize) -> Layer {
    Layer(nn::Linear::new(in_features, out_features).into())
}

/// Returns a batch normalization of each channel.
#[pyfunction]
#[pyo3(name = "BatchNorm2d")]
fn batch_norm2d(num_features: usize) -> Layer {
    Layer(nn::BatchNorm2d { num_features }.into())
}

/// Returns the maximum of square windows, which are adjacent unless there is a `stride`.
#[pyfunction]
#[pyo3(name = "MaxPool2d", signature = (kernel_size, *, stride = None))]
fn max_pool2d(kernel_size: usize, stride: Option<usize>) -> Layer {
    Layer(nn::MaxPool2d { kernel_size, stride: stride.unwrap_or(kernel_size) }.into())
}

/// Returns the mean of square windows, which are adjacent unless there is a `stride`.
#[pyfunction]
#[pyo3(name = "AvgPool2d", signature = (kernel_size, *, stride = None))]
fn avg_pool2d(kernel_size: usize, stride: Option<usize>) -> Layer {
    Layer(nn::AvgPool2d { kernel_size, stride: stride.unwrap_or(kernel_size) }.into())
}

/// Returns a layer that zeroes each element with probability `p` in training.
#[pyfunction]
#[pyo3(name = "Dropout", signature = (p = 0.5))]
fn dropout(p: f32) -> Layer {
    Layer(nn::Dropout { p }.into())
}

/// Returns the activation max(x, 0).
#[pyfunction]
#[pyo3(name = "ReLU")]
fn relu() -> Layer {
    Layer(Kind::ReLU)
}

/// Returns the activation tanh(x).
#[pyfunction]
#[pyo3(name = "Tanh")]
fn tanh() -> Layer {
    Layer(Kind::Tanh)
}

/// Returns a layer that reshapes channels, rows and columns to one row of features.
#[pyfunction]
#[pyo3(name = "Flatten")]
fn flatten() -> Layer {
    Layer(Kind::Flatten)
}

/// Name, layer, output shape and number of parameters.
type SummaryRow = (String, Layer, (usize, usize, usize), usize);

/// The layers of a network in order, from images (1, 28, 28) to ten logits.
#[pyclass(frozen, eq, module = "lenet", from_py_object)]
#[derive(Clone, PartialEq)]
pub struct Architecture(pub nn::Architecture);

impl Architecture {
    /// Returns the architecture of a name, or `argument` if it is an architecture.
    pub fn extract(argument: &Bound<PyAny>) -> PyResult<Self> {
        if let Ok(architecture) = argument.cast::<Self>() {
            return Ok(architecture.get().clone());
        }
        let name: String = argument.extract()?;
        match models::by_name(&name) {
            Some(architecture) if !["ink", "marks"].contains(&&*name) => Ok(Self(architecture)),
            _ => {
                let expected = "mlp, cnn, lenet5, vgg, vgg_wide, micro or an Architecture";
                Err(PyValueError::new_err(format!("architecture: expected {expected}, found {name}")))
            }
        }
    }
}

#[pymethods]
impl Architecture {
    /// Makes an architecture of named layers.
    ///
    /// Raises `TypeError` if `layers` is not a list of pairs (name, `Layer`).
    #[new]
    #[pyo3(signature = (name, layers = Vec::new()))]
    fn new(name: &str, layers: Vec<(String, Layer)>) -> Self {
        let empty = nn::Architecture::new(name, INPUT_SHAPE, CLASSES);
        Self(layers.into_iter().fold(empty, |architecture, (name, layer)| architecture.layer(name, layer.0)))
    }

    /// Returns the architecture of a name: `mlp`, `cnn`, `lenet5`, `vgg`, `vgg_wide` or `micro`.
    ///
    /// Raises `ValueError` for another name.
    #[staticmethod]
    fn by_name(name: &Bound<PyAny>) -> PyResult<Self> {
        Self::extract(name)
    }

    /// Restores an architecture from its JSON form.
    ///
    /// Raises `lenet.Error` for other text.
    #[classmethod]
    fn from_json(_: &Bound<PyType>, json: &str) -> PyResult<Self> {
        from_json("Architecture", json).map(Self)
    }

    /// Returns the JSON form as a dictionary: that of the metadata of a weights file.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py, (String,)> {
        Ok((slf.get_type().getattr("from_json")?, (to_json(&slf.get().0)?,)))
    }

    /// Returns an architecture with one more layer. Its parameters are named `name.weight` and `name.bias`.
    fn layer(&self, name: &str, layer: Layer) -> Self {
        Self(self.0.clone().layer(name, layer.0))
    }

    /// The name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Returns the name, the layer, the output shape (channels, height, width) and the number of parameters of each layer.
    ///
    /// Raises `lenet.Error` if a layer doesn't fit the layer before it, or the last one doesn't return ten logits.
    fn summary(&self) -> PyResult<Vec<SummaryRow>> {
        let rows = self.0.summary().or_raise()?.into_iter().map(|row| {
            let output = (row.output.channels, row.output.height, row.output.width);
            (row.name.to_owned(), Layer(*row.layer), output, row.parameters)
        });
        Ok(rows.collect())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Architecture {}>", self.name()))
    }
}

/// Adds the functions that make layers to the module.
pub fn add_functions(module: &Bound<PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(conv2d, module)?)?;
    module.add_function(wrap_pyfunction!(linear, module)?)?;
    module.add_function(wrap_pyfunction!(batch_norm2d, module)?)?;
    module.add_function(wrap_pyfunction!(max_pool2d, module)?)?;
    module.add_function(wrap_pyfunction!(avg_pool2d, module)?)?;
    module.add_function(wrap_pyfunction!(dropout, module)?)?;
    module.add_function(wrap_pyfunction!(relu, module)?)?;
    module.add_function(wrap_pyfunction!(tanh, module)?)?;
    module.add_function(wrap_pyfunction!(flatten, module)?)
}
