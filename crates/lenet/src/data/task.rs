//! The tasks of networks.

use super::{CLASSES, INPUT_SHAPE, synthetic::page::LABEL_NAMES};
use crate::{
    Error,
    nn::{Network, PredictionKind, Shape},
};

/// What a network of this crate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Classifies images of [`INPUT_SHAPE`] into [`CLASSES`].
    Digits,
    /// Tells for each pixel of a page whether it shows ink, and whether it shows a rule ([`LABEL_NAMES`]). The input is the
    /// [local contrast](crate::image::local_contrast()) of the page.
    Ink,
}

impl Task {
    /// Returns the task of a network, or `None` if it is neither.
    pub fn of(network: &Network) -> Option<Self> {
        let architecture = network.architecture();
        let (input, output) = (architecture.input_shape(), architecture.output_shape());
        match architecture.prediction_kind() {
            PredictionKind::Class { .. } if (input, output) == (INPUT_SHAPE, Shape::flat(CLASSES)) => {
                Some(Self::Digits)
            }
            PredictionKind::Dense { labels } if (input.channels, labels) == (1, LABEL_NAMES.len()) => {
                Some(Self::Ink)
            }
            _ => None,
        }
    }
}

/// Checks that a network classifies digits: images of [`INPUT_SHAPE`] into [`CLASSES`].
///
/// # Errors
/// [`Error::NotDigitNetwork`] if it doesn't.
pub fn check_digit_network(network: &Network) -> Result<(), Error> {
    if Task::of(network) == Some(Task::Digits) {
        return Ok(());
    }
    let architecture = network.architecture();
    Err(Error::NotDigitNetwork { input: architecture.input_shape(), output: architecture.output_shape() })
}

/// Checks that a network tells ink from rules.
///
/// # Errors
/// [`Error::NotInkNetwork`] if it doesn't.
pub fn check_ink_network(network: &Network) -> Result<(), Error> {
    if Task::of(network) == Some(Task::Ink) {
        return Ok(());
    }
    let architecture = network.architecture();
    Err(Error::NotInkNetwork { input: architecture.input_shape(), output: architecture.output_shape() })
}
