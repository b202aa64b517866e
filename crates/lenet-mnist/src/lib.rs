//! The MNIST dataset embedded in a crate: 60,000 training and 10,000 test images, without a download.
//!
//! The MNIST database of handwritten digits is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, under
//! [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/).
//!
//! ```
//! let test = lenet_mnist::test();
//! assert_eq!(test.len(), 10_000);
//! assert_eq!(test.labels()[..4], [7, 2, 1, 0]);
//! ```

use brotli_decompressor::Decompressor;
use lenet::{Dataset, Error};

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod repository_readme {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod crate_readme {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/tutorial.md")]
mod tutorial {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/recognition.md")]
mod recognition {}

/// Returns the 60,000 training images. Each call decodes them, which takes about 0.2 s.
pub fn train() -> Dataset {
    // A test decodes all embedded files.
    decode(TRAIN_IMAGES.bytes, TRAIN_LABELS.bytes).expect("valid embedded files")
}

/// Returns the 10,000 test images. Each call decodes them, which takes about 0.02 s.
pub fn test() -> Dataset {
    // A test decodes all embedded files.
    decode(TEST_IMAGES.bytes, TEST_LABELS.bytes).expect("valid embedded files")
}

/// A file of the dataset, compressed with Brotli.
#[derive(Debug, Clone, Copy)]
pub struct CompressedFile {
    /// Name with the extension `br`.
    pub name: &'static str,
    /// Content.
    pub bytes: &'static [u8],
}

/// The files of the dataset: images and labels for training, then those of the test.
pub const COMPRESSED_FILES: [CompressedFile; 4] = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];

macro_rules! compressed_file {
    ($name:literal) => {
        CompressedFile { name: $name, bytes: include_bytes!(concat!("../data/", $name)) }
    };
}
const TRAIN_IMAGES: CompressedFile = compressed_file!("train-images-idx3-ubyte.br");
const TRAIN_LABELS: CompressedFile = compressed_file!("train-labels-idx1-ubyte.br");
const TEST_IMAGES: CompressedFile = compressed_file!("t10k-images-idx3-ubyte.br");
const TEST_LABELS: CompressedFile = compressed_file!("t10k-labels-idx1-ubyte.br");

/// Decodes images and labels, each an IDX file that is compressed with Brotli.
///
/// # Errors
/// If the files are damaged, or don't belong together.
pub fn decode(images: &[u8], labels: &[u8]) -> Result<Dataset, Error> {
    /// Bytes of the input buffer of the decoder.
    const BUFFER_BYTES: usize = 1 << 16;
    let [images, labels] = [images, labels].map(|bytes| Decompressor::new(bytes, BUFFER_BYTES));
    Dataset::from_idx(images, labels)
}
