//! What is drawn in the terminal: digits, two pixels to a character, and progress bars.

use std::env;

use indicatif::{ProgressBar, ProgressStyle};
use lenet::SIDE;

use crate::figure::Tile;

/// How a progress bar looks.
pub fn bar_style(template: &str) -> ProgressStyle {
    // Only a wrong template fails, and each is a line of this program.
    ProgressStyle::with_template(template).expect("a good template").progress_chars("=> ")
}

/// The bar of several pictures that are read, on stderr where that is a terminal.
pub fn pictures_bar(count: usize) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let style = bar_style("[{wide_bar}] {pos} of {len} pictures, {eta} left");
    ProgressBar::new(count as u64).with_style(style)
}

/// Stands between two images.
const GAP: &str = "  ";
/// Side of the smallest image in which a digit can still be read.
const SMALLEST: usize = 12;

/// How a terminal shows grey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shades {
    /// All 256 levels.
    TrueColour,
    /// The 24 levels in the palette of 256 colours.
    Palette,
    /// By characters of more or less ink.
    Characters,
}

impl Shades {
    /// What the environment says of the terminal: `NO_COLOR` and `TERM=dumb` rule colours out, `COLORTERM`
    /// promises all of them.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| env::var(name).unwrap_or_default())
    }

    fn from_variables(variable: impl Fn(&str) -> String) -> Self {
        if !variable("NO_COLOR").is_empty() || variable("TERM") == "dumb" {
            Self::Characters
        } else if ["truecolor", "24bit"].contains(&variable("COLORTERM").as_str()) {
            Self::TrueColour
        } else {
            Self::Palette
        }
    }

    /// A line of characters that shows the row of pixels `top` above the row `bottom`.
    fn line(self, top: &[u8], bottom: &[u8]) -> String {
        let palette = |value: u8| 232 + u16::from(value) * 23 / 255;
        let ramp = b" .:-=+*#%@";
        let (mut line, mut colours) = (String::new(), String::new());
        for (&top, &bottom) in top.iter().zip(bottom) {
            let (wanted, character) = match self {
                Self::TrueColour => {
                    (format!("\x1b[38;2;{top};{top};{top};48;2;{bottom};{bottom};{bottom}m"), '▀')
                }
                Self::Palette => (format!("\x1b[38;5;{};48;5;{}m", palette(top), palette(bottom)), '▀'),
                Self::Characters => {
                    let ink = (usize::from(top) + usize::from(bottom)) * ramp.len() / (2 * 255 + 1);
                    (String::new(), char::from(ramp[ink]))
                }
            };
            if wanted != colours {
                line += &wanted;
                colours = wanted;
            }
            line.push(character);
        }
        line + if colours.is_empty() { "" } else { "\x1b[0m" }
    }
}

/// The tiles, of digits, in rows of `columns`, an empty line and the captions above each row, for a terminal of `width`
/// characters: made smaller to fit, and where they would be too small to read, in rows of fewer.
pub fn draw(tiles: &[Tile], columns: usize, width: usize, shades: Shades) -> String {
    let room = width + GAP.len();
    let columns = columns.min(room / (SMALLEST + GAP.len())).max(1);
    // Even, because a character is two pixels high.
    let side = (room / columns).saturating_sub(GAP.len()).clamp(SMALLEST, SIDE) & !1;

    let mut text = String::new();
    let mut write = |parts: Vec<String>| {
        text += parts.join(GAP).trim_end();
        text.push('\n');
    };
    for row in tiles.chunks(columns) {
        let images: Vec<_> = row.iter().map(|tile| shrink(tile.image, side)).collect();
        write(vec![]);
        write(row.iter().map(|tile| format!("{:^side$}", tile.caption)).collect());
        for y in (0..side).step_by(2) {
            let line = |image: &Vec<u8>| {
                let (top, bottom) = image[y * side..][..2 * side].split_at(side);
                shades.line(top, bottom)
            };
            write(images.iter().map(line).collect());
        }
    }
    text
}

