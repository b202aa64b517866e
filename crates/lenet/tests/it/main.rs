//! Tests of the public API, one module for each subject.

mod allocations;
mod idx;
mod train;
