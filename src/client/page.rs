//! What a person reads: text and tables, laid out once it is known where they go.

use super::table::Table;

/// Text and tables, one below the other.
#[derive(Default)]
pub(super) struct Page {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Table(Table),
}

impl Page {
    /// Appends text as it is, without a line end of its own.
    pub(super) fn text(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Text(text.into()));
        self
    }

    /// Appends a table, whose last line has a line end.
    pub(super) fn table(mut self, table: Table) -> Self {
        self.parts.push(Part::Table(table));
        self
    }

    /// Appends another page.
    pub(super) fn page(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// The whole as text for a terminal of this width, or, without one, for a program.
    pub(super) fn render(&self, width: Option<u16>) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Table(table) => table.text(width),
        });
        parts.collect()
    }
}

impl From<String> for Page {
    fn from(text: String) -> Self {
        Self::default().text(text)
    }
}
