//! Adaptation to the handwriting of one person.

use std::ops::ControlFlow;

use lenet::train::adapt as library;
use pyo3::{prelude::*, types::PyTuple};

use crate::{
    arrays::{Images, Labels, dataset},
    error::OrRaise,
    network::Network,
    pool,
    train::{init_name, labeled_images},
};

/// Adapts a network; `lenet.adapt` documents the arguments.
#[pyfunction]
#[pyo3(signature = (images, labels, *, init, rehearsal, seed))]
pub fn adapt(
    py: Python,
    images: &Bound<PyAny>,
    labels: &Bound<PyAny>,
    init: &Bound<PyAny>,
    rehearsal: &Bound<PyTuple>,
    seed: u64,
) -> PyResult<Network> {
    let digits = dataset(&Images::extract(images, "images")?, &Labels::extract(labels, "labels")?)?;
    let rehearsal = labeled_images(rehearsal, "rehearsal")?;
    let (network, params) = (Network::from_weights(init)?.network, library::AdaptParams::default());
    let observe = |_| ControlFlow::Continue(());
    let adapt = || library::adapt(&network, &digits, &rehearsal, &params, seed, observe);
    let adapted = pool::run(py, adapt)?.or_raise()?;
    let provenance = params.provenance(&adapted, init_name(init)?, seed);
    Network::new(adapted, Some(provenance)).or_raise()
}
