//! What the terminal shows: images with two pixels in a character cell, and progress bars.

use std::env;

use indicatif::{ProgressBar, ProgressStyle};
use lenet::{SIDE, image::GrayImage};

use crate::figure::CaptionedImage;

/// Returns the style of a progress bar.
///
/// # Panics
/// If `template` is malformed. All templates are constants of this program.
pub fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("=> ")
}

/// Returns a progress bar for `count` image files. It is hidden for fewer than two files and where stderr is no terminal.
pub fn image_files_bar(count: usize) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let style = bar_style("[{wide_bar}] {pos} of {len} images, {eta} left");
    ProgressBar::new(count as u64).with_style(style)
}

/// The text between two images in a row.
const IMAGE_GAP: &str = "  ";
/// Side of the smallest image in which a person can still recognize a digit, in pixels.
const MIN_SIDE_PX: usize = 12;

/// How a terminal shows gray levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorSupport {
    /// All 256 levels, as 24-bit colors.
    TrueColor,
    /// The 24 levels of gray in the 256-color palette.
    Palette,
    /// Ten levels, by ASCII characters with more or less ink.
    Ascii,
}

impl ColorSupport {
    /// Returns the best that the terminal supports, according to the environment: `NO_COLOR` and `TERM=dumb` exclude colors,
    /// and `COLORTERM` promises 24-bit colors.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| env::var(name).unwrap_or_default())
    }

    fn from_variables(variable: impl Fn(&str) -> String) -> Self {
        if !variable("NO_COLOR").is_empty() || variable("TERM") == "dumb" {
            Self::Ascii
        } else if ["truecolor", "24bit"].contains(&variable("COLORTERM").as_str()) {
            Self::TrueColor
        } else {
            Self::Palette
        }
    }

    /// Returns a line of text that shows two rows of pixels, `top` above `bottom`.
    fn render_row_pair(self, top: &[u8], bottom: &[u8]) -> String {
        const RAMP: &[u8] = b" .:-=+*#%@";
        let palette = |value: u8| 232 + u16::from(value) * 23 / 255;
        let (mut line, mut current_color) = (String::new(), String::new());
        for (&top, &bottom) in top.iter().zip(bottom) {
            let (color, character) = match self {
                Self::TrueColor => {
                    (format!("\x1b[38;2;{top};{top};{top};48;2;{bottom};{bottom};{bottom}m"), '▀')
                }
                Self::Palette => (format!("\x1b[38;5;{};48;5;{}m", palette(top), palette(bottom)), '▀'),
                Self::Ascii => {
                    let level = (usize::from(top) + usize::from(bottom)) * RAMP.len() / (2 * 255 + 1);
                    (String::new(), char::from(RAMP[level]))
                }
            };
            if color != current_color {
                line += &color;
                current_color = color;
            }
            line.push(character);
        }
        line + if current_color.is_empty() { "" } else { "\x1b[0m" }
    }
}

/// Draws 28x28 images in rows of `columns`, with an empty line and the captions above each row, for a terminal with `width`
/// characters in a line.
///
/// Images are scaled down to fit. Where they would be smaller than [`MIN_SIDE_PX`], a row has fewer of them.
pub fn draw(images: &[CaptionedImage], columns: usize, width: usize, color_support: ColorSupport) -> String {
    let available = width + IMAGE_GAP.len();
    let columns = columns.min(available / (MIN_SIDE_PX + IMAGE_GAP.len())).max(1);
    // Even, because a character cell is two pixels high.
    let side = (available / columns).saturating_sub(IMAGE_GAP.len()).clamp(MIN_SIDE_PX, SIDE) & !1;

    let mut text = String::new();
    let mut write_line = |cells: Vec<String>| {
        text += cells.join(IMAGE_GAP).trim_end();
        text.push('\n');
    };
    for row in images.chunks(columns) {
        let scaled: Vec<_> = row.iter().map(|image| resize(image.pixels(), side)).collect();
        write_line(vec![]);
        write_line(row.iter().map(|image| format!("{:^side$}", image.caption)).collect());
        for y in (0..side).step_by(2) {
            let line = |image: &Vec<u8>| {
                let (top, bottom) = image[y * side..][..2 * side].split_at(side);
                color_support.render_row_pair(top, bottom)
            };
            write_line(scaled.iter().map(line).collect());
        }
    }
    text
}

