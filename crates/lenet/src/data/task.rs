//! The tasks of networks.

use std::fmt;

use super::{CLASSES, INPUT_SHAPE, synthetic::page::LABEL_NAMES};
use crate::{
    Error,
    image::{MARK_WINDOW_SIDE, Mark},
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
    /// Classifies [windows](crate::image::mark_window) of a line as one of [`Mark::ALL`].
    Marks,
}

impl Task {
    /// Every task.
    const ALL: [Self; 3] = [Self::Digits, Self::Ink, Self::Marks];

    /// Returns the task of a network, or `None` if it has none of these.
    pub fn of(network: &Network) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.check(network).is_ok())
    }

    /// Checks that a network has this task.
    ///
    /// # Errors
    /// [`Error::WrongTask`] if its input or its output is of other shape.
    pub fn check(self, network: &Network) -> Result<(), Error> {
        let architecture = network.architecture();
        let (input, output) = (architecture.input_shape(), architecture.output_shape());
        let is_classifier = matches!(architecture.prediction_kind(), PredictionKind::Class { .. });
        let classifies = |shape, classes| is_classifier && (input, output) == (shape, Shape::flat(classes));
        let has_task = match self {
            Self::Digits => classifies(INPUT_SHAPE, CLASSES),
            Self::Ink => !is_classifier && (input.channels, output.channels) == (1, LABEL_NAMES.len()),
            Self::Marks => classifies(MARK_INPUT_SHAPE, Mark::ALL.len()),
        };
        if has_task { Ok(()) } else { Err(Error::WrongTask { expected: self, input, output }) }
    }
}

/// The input of a network that tells marks.
pub(crate) const MARK_INPUT_SHAPE: Shape =
    Shape { channels: 1, height: MARK_WINDOW_SIDE, width: MARK_WINDOW_SIDE };

impl fmt::Display for Task {
    /// Formats the shapes of a network's input and output.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let classifier = |f: &mut fmt::Formatter, input, classes| {
            write!(f, "an input of {input} and an output of {}", Shape::flat(classes))
        };
        match self {
            Self::Digits => classifier(f, INPUT_SHAPE, CLASSES),
            Self::Ink => f.write_str("an input of one channel and two labels for each pixel"),
            Self::Marks => classifier(f, MARK_INPUT_SHAPE, Mark::ALL.len()),
        }
    }
}
