//! All of MNIST inside a crate.
