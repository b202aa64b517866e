//! The file `labels.tsv` of a folder of image files: a line for each image with file, label and source, separated by tabs. More
//! cells are ignored.

use anyhow::bail;

/// The label of an image.
pub struct Label<'a> {
    /// Path of the image, relative to the folder.
    pub file: &'a str,
    /// Digits, with `\n` between lines; empty if the image has no digits.
    pub digits: String,
    /// Name of the source, such as a writer or a dataset, by which results are grouped.
    pub source: &'a str,
}

/// Parses the labels.
///
/// In the label cell, `|` separates lines of digits. A label with other characters is a description of an image without digits.
/// The source ends before the first `@`.
///
/// # Errors
/// If a line has fewer than three cells.
pub fn parse(text: &str) -> anyhow::Result<Vec<Label<'_>>> {
    (1..).zip(text.lines()).map(|(number, line)| parse_line(number, line)).collect()
}

fn parse_line(number: usize, line: &str) -> anyhow::Result<Label<'_>> {
    let mut cells = line.split('\t');
    let (Some(file), Some(label), Some(source)) = (cells.next(), cells.next(), cells.next()) else {
        bail!("line {number}: expected file, label and source between tabs, found {line:?}");
    };
    let is_digits = label.chars().all(|c| c.is_ascii_digit() || c == '|');
    Ok(Label {
        file,
        digits: if is_digits { label.replace('|', "\n") } else { String::new() },
        source: source.split('@').next().unwrap_or_default(),
    })
}
