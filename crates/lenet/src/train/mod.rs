//! Training: recipes, the loop over epochs and batches, and checkpoints.
//!
//! A [`Recipe`] is the data that determines a training, together with the dataset, the initial network, the seed and the
//! number of threads. A [`Trainer`] runs it epoch by epoch. A [`Checkpoint`] is its state between two epochs, from which
//! training resumes with the same bits as without the interruption.

mod recipe;
mod history;
mod checkpoint;
mod sample_source;
mod trainer;

pub use crate::error::Interrupted;
pub use checkpoint::Checkpoint;
pub use history::EpochMetrics;
pub use recipe::Recipe;
pub use trainer::{Progress, Trainer};
