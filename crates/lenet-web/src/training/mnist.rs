//! MNIST in the browser.

use lenet::{
    Dataset, PIXELS,
    data::augment::{Augmentation, Augmenter},
};
use wasm_bindgen::prelude::*;

/// The MNIST dataset. It stays in memory as long as the page, because a training refers to it.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub struct Mnist {
    pub(super) train: &'static Dataset,
    pub(super) test: &'static Dataset,
}

#[wasm_bindgen]
impl Mnist {
    /// Decodes the four files of MNIST, each compressed with Brotli.
    ///
    /// # Errors
    /// If a file is damaged.
    #[wasm_bindgen(constructor)]
    pub fn new(
        train_images: &[u8],
        train_labels: &[u8],
        test_images: &[u8],
        test_labels: &[u8],
    ) -> Result<Self, JsError> {
        let decode = |images: &[u8], labels: &[u8]| -> Result<&'static Dataset, JsError> {
            Ok(Box::leak(Box::new(lenet_mnist::decode(images, labels)?)))
        };
        Ok(Self { train: decode(train_images, train_labels)?, test: decode(test_images, test_labels)? })
    }

    /// Keeps the first `count` training images.
    ///
    /// # Errors
    /// If there are fewer, or none are kept.
    #[wasm_bindgen(js_name = withTrainImages)]
    pub fn with_train_images(&self, count: usize) -> Result<Self, JsError> {
        let max = self.train.len();
        if !(1..=max).contains(&count) {
            return Err(JsError::new(&format!("images: expected 1 to {max}, found {count}")));
        }
        let train = if count == max { self.train } else { Box::leak(Box::new(self.train.slice(0..count))) };
        Ok(Self { train, ..*self })
    }

    /// Returns the number of training images.
    #[wasm_bindgen(getter, js_name = trainLength)]
    pub fn train_len(&self) -> usize {
        self.train.len()
    }

    /// Returns the pixels of up to `count` training images from `first` on, `(image, row, column)`: 0 is paper, 255 is ink.
    #[wasm_bindgen(js_name = trainImages)]
    pub fn train_images(&self, first: usize, count: usize) -> Vec<u8> {
        images(self.train, first, count)
    }

    /// Returns the labels of up to `count` training images from `first` on.
    #[wasm_bindgen(js_name = trainLabels)]
    pub fn train_labels(&self, first: usize, count: usize) -> Vec<u8> {
        let labels = self.train.labels();
        labels.iter().skip(first).take(count).copied().collect()
    }

    /// Returns the pixels of up to `count` test images from `first` on, as [`train_images`](Self::train_images).
    #[wasm_bindgen(js_name = testImages)]
    pub fn test_images(&self, first: usize, count: usize) -> Vec<u8> {
        images(self.test, first, count)
    }

    /// Returns the number of training images of each digit.
    #[wasm_bindgen(js_name = labelCounts)]
    pub fn label_counts(&self) -> Vec<u32> {
        self.train.label_counts().map(|count| count as u32).to_vec()
    }

    /// Returns `count` random transformations of a training image, as the recipe `best` of LeNet-5 trains on.
    ///
    /// # Errors
    /// If there is no such image.
    pub fn augmented(&self, index: usize, count: usize) -> Result<Vec<u8>, JsError> {
        if index >= self.train.len() {
            return Err(JsError::new(&format!(
                "image: expected at most {}, found {index}",
                self.train.len() - 1
            )));
        }
        let mut augmenter = Augmenter::new(Augmentation::default())?;
        let mut pixels = vec![0; count * PIXELS];
        for (key, output) in (0..).zip(pixels.chunks_exact_mut(PIXELS)) {
            augmenter.augment(self.train.image(index), key, output);
        }
        Ok(pixels)
    }
}

fn images(data: &Dataset, first: usize, count: usize) -> Vec<u8> {
    data.images().chunks_exact(PIXELS).skip(first).take(count).flatten().copied().collect()
}
