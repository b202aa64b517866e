//! `--explain`: what was made of a picture, step by step, as PNG files.

use std::path::Path;

use lenet::{
    image::Grey,
    recognize::{Explanation, Reading},
};

use crate::picture::{self, Picture, Tile};

/// Writes `NAME.grey.png`, `NAME.ink.png`, `NAME.boxes.png` with the answers, and `NAME.tiles.png` as the network sees them.
pub fn save(folder: &Path, name: &str, explanation: &Explanation) -> anyhow::Result<()> {
    let name = |step: &str| folder.join(format!("{name}.{step}.png"));
    let Explanation { grey, ink, reading } = explanation;
    Picture::grey(grey.width, &grey.values).save(&name("grey"))?;
    if let Some(ink) = ink {
        let dark: Vec<u8> = ink.values.iter().map(|value| 255 - value).collect();
        Picture::grey(ink.width, &dark).save(&name("ink"))?;
    }
    boxes(grey, reading).save(&name("boxes"))?;
    let tiles: Vec<_> = reading
        .digits
        .iter()
        .map(|digit| Tile::digit(&digit.tile, format!("{} {:.0}%", digit.digit, 100.0 * digit.confidence)))
        .collect();
    picture::sheet("", &tiles, 8).save(&name("tiles"))
}

/// The picture with a box round each digit and the answer above it.
fn boxes(grey: &Grey, reading: &Reading) -> Picture {
    let mut picture = Picture::grey(grey.width, &grey.values);
    for digit in &reading.digits {
        let answer = if digit.rejected { "?".to_owned() } else { digit.digit.to_string() };
        let [x, y, width, height] = <[usize; 4]>::from(digit.bounds).map(|length| length / grey.shrunk);
        picture.frame([x, y, width, height], &answer, digit.rejected);
    }
    picture
}
