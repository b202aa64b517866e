//! Images and labels as numpy arrays.

use lenet::{Dataset, PIXELS};
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::error::{Error, OrRaise};

/// Images `(image, row, column)`: the array itself if it is contiguous uint8, and otherwise a copy.
pub struct Images<'py>(PyReadonlyArrayDyn<'py, u8>);

impl<'py> Images<'py> {
    /// Converts the argument `name`.
    pub fn extract(images: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        let convert = images.py().import("lenet._convert")?.getattr("as_images")?;
        Ok(Self(convert.call1((images, name))?.extract()?))
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.0.len() / PIXELS
    }

    /// Returns the pixels.
    pub fn pixels(&self) -> PyResult<&[u8]> {
        Ok(self.0.as_slice()?)
    }
}

/// Labels `(image)`, each from 0 to 9.
pub struct Labels<'py>(PyReadonlyArrayDyn<'py, u8>);

impl<'py> Labels<'py> {
    /// Converts the argument `name`.
    pub fn extract(labels: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        let convert = labels.py().import("lenet._convert")?.getattr("as_labels")?;
        Ok(Self(convert.call1((labels, name))?.extract()?))
    }

    /// Returns the labels.
    ///
    /// # Errors
    /// If there is not one for each of `images`.
    pub fn of(&self, images: &Images) -> PyResult<&[u8]> {
        let labels = self.0.as_slice()?;
        if labels.len() != images.len() {
            let error = lenet::Error::LabelCount { expected: images.len(), found: labels.len() };
            return Err(Error::new_err(error.to_string()));
        }
        Ok(labels)
    }
}

/// Copies images and labels, which training reads while Python may change the arrays.
pub fn dataset(images: &Images, labels: &Labels) -> PyResult<Dataset> {
    Dataset::new(images.pixels()?.to_vec(), labels.of(images)?.to_vec()).or_raise()
}
