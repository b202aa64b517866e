//! Normalization of pixels before the first layer, as torchvision's `Normalize`.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Normalization of pixels before the first layer: `(pixel / 255 - mean) / std`.
///
/// ```
/// let normalize = lenet_nn::Normalize { mean: 0.5, std: 0.25 };
/// normalize.validate()?;
/// # Ok::<(), lenet_nn::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// Subtracted from pixels, which are scaled to 0..=1 before.
    pub mean: f32,
    /// Divisor of the difference.
    pub std: f32,
}

impl Normalize {
    /// Maps pixels to 0..=1.
    pub const UNIT: Self = Self { mean: 0.0, std: 1.0 };

    /// Checks that every pixel is mapped to a finite number.
    ///
    /// # Errors
    /// [`Error::Normalize`] if `std` is not above 0, or a pixel would become infinite or NaN.
    pub fn validate(self) -> Result<(), Error> {
        if self.lookup_table().iter().all(|value| value.is_finite()) && self.std > 0.0 {
            return Ok(());
        }
        Err(Error::Normalize { mean: self.mean, std: self.std })
    }

    /// Returns the normalized value of each pixel value.
    pub(crate) fn lookup_table(self) -> [f32; 256] {
        std::array::from_fn(|pixel| (pixel as f32 / 255.0 - self.mean) / self.std)
    }
}
