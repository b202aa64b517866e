//! `--explain`: what was made of a picture, step by step, as PNG files.

use std::{iter, path::Path};

use lenet::{
    image::GrayImage,
    recognize::{Digit, Reading, Trace},
};

use crate::figure::{self, Picture, Tile};

/// Writes `NAME.grey.png`, `NAME.ink.png`, `NAME.boxes.png` with the answers, and `NAME.tiles.png` as the network sees them.
pub fn save(folder: &Path, name: &str, explanation: &Trace) -> anyhow::Result<()> {
    let name = |step: &str| folder.join(format!("{name}.{step}.png"));
    let Trace { grey, ink, reading } = explanation;
    Picture::grey(grey.width, &grey.values).save(&name("grey"))?;
    if let Some(ink) = ink {
        let dark: Vec<u8> = ink.values.iter().map(|value| 255 - value).collect();
        Picture::grey(ink.width, &dark).save(&name("ink"))?;
    }
    boxes(grey, reading).save(&name("boxes"))?;
    let tiles: Vec<_> = reading.digits.iter().map(tile).collect();
    figure::sheet("", &tiles, 8).save(&name("tiles"))
}

/// What the network saw, with its answer and what was remarked.
fn tile(digit: &Digit) -> Tile<'_> {
    let answer = format!("{} {:.0}%", digit.digit, 100.0 * digit.confidence);
    let answer = if digit.rejected { format!("? ({answer})") } else { answer };
    let lines = iter::once(answer).chain(digit.remarks.iter().cloned());
    Tile::digit(&digit.tile, lines.collect::<Vec<_>>().join("\n"))
}

/// The picture with a box round each digit and the answer above it, small enough that they can be read.
fn boxes(grey: &GrayImage, reading: &Reading) -> Picture {
    let small = figure::shrink(grey, MOST);
    let mut picture = Picture::grey(small.width, &small.values);
    let scaled = |length: usize| length * small.width / (grey.width * grey.scale).max(1);
    for digit in &reading.digits {
        let answer = if digit.rejected { "?".to_owned() } else { digit.digit.to_string() };
        picture.frame(<[usize; 4]>::from(digit.bounds).map(scaled), &answer, digit.rejected);
    }
    picture
}

/// Pixels along each side of a picture with boxes.
const MOST: usize = 1000;
