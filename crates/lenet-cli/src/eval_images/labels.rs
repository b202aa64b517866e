//! The file `labels.tsv` beside pictures: a line for each, with file, label and source, and what else there may be, between tabs.

use anyhow::bail;

/// What stands in a picture.
pub struct Label<'a> {
    pub file: &'a str,
    /// Digits, `\n` between lines; empty if the label is no digits.
    pub digits: String,
    /// Whose writing it is.
    pub source: &'a str,
}

/// Reads the labels. In a label `|` stands between lines; of the source only what is before `@` counts.
pub fn parse(text: &str) -> anyhow::Result<Vec<Label<'_>>> {
    fn label((number, line): (usize, &str)) -> anyhow::Result<Label<'_>> {
        let mut cells = line.split('\t');
        let (Some(file), Some(label), Some(source)) = (cells.next(), cells.next(), cells.next()) else {
            bail!("line {number}: expected file, label and source between tabs, found {line:?}");
        };
        let digits = label.chars().all(|c| c.is_ascii_digit() || c == '|');
        Ok(Label {
            file,
            digits: if digits { label.replace('|', "\n") } else { String::new() },
            source: source.split('@').next().unwrap_or_default(),
        })
    }
    (1..).zip(text.lines()).map(label).collect()
}
