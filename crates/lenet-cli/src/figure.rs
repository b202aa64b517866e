//! Figures as PNG files: sheets of captioned images, confusion matrices, and images with boxes.

use std::{convert::Infallible, path::Path};

use anyhow::Context;
use embedded_graphics::{
    Pixel,
    mono_font::{MonoFont, MonoTextStyle, ascii},
    pixelcolor::Rgb888,
    prelude::*,
    primitives::{PrimitiveStyle, Rectangle},
    text::{Alignment, Baseline, Text, TextStyleBuilder},
};
use lenet::{CLASSES, SIDE, image::GrayImage, metrics::Evaluation, recognize::Reading};

use crate::output;

const BACKGROUND_COLOR: Rgb888 = Rgb888::new(244, 244, 240);
const PAPER_COLOR: Rgb888 = Rgb888::WHITE;
const INK_COLOR: Rgb888 = Rgb888::new(24, 24, 28);
const FAINT_COLOR: Rgb888 = Rgb888::new(190, 190, 186);
const CORRECT_COLOR: Rgb888 = Rgb888::new(38, 103, 172);
const WRONG_COLOR: Rgb888 = Rgb888::new(232, 112, 42);

const FONT: &MonoFont = &ascii::FONT_10X20;

/// A grayscale image with a caption.
pub struct CaptionedImage<'a> {
    /// (row, column), ink bright on dark, as in a [`Dataset`](lenet::Dataset)
    pixels: &'a [u8],
    /// Columns of the image.
    width: usize,
    /// One line or several.
    pub caption: String,
}

impl<'a> CaptionedImage<'a> {
    /// Returns an image of `width` columns.
    ///
    /// # Panics
    /// If `pixels` is no whole number of rows, at least one.
    pub fn new(pixels: &'a [u8], width: usize, caption: String) -> Self {
        let whole_rows = width > 0 && pixels.len().is_multiple_of(width);
        assert!(whole_rows && !pixels.is_empty(), "{} pixels are not rows of {width}", pixels.len());
        Self { pixels, width, caption }
    }

    /// Returns an image of 28x28 pixels.
    pub fn from_digit(pixels: &'a [u8], caption: String) -> Self {
        Self::new(pixels, SIDE, caption)
    }

    /// Returns the pixels (row, column).
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }
}

/// Pixels of the figure for one pixel of a 28x28 image, at most.
const MAX_DIGIT_SCALE: usize = 5;
/// Largest side of an image that fits a sheet of up to 32 x 32 images, in pixels.
pub const MAX_CELL_SIDE_PX: usize = MAX_DIGIT_SCALE * SIDE;

/// An RGB image to draw on.
pub struct Canvas {
    size: Size,
    /// (row, column, channel)
    pixels: Vec<u8>,
}

/// Draws images in rows of `columns`, as dark ink on white paper with the captions below, under a title of one line or none.
///
/// The more images in a row or column, the smaller they are. Each is drawn as large as its cell allows, at an integer scale.
pub fn image_grid(title: &str, images: &[CaptionedImage], columns: usize) -> Canvas {
    let columns = columns.min(images.len()).max(1);
    let rows = images.len().div_ceil(columns);
    let scale = (160 / columns.max(rows)).clamp(1, MAX_DIGIT_SCALE);
    let side = (SIDE * scale) as i32;
    let gap = (2 * scale + 4) as i32;

    let captions = || images.iter().map(|image| image.caption.as_str());
    let font = largest_fitting_font(captions().flat_map(str::lines), side as u32);
    let lines = captions().map(|caption| caption.lines().count()).max().unwrap_or(0) as u32;
    let title_size = Size::new(title.len() as u32, title.lines().count() as u32);
    let title_end = Point::new_equal(2 * gap) + FONT.character_size.component_mul(title_size);

    let pitch = Point::new(side + gap, side + gap + (lines * font.character_size.height) as i32);
    let corner = Point::new(2 * gap, title_end.y + if title.is_empty() { 0 } else { gap });
    let end = corner + pitch.component_mul(Point::new(columns as i32, rows as i32)) + Point::new_equal(gap);
    let mut canvas = Canvas::new(end.component_max(Point::new(title_end.x + 2 * gap, 0)));
    canvas.draw_text(title, Point::new_equal(2 * gap), FONT, INK_COLOR, Alignment::Left);
    for (index, image) in images.iter().enumerate() {
        let cell = Point::new((index % columns) as i32, (index / columns) as i32);
        let corner = corner + pitch.component_mul(cell);
        canvas.draw_image(image, corner, side);
        canvas.draw_text(
            &image.caption,
            corner + Point::new(side / 2, side),
            font,
            INK_COLOR,
            Alignment::Center,
        );
    }
    canvas
}

