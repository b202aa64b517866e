//! Labeled images: the dataset, its file format, augmentation and synthetic samples.

mod dataset;
pub mod idx;
pub mod augment;
pub(crate) mod random;
pub mod synthetic;
mod task;

pub use dataset::{CLASSES, Dataset, INPUT_SHAPE, MNIST_NORMALIZE, PIXELS, SIDE};
pub(crate) use task::MARK_INPUT_SHAPE;
pub use task::Task;
