//! Aligned columns of text. On a terminal the last column is wrapped to the width of the terminal;
//! elsewhere every row is one line, for scripts.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width};

use super::plain::plain;

/// Spaces between two columns.
const GAP: u16 = 2;
/// The last column is not wrapped to less than this, however narrow the terminal is.
const LAST_COLUMN_MIN: u16 = 20;

/// Rows with a heading. Columns of numbers are aligned to the right.
pub(crate) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One entry of a table.
pub(crate) enum Cell {
    Text(String),
    Number(String),
}

impl Table {
    pub(crate) fn new<const N: usize>(heading: [&'static str; N]) -> Self {
        Self::with(heading.to_vec())
    }

    /// A table whose columns are known at run time.
    pub(super) fn with(heading: Vec<&'static str>) -> Self {
        Self::new_of(heading.into_iter().map(str::to_owned))
    }

    /// A table whose columns have names of others.
    pub(crate) fn new_of(heading: impl IntoIterator<Item = String>) -> Self {
        let heading = heading.into_iter().map(|name| plain(&name)).collect();
        Self { heading, rows: Vec::new() }
    }

    pub(crate) fn push<const N: usize>(&mut self, row: [Cell; N]) {
        self.push_all(row.into());
    }

    pub(crate) fn push_all(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line with its line end. `width` is that of the terminal; `None`
    /// where there is no terminal.
    pub(crate) fn text(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_header(&self.heading);
        table.set_content_arrangement(ContentArrangement::Disabled);
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::text));
        }
        let last = self.heading.len().saturating_sub(1);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding(if at == last { (0, 0) } else { (0, GAP) });
            column.set_constraint(ColumnConstraint::ContentWidth);
            if self.is_number(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            // Numbers and names stay whole: only the last column may hold sentences.
            if let Some(column) = table.column_mut(last).filter(|_| !self.is_number(last)) {
                column
                    .set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(LAST_COLUMN_MIN)));
            }
        }
        table.trim_fmt() + "\n"
    }

    fn is_number(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.any(|cell| matches!(cell, Cell::Number(_)))
    }
}

impl Cell {
    /// A number that exists, whether or not it is known.
    pub(crate) fn known(number: Option<u64>) -> Self {
        Self::Number(number.map_or_else(|| "?".to_owned(), |number| number.to_string()))
    }

    /// Without what acts on a terminal, which a data node or a sidecar may have sent.
    fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(text) => plain(text),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Option<u64>> for Cell {
    /// A number that may not exist. Use [`Cell::known`] for one that exists but may be unknown.
    fn from(number: Option<u64>) -> Self {
        Self::Number(number.map_or_else(|| "-".to_owned(), |number| number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_lines_end_with_their_text() {
        let mut table = Table::new(["VB", "PHASE", "LAG", "ERROR"]);
        table.push([Cell::from(7), "open".into(), Some(12_345).into(), "".into()]);
        table.push([
            Cell::from(1023),
            "waiting".into(),
            None.into(),
            "bad\u{1b}[31m\u{202e}x".into(),
        ]);
        table.push([Cell::from(8), "open".into(), Cell::known(None), "".into()]);
        let want = "  VB  PHASE      LAG  ERROR\n   7  open     12345\n\
                    1023  waiting      -  bad [31m x\n   8  open         ?\n";
        assert_eq!(table.text(None), want);
        assert_eq!(table.text(Some(80)), want);
        let mut table = Table::new(["BUCKET", "LAG"]);
        table.push([Cell::from("default"), Some(7).into()]);
        assert_eq!(table.text(Some(80)), "BUCKET   LAG\ndefault    7\n");
        assert!(!table.is_empty() && Table::new(["VB"]).is_empty());
    }

    #[test]
    fn a_terminal_gets_its_width_and_a_script_whole_rows() {
        let mut table = Table::new(["VB", "DETAIL"]);
        let detail = "the consumer refused the stream, and it is tried again after a backoff";
        table.push([Cell::from(1023), detail.into()]);
        assert_eq!(table.text(None), format!("  VB  DETAIL\n1023  {detail}\n"));
        let want = [
            "  VB  DETAIL",
            "1023  the consumer refused the",
            "      stream, and it is tried",
            "      again after a backoff",
        ];
        assert_eq!(table.text(Some(31)).lines().collect::<Vec<_>>(), want);
        // Too narrow for anything: the terminal breaks the lines.
        assert_eq!(table.text(Some(5)).lines().nth(1), Some("1023  the consumer refused"));
    }
}
