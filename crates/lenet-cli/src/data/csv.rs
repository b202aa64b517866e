//! The CSV format of Kaggle's Digit Recognizer: a header, then a line for each image.

use std::io::{BufRead, Read};

use anyhow::{bail, ensure};
use lenet::{PIXELS, data::idx};

/// Whether a CSV file has labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelColumn {
    /// A first column `label`, as in train.csv.
    First,
    /// Pixels only, as in test.csv.
    Absent,
}

/// Bytes of a line, at most. The header with labels has about half as many.
const MAX_LINE_BYTES: u64 = 16 << 10;

/// Parses a file and returns the labels (image), which are empty if the file has none, and the pixels (image, row, column).
///
/// # Errors
/// If the header is not `label,pixel0,...,pixel783` (without `label` for [`LabelColumn::Absent`]), a line has another number of
/// cells, a cell is no number from 0 to 255, or there are more than [`idx::MAX_IMAGES`] images.
pub fn parse(mut file: impl BufRead, labels: LabelColumn) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut columns: Vec<_> = (0..PIXELS).map(|pixel| format!("pixel{pixel}")).collect();
    if labels == LabelColumn::First {
        columns.insert(0, "label".to_owned());
    }

    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    let (mut line, mut row) = (String::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if file.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)? == 0 {
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
