//! Errors of Rust as exceptions of Python.

use std::{error::Error as _, io};

use pyo3::{
    create_exception,
    exceptions::{PyOSError, PyValueError},
    prelude::*,
};

create_exception!(
    lenet,
    Error,
    PyValueError,
    "A file whose content is invalid, a setting out of its range, or a training that diverged.\n\n\
     The message says where the error is, what was expected and what was found."
);

/// Conversion of the errors of the libraries and the program.
pub trait OrRaise<T> {
    /// Returns the value, or raises `OSError` if the operating system reported an error, and otherwise `lenet.Error`. The
    /// message is that of the program.
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: Into<anyhow::Error>> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| exception(&error.into()))
    }
}

/// Returns the exception for an error.
pub fn exception(error: &anyhow::Error) -> PyErr {
    let message = format!("{error:#}");
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        // Python chooses the subclass, such as `FileNotFoundError`, by the number.
        Some(error) if let Some(number) = error.raw_os_error() => PyOSError::new_err((number, message)),
        Some(error) if error.source().is_none() => PyOSError::new_err(message),
        _ => Error::new_err(message),
    }
}
