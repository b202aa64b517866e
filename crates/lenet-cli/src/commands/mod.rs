//! One module for each command, `lenet serve` excepted.

pub mod adapt;
pub mod completions;
pub mod eval;
pub mod export;
pub mod fetch;
pub mod man;
pub mod models;
pub mod predict;
pub mod recognize;
pub mod show;
pub mod summary;
pub mod train;
pub mod tutorial;
