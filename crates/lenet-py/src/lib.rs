//! The Python module `lenet._lenet`, which the package `lenet` exports.

mod error;
mod pool;
mod arrays;
mod picture;
mod reading;
mod layers;
mod network;
mod recognizer;
mod train;
mod adapt;
mod datasets;

use std::{ffi::OsString, iter};

use clap::Parser;
use lenet_cli::Cli;
use pyo3::prelude::*;

/// Runs the program `lenet` with the arguments after its name, and returns the exit status.
#[pyfunction]
fn run_program(py: Python, arguments: Vec<OsString>) -> i32 {
    let command_line = iter::once("lenet".into()).chain(arguments);
    py.detach(|| match Cli::try_parse_from(command_line) {
        Ok(cli) => cli.run().into(),
        Err(error) => {
            let _ = error.print();
            error.exit_code()
        }
    })
}

/// The compiled part of the package `lenet`.
#[pymodule(gil_used = true)]
fn _lenet(module: &Bound<PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", module.py().get_type::<error::Error>())?;
    module.add_class::<recognizer::Recognizer>()?;
    module.add_class::<recognizer::Readings>()?;
    module.add_class::<reading::Reading>()?;
    module.add_class::<reading::Digit>()?;
    module.add_class::<reading::MarkReading>()?;
    module.add_class::<reading::CellReading>()?;
    module.add_class::<reading::LeftOut>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<layers::Architecture>()?;
    module.add_class::<layers::Layer>()?;
    layers::add_functions(module)?;
    module.add_function(wrap_pyfunction!(train::train, module)?)?;
    module.add_function(wrap_pyfunction!(adapt::adapt, module)?)?;
    module.add_function(wrap_pyfunction!(datasets::decode_mnist, module)?)?;
    module.add_function(wrap_pyfunction!(datasets::downloaded_mnist, module)?)?;
    module.add_function(wrap_pyfunction!(datasets::load_idx, module)?)?;
    module.add_function(wrap_pyfunction!(datasets::load_folder, module)?)?;
    module.add_function(wrap_pyfunction!(run_program, module)?)
}
