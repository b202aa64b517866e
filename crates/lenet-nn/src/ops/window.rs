//! Shapes of layers that slide a square window over their input: convolution and pooling.

use crate::{Shape, error::LayerError, operator::MAX_DIMENSION};

/// Checks that a dimension of a layer is neither 0 nor too large.
pub(crate) fn check_dimension_range(name: &'static str, found: usize) -> Result<(), LayerError> {
    match found {
        1..=MAX_DIMENSION => Ok(()),
        _ => Err(LayerError::Dimension { name, max: MAX_DIMENSION, found }),
    }
}

/// Returns the output shape of square windows of `extent` pixels, `stride` pixels apart, over an input with `padding` pixels
/// around it.
pub(crate) fn output_shape(
    input: Shape,
    channels: usize,
    extent: usize,
    stride: usize,
    padding: usize,
) -> Result<Shape, LayerError> {
    check_dimension_range("stride", stride)?;
    if padding >= extent {
        return Err(LayerError::Padding { extent, padding });
    }
    let [height, width] = [input.height, input.width].map(|len| len + 2 * padding);
    if height < extent || width < extent {
        return Err(LayerError::InputTooSmall { extent, input });
    }
    let windows = |len: usize| (len - extent) / stride + 1;
    Ok(Shape { channels, height: windows(height), width: windows(width) })
}
