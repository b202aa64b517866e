//! Labeled images: the dataset, its file format, augmentation and synthetic samples.

mod dataset;
pub mod idx;
pub mod augment;
mod random;
pub mod synthetic;

pub use dataset::{CLASSES, Dataset, INPUT_SHAPE, MNIST_NORMALIZE, PIXELS, SIDE, check_digit_network};
