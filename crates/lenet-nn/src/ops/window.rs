//! Shapes of layers that slide a square window over their input: convolution and pooling.

use crate::{Shape, error::LayerError, operator::MAX_DIMENSION};

/// Checks that a dimension of a layer is neither 0 nor too large.
pub(crate) fn check_dimension(name: &'static str, found: usize) -> Result<(), LayerError> {
    match found {
        1..=MAX_DIMENSION => Ok(()),
        _ => Err(LayerError::Dimension { name, max: MAX_DIMENSION, found }),
    }
}

/// Returns the output shape of square windows of `kernel_size` pixels, `stride` pixels apart, over an input with `padding`
/// pixels around it.
pub(crate) fn output_shape(
    input: Shape,
    channels: usize,
    kernel_size: usize,
    stride: usize,
    padding: usize,
) -> Result<Shape, LayerError> {
    check_dimension("kernel_size", kernel_size)?;
    check_dimension("stride", stride)?;
    if padding >= kernel_size {
        return Err(LayerError::Padding { kernel_size, padding });
    }
    let [height, width] = [input.height, input.width].map(|len| len + 2 * padding);
    if height < kernel_size || width < kernel_size {
        return Err(LayerError::InputTooSmall { kernel_size, input });
    }
    let windows = |len: usize| (len - kernel_size) / stride + 1;
    Ok(Shape { channels, height: windows(height), width: windows(width) })
}
