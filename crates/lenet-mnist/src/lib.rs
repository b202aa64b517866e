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
use lenet::Dataset;

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
    decode(
        include_bytes!("../data/train-images-idx3-ubyte.br"),
        include_bytes!("../data/train-labels-idx1-ubyte.br"),
    )
}

/// Returns the 10,000 test images. Each call decodes them, which takes about 0.02 s.
pub fn test() -> Dataset {
    decode(
        include_bytes!("../data/t10k-images-idx3-ubyte.br"),
        include_bytes!("../data/t10k-labels-idx1-ubyte.br"),
    )
}

fn decode(images: &[u8], labels: &[u8]) -> Dataset {
    /// Bytes of the input buffer of the decoder.
    const BUFFER_BYTES: usize = 1 << 16;
    let [images, labels] = [images, labels].map(|bytes| Decompressor::new(bytes, BUFFER_BYTES));
    // A test decodes all embedded files.
    Dataset::from_idx(images, labels).expect("valid embedded files")
}