/// Resizes a 28x28 image (row, column) to `side` x `side` pixels.
fn resize(image: &[u8], side: usize) -> Vec<u8> {
    let image = GrayImage { width: SIDE, height: SIDE, values: image.to_vec(), scale: 1 };
    image.resize(side, side).values
}

#[cfg(test)]
mod tests {
    use super::*;
    use lenet::PIXELS;
    use snapbox::{assert_data_eq, str};

    /// A black image with a white diagonal and a white last row.
    fn diagonal() -> Vec<u8> {
        (0..PIXELS)
            .map(|index| if index / SIDE == index % SIDE || index / SIDE == SIDE - 1 { 255 } else { 0 })
            .collect()
    }

    fn color_support(variables: &[(&str, &str)]) -> ColorSupport {
        ColorSupport::from_variables(|name| {
            variables.iter().find(|variable| variable.0 == name).map_or(String::new(), |it| it.1.to_owned())
        })
    }

    #[test]
    fn gray_levels_follow_the_environment() {
        assert_eq!(color_support(&[("TERM", "xterm")]), ColorSupport::Palette);
        assert_eq!(color_support(&[("COLORTERM", "truecolor")]), ColorSupport::TrueColor);
        assert_eq!(color_support(&[("COLORTERM", "24bit")]), ColorSupport::TrueColor);
        assert_eq!(color_support(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), ColorSupport::Ascii);
        assert_eq!(color_support(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]), ColorSupport::TrueColor);
        assert_eq!(color_support(&[("TERM", "dumb")]), ColorSupport::Ascii);
    }

    #[test]
    fn resizing_keeps_the_mean() {
        let image: Vec<u8> = (0..PIXELS).map(|index| (index * index % 251) as u8).collect();
        let mean =
            |pixels: &[u8]| pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / pixels.len() as f64;
        assert_eq!(resize(&image, SIDE), image);
        for side in (MIN_SIDE_PX..SIDE).step_by(2) {
            let difference = mean(&image) - mean(&resize(&image, side));
            assert!(difference.abs() < 0.5, "side {side}: {difference}");
        }
        let half = resize(&diagonal(), SIDE / 2);
        assert_eq!(half[..2], [128, 0]);
        assert_eq!(half[half.len() - 2..], [128, 191]);
    }

    #[test]
    fn wide_rows_are_scaled_down_and_then_wrapped() {
        let image = diagonal();
        let images: Vec<_> =
            "123".chars().map(|digit| CaptionedImage::from_digit(&image, digit.into())).collect();
        assert_data_eq!(
            draw(&images, 3, 26, ColorSupport::Ascii),
            str![[r#"

     1             2
:.            :.
  ..            ..
    .:            .:
      :.            :.
        ..            ..
::::::::::=-  ::::::::::=-

     3
:.
  ..
    .:
      :.
        ..
::::::::::=-

"#]]
        );
        for width in 0..200 {
            let text = draw(&images, 3, width, ColorSupport::Ascii);
            let widest = text.lines().map(str::len).max().unwrap_or(0);
            assert!(widest <= width.max(MIN_SIDE_PX), "{widest} of {width}");
        }
        assert_eq!(draw(&[], 4, 80, ColorSupport::TrueColor), "");
    }

    #[test]
    fn color_codes_are_written_only_where_the_color_changes() {
        let mut image = vec![0; PIXELS];
        image[..2].fill(255);
        let image = CaptionedImage::from_digit(&image, "7".into());
        let first_row = |color_support| {
            draw(std::slice::from_ref(&image), 1, 80, color_support).lines().nth(2).map(str::to_owned)
        };
        let rest = "▀".repeat(26);
        assert_eq!(
            first_row(ColorSupport::TrueColor),
            Some(format!("\x1b[38;2;255;255;255;48;2;0;0;0m▀▀\x1b[38;2;0;0;0;48;2;0;0;0m{rest}\x1b[0m"))
        );
        assert_eq!(
            first_row(ColorSupport::Palette),
            Some(format!("\x1b[38;5;255;48;5;232m▀▀\x1b[38;5;232;48;5;232m{rest}\x1b[0m"))
        );
    }
}
