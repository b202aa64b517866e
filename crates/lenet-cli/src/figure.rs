//! Pictures of digits and of results, as PNG files.

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
use image::imageops;
use lenet::{CLASSES, SIDE, image::GrayImage, metrics::Evaluation};

use crate::output;

const PAGE: Rgb888 = Rgb888::new(244, 244, 240);
const PAPER: Rgb888 = Rgb888::WHITE;
const INK: Rgb888 = Rgb888::new(24, 24, 28);
const FAINT: Rgb888 = Rgb888::new(190, 190, 186);
const RIGHT: Rgb888 = Rgb888::new(38, 103, 172);
const WRONG: Rgb888 = Rgb888::new(232, 112, 42);

const FONT: &MonoFont = &ascii::FONT_10X20;

/// An image with its caption.
pub struct Tile<'a> {
    /// (row, column), ink bright on dark, as in a [`Dataset`](lenet::Dataset)
    pub image: &'a [u8],
    /// Columns of the image.
    pub width: usize,
    /// One line or several.
    pub caption: String,
}

impl<'a> Tile<'a> {
    /// An image such as those of MNIST.
    pub fn digit(image: &'a [u8], caption: String) -> Self {
        Self { image, width: SIDE, caption }
    }
}

/// How many times as large as it is a digit is drawn, at most.
const LARGEST: usize = 5;
/// Columns and rows of the largest image that a sheet of up to 32 x 32 has room for.
pub const ROOM: usize = LARGEST * SIDE;

/// A coloured picture.
pub struct Picture {
    size: Size,
    /// (row, column, channel)
    pixels: Vec<u8>,
}

/// The tiles in rows of `columns`, as dark ink on white paper with the captions below, under `title` (one line or
/// none). The more tiles in a row or column, the smaller; each as large as its room allows, its pixels whole.
pub fn sheet(title: &str, tiles: &[Tile], columns: usize) -> Picture {
    let columns = columns.min(tiles.len()).max(1);
    let rows = tiles.len().div_ceil(columns);
    let scale = (160 / columns.max(rows)).clamp(1, LARGEST);
    let side = (SIDE * scale) as i32;
    let gap = (2 * scale + 4) as i32;

    let captions = || tiles.iter().map(|tile| tile.caption.as_str());
    let font = font_for(captions().flat_map(str::lines), side as u32);
    let lines = captions().map(|caption| caption.lines().count()).max().unwrap_or(0) as u32;
    let title_size = Size::new(title.len() as u32, title.lines().count() as u32);
    let title_end = Point::new_equal(2 * gap) + FONT.character_size.component_mul(title_size);

    let pitch = Point::new(side + gap, side + gap + (lines * font.character_size.height) as i32);
    let corner = Point::new(2 * gap, title_end.y + if title.is_empty() { 0 } else { gap });
    let end = corner + pitch.component_mul(Point::new(columns as i32, rows as i32)) + Point::new_equal(gap);
    let mut picture = Picture::new(end.component_max(Point::new(title_end.x + 2 * gap, 0)));
    picture.text(title, Point::new_equal(2 * gap), FONT, INK, Alignment::Left);
    for (index, tile) in tiles.iter().enumerate() {
        let place = Point::new((index % columns) as i32, (index / columns) as i32);
        let corner = corner + pitch.component_mul(place);
        picture.tile(tile, corner, side);
        picture.text(&tile.caption, corner + Point::new(side / 2, side), font, INK, Alignment::Center);
    }
    picture
}

/// The confusion matrix under `title`: right answers in blue, the darker the greater their part of the digit's
/// images; mistakes in orange, the darker the more of them.
pub fn confusion(title: &str, evaluation: &Evaluation) -> Picture {
    /// Side of a cell with the gap beside it.
    const PITCH: i32 = 58;
    const CELL: Size = Size::new_equal(56);
    const CORNER: Point = Point::new(104, 96);
    let matrix = evaluation.confusion_matrix();
    let cells = || (0..CLASSES).flat_map(|truth| (0..CLASSES).map(move |answer| (truth, answer)));
    let most_mistaken =
        cells().filter(|(truth, answer)| truth != answer).map(|(truth, answer)| matrix[truth][answer]).max();
    let counts: Vec<_> = matrix.as_flattened().iter().map(usize::to_string).collect();
    let count_font = font_for(counts.iter().map(String::as_str), CELL.width);

    let end = CORNER + Point::new_equal(CLASSES as i32 * PITCH);
    let middle = (CORNER + end) / 2;
    let mut picture = Picture::new(end + Point::new_equal(24));
    picture.text(title, Point::new((end.x + 24) / 2, 14), FONT, INK, Alignment::Center);
    picture.text("answer", Point::new(middle.x, 44), FONT, INK, Alignment::Center);
    picture.text("true\ndigit", Point::new(12, middle.y - 20), FONT, INK, Alignment::Left);
    for digit in 0..CLASSES {
        let along = digit as i32 * PITCH + PITCH / 2;
        let (above, left) = (CORNER + Point::new(along, -26), CORNER + Point::new(-12, along - 10));
        picture.text(&digit.to_string(), above, FONT, INK, Alignment::Center);
        picture.text(&digit.to_string(), left, FONT, INK, Alignment::Right);
    }
    for ((truth, answer), count) in cells().zip(&counts) {
        let (shade, part) = if truth == answer {
            (RIGHT, evaluation.recall(truth).unwrap_or(0.0))
        } else {
            (WRONG, matrix[truth][answer] as f64 / most_mistaken.unwrap_or(0).max(1) as f64)
        };
        let text_colour = match (count.as_str(), truth == answer && part > 0.5) {
            ("0", _) => FAINT,
            (_, true) => PAPER,
            (_, false) => INK,
        };
        let corner = CORNER + Point::new(answer as i32, truth as i32) * PITCH;
        let above_text = (CELL - count_font.character_size).height as i32 / 2;
        let top_middle = corner + Point::new(CELL.width as i32 / 2, above_text);
        picture.fill(Rectangle::new(corner, CELL), blend(PAPER, shade, part));
        picture.text(count, top_middle, count_font, text_colour, Alignment::Center);
    }
    picture
}

