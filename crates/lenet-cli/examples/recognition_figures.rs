//! Draws the figures of `docs/recognition.md`: a synthetic page after each stage of recognition, and a filled-in form.
//!
//! ```text
//! cargo run --release -p lenet-cli --example recognition_figures -- docs/recognition
//! ```

use std::{convert::Infallible, env, error::Error, fs, path::PathBuf};

use embedded_graphics::{
    Pixel,
    mono_font::{MonoTextStyle, ascii::FONT_10X20},
    pixelcolor::Rgb888,
    prelude::*,
    text::{Alignment, Baseline, Text, TextStyleBuilder},
};
use image::RgbImage;
use lenet::{
    Dataset, SIDE,
    image::{
        Component, Drawing, GrayImage, LineParams, LocateParams, OversegmentParams, Rect, Stages, components,
        lines, locate_text, oversegment,
    },
    pretrained,
    recognize::{Digit, Recognizer},
};

const WIDTH: usize = 480;
const HEIGHT: usize = 250;
/// Digits of MNIST are enlarged by this factor.
const DIGIT_SCALE: usize = 2;

const DARK: [u8; 3] = [60, 60, 64];
const REMOVED: [u8; 3] = [200, 200, 196];
const ACCEPTED: [u8; 3] = [38, 103, 172];
const REJECTED: [u8; 3] = [232, 112, 42];
/// Colors that distinguish neighboring components.
const PALETTE: [[u8; 3]; 4] = [[38, 103, 172], [190, 80, 30], [30, 130, 90], [130, 70, 160]];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("usage: recognition_figures DIR")?);
    fs::create_dir_all(&folder)?;
    let page = draw_page()?;
    save(&folder, "page", &Figure::from_gray(&page, |value| value))?;

    let gray = page.view().to_gray();
    let params = LocateParams::default();
    let text = locate_text(&gray, &params, Stages::ALL).ok_or("the page has ink")?;
    save(&folder, "ink", &Figure::from_gray(&text.ink, |value| 255 - value))?;

    let mut figure = Figure::blank();
    for component in components(&text.ink, &params.components) {
        figure.fill(&component, REMOVED);
    }
    for (index, component) in text.components.iter().enumerate() {
        figure.fill(component, PALETTE[index % PALETTE.len()]);
    }
    save(&folder, "components", &figure)?;

    let mut figure = Figure::blank();
    for line in lines(text.components.clone(), text.height, &LineParams::default()).lines {
        let components = &line.components;
        let segments: Vec<_> = components
            .iter()
            .flat_map(|component| oversegment(component, &OversegmentParams::default()))
            .collect();
        for (index, segment) in segments.iter().enumerate() {
            figure.fill(segment, PALETTE[index % PALETTE.len()]);
        }
        let bounds = components.iter().map(Component::bounds).reduce(|a, b| a.union(&b));
        figure.outline(bounds.ok_or("a line has components")?, REMOVED);
    }
    save(&folder, "segments", &figure)?;

    let recognizer = Recognizer::new(pretrained::handwriting().0)?;
    let reading = recognizer.read(&page.view());
    println!("{}", serde_json::to_string_pretty(&reading)?);
    save(&folder, "normalized", &normalized_digits(&reading.digits))?;

    let mut figure = Figure::blank();
    for component in &text.components {
        figure.fill(component, DARK);
    }
    for digit in &reading.digits {
        let color = if digit.rejected { REJECTED } else { ACCEPTED };
        let caption = if digit.rejected { "?".to_owned() } else { digit.digit.to_string() };
        figure.outline(digit.bounds, color);
        figure.caption(&caption, digit.bounds, color);
    }
    save(&folder, "reading", &figure)?;
    save(&folder, "form", &draw_form()?)
}