/// Draws the confusion matrix under a title. Correct predictions are blue, darker with the recall of the digit. Mistakes are
/// orange, darker with their number.
pub fn confusion_matrix(title: &str, evaluation: &Evaluation) -> Canvas {
    /// Side of a cell with the gap beside it.
    const PITCH: i32 = 58;
    const CELL: Size = Size::new_equal(56);
    const CORNER: Point = Point::new(104, 96);
    let matrix = evaluation.confusion_matrix();
    let cells = || (0..CLASSES).flat_map(|label| (0..CLASSES).map(move |predicted| (label, predicted)));
    let max_mistakes = cells()
        .filter(|(label, predicted)| label != predicted)
        .map(|(label, predicted)| matrix[label][predicted])
        .max();
    let counts: Vec<_> = matrix.as_flattened().iter().map(usize::to_string).collect();
    let count_font = largest_fitting_font(counts.iter().map(String::as_str), CELL.width);

    let end = CORNER + Point::new_equal(CLASSES as i32 * PITCH);
    let middle = (CORNER + end) / 2;
    let mut canvas = Canvas::new(end + Point::new_equal(24));
    canvas.draw_text(title, Point::new((end.x + 24) / 2, 14), FONT, INK_COLOR, Alignment::Center);
    canvas.draw_text("predicted", Point::new(middle.x, 44), FONT, INK_COLOR, Alignment::Center);
    canvas.draw_text("label", Point::new(12, middle.y - 10), FONT, INK_COLOR, Alignment::Left);
    for digit in 0..CLASSES {
        let along = digit as i32 * PITCH + PITCH / 2;
        let (above, left) = (CORNER + Point::new(along, -26), CORNER + Point::new(-12, along - 10));
        canvas.draw_text(&digit.to_string(), above, FONT, INK_COLOR, Alignment::Center);
        canvas.draw_text(&digit.to_string(), left, FONT, INK_COLOR, Alignment::Right);
    }
    for ((label, predicted), count) in cells().zip(&counts) {
        let (color, fraction) = if label == predicted {
            (CORRECT_COLOR, evaluation.recall(label).unwrap_or(0.0))
        } else {
            (WRONG_COLOR, matrix[label][predicted] as f64 / max_mistakes.unwrap_or(0).max(1) as f64)
        };
        let text_color = match (count.as_str(), label == predicted && fraction > 0.5) {
            ("0", _) => FAINT_COLOR,
            (_, true) => PAPER_COLOR,
            (_, false) => INK_COLOR,
        };
        let corner = CORNER + Point::new(predicted as i32, label as i32) * PITCH;
        let above_text = (CELL - count_font.character_size).height as i32 / 2;
        let top_middle = corner + Point::new(CELL.width as i32 / 2, above_text);
        canvas.fill(Rectangle::new(corner, CELL), blend(PAPER_COLOR, color, fraction));
        canvas.draw_text(count, top_middle, count_font, text_color, Alignment::Center);
    }
    canvas
}

/// Largest side of [`digit_boxes`], in pixels, so that the captions are readable.
const MAX_BOXES_IMAGE_SIDE_PX: usize = 1000;

/// Draws the bounding boxes of a reading on the gray picture, each with its digit, or `?` if it is rejected.
pub fn digit_boxes(gray: &GrayImage, reading: &Reading) -> Canvas {
    let small = shrink(gray, MAX_BOXES_IMAGE_SIDE_PX);
    let mut canvas = Canvas::from_gray(small.width, &small.values);
    let scaled = |length: usize| length * small.width / (gray.width * gray.scale).max(1);
    for digit in &reading.digits {
        let caption = if digit.rejected { "?".to_owned() } else { digit.digit.to_string() };
        canvas.draw_box(<[usize; 4]>::from(digit.bounds).map(scaled), &caption, digit.rejected);
    }
    canvas
}

/// Returns a copy of at most `max_side` pixels along each side.
pub fn shrink(gray: &GrayImage, max_side: usize) -> GrayImage {
    let side = gray.width.max(gray.height).max(max_side);
    let scaled = |length: usize| (length * max_side / side).max(1);
    gray.resize(scaled(gray.width), scaled(gray.height))
}

