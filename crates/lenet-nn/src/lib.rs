//! The engine: layers with hand-written forward and backward passes, and networks of them.
//!
//! A file per layer, each with its formula; `lanes.rs` has the memory layout that they share.

#![allow(
    clippy::needless_range_loop,
    reason = "loops of constant length over register tiles read best by index"
)]

mod error;
pub mod optim;
mod layout;
mod simd;
mod partition;
// Until all paths are moved.
mod lanes {
    pub(crate) use crate::{layout::*, partition::even_chunk, simd::*};
}
mod operator;
mod layer;
mod ops;
use ops::{conv2d, conv2d::winograd, linear};
mod batchnorm;
mod pool;
mod activation;
mod dropout;
mod loss;
mod workspace;
mod shards;
mod single;
mod network;

#[cfg(test)]
mod tests;

use std::fmt;

pub use batchnorm::BatchNorm2d;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use error::Error;
pub use layer::Layer;
pub use layout::{LANES, blocks};
pub use linear::Linear;
pub use loss::{Targets, argmax};
pub use loss::{smooth, softmax};
pub use network::{Architecture, FeatureMaps, LayerSummary, Network, Normalize, Session, Tensor};
pub use network::{CHUNK, Memory};
pub use partition::even_chunk;
pub use pool::{AvgPool2d, MaxPool2d};
pub use shards::DataParallel;
pub(crate) use single::Single;
pub(crate) use workspace::Workspace;
pub use workspace::{BatchSlice, Worker};

/// The shape of one sample: (channels, height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of channels, or of features after `Flatten`.
    pub channels: usize,
    /// Rows of a channel.
    pub height: usize,
    /// Columns of a channel.
    pub width: usize,
}

impl Shape {
    /// A row of features.
    pub const fn flat(features: usize) -> Self {
        Self { channels: features, height: 1, width: 1 }
    }

    /// Number of elements.
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

pub(crate) const SIDE: usize = 28;
pub(crate) const PIXELS: usize = SIDE * SIDE;
pub(crate) const CLASSES: usize = 10;
