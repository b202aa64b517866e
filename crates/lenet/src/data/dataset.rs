//! Datasets of labeled images.

use std::{io::Read, ops::Range};

use super::idx;
use crate::{
    Error,
    nn::{Normalize, Shape},
};

/// Height and width of an image, in pixels.
pub const SIDE: usize = 28;
/// Pixels in an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Number of classes, the digits 0 to 9.
pub const CLASSES: usize = 10;
/// Shape of an image.
pub const INPUT_SHAPE: Shape = Shape { channels: 1, height: SIDE, width: SIDE };
/// Normalization to mean 0 and standard deviation 1 over the training images of MNIST.
pub const MNIST_NORMALIZE: Normalize = Normalize { mean: 0.1307, std: 0.3081 };

/// Labeled grayscale images of 28x28 pixels: 0 is paper and 255 is ink, as in MNIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// (image, row, column), each 0 to 255
    images: Vec<u8>,
    /// (image), each below [`CLASSES`]
    labels: Vec<u8>,
}

impl Dataset {
    /// Combines `images` `(image, row, column)` and `labels` `(image)`.
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there is not exactly one label for each image, and [`Error::LabelOutOfRange`] if a label is not
    /// below [`CLASSES`].
    pub fn new(images: Vec<u8>, labels: Vec<u8>) -> Result<Self, Error> {
        if images.len() != labels.len() * PIXELS {
            return Err(Error::LabelCount { expected: images.len() / PIXELS, found: labels.len() });
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(Error::LabelOutOfRange { index, label: labels[index] });
        }
        Ok(Self { images, labels })
    }

    /// Reads an IDX file of 28x28 images and the IDX file of their labels.
    ///
    /// # Errors
    /// As [`idx::read_images`], [`idx::read_labels`] and [`new`](Self::new).
    pub fn from_idx(images: impl Read, labels: impl Read) -> Result<Self, Error> {
        Self::new(idx::read_images(images, SIDE, SIDE)?, idx::read_labels(labels)?)
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns all pixels: `(image, row, column)`, each 0 to 255.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// Returns all labels: `(image)`, each below [`CLASSES`].
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Returns the pixels of one image: `(row, column)`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * PIXELS..][..PIXELS]
    }

    /// Returns a copy of the images in `range` and their labels.
    ///
    /// # Panics
    /// If `range` starts after its end or ends after [`len`](Self::len).
    pub fn slice(&self, range: Range<usize>) -> Self {
        let (start, end, len) = (range.start, range.end, self.len());
        assert!(start <= end && end <= len, "range {start}..{end} of a dataset of {len} images");
        Self {
            images: self.images[start * PIXELS..end * PIXELS].to_vec(),
            labels: self.labels[range].to_vec(),
        }
    }

    /// Returns the number of images of each class.
    pub fn label_counts(&self) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Returns a hash of images and labels, which is not cryptographic: it detects a different dataset, but not one that was
    /// built to collide.
    pub(crate) fn digest(&self) -> u64 {
        [&self.images, &self.labels].into_iter().flat_map(|bytes| bytes.chunks(8)).fold(
            0,
            |hash: u64, chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                // A step of rustc's FxHash.
                (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95)
            },
        )
    }
}
