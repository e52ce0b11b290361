//! What a person reads: text and tables, laid out once it is known where they go.

use console::Style;

use super::plain::plain_lines;
use super::table::Table;

/// Text and tables, one below the other.
#[derive(Default)]
pub(super) struct Page {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Table(Table),
    Diff(String),
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

    /// Appends a unified diff, which has colours on a terminal.
    pub(super) fn diff(mut self, diff: String) -> Self {
        self.parts.push(Part::Diff(diff));
        self
    }

    /// Appends another page.
    pub(super) fn page(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Whether the page is at the begin of a line.
    pub(super) fn ends_line(&self) -> bool {
        match self.parts.last() {
            Some(Part::Text(text) | Part::Diff(text)) => text.is_empty() || text.ends_with('\n'),
            Some(Part::Table(_)) | None => true,
        }
    }

    /// The whole as text for a terminal of this width, or, without one, for a program. Nothing in
    /// it acts on the terminal but the colours of a diff.
    pub(super) fn render(&self, width: Option<u16>) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => plain_lines(text),
            Part::Table(table) => table.text(width),
            Part::Diff(diff) if width.is_some() => coloured(&plain_lines(diff)),
            Part::Diff(diff) => plain_lines(diff),
        });
        parts.collect()
    }
}

/// A unified diff in the usual colours, unless `NO_COLOR` or the terminal forbids it.
fn coloured(diff: &str) -> String {
    let (bold, red) = (Style::new().bold(), Style::new().red());
    let (green, cyan) = (Style::new().green(), Style::new().cyan());
    let line = |line: &str| match line.as_bytes() {
        [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => bold.apply_to(line).to_string(),
        [b'-', ..] => red.apply_to(line).to_string(),
        [b'+', ..] => green.apply_to(line).to_string(),
        [b'@', ..] => cyan.apply_to(line).to_string(),
        _ => line.to_owned(),
    };
    diff.lines().map(|text| line(text) + "\n").collect()
}

impl From<String> for Page {
    fn from(text: String) -> Self {
        Self::default().text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_acts_on_the_terminal() {
        let mut table = Table::new(["ERROR"]);
        table.push(["d\u{202e}e".into()]);
        let page = Page::from("a\u{1b}[2J\nb\u{202e}c\n".to_owned());
        let page = page.table(table).diff("+\tf\u{9b}g\n".to_owned());
        assert_eq!(page.render(None), "a [2J\nb c\nERROR\nd e\n+\tf g\n");
    }
}