/// A copy of at most `most` pixels along each side.
pub fn shrink(grey: &GrayImage, most: usize) -> GrayImage {
    let side = grey.width.max(grey.height).max(most);
    let scaled = |length: usize| (length * most / side).max(1) as u32;
    let (width, height) = (scaled(grey.width), scaled(grey.height));
    // A map has a value for each pixel.
    let image = image::GrayImage::from_raw(grey.width as u32, grey.height as u32, grey.values.clone());
    let values = imageops::thumbnail(&image.unwrap_or_default(), width, height).into_raw();
    GrayImage { width: width as usize, height: height as usize, values, scale: grey.scale }
}

/// The PNG file of one digit, `image` (row, column), as black ink on nothing.
pub fn ink(image: &[u8]) -> anyhow::Result<Vec<u8>> {
    let pixels: Vec<u8> = image.iter().flat_map(|&value| [0, value]).collect();
    Ok(png(Size::new_equal(SIDE as u32), png::ColorType::GrayscaleAlpha, &pixels)?)
}

/// `pixels` (row, column, channel) as a PNG file.
fn png(size: Size, colour: png::ColorType, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

/// The largest font in which no line is wider than `width`, or the smallest.
fn font_for<'a>(lines: impl Iterator<Item = &'a str>, width: u32) -> &'static MonoFont<'static> {
    let longest = lines.map(str::len).max().unwrap_or(0) as u32;
    let fonts = [FONT, &ascii::FONT_8X13, &ascii::FONT_6X13];
    fonts.into_iter().find(|font| longest * font.character_size.width <= width).unwrap_or(&ascii::FONT_5X8)
}

/// `part` of the way from one colour to another.
fn blend(from: Rgb888, to: Rgb888, part: f64) -> Rgb888 {
    let mix = |from: u8, to: u8| (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8;
    Rgb888::new(mix(from.r(), to.r()), mix(from.g(), to.g()), mix(from.b(), to.b()))
}

impl Picture {
    /// From the origin to `end`.
    fn new(end: Point) -> Self {
        let area = Rectangle::new(Point::zero(), Size::new(end.x as u32, end.y as u32));
        let pixels = vec![0; area.size.width as usize * area.size.height as usize * 3];
        let mut picture = Self { size: area.size, pixels };
        picture.fill(area, PAGE);
        picture
    }

    /// A grey picture of this width: (row, column).
    pub fn grey(width: usize, values: &[u8]) -> Self {
        let size = Size::new(width as u32, (values.len() / width.max(1)) as u32);
        Self { size, pixels: values.iter().flat_map(|&value| [value; 3]).collect() }
    }

    /// Draws a box (left, top, width, height) with its answer above it, in the colour of what is right, or is `wrong`.
    pub fn frame(&mut self, [x, y, width, height]: [usize; 4], answer: &str, wrong: bool) {
        let colour = if wrong { WRONG } else { RIGHT };
        let area = Rectangle::new(Point::new(x as i32, y as i32), Size::new(width as u32, height as u32));
        let Ok(()) = area.offset(2).into_styled(PrimitiveStyle::with_stroke(colour, 2)).draw(self);
        let top = (y as i32 - FONT.character_size.height as i32).max(0);
        self.text(answer, Point::new((x + width / 2) as i32, top), FONT, colour, Alignment::Center);
    }

    /// Writes the picture to `path` as PNG.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = png(self.size, png::ColorType::Rgb, &self.pixels)
            .with_context(|| format!("{}: could not be encoded", path.display()))?;
        output::write_atomically(path, &bytes)
    }

    fn fill(&mut self, area: Rectangle, colour: Rgb888) {
        let Ok(()) = self.fill_solid(&area, colour);
    }

    /// `at` is the top of the first line, at the end or centre that `alignment` says.
    fn text(&mut self, text: &str, at: Point, font: &MonoFont, colour: Rgb888, alignment: Alignment) {
        let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        let Ok(_) = Text::with_text_style(text, at, MonoTextStyle::new(font, colour), style).draw(self);
    }

    /// Ink on paper in the middle of a square of `side` pixels, each pixel of the image a square of its own.
    fn tile(&mut self, tile: &Tile, corner: Point, side: i32) {
        let (width, height) = (tile.width as i32, (tile.image.len() / tile.width) as i32);
        let scale = (side / width.max(height)).max(1);
        let corner = corner + (Point::new_equal(side) - Point::new(width, height) * scale) / 2;
        for (index, &value) in tile.image.iter().enumerate() {
            let place = Point::new((index % tile.width) as i32, (index / tile.width) as i32);
            let square = Rectangle::new(corner + place * scale, Size::new_equal(scale as u32));
            self.fill(square, blend(PAPER, INK, f64::from(value) / 255.0));
        }
    }
}

impl OriginDimensions for Picture {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Picture {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            if self.bounding_box().contains(point) {
                let index = (point.y as usize * self.size.width as usize + point.x as usize) * 3;
                self.pixels[index..index + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}
