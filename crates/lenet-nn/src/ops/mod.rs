//! The layers' kernels, one file or folder per layer.

pub(crate) mod conv2d;
pub(crate) mod linear;