/// An image (row, column) scaled from [`SIDE`] to `side`, each new pixel the mean of the area that it covers.
fn shrink(image: &[u8], side: usize) -> Vec<u8> {
    // Along an axis: the old pixels under a new one, and how much of each, in units of 1 / side.
    let covered = |new: usize| {
        (new * SIDE / side..((new + 1) * SIDE).div_ceil(side))
            .map(move |old| (old, ((new + 1) * SIDE).min((old + 1) * side) - (new * SIDE).max(old * side)))
    };
    let mut small = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let mut sum = 0;
            for (row, height) in covered(y) {
                for (column, width) in covered(x) {
                    sum += height * width * usize::from(image[row * SIDE + column]);
                }
            }
            small.push((sum / (SIDE * SIDE)) as u8);
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;
    use lenet::PIXELS;
    use snapbox::{assert_data_eq, str};

    /// A black image with a white slope and, in its last row, a white line.
    fn slope() -> Vec<u8> {
        (0..PIXELS)
            .map(|index| if index / SIDE == index % SIDE || index / SIDE == SIDE - 1 { 255 } else { 0 })
            .collect()
    }

    fn shades(variables: &[(&str, &str)]) -> Shades {
        Shades::from_variables(|name| {
            variables.iter().find(|variable| variable.0 == name).map_or(String::new(), |it| it.1.to_owned())
        })
    }

    #[test]
    fn shades_are_what_the_terminal_can_show() {
        assert_eq!(shades(&[("TERM", "xterm")]), Shades::Palette);
        assert_eq!(shades(&[("COLORTERM", "truecolor")]), Shades::TrueColour);
        assert_eq!(shades(&[("COLORTERM", "24bit")]), Shades::TrueColour);
        assert_eq!(shades(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Shades::Characters);
        assert_eq!(shades(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]), Shades::TrueColour);
        assert_eq!(shades(&[("TERM", "dumb")]), Shades::Characters);
    }

    #[test]
    fn shrinking_keeps_the_mean() {
        let image: Vec<u8> = (0..PIXELS).map(|index| (index * index % 251) as u8).collect();
        let mean =
            |pixels: &[u8]| pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / pixels.len() as f64;
        assert_eq!(shrink(&image, SIDE), image);
        for side in (SMALLEST..SIDE).step_by(2) {
            let difference = mean(&image) - mean(&shrink(&image, side));
            assert!((0.0..1.0).contains(&difference), "side {side}: {difference}");
        }
        let halves = shrink(&slope(), SIDE / 2);
        assert_eq!(halves[..2], [127, 0]);
        assert_eq!(halves[halves.len() - 2..], [127, 191]);
    }

    #[test]
    fn what_is_too_wide_is_made_smaller_and_then_wrapped() {
        let image = slope();
        let tiles: Vec<_> = "123".chars().map(|digit| Tile::digit(&image, digit.into())).collect();
        assert_data_eq!(
            draw(&tiles, 3, 26, Shades::Characters),
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
            let text = draw(&tiles, 3, width, Shades::Characters);
            let widest = text.lines().map(str::len).max().unwrap_or(0);
            assert!(widest <= width.max(SMALLEST), "{widest} of {width}");
        }
        assert_eq!(draw(&[], 4, 80, Shades::TrueColour), "");
    }

    #[test]
    fn colours_change_only_where_the_picture_does() {
        let mut image = vec![0; PIXELS];
        image[..2].fill(255);
        let tile = Tile::digit(&image, "7".into());
        let first =
            |shades| draw(std::slice::from_ref(&tile), 1, 80, shades).lines().nth(2).map(str::to_owned);
        let rest = "▀".repeat(26);
        assert_eq!(
            first(Shades::TrueColour),
            Some(format!("\x1b[38;2;255;255;255;48;2;0;0;0m▀▀\x1b[38;2;0;0;0;48;2;0;0;0m{rest}\x1b[0m"))
        );
        assert_eq!(
            first(Shades::Palette),
            Some(format!("\x1b[38;5;255;48;5;232m▀▀\x1b[38;5;232;48;5;232m{rest}\x1b[0m"))
        );
    }
}
