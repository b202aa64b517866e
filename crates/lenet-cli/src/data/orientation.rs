//! Whether the images of a dataset are transposed or inverted, as those of some datasets are that are otherwise like MNIST.

use lenet::{Dataset, PIXELS, SIDE, metrics::Evaluation, nn::Network};

/// Number of images that [`find_deviation`] reads, at most.
const MAX_SAMPLE_LEN: usize = 300;
/// Number of images from which an accuracy says something.
const MIN_SAMPLE_LEN: usize = 20;
/// The accuracy from which changed images are certainly read as they are meant.
const MIN_ACCURACY: f64 = 0.7;
/// How much higher the accuracy of changed images is at least than that of the images as they are. `lenet5` reads 19% of MNIST's
/// transposed test images, and 99% as they are.
const MIN_GAIN: f64 = 0.25;

/// How images deviate from those of MNIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    /// Rows and columns are swapped.
    pub is_transposed: bool,
    /// Digits are dark on a light background.
    pub is_inverted: bool,
}

/// Returns how the images deviate from those of MNIST, or `None` if they don't, or if there are too few of them to say.
///
/// `network` reads some of the images as they are, transposed and inverted. The labels tell which it reads best.
///
/// # Errors
/// If a probability is not finite.
pub fn find_deviation(data: &Dataset, network: &Network) -> anyhow::Result<Option<Deviation>> {
    let len = data.len().min(MAX_SAMPLE_LEN);
    if len < MIN_SAMPLE_LEN {
        return Ok(None);
    }
    // Spread over the dataset, which may be sorted by label.
    let indices: Vec<_> = (0..len).map(|number| number * data.len() / len).collect();
    let labels: Vec<_> = indices.iter().map(|&index| data.labels()[index]).collect();
    let images: Vec<_> = indices.iter().flat_map(|&index| data.image(index)).copied().collect();
    let accuracy = |deviation: Deviation| -> anyhow::Result<f64> {
        let mut images = images.clone();
        if deviation.is_transposed {
            transpose(&mut images);
        }
        if deviation.is_inverted {
            images.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        }
        Ok(Evaluation::new(&labels, &network.probabilities(&images))?.accuracy())
    };
    let unchanged = accuracy(Deviation { is_transposed: false, is_inverted: false })?;
    let mut best = None;
    let mut best_accuracy = MIN_ACCURACY.max(unchanged + MIN_GAIN);
    for (is_transposed, is_inverted) in [(true, false), (false, true), (true, true)] {
        let deviation = Deviation { is_transposed, is_inverted };
        let accuracy = accuracy(deviation)?;
        if accuracy >= best_accuracy {
            (best, best_accuracy) = (Some(deviation), accuracy);
        }
    }
    Ok(best)
}

/// Swaps the rows and columns of each image (image, row, column).
pub fn transpose(images: &mut [u8]) {
    for image in images.chunks_exact_mut(PIXELS) {
        for row in 0..SIDE {
            for column in row + 1..SIDE {
                image.swap(row * SIDE + column, column * SIDE + row);
            }
        }
    }
}
