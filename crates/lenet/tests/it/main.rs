//! Tests of the library through its public face, a module for each topic.

mod allocations;
mod idx;
mod tidy;
mod train;
