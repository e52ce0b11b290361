//! Aligned columns of text.

use std::fmt;

/// Between two columns.
const GAP: &str = "  ";

/// Rows under a heading. Numbers stand to the right, the last column is never padded.
pub(super) struct Table<const N: usize> {
    rows: Vec<[Cell; N]>,
}

/// One entry of a table.
pub(super) enum Cell {
    Text(String),
    Number(String),
}

impl<const N: usize> Table<N> {
    pub(super) fn new(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(Cell::from)] }
    }

    pub(super) fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// Whether there is nothing under the heading.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text().chars().count()).max().unwrap_or(0)
    }

    /// Whether a column holds numbers; its heading then stands to the right too.
    fn is_number(&self, column: usize) -> bool {
        let below = self.rows.iter().skip(1).filter_map(|row| row.get(column));
        below.into_iter().any(|cell| matches!(cell, Cell::Number(_)))
    }
}

impl Cell {
    /// A number that there is, known or not.
    pub(super) fn known(number: Option<u64>) -> Self {
        Self::Number(number.map_or_else(|| "?".to_owned(), |number| number.to_string()))
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }
}

impl From<&str> for Cell {
    /// What a data node said may hold anything; a terminal gets no control characters from us.
    fn from(text: &str) -> Self {
        Self::Text(text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Option<u64>> for Cell {
    /// A number that there may not be; one that is merely not known is [`Cell::known`].
    fn from(number: Option<u64>) -> Self {
        Self::Number(number.map_or_else(|| "-".to_owned(), |number| number.to_string()))
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = (0..N).map(|at| (self.width(at), self.is_number(at))).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, &(width, is_number)) in row.iter().zip(&columns) {
                let text = cell.text();
                if is_number {
                    line += &format!("{text:>width$}{GAP}");
                } else {
                    line += &format!("{text:width$}{GAP}");
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_lines_end_with_their_text() {
        let mut table = Table::new(["VB", "PHASE", "LAG", "ERROR"]);
        table.push([Cell::from(7), "open".into(), Some(12_345).into(), "".into()]);
        table.push([Cell::from(1023), "waiting".into(), None.into(), "bad\u{1b}[31m".into()]);
        table.push([Cell::from(8), "open".into(), Cell::known(None), "".into()]);
        let want = "  VB  PHASE      LAG  ERROR\n   7  open     12345\n\
                    1023  waiting      -  bad [31m\n   8  open         ?\n";
        assert_eq!(table.to_string(), want);
        assert!(!table.is_empty() && Table::new(["VB"]).is_empty());
    }
}
