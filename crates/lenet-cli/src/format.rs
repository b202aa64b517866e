//! Readings as text.

use std::fmt;

use lenet::recognize::Reading;

/// Joins values with a separator.
pub fn joined<T: fmt::Display>(values: &[T], separator: &str) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// A cell of a CSV file, quoted where RFC 4180 requires it.
pub struct CsvCell<'a>(pub &'a str);

impl fmt::Display for CsvCell<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if self.0.contains(['"', ',', '\n', '\r']) {
            write!(out, "\"{}\"", self.0.replace('"', "\"\""))
        } else {
            out.write_str(self.0)
        }
    }
}

/// The message of a picture in which no cells were found.
pub const NO_CELLS_MESSAGE: &str = "cells: expected a table with rules, found none";

/// Returns the texts of a reading's cells as CSV. A cell that the table doesn't have is empty.
pub fn cells_csv(reading: &Reading) -> String {
    let line = |row: &Vec<&str>| {
        let cells: Vec<_> = row.iter().map(|cell| CsvCell(cell).to_string()).collect();
        cells.join(",") + "\n"
    };
    reading.rows().iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_csv_cells_with_separators() {
        let cells = ["a.png", "a,b", "a\"b", "a\nb"].map(|cell| CsvCell(cell).to_string());
        assert_eq!(cells, ["a.png", "\"a,b\"", "\"a\"\"b\"", "\"a\nb\""]);
    }
}