/// Encodes `pixels` (row, column, channel) as PNG.
fn encode_png(size: Size, color: png::ColorType, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

/// Returns the largest font in which no line is wider than `width` pixels, or else the smallest font.
fn largest_fitting_font<'a>(lines: impl Iterator<Item = &'a str>, width: u32) -> &'static MonoFont<'static> {
    let longest = lines.map(str::len).max().unwrap_or(0) as u32;
    let fonts = [FONT, &ascii::FONT_8X13, &ascii::FONT_6X13];
    fonts.into_iter().find(|font| longest * font.character_size.width <= width).unwrap_or(&ascii::FONT_5X8)
}

/// Interpolates between two colors: `from` at 0, `to` at 1.
fn blend(from: Rgb888, to: Rgb888, fraction: f64) -> Rgb888 {
    let mix =
        |from: u8, to: u8| (f64::from(from) + fraction * (f64::from(to) - f64::from(from))).round() as u8;
    Rgb888::new(mix(from.r(), to.r()), mix(from.g(), to.g()), mix(from.b(), to.b()))
}

impl Canvas {
    /// Returns an empty canvas from the origin to `end`.
    fn new(end: Point) -> Self {
        let area = Rectangle::new(Point::zero(), Size::new(end.x as u32, end.y as u32));
        let pixels = vec![0; area.size.width as usize * area.size.height as usize * 3];
        let mut canvas = Self { size: area.size, pixels };
        canvas.fill(area, BACKGROUND_COLOR);
        canvas
    }

    /// Returns a canvas that shows a gray image (row, column) of `width` columns.
    pub fn from_gray(width: usize, values: &[u8]) -> Self {
        let size = Size::new(width as u32, (values.len() / width.max(1)) as u32);
        Self { size, pixels: values.iter().flat_map(|&value| [value; 3]).collect() }
    }

    /// Draws a box (left, top, width, height) with a caption above it, in orange if it is `rejected` and in blue if not.
    pub fn draw_box(&mut self, [x, y, width, height]: [usize; 4], caption: &str, rejected: bool) {
        let color = if rejected { WRONG_COLOR } else { CORRECT_COLOR };
        let area = Rectangle::new(Point::new(x as i32, y as i32), Size::new(width as u32, height as u32));
        let Ok(()) = area.offset(2).into_styled(PrimitiveStyle::with_stroke(color, 2)).draw(self);
        let top = (y as i32 - FONT.character_size.height as i32).max(0);
        self.draw_text(caption, Point::new((x + width / 2) as i32, top), FONT, color, Alignment::Center);
    }

    /// Encodes the canvas as PNG.
    ///
    /// # Errors
    /// If the canvas has no pixels.
    pub fn to_png(&self) -> anyhow::Result<Vec<u8>> {
        Ok(encode_png(self.size, png::ColorType::Rgb, &self.pixels)?)
    }

    /// Writes the canvas to `path` as PNG.
    ///
    /// # Errors
    /// If the canvas has no pixels, or the file can't be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = self.to_png().with_context(|| format!("{}: could not be encoded", path.display()))?;
        output::write_atomically(path, &bytes)
    }

    fn fill(&mut self, area: Rectangle, color: Rgb888) {
        let Ok(()) = self.fill_solid(&area, color);
    }

    /// Draws text. `at` is the top of the first line, at the left end, the center or the right end according to `alignment`.
    fn draw_text(&mut self, text: &str, at: Point, font: &MonoFont, color: Rgb888, alignment: Alignment) {
        let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        let Ok(_) = Text::with_text_style(text, at, MonoTextStyle::new(font, color), style).draw(self);
    }

    /// Draws an image in the middle of a square of `side` pixels, at an integer scale.
    fn draw_image(&mut self, image: &CaptionedImage, corner: Point, side: i32) {
        let (width, height) = (image.width as i32, (image.pixels.len() / image.width) as i32);
        let scale = (side / width.max(height)).max(1);
        let corner = corner + (Point::new_equal(side) - Point::new(width, height) * scale) / 2;
        for (index, &value) in image.pixels.iter().enumerate() {
            let pixel = Point::new((index % image.width) as i32, (index / image.width) as i32);
            let square = Rectangle::new(corner + pixel * scale, Size::new_equal(scale as u32));
            self.fill(square, blend(PAPER_COLOR, INK_COLOR, f64::from(value) / 255.0));
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            if self.bounding_box().contains(point) {
                let index = (point.y as usize * self.size.width as usize + point.x as usize) * 3;
                self.pixels[index..index + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "3 pixels are not rows of 2")]
    fn captioned_image_rejects_part_of_a_row() {
        CaptionedImage::new(&[0; 3], 2, String::new());
    }

    #[test]
    #[should_panic(expected = "0 pixels are not rows of 0")]
    fn captioned_image_rejects_zero_columns() {
        CaptionedImage::new(&[], 0, String::new());
    }
}
