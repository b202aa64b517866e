//! Decoded pictures and their conversion to gray.

use super::{GrayImage, Rect, resample};
use crate::Error;

/// The largest number of pixels of [`ImageView::to_gray`]. Legible writing is wider than a pixel or two whatever the
/// camera, so more pixels would only cost time.
pub const MAX_GRAY_PIXELS: usize = 1 << 22;

/// A view of a decoded picture: 8 bits a channel, rows from top to bottom, without padding between rows.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    width: usize,
    height: usize,
    /// `(row, column, channel)`.
    bytes: &'a [u8],
    channels: usize,
    /// Gray level behind transparent pixels.
    paper: u8,
}

/// Gray level of white paper.
const WHITE: u8 = 255;
/// Gray level of black paper.
const BLACK: u8 = 0;
/// Luma above which a pixel can't be seen on white paper.
const MAX_DARK_LUMA: u32 = 180;
/// Fraction of the visible pixels, as its reciprocal, that are darker than [`MAX_DARK_LUMA`], at most, if the rest is light
/// writing. Empirically chosen.
const MIN_VISIBLE_PER_DARK: usize = 1000;

impl<'a> ImageView<'a> {
    /// Makes a view of `bytes` in the order `(row, column, channel)`. The number of bytes for each pixel determines the channels:
    /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA. Alpha is not premultiplied.
    ///
    /// # Errors
    /// [`Error::ImageBytes`] if there are no pixels, or `bytes` doesn't hold one to four bytes for each.
    pub fn new(width: usize, height: usize, bytes: &'a [u8]) -> Result<Self, Error> {
        let pixels = width.checked_mul(height).filter(|&pixels| pixels > 0);
        let channels =
            pixels.filter(|&pixels| bytes.len().is_multiple_of(pixels)).map(|pixels| bytes.len() / pixels);
        match channels {
            Some(channels @ 1..=4) => Ok(Self { width, height, bytes, channels, paper: WHITE }),
            _ => Err(Error::ImageBytes { width, height, found: bytes.len() }),
        }
    }

    pub(super) fn from_gray(image: &'a GrayImage) -> Self {
        Self { width: image.width, height: image.height, bytes: &image.values, channels: 1, paper: WHITE }
    }

    /// Returns the number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the bytes of a part of the picture, or `None` if it doesn't lie within the picture or has no pixels. A view of them
    /// has the width and height of `region`.
    pub fn crop(&self, region: Rect) -> Option<Vec<u8>> {
        let fits = |start: usize, length: usize, side: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= side)
        };
        if !fits(region.x, region.width, self.width) || !fits(region.y, region.height, self.height) {
            return None;
        }
        let rows = self.bytes.chunks_exact(self.width * self.channels).skip(region.y).take(region.height);
        let columns = region.x * self.channels..region.right() * self.channels;
        Some(rows.flat_map(|row| &row[columns.clone()]).copied().collect())
    }

    /// Converts the picture to gray: luma by ITU-R BT.709, transparent pixels over white, or over black if all that is visible
    /// is too light for white paper. A picture of more than
    /// [`MAX_GRAY_PIXELS`] is reduced by the smallest integer factor that gives at most so many.
    pub fn to_gray(&self) -> GrayImage {
        let pixels = |factor: usize| self.width.div_ceil(factor).saturating_mul(self.height.div_ceil(factor));
        let mut factor = 1;
        while pixels(factor) > MAX_GRAY_PIXELS {
            factor += 1;
        }
        let paper = if self.is_light_on_transparent() { BLACK } else { WHITE };
        resample::downscale_to_gray(&Self { paper, ..*self }, factor)
    }

    /// Returns whether the picture has transparent pixels, and all others are light.
    fn is_light_on_transparent(&self) -> bool {
        let has_alpha = self.channels.is_multiple_of(2);
        let pixels = || self.bytes.chunks_exact(self.channels).filter(|_| has_alpha);
        let is_visible = |pixel: &&[u8]| pixel.last().is_some_and(|&alpha| alpha >= 128);
        let visible = pixels().filter(is_visible).count();
        let is_dark = |pixel: &&[u8]| match **pixel {
            [gray, _] => u32::from(gray) < MAX_DARK_LUMA,
            [red, green, blue, _] => luma(red, green, blue) < MAX_DARK_LUMA,
            _ => false,
        };
        let dark = pixels().filter(is_visible).filter(is_dark).count();
        has_alpha
            && visible > 0
            && visible < self.width * self.height
            && dark * MIN_VISIBLE_PER_DARK <= visible
    }

    /// Adds the gray values of `factor` neighboring columns of row `y` to each of `sums`.
    pub(super) fn accumulate_gray_row(&self, y: usize, factor: usize, sums: &mut [u32]) {
        let Self { width, bytes, channels, paper, .. } = *self;
        let row = &bytes[y * width * channels..][..width * channels];
        let gray = |pixel: &[u8]| match *pixel {
            [gray] => u32::from(gray),
            [gray, alpha] => over(gray.into(), alpha, paper),
            [red, green, blue] => luma(red, green, blue),
            [red, green, blue, alpha] => over(luma(red, green, blue), alpha, paper),
            _ => unreachable!("one to four channels"),
        };
        for (sum, pixels) in sums.iter_mut().zip(row.chunks(factor * channels)) {
            *sum += pixels.chunks_exact(channels).map(gray).sum::<u32>();
        }
    }
}