/// Draws digits of MNIST's training images and a letter on unevenly lit paper, with a rule, specks and noise.
fn draw_page() -> Result<GrayImage, Box<dyn Error>> {
    let digits = lenet_mnist::train();
    let mut ink = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let is_rule = (204..207).contains(&y) && (20..460).contains(&x);
        let is_speck =
            [(330, 60), (150, 150), (60, 225)].iter().any(|&(a, b)| x.abs_diff(a) + y.abs_diff(b) < 3);
        if is_rule || is_speck { 230 } else { 0 }
    });
    // Columns of the digits: the 5 and the 8 of the second line touch.
    for (label, nth, x, y) in
        [(4, 1, 30, 24), (0, 2, 85, 20), (7, 5, 140, 26), (1, 4, 190, 24), (9, 5, 240, 22)]
    {
        place(&mut ink, &enlarged(&digits, label, nth), x, y);
    }
    for (label, nth, x, y) in
        [(2, 1, 40, 112), (6, 2, 92, 110), (5, 7, 190, 114), (8, 3, 216, 112), (3, 2, 320, 110)]
    {
        place(&mut ink, &enlarged(&digits, label, nth), x, y);
    }
    let letter = Drawing::new(&[
        vec![[30.0, 0.0], [0.0, 0.0], [0.0, 48.0], [30.0, 48.0]],
        vec![[0.0, 24.0], [24.0, 24.0]],
    ])?;
    let letter = letter.view().to_gray();
    let letter = GrayImage { values: letter.values.iter().map(|value| 255 - value).collect(), ..letter };
    place(&mut ink, &letter, 380, 0);

    let mut random = 1_u32;
    let mut noise = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(random >> 30) - 1.5
    };
    let mut page = GrayImage::from_fn(WIDTH, HEIGHT, |_, _| 0);
    for (index, value) in page.values.iter_mut().enumerate() {
        let (x, y) = (index % WIDTH, index / WIDTH);
        // Light falls from the top left; a soft shadow lies over the right edge.
        let shadow = 1.0 / (1.0 + (-(x as f64 - 440.0 + 0.3 * y as f64) / 12.0).exp());
        let paper = 238.0 - 0.12 * x as f64 - 0.1 * y as f64 - 50.0 * shadow;
        let darkness = f64::from(ink.values[index]) / 255.0;
        *value = (paper * (1.0 - 0.75 * darkness) + noise()).round() as u8;
    }
    Ok(page)
}

/// Draws a form with a date and a number of eight digits, whose last one is a check digit by the Luhn algorithm, on a page that is
/// turned by five degrees.
fn draw_form() -> Result<Figure, Box<dyn Error>> {
    let digits = lenet_mnist::train();
    let mut ink = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let is_rule = [12, 126, 236].contains(&y) && (12..470).contains(&x)
            || [12, 469].contains(&x) && (12..237).contains(&y)
            || x == 170 && (12..127).contains(&y);
        if is_rule { 200 } else { 0 }
    });
    let slash = Drawing::new(&[vec![[14.0, 0.0], [0.0, 56.0]]])?;
    let slash = slash.view().to_gray();
    let slash = GrayImage { values: slash.values.iter().map(|value| 255 - value).collect(), ..slash };
    for (label, nth, x) in [(2, 4, 178), (8, 6, 218), (1, 3, 292), (2, 8, 322), (2, 9, 378), (6, 3, 414)] {
        place(&mut ink, &enlarged(&digits, label, nth), x, 48);
    }
    for x in [266, 358] {
        let thin = slash.resize(slash.width * 3 / 4, slash.height * 3 / 4);
        place(&mut ink, &thin, x, 38);
    }
    for (index, (label, nth)) in
        [(4, 3), (9, 8), (9, 3), (2, 7), (7, 4), (3, 9), (9, 6), (5, 5)].into_iter().enumerate()
    {
        place(&mut ink, &enlarged(&digits, label, nth), 20 + 55 * index, 162);
    }
    let mut figure = Figure::from_gray(&ink, |value| 236 - (f64::from(value) * 0.75) as u8);
    let label = |text: &str, x: usize, y: usize, figure: &mut Figure| {
        figure.caption(text, Rect { x, y, width: 0, height: 0 }, DARK);
    };
    label("Date", 90, 50, &mut figure);
    label("Number", 60, 128, &mut figure);
    let gray = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| figure.0.get_pixel(x as u32, y as u32).0[0]);
    Ok(Figure::from_gray(&gray.rotate(5.0), |value| value))
}

