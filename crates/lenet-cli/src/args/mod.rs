//! Groups of options that several commands share.

mod constraint;
mod data;
mod recipe;
mod region;
mod threads;
mod state_dict;

pub use constraint::{ConstraintArgs, Probability};
pub use data::DataArgs;
pub use recipe::RecipeArgs;
pub use region::Region;
pub use state_dict::StateDictArgs;
pub use threads::{ThreadArgs, start_thread_pool};
