//! The CSV files of Kaggle's Digit Recognizer: a header, then a line for each image.

use std::io::{BufRead, Read};

use anyhow::{bail, ensure};
use lenet::{PIXELS, data::idx};

/// Reads labels (image), none unless `labelled`, and pixels (image, row, column).
pub fn parse(mut file: impl BufRead, labelled: bool) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    /// Bytes in a line; the header needs half of that.
    const LONGEST: u64 = 16 << 10;
    let mut columns: Vec<_> = (0..PIXELS).map(|pixel| format!("pixel{pixel}")).collect();
    columns.splice(..0, labelled.then(|| "label".to_string()));

    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    let (mut line, mut row) = (String::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if file.by_ref().take(LONGEST).read_line(&mut line)? == 0 {
            break;
        }
        ensure!(number <= 1 + idx::MAX_IMAGES, "images: expected at most {}, found more", idx::MAX_IMAGES);
        let cells = line.trim_end().split(',');
        let found = cells.clone().count();
        ensure!(found == columns.len(), "line {number}: expected {} values, found {found}", columns.len());
        if number == 1 {
            for (cell, column) in cells.zip(&columns) {
                ensure!(cell == column, "line 1: expected {column}, found {cell:?}");
            }
            continue;
        }
        row.clear();
        for (cell, column) in cells.zip(&columns) {
            let Ok(value) = cell.parse() else {
                bail!("line {number}, {column}: expected 0 to 255, found {cell:?}");
            };
            row.push(value);
        }
        let (label, image) = row.split_at(row.len() - PIXELS);
        labels.extend_from_slice(label);
        pixels.extend_from_slice(image);
    }
    Ok((labels, pixels))
}
