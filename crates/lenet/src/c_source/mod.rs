//! Networks as C source, for programs in C and for microcontrollers.
//!
//! The source is C99 and includes `<math.h>` and `<stdint.h>` alone. It allocates nothing: the caller owns the memory for the
//! activations of an image. With a `name` of `lenet5`, the header declares
//!
//! ```c
//! struct lenet5_workspace;
//! int lenet5_predict(struct lenet5_workspace *workspace, const uint8_t *pixels);
//! int lenet5_probabilities(struct lenet5_workspace *workspace, const uint8_t *pixels, float *probabilities);
//! ```
//!
//! `pixels` are those of an image `(channels, rows, columns)`, from 0 (paper) to 255 (ink). Both functions return the most
//! probable class. Normalization, temperature and outlier class are part of the source.
//!
//! [`float()`] computes what [`Network::probabilities`] does. [`int8()`] takes a quarter of the memory, and computes with
//! integers up to the logits: post-training quantization with a scale for each output channel, as B. Jacob et al. describe it
//! (2018, arXiv:1712.05877).

mod float;
mod int8;
mod quantize;
mod steps;
mod writer;

use crate::{Error, nn::Network};
use steps::steps;
use writer::SourceWriter;

/// A network as two files of C source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSource {
    /// The content of `NAME.h`.
    pub header: String,
    /// The content of `NAME.c`.
    pub source: String,
    /// Size of all constants, in bytes: the part of the program that doesn't depend on the compiler.
    pub constant_bytes: usize,
    /// Size of the workspace for one image, in bytes.
    pub workspace_bytes: usize,
}

/// Returns the source of a network that computes in single precision.
///
/// # Errors
/// [`Error::CSource`] if the network isn't a classifier, or `name` is no identifier of C in lower case.
pub fn float(network: &Network, name: &str) -> Result<CSource, Error> {
    let writer = SourceWriter::new(name)?;
    Ok(float::write(writer, network, &steps(network)?))
}

/// Returns the source of a network with weights and activations of 8 bits, calibrated on `images` `(image, channels, rows,
/// columns)`. Some hundred training images suffice.
///
/// # Errors
/// [`Error::CSource`] if the network isn't a classifier, its layers can't be quantized, or `name` is no identifier of C in lower
/// case; [`Error::NoImages`] without images.
///
/// # Panics
/// If the last image is incomplete.
pub fn int8(network: &Network, name: &str, images: &[u8]) -> Result<CSource, Error> {
    let writer = SourceWriter::new(name)?;
    let quantized = quantize::quantize(network, steps(network)?, images)?;
    Ok(int8::write(writer, network, &quantized))
}
