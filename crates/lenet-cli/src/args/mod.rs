//! Groups of options that several commands share.

mod data;
mod recipe;
mod segment;
mod threads;
mod weights;

pub use data::DataArgs;
pub use recipe::RecipeArgs;
pub use segment::SegmentArgs;
pub use threads::{ThreadArgs, start_threads};
pub use weights::WeightsArgs;
