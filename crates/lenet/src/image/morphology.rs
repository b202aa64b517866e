//! Grayscale morphology with square structuring elements.

use super::GrayImage;

/// Returns the maximum over the square of `2 * radius + 1` pixels around each pixel.
pub fn dilate(image: &GrayImage, radius: usize) -> GrayImage {
    square_filter(image, radius, 0, u8::max)
}

/// Returns the minimum over the square of `2 * radius + 1` pixels around each pixel.
pub fn erode(image: &GrayImage, radius: usize) -> GrayImage {
    square_filter(image, radius, 255, u8::min)
}

/// Closes the image, a dilation followed by an erosion: removes dark details narrower than the square.
pub fn close(image: &GrayImage, radius: usize) -> GrayImage {
    erode(&dilate(image, radius), radius)
}

/// Combines the square around each pixel with `combine`, an associative and idempotent function for which `neutral` is the
/// neutral element.
///
/// The windows are built by doubling: a window of length `2n` is the combination of two neighboring ones of length `n`, and
/// the full length is that of two overlapping ones. So the cost grows with the logarithm of the radius. Rows and columns are
/// processed in one flat pass each; the padding with `neutral` keeps them apart.
fn square_filter(image: &GrayImage, radius: usize, neutral: u8, combine: impl Fn(u8, u8) -> u8) -> GrayImage {
    let (padded_width, window) = (image.width + 2 * radius, 2 * radius + 1);
    let mut values = vec![neutral; padded_width * (image.height + 2 * radius)];
    for (padded, row) in values.chunks_mut(padded_width).skip(radius).zip(image.values.chunks(image.width)) {
        padded[radius..][..image.width].copy_from_slice(row);
    }
    let mut next = values.clone();
    for stride in [1, padded_width] {
        let mut length = 1;
        while length < window {
            let shift = length.min(window - length);
            for ((new, &first), &second) in next.iter_mut().zip(&values).zip(&values[shift * stride..]) {
                *new = combine(first, second);
            }
            (values, next) = (next, values);
            length += shift;
        }
    }
    let rows = values.chunks(padded_width).take(image.height);
    GrayImage { values: rows.flat_map(|row| &row[..image.width]).copied().collect(), ..*image }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dilation_and_erosion_match_the_naive_form() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..50 {
            let [width, height] = [0; 2].map(|_| random.usize(1..20));
            let values = (0..width * height).map(|_| random.u8(..)).collect();
            let (image, radius) = (GrayImage { width, height, values, scale: 1 }, random.usize(..12));
            for (filtered, combine) in
                [(dilate(&image, radius), u8::max as fn(u8, u8) -> u8), (erode(&image, radius), u8::min)]
            {
                let expected = |at: usize| {
                    let near = |to: &usize| {
                        let across = (at % width).abs_diff(to % width);
                        across.max((at / width).abs_diff(to / width)) <= radius
                    };
                    (0..width * height).filter(near).map(|to| image.values[to]).reduce(combine)
                };
                let matches = |(at, &value): (usize, &u8)| expected(at) == Some(value);
                assert!(filtered.values.iter().enumerate().all(matches));
            }
        }
    }
}
