//! The shape of one sample.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shape of one sample: `(channels, height, width)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Number of channels, or of features after [`Layer::Flatten`](crate::Layer::Flatten).
    pub channels: usize,
    /// Rows of a channel.
    pub height: usize,
    /// Columns of a channel.
    pub width: usize,
}

impl Shape {
    /// Returns the shape of a row of features, `(features, 1, 1)`.
    pub const fn flat(features: usize) -> Self {
        Self { channels: features, height: 1, width: 1 }
    }

    /// Returns the number of elements.
    #[allow(clippy::len_without_is_empty, reason = "no shape is empty")]
    pub const fn len(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "({}, {}, {})", self.channels, self.height, self.width)
    }
}
