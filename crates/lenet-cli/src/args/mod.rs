//! Groups of options that several commands share.

mod data;
mod recipe;
mod threads;
mod state_dict;

pub use data::DataArgs;
pub use recipe::RecipeArgs;
pub use state_dict::StateDictArgs;
pub use threads::{ThreadArgs, start_thread_pool};
