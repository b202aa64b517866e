//! Pixels in, light values out.

use crate::Error;

/// Pixels of [`GrayImage`] at most: writing that can be read is larger than a pixel or two, whatever the camera.
const MAX_PIXELS: usize = 1 << 22;

/// A decoded picture: 8 bits a channel, rows from the top, nothing between them.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    width: usize,
    height: usize,
    /// (row, column, channel)
    bytes: &'a [u8],
    channels: usize,
}

impl<'a> ImageView<'a> {
    /// Takes `bytes` as grey, grey with alpha, RGB or RGBA: as many channels as there are bytes for each pixel.
    ///
    /// # Errors
    /// [`Error::ImageBytes`] if there are no pixels, or not one to four bytes for each.
    pub fn new(width: usize, height: usize, bytes: &'a [u8]) -> Result<Self, Error> {
        let pixels = width.checked_mul(height).filter(|&pixels| pixels > 0);
        let channels =
            pixels.filter(|&pixels| bytes.len().is_multiple_of(pixels)).map(|pixels| bytes.len() / pixels);
        match channels {
            Some(channels @ 1..=4) => Ok(Self { width, height, bytes, channels }),
            _ => Err(Error::ImageBytes { width, height, found: bytes.len() }),
        }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The picture in grey over white paper, each pixel the mean of a square of the picture's: of the smallest such
    /// that leaves a bounded number of them.
    pub fn grey(&self) -> GrayImage {
        let pixels = |side: usize| self.width.div_ceil(side).saturating_mul(self.height.div_ceil(side));
        let mut side = 1;
        while pixels(side) > MAX_PIXELS {
            side += 1;
        }
        self.shrink(side)
    }

    fn shrink(&self, scale: usize) -> GrayImage {
        let Self { width, height, bytes, channels } = *self;
        let row = |y: usize| &bytes[y * width * channels..][..width * channels];
        let light = |pixel: &[u8]| match *pixel {
            [grey] => u32::from(grey),
            [grey, alpha] => over_white(grey.into(), alpha),
            [red, green, blue] => luma(red, green, blue),
            [red, green, blue, alpha] => over_white(luma(red, green, blue), alpha),
            _ => unreachable!("one to four channels"),
        };
        let mut values = Vec::with_capacity(width.div_ceil(scale) * height.div_ceil(scale));
        let mut sums = vec![0; width.div_ceil(scale)];
        for top in (0..height).step_by(scale) {
            let rows = top..(top + scale).min(height);
            sums.fill(0);
            for y in rows.clone() {
                for (sum, square) in sums.iter_mut().zip(row(y).chunks(scale * channels)) {
                    *sum += square.chunks_exact(channels).map(light).sum::<u32>();
                }
            }
            values.extend(sums.iter().enumerate().map(|(x, sum)| {
                let area = rows.len() * scale.min(width - x * scale);
                ((sum + area as u32 / 2) / area as u32) as u8
            }));
        }
        GrayImage { width: width.div_ceil(scale), height: height.div_ceil(scale), values, scale }
    }
}

/// Light of a colour (ITU-R BT.709).
fn luma(red: u8, green: u8, blue: u8) -> u32 {
    (2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue) + 5000) / 10000
}

/// What is seen of `light` on white paper.
fn over_white(light: u32, alpha: u8) -> u32 {
    let alpha = u32::from(alpha);
    (light * alpha + 255 * (255 - alpha) + 127) / 255
}

/// A value for each pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrayImage {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// (row, column)
    pub values: Vec<u8>,
    /// Pixels of the picture along each side of one of these.
    pub scale: usize,
}

impl GrayImage {
    /// A row of values.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.values[y * self.width..][..self.width]
    }

    /// The same as a picture.
    pub(crate) fn picture(&self) -> ImageView<'_> {
        // A map has pixels, and one byte for each.
        ImageView { width: self.width, height: self.height, bytes: &self.values, channels: 1 }
    }

    /// The mean of each square of `side` pixels, or of what there is of it at the right and the bottom.
    pub(crate) fn shrink(&self, side: usize) -> Self {
        let mut small = self.picture().shrink(side);
        small.scale *= self.scale;
        small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_told_by_the_number_of_bytes() {
        let grey = |bytes: &[u8]| ImageView::new(2, 1, bytes).unwrap().grey().values;
        assert_eq!(grey(&[7, 250]), [7, 250]);
        assert_eq!(grey(&[7, 255, 7, 0]), [7, 255]);
        assert_eq!(grey(&[255, 0, 0, 0, 255, 0]), [54, 182]);
        assert_eq!(grey(&[0, 0, 255, 255, 0, 0, 0, 51]), [18, 204]);
        for (width, height, bytes) in
            [(0, 1, 0), (1, 0, 0), (2, 1, 0), (2, 1, 5), (2, 1, 10), (usize::MAX, 2, 1)]
        {
            assert!(ImageView::new(width, height, &vec![0; bytes]).is_err(), "{width} x {height}: {bytes}");
        }
    }

    #[test]
    fn large_pictures_are_shrunk_to_means() {
        let (width, height) = (5001, 1001);
        let bytes: Vec<_> = (0..width * height).map(|i| if i % width % 2 == 0 { 10 } else { 20 }).collect();
        let grey = ImageView::new(width, height, &bytes).unwrap().grey();
        assert_eq!((grey.width, grey.height, grey.scale), (2501, 501, 2));
        assert_eq!(grey.values[..3], [15; 3]);
        assert_eq!(grey.values[2500], 10);
    }
}
