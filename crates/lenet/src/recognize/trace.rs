//! Intermediate images of a reading.

use super::Reading;
use crate::image::GrayImage;

/// The intermediate images of a reading, for debugging.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The gray picture, reduced if the picture is large.
    pub gray: GrayImage,
    /// The paper without its dark surroundings, if it has such.
    pub paper: Option<GrayImage>,
    /// The ink map, or `None` if the picture is blank.
    pub ink: Option<GrayImage>,
    /// The reading.
    pub reading: Reading,
}
