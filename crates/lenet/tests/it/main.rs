//! Tests of the public API, one module for each subject.

mod allocations;
#[cfg(unix)]
mod c_source;
mod idx;
mod train;
