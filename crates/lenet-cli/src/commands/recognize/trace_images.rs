//! `--trace`: writes the intermediate images of a reading as PNG files.

use std::{iter, path::Path};

use lenet::recognize::{Digit, Trace};

use crate::figure::{self, Canvas, CaptionedImage};

/// Writes `NAME.grey.png` (the gray image), `NAME.paper.png` (the paper, if it has dark surroundings), `NAME.ink.png` (the
/// binarized image), `NAME.boxes.png` (the gray image with bounding boxes) and `NAME.tiles.png` (the normalized digits) to
/// `folder`. The names are those of earlier versions.
pub fn save(folder: &Path, name: &str, trace: &Trace) -> anyhow::Result<()> {
    let path = |stage: &str| folder.join(format!("{name}.{stage}.png"));
    let Trace { gray, paper, ink, reading } = trace;
    Canvas::from_gray(gray.width, &gray.values).save(&path("grey"))?;
    if let Some(paper) = paper {
        Canvas::from_gray(paper.width, &paper.values).save(&path("paper"))?;
    }
    if let Some(ink) = ink {
        let dark: Vec<u8> = ink.values.iter().map(|value| 255 - value).collect();
        Canvas::from_gray(ink.width, &dark).save(&path("ink"))?;
    }
    figure::digit_boxes(gray, reading).save(&path("boxes"))?;
    let digits: Vec<_> = reading.digits.iter().map(captioned_digit).collect();
    figure::image_grid("", &digits, 8).save(&path("tiles"))
}

/// Returns the normalized image of a digit, captioned with the prediction and the remarks.
fn captioned_digit(digit: &Digit) -> CaptionedImage<'_> {
    let prediction = format!("{} {:.0}%", digit.digit, 100.0 * digit.confidence);
    let prediction = if digit.rejected { format!("? ({prediction})") } else { prediction };
    let lines = iter::once(prediction).chain(digit.remarks.iter().map(ToString::to_string));
    CaptionedImage::from_digit(&digit.normalized, lines.collect::<Vec<_>>().join("\n"))
}
