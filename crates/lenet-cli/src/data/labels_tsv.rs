//! Labels of image files in tab-separated text: `labels.tsv` in a folder, with file, label and source, or any other file, with
//! file and label. More cells are ignored.

use anyhow::bail;

/// The label of an image.
pub struct LabelRow<'a> {
    /// Path of the image, relative to the folder of the labels.
    pub file: &'a str,
    /// Digits and `?`, with `\n` between lines, as [`digits_of`] returns them; empty if the image has no digits.
    pub digits: String,
    /// The whole label, with spaces and marks and `\n` between lines; empty if the image has no digits.
    pub text: String,
    /// Name of the source, such as a writer or a dataset, by which results are grouped.
    pub source: &'a str,
}

/// Parses lines of file, label and source.
///
/// In the label cell, `|` separates lines. A label with letters is a description of an
/// image without digits. The source ends before the first `@`.
///
/// # Errors
/// If a line has fewer than three cells.
pub fn parse(text: &str) -> anyhow::Result<Vec<LabelRow<'_>>> {
    parse_lines(text, |number, line| {
        let mut cells = line.split('\t');
        let (Some(file), Some(label), Some(source)) = (cells.next(), cells.next(), cells.next()) else {
            bail!("line {number}: expected file, label and source between tabs, found {line:?}");
        };
        Ok(LabelRow {
            file,
            digits: digits_of(&text_of_label(label)),
            text: text_of_label(label),
            source: source.split('@').next().unwrap_or_default(),
        })
    })
}

/// Parses lines of file and label, all of one `source`.
///
/// # Errors
/// If a line has fewer than two cells.
pub fn parse_of_one_source<'a>(text: &'a str, source: &'a str) -> anyhow::Result<Vec<LabelRow<'a>>> {
    parse_lines(text, |number, line| {
        let mut cells = line.split('\t');
        let (Some(file), Some(label)) = (cells.next(), cells.next()) else {
            bail!("line {number}: expected file and label between tabs, found {line:?}");
        };
        let text = text_of_label(label);
        Ok(LabelRow { file, digits: digits_of(&text), text, source })
    })
}

fn parse_lines<'a>(
    text: &'a str,
    parse_line: impl Fn(usize, &'a str) -> anyhow::Result<LabelRow<'a>>,
) -> anyhow::Result<Vec<LabelRow<'a>>> {
    (1..).zip(text.lines()).map(|(number, line)| parse_line(number, line)).collect()
}

fn text_of_label(label: &str) -> String {
    if label.contains(char::is_alphabetic) { String::new() } else { label.replace('|', "\n") }
}

/// Returns the digits and `?` of a text, with `\n` between lines that have any. Spaces and marks are left out.
pub fn digits_of(text: &str) -> String {
    let digits = |line: &str| line.chars().filter(|c| c.is_ascii_digit() || *c == '?').collect::<String>();
    let lines: Vec<_> = text.lines().map(digits).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_compared_without_spaces_and_marks() {
        for (label, digits) in [
            ("12 7|-52", "127\n52"),
            ("(021) 3.14", "021314"),
            ("1?", "1?"),
            ("", ""),
            ("-", ""),
            ("-|7|", "7"),
            ("the letter x2", ""),
        ] {
            let line = format!("a.png\t{label}\tone@1:a.png\tphoto");
            let parsed = parse(&line).unwrap();
            assert_eq!((parsed[0].digits.as_str(), parsed[0].source), (digits, "one"), "{label}");
            let parsed = parse_of_one_source(&line, "all").unwrap();
            assert_eq!((parsed[0].digits.as_str(), parsed[0].source), (digits, "all"), "{label}");
        }
        assert!(parse("a.png\t1").is_err() && parse_of_one_source("a.png 1", "all").is_err());
    }
}
