use std::{io::Read, ops::Range};

use super::idx;
use crate::Error;

/// Height and width of an image, in pixels.
pub const SIDE: usize = 28;
/// Pixels in an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Number of classes, the digits 0 to 9.
pub const CLASSES: usize = 10;

/// Labelled grey images, ink bright on dark as in MNIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// (image, row, column), each 0 to 255
    images: Vec<u8>,
    /// (image), each below [`CLASSES`]
    labels: Vec<u8>,
}

impl Dataset {
    /// Joins `images` (image, row, column) and `labels` (image).
    ///
    /// # Errors
    /// [`Error::Malformed`] if there is not exactly one label for each image, or a label is not a class.
    pub fn new(images: Vec<u8>, labels: Vec<u8>) -> Result<Self, Error> {
        if images.len() != labels.len() * PIXELS {
            return Err(Error::malformed(
                "number of labels",
                format!("{} (one for each image)", images.len() / PIXELS),
                labels.len(),
            ));
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(Error::malformed(format!("label {index}"), "0 to 9", labels[index]));
        }
        Ok(Self { images, labels })
    }

    /// Reads an IDX file of images and the one of their labels.
    ///
    /// # Errors
    /// [`Error::Malformed`] if either is not such a file, or they don't fit together as [`new`](Self::new) asks.
    pub fn from_idx(images: impl Read, labels: impl Read) -> Result<Self, Error> {
        Self::new(idx::read_images(images)?, idx::read_labels(labels)?)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// All pixels: (image, row, column), each 0 to 255.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// All labels: (image), each below [`CLASSES`].
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of one image: (row, column).
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * PIXELS..][..PIXELS]
    }

    /// A copy of the images in `range` and their labels.
    ///
    /// # Panics
    /// If `range` reaches past [`len`](Self::len).
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self {
            images: self.images[range.start * PIXELS..range.end * PIXELS].to_vec(),
            labels: self.labels[range].to_vec(),
        }
    }

    /// How many images have each label.
    pub fn label_counts(&self) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// A number that tells these images and labels from others, unless someone wants it not to.
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
