//! Trains and runs small networks that read handwritten digits, fast on a CPU.
//!
//! The library turns bytes and values into values. It never touches files, network, clock, environment or
//! standard output, so it runs wherever Rust does.

pub mod checkpoint;
mod dataset;
mod error;
pub mod idx;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod optim;
pub mod train;

pub use dataset::{CLASSES, Dataset, PIXELS, SIDE};
pub use error::Error;