/// Returns the luma of a color (ITU-R BT.709).
fn luma(red: u8, green: u8, blue: u8) -> u32 {
    (2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue) + 5000) / 10000
}

/// Composites `gray` over paper.
fn over(gray: u32, alpha: u8, paper: u8) -> u32 {
    let alpha = u32::from(alpha);
    (gray * alpha + u32::from(paper) * (255 - alpha) + 127) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_bytes_tells_the_channels() {
        let gray = |bytes: &[u8]| ImageView::new(2, 1, bytes).unwrap().to_gray().values;
        assert_eq!(gray(&[7, 250]), [7, 250]);
        assert_eq!(gray(&[7, 255, 7, 0]), [7, 255]);
        assert_eq!(gray(&[255, 0, 0, 0, 255, 0]), [54, 182]);
        assert_eq!(gray(&[0, 0, 255, 255, 0, 0, 0, 51]), [18, 204]);
        for (width, height, bytes) in
            [(0, 1, 0), (1, 0, 0), (2, 1, 0), (2, 1, 5), (2, 1, 10), (usize::MAX, 2, 1)]
        {
            assert!(ImageView::new(width, height, &vec![0; bytes]).is_err(), "{width} x {height}: {bytes}");
        }
    }

    #[test]
    fn crop_has_all_channels_of_a_part() {
        let bytes: Vec<u8> = (0..24).collect();
        let picture = ImageView::new(4, 3, &bytes).unwrap();
        let crop = |x, y, width, height| picture.crop(Rect { x, y, width, height });
        assert_eq!(crop(1, 1, 2, 2).unwrap(), [10, 11, 12, 13, 18, 19, 20, 21]);
        assert_eq!(crop(0, 0, 4, 3).unwrap(), bytes);
        for [x, y, width, height] in
            [[0, 0, 0, 1], [0, 0, 1, 0], [3, 0, 2, 1], [0, 3, 1, 1], [usize::MAX, 0, 2, 1]]
        {
            assert_eq!(crop(x, y, width, height), None);
        }
    }

    #[test]
    fn light_strokes_on_transparent_paper_are_visible() {
        let gray = |bytes: &[u8]| ImageView::new(3, 1, bytes).unwrap().to_gray().values;
        assert_eq!(gray(&[250, 255, 0, 0, 255, 128]), [250, 0, 128]);
        assert_eq!(gray(&[250, 255, 0, 0, 20, 255]), [250, 255, 20]);
        assert_eq!(gray(&[250, 255, 250, 255, 250, 255]), [250; 3]);
        assert_eq!(gray(&[255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 255, 0]), [0, 255, 0]);
    }

    #[test]
    fn large_pictures_are_reduced_to_means() {
        let (width, height) = (5001, 1001);
        let bytes: Vec<_> = (0..width * height).map(|i| if i % width % 2 == 0 { 10 } else { 20 }).collect();
        let gray = ImageView::new(width, height, &bytes).unwrap().to_gray();
        assert_eq!((gray.width, gray.height, gray.scale), (2501, 501, 2));
        assert_eq!(gray.values[..3], [15; 3]);
        assert_eq!(gray.values[2500], 10);
    }
}
