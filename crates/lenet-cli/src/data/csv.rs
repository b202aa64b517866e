//! The CSV format of Kaggle's Digit Recognizer: a header, then a line for each image. Other CSV files of MNIST's images differ in
//! the names of columns, in the place of the label, or lack the header.

use std::io::{BufRead, Read};

use anyhow::{Context, bail, ensure};
use lenet::{PIXELS, SIDE, data::idx};

/// Whether a CSV file has labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelColumn {
    /// A column of labels, as in train.csv, before or after the pixels.
    Present,
    /// Pixels only, as in test.csv.
    Absent,
}

/// Bytes of a line, at most. A header of quoted names has about two thirds as many.
const MAX_LINE_BYTES: u64 = 16 << 10;
/// Names of the column of labels, in lower case.
const LABEL_NAMES: [&str; 4] = ["label", "class", "digit", "target"];
/// Ways to name the column of a pixel: with its index from 0 or from 1, or with its row and column from 1.
const PIXEL_NAME_STYLES: [fn(usize) -> String; 3] = [
    |index| format!("pixel{index}"),
    |index| format!("pixel{}", index + 1),
    |index| format!("{}x{}", index / SIDE + 1, index % SIDE + 1),
];

/// Parses a file and returns the labels (image), which are empty if the file has none, and the pixels (image, row, column).
///
/// The first line is a header if it has a cell that is no number. Without a header, the label is the first cell. A byte order
/// mark, quotes around cells, decimals `.0` and blank lines at the end are ignored.
///
/// # Errors
/// If the header doesn't name the pixels in order, and before or after them the label unless it is [`LabelColumn::Absent`], a
/// line has another number of cells, a cell is no whole number from 0 to 255, there are more than [`idx::MAX_IMAGES`] images, or
/// the file has no header and the label seems to be the last cell.
pub fn parse(mut file: impl BufRead, labels: LabelColumn) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let is_labeled = labels == LabelColumn::Present;
    let columns = PIXELS + usize::from(is_labeled);
    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    let (mut line, mut row) = (String::new(), Vec::new());
    let (mut label_column, mut has_header, mut blank_line) = (is_labeled.then_some(0), false, None);
    for number in 1.. {
        line.clear();
        if file.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)? == 0 {
            break;
        }
        let max_lines = idx::MAX_IMAGES + usize::from(has_header);
        let text = line.trim_start_matches('\u{feff}').trim();
        if text.is_empty() && number > 1 {
            ensure!(
                number <= max_lines + 1,
                "line {number}: expected the end of the file, found a blank line"
            );
            blank_line.get_or_insert(number);
            continue;
        }
        if let Some(blank) = blank_line {
            bail!("line {blank}: expected {columns} values, found a blank line");
        }
        let cells = || text.split(',').map(unquoted);
        let found = cells().count();
        ensure!(found == columns, "line {number}: expected {columns} values, found {found}");
        if number == 1 && cells().any(|cell| cell.parse::<f64>().is_err()) {
            label_column = parse_header(&cells().collect::<Vec<_>>(), is_labeled)?;
            has_header = true;
            continue;
        }
        ensure!(number <= max_lines, "images: expected at most {}, found more", idx::MAX_IMAGES);
        row.clear();
        for (column, cell) in cells().enumerate() {
            let value = parse_value(cell).with_context(|| {
                let name = match label_column {
                    Some(label) if label == column => "label".to_owned(),
                    label => PIXEL_NAME_STYLES[0](column - usize::from(label == Some(0))),
                };
                format!("line {number}, {name}: expected a whole number from 0 to 255, found {cell:?}")
            })?;
            row.push(value);
        }
        if let Some(column) = label_column {
            labels.push(row.remove(column));
        }
        pixels.extend_from_slice(&row);
    }
    if is_labeled && !has_header {
        check_label_is_first(&labels, &pixels)?;
    }
    Ok((labels, pixels))
}

/// Returns a cell without spaces and quotes around it.
fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell)
}

/// Parses a whole number from 0 to 255, also one with decimals that are 0.
fn parse_value(cell: &str) -> Option<u8> {
    let (whole, decimals) = cell.split_once('.').unwrap_or((cell, ""));
    whole.parse().ok().filter(|_| decimals.bytes().all(|digit| digit == b'0'))
}

/// Checks the names of the columns, and returns which one is the label.
fn parse_header(names: &[&str], is_labeled: bool) -> anyhow::Result<Option<usize>> {
    let names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let is_label = |column: usize| LABEL_NAMES.contains(&names[column].as_str());
    let label = match is_labeled {
        false => None,
        true if is_label(0) => Some(0),
        true if is_label(PIXELS) => Some(PIXELS),
        true => bail!(
            "line 1: expected the first or the last column to be label or class, found {:?} and {:?}",
            names[0],
            names[PIXELS]
        ),
    };
    let pixels = &names[usize::from(label == Some(0))..][..PIXELS];
    let style = PIXEL_NAME_STYLES.iter().find(|style| style(0) == pixels[0]);
    let style = style.unwrap_or(&PIXEL_NAME_STYLES[0]);
    for (index, name) in pixels.iter().enumerate() {
        let expected = style(index);
        ensure!(*name == expected, "line 1: expected {expected}, found {name:?}");
    }
    Ok(label)
}

/// Checks that the first cells of a file without a header are not all the same while the last ones could be labels: the corners
/// of MNIST's images are 0.
fn check_label_is_first(labels: &[u8], pixels: &[u8]) -> anyhow::Result<()> {
    let mut last_cells = pixels.chunks_exact(PIXELS).map(|image| image[PIXELS - 1]);
    let varies = last_cells.clone().any(|cell| last_cells.clone().next() != Some(cell));
    let is_ambiguous =
        labels.iter().all(|label| *label == labels[0]) && varies && last_cells.all(|cell| cell <= 9);
    ensure!(
        !is_ambiguous,
        "line 1: expected a header, because the labels seem to be in the last column, found none; add a line \
         pixel0,...,pixel783,label"
    );
    Ok(())
}
