//! The layers: settings, operators and kernels, one file or folder for each.

pub(crate) mod activation;
pub(crate) mod batch_norm;
pub(crate) mod conv2d;
pub(crate) mod dropout;
pub(crate) mod flatten;
pub(crate) mod linear;
pub(crate) mod pixel_shuffle;
pub(crate) mod pool;
pub(crate) mod window;
