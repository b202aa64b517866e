//! Datasets in files.

use std::{io::Cursor, path::PathBuf};

use anyhow::Context;
use brotli_decompressor::Decompressor;
use lenet::{Dataset, SIDE, data::idx};
use lenet_cli::data::{Source, Split, known_datasets::KnownDataset, read_idx_file};
use numpy::{PyArray1, PyArray3, PyArrayMethods};
use pyo3::{exceptions::PyValueError, prelude::*};

use crate::{error::OrRaise, pool};

/// uint8 arrays `(n, 28, 28)` and `(n,)`.
type Arrays<'py, Labels = Bound<'py, PyArray1<u8>>> = PyResult<(Bound<'py, PyArray3<u8>>, Labels)>;

fn image_array(py: Python, pixels: Vec<u8>) -> PyResult<Bound<PyArray3<u8>>> {
    let images = pixels.len() / (SIDE * SIDE);
    PyArray1::from_vec(py, pixels).reshape([images, SIDE, SIDE])
}

fn arrays(py: Python, dataset: Dataset) -> Arrays {
    Ok((image_array(py, dataset.images().to_vec())?, PyArray1::from_slice(py, dataset.labels())))
}

fn parse_split(split: &str) -> PyResult<Split> {
    match split {
        "train" => Ok(Split::Train),
        "test" => Ok(Split::Test),
        _ => {
            let message = format!("split: expected \"train\" or \"test\", found \"{split}\"");
            Err(PyValueError::new_err(message))
        }
    }
}

/// Decodes the files of the package `lenet_mnist`.
#[pyfunction]
pub fn decode_mnist<'py>(py: Python<'py>, images: &[u8], labels: &[u8]) -> Arrays<'py> {
    /// Bytes of the input buffer of the decoder.
    const BUFFER_BYTES: usize = 1 << 16;
    let decode = || {
        let [images, labels] =
            [images, labels].map(|bytes| Decompressor::new(Cursor::new(bytes), BUFFER_BYTES));
        Dataset::from_idx(images, labels)
    };
    arrays(py, py.detach(decode).or_raise()?)
}

/// Reads the MNIST that `lenet fetch mnist` downloaded.
#[pyfunction]
pub fn downloaded_mnist<'py>(py: Python<'py>, split: &str) -> Arrays<'py> {
    let split = parse_split(split)?;
    arrays(py, py.detach(|| Source::Known(KnownDataset::Mnist).load_split(split)).or_raise()?)
}

/// Returns the images of an IDX file, raw or .gz, and the labels of another if there is one: uint8 arrays (n, 28, 28) and
/// (n,).
///
/// Raises `OSError` if a file can't be read, and `lenet.Error` if it is not an IDX file of 28x28 images, or of one label for
/// each image.
#[pyfunction]
#[pyo3(signature = (images, labels = None))]
pub fn load_idx<'py>(
    py: Python<'py>,
    images: PathBuf,
    labels: Option<PathBuf>,
) -> Arrays<'py, Option<Bound<'py, PyArray1<u8>>>> {
    let read = || -> anyhow::Result<_> {
        let pixels = read_idx_file(&images, |bytes| idx::read_images(bytes, SIDE, SIDE))?;
        let Some(path) = labels else { return Ok((pixels, None)) };
        let labels = read_idx_file(&path, idx::read_labels)?;
        Dataset::new(pixels.clone(), labels.clone()).with_context(|| path.display().to_string())?;
        Ok((pixels, Some(labels)))
    };
    let (pixels, labels) = py.detach(read).or_raise()?;
    Ok((image_array(py, pixels)?, labels.map(|labels| PyArray1::from_vec(py, labels))))
}

/// Returns images and labels of a folder: uint8 arrays (n, 28, 28) and (n,).
///
/// The folder has the four IDX files of MNIST, or a subfolder 0 to 9 of image files for each digit, each of which is read as
/// one digit. Of those, the last sixth of each digit, ordered by name, is the split `test`. Files that can't be read or have
/// no ink are left out with a line on standard error. Folders named train and test, or training and testing, are the splits.
///
/// Raises `OSError` if the files of a split can't be read, and `lenet.Error` if there are none.
#[pyfunction]
#[pyo3(signature = (path, split = "train"))]
pub fn load_folder<'py>(py: Python<'py>, path: PathBuf, split: &str) -> Arrays<'py> {
    let split = parse_split(split)?;
    arrays(py, pool::run(py, || Source::Folder(path).load_split(split))?.or_raise()?)
}
