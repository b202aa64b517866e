//! The text of a reading, and the texts of its cells.

use super::{
    Recognizer,
    alternatives::LineText,
    assemble::{InkReading, LineReading},
    marks::MarkCandidate,
    reading::digit_char,
    reject::Verdict,
};
use crate::image::{self, Cell, Rect};

/// A character of the text: a digit, a rejected candidate or a certain mark.
pub(super) struct Token {
    char: char,
    /// The bounding box in the ink map.
    bounds: Rect,
    /// The index of the cell that holds it.
    cell: Option<usize>,
}

impl Token {
    fn new(char: char, bounds: Rect, cells: &[Cell]) -> Self {
        Self { char, bounds, cell: image::cell_of(&bounds, cells) }
    }
}

impl Recognizer {
    /// Returns the text of a reading whose lines have certain characters, and the text of each of its cells.
    pub(super) fn write_text(&self, lines: &[Vec<Token>], reading: &InkReading) -> (String, Vec<String>) {
        let cells = &reading.cells;
        let holds_numbers = self.cells_hold_numbers(lines, cells.len());
        // Where a pattern says all characters, gaps have no meaning.
        let has_spaces = self.constraint.as_ref().is_none_or(|constraint| constraint.pattern.is_none());
        let mut text = String::new();
        // With the last line that is in the cell.
        let mut cell_texts = vec![(String::new(), 0); cells.len()];
        for (line, (tokens, height)) in
            lines.iter().zip(reading.lines.iter().map(|line| line.height)).enumerate()
        {
            text.extend((line > 0).then_some('\n'));
            let bounds: Vec<Rect> = tokens.iter().map(|token| token.bounds).collect();
            let spaces = image::spaces(&bounds, height, &self.params.spaces);
            let mut last_cell = None;
            for (&Token { char, cell, .. }, has_gap) in tokens.iter().zip(spaces) {
                let has_space = has_spaces
                    && match (last_cell, cell) {
                        (Some(last), Some(cell)) if last != cell => holds_numbers,
                        // A cell of several holds one number.
                        (Some(_), Some(_)) if cells.len() > 1 => false,
                        _ => has_gap,
                    };
                last_cell = cell;
                text.extend(has_space.then_some(' ').into_iter().chain([char]));
                if let Some(cell) = cell {
                    let (text, last_line) = &mut cell_texts[cell];
                    let has_space = !text.is_empty() && (has_space || *last_line < line);
                    text.extend(has_space.then_some(' ').into_iter().chain([char]));
                    *last_line = line;
                }
            }
        }
        (text, cell_texts.into_iter().map(|(text, _)| text).collect())
    }

    /// Returns the candidates and the certain marks of a line from left to right.
    pub(super) fn tokens(&self, line: &LineReading, cells: &[Cell]) -> Vec<Token> {
        let digit = |Verdict { candidate, rejection }: &Verdict| {
            Token::new(digit_char(candidate.digit, rejection.is_some()), candidate.bounds(), cells)
        };
        let digits = line.verdicts.iter().map(digit).collect();
        self.insert_marks(digits, &line.marks, cells)
    }

    /// Returns the characters of one of the texts that a line may have.
    pub(super) fn tokens_of(&self, text: &LineText, line: &LineReading, cells: &[Cell]) -> Vec<Token> {
        let tokens = text.characters.iter().map(|&(char, bounds)| Token::new(char, bounds, cells)).collect();
        if self.decides_marks_by_constraint() {
            tokens
        } else {
            self.insert_marks(tokens, &line.marks, cells)
        }
    }

    /// Inserts the certain marks of a line between its digits.
    fn insert_marks(&self, mut tokens: Vec<Token>, marks: &[MarkCandidate], cells: &[Cell]) -> Vec<Token> {
        for mark in marks.iter().filter(|mark| !self.is_doubtful_mark(mark)) {
            let center = mark.bounds.doubled_center_x();
            let at = tokens.partition_point(|token| token.bounds.doubled_center_x() <= center);
            tokens.insert(at, Token::new(mark.mark.char(), mark.bounds, cells));
        }
        tokens
    }

    /// Returns whether `cells` cells hold numbers rather than single digits, as those of a comb do.
    fn cells_hold_numbers(&self, lines: &[Vec<Token>], cells: usize) -> bool {
        let mut counts = vec![0; cells];
        lines.iter().flatten().filter_map(|token| token.cell).for_each(|cell| counts[cell] += 1);
        let with_at_least = |min: usize| counts.iter().filter(|&&count| count >= min).count() as f64;
        with_at_least(2) >= self.params.comb.min_number_cells * with_at_least(1)
    }
}
