//! Training: recipes, the loop over epochs and batches, and checkpoints.
//!
//! A [`Recipe`] is the data that determines a training, together with the dataset, the initial network, the seed and the
//! number of threads; [`recipes`] has some by name. A [`Trainer`] runs it epoch by epoch or step by step. A [`Checkpoint`] is its
//! state between two steps, from which training resumes with the same bits as without the interruption. [`adapt`](adapt::adapt)
//! adapts a trained network to the handwriting of one person.

mod recipe;
pub mod recipes;
#[cfg(feature = "training")]
mod history;
#[cfg(feature = "training")]
mod checkpoint;
#[cfg(feature = "training")]
mod sample_source;
#[cfg(feature = "training")]
mod trainer;
#[cfg(feature = "training")]
pub mod adapt;

pub use crate::error::Interrupted;
#[cfg(feature = "training")]
pub use checkpoint::Checkpoint;
#[cfg(feature = "training")]
pub use history::EpochMetrics;
pub use recipe::Recipe;
#[cfg(feature = "training")]
pub use trainer::{Progress, Trainer};