/// Returns the `nth` digit with this label, enlarged.
fn enlarged(digits: &Dataset, label: u8, nth: usize) -> GrayImage {
    let index = (0..digits.len()).filter(|&index| digits.labels()[index] == label).nth(nth);
    let pixels = digits.image(index.expect("MNIST has thousands of each digit")).to_vec();
    let digit = GrayImage { width: SIDE, height: SIDE, values: pixels, scale: 1 };
    digit.resize(DIGIT_SCALE * SIDE, DIGIT_SCALE * SIDE)
}

/// Draws an ink map on another, with its top left corner at `(left, top)`.
fn place(ink: &mut GrayImage, image: &GrayImage, left: usize, top: usize) {
    for y in 0..image.height {
        let row = &mut ink.values[(top + y) * WIDTH + left..][..image.width];
        row.iter_mut().zip(image.row(y)).for_each(|(old, &new)| *old = new.max(*old));
    }
}

/// Draws the normalized digits side by side, three pixels for each of theirs.
fn normalized_digits(digits: &[Digit]) -> Figure {
    const SCALE: usize = 3;
    const PITCH: usize = (SIDE + 2) * SCALE;
    let columns = digits.len().div_ceil(2).max(1);
    let (width, height) = (columns * PITCH, digits.len().div_ceil(columns) * PITCH);
    let mut figure = Figure(RgbImage::from_pixel(width as u32, height as u32, image::Rgb([244, 244, 240])));
    for (index, digit) in digits.iter().enumerate() {
        let (left, top) = (index % columns * PITCH + SCALE, index / columns * PITCH + SCALE);
        for y in 0..SIDE * SCALE {
            for x in 0..SIDE * SCALE {
                let paper = 255 - digit.normalized[y / SCALE * SIDE + x / SCALE];
                figure.set(left + x, top + y, [paper; 3]);
            }
        }
    }
    figure
}

struct Figure(RgbImage);

impl Figure {
    fn blank() -> Self {
        Self(RgbImage::from_pixel(WIDTH as u32, HEIGHT as u32, image::Rgb([255; 3])))
    }

    fn from_gray(gray: &GrayImage, map: impl Fn(u8) -> u8) -> Self {
        let pixels = gray.values.iter().flat_map(|&value| [map(value); 3]).collect();
        Self(RgbImage::from_raw(gray.width as u32, gray.height as u32, pixels).expect("three bytes a pixel"))
    }

    /// Sets a pixel if it is inside the figure.
    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if let Some(pixel) = self.0.get_pixel_mut_checked(x as u32, y as u32) {
            pixel.0 = color;
        }
    }

    fn fill(&mut self, component: &Component, color: [u8; 3]) {
        for run in component.runs() {
            (run.x..run.end).for_each(|x| self.set(x, run.y, color));
        }
    }

    /// Draws the outline of a rectangle, two pixels outside of it.
    fn outline(&mut self, rect: Rect, color: [u8; 3]) {
        let (left, top) = (rect.x.saturating_sub(3), rect.y.saturating_sub(3));
        let (right, bottom) = (rect.right() + 2, rect.bottom() + 2);
        (left..=right).for_each(|x| [top, bottom].into_iter().for_each(|y| self.set(x, y, color)));
        (top..=bottom).for_each(|y| [left, right].into_iter().for_each(|x| self.set(x, y, color)));
    }

    /// Writes a caption below a rectangle.
    fn caption(&mut self, caption: &str, rect: Rect, [red, green, blue]: [u8; 3]) {
        let style = TextStyleBuilder::new().alignment(Alignment::Center).baseline(Baseline::Top).build();
        let font = MonoTextStyle::new(&FONT_10X20, Rgb888::new(red, green, blue));
        let at = Point::new((rect.x + rect.width / 2) as i32, rect.bottom() as i32 + 3);
        let Ok(_) = Text::with_text_style(caption, at, font, style).draw(self);
    }
}

impl OriginDimensions for Figure {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Figure {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            if let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) {
                self.set(x, y, [color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

/// Writes a figure to `NAME.png`: in gray if it has no colors.
fn save(folder: &std::path::Path, name: &str, figure: &Figure) -> Result<(), Box<dyn Error>> {
    let path = folder.join(format!("{name}.png"));
    let is_gray = figure.0.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
    if is_gray {
        image::DynamicImage::ImageRgb8(figure.0.clone()).into_luma8().save(path)?;
    } else {
        figure.0.save(path)?;
    }
    Ok(())
}
