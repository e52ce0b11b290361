//! The file and the environment variables as one text, so that a place in either is one span.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::known::SEPARATOR;
use crate::mask::mask;
use crate::problem::{Place, Problem, Problems};
use crate::schema::Setting;
use crate::words::on_one_line;

/// A place in a [`Source`], in bytes; `0..0` stands for the file as a whole.
pub type Span = Range<usize>;

/// A file and the variables that override it.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// The file, then the values of the variables, each after a line break.
    text: String,
    file_bytes: usize,
    /// Where the lines of the file begin.
    lines: Vec<usize>,
    variables: Vec<(String, Span)>,
}

impl Source {
    /// The file at `path` with the content `text`, and variables in any order.
    #[must_use]
    pub fn new(path: &Path, text: &str, variables: &[(String, String)]) -> Self {
        let mut sorted: Vec<_> = variables.iter().collect();
        sorted.sort_by_cached_key(|(name, value)| (parts(name), name, value));
        let mut all = text.to_owned();
        let mut placed = Vec::with_capacity(sorted.len());
        for (name, value) in sorted {
            all.push('\n');
            placed.push((name.clone(), all.len()..all.len() + value.len()));
            all.push_str(value);
        }
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { path: path.to_owned(), text: all, file_bytes: text.len(), lines, variables: placed }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        self.text.get(..self.file_bytes).unwrap_or_default()
    }

    /// The variables, sorted by the parts of their names, with the place of each value.
    pub(crate) fn variables(&self) -> &[(String, Span)] {
        &self.variables
    }

    /// What is written at a place.
    pub(crate) fn at(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Line and column, or variable, of a place.
    #[must_use]
    pub fn place(&self, span: &Span) -> Place {
        if *span == (0..0) {
            return Place::Whole;
        }
        let variable = self.variables.binary_search_by_key(&span.start, |(_, value)| value.start);
        if let Some((name, _)) = variable.ok().and_then(|at| self.variables.get(at)) {
            return Place::Variable(name.clone());
        }
        let line = self.lines.partition_point(|begin| *begin <= span.start);
        let begin_of_line = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(begin_of_line..span.start).unwrap_or_default();
        Place::Line { line, column: 1 + before.chars().count(), begin: span.start, end: span.end }
    }

    /// A place in words: `line 3`, or the name of the variable.
    #[must_use]
    pub fn words(&self, span: &Span) -> String {
        match self.place(span) {
            Place::Whole => self.path.display().to_string(),
            Place::Line { line, .. } => format!("line {line}"),
            Place::Variable(name) => format!("environment variable {name}"),
        }
    }

    /// A place for a comment: `proxy.toml:3`, or the name of the variable.
    pub(crate) fn origin(&self, span: &Span) -> String {
        match self.place(span) {
            Place::Line { line, .. } => format!("{}:{line}", on_one_line(&self.path)),
            Place::Whole => on_one_line(&self.path),
            Place::Variable(_) => self.words(span),
        }
    }

    /// The problems of this source in the order of its lines. Of the file only the values of
    /// `settings` that are no secrets can be shown.
    #[must_use]
    pub fn problems(&self, mut list: Vec<Problem>, settings: &[Setting]) -> Problems {
        list.sort_by(|a, b| a.place.cmp(&b.place));
        Problems { path: self.path.clone(), list, shown: mask(self.file(), settings) }
    }
}

/// The parts of a variable's name as they are sorted: numbers by their value, so that 10 comes
/// after 9, and before all names.
fn parts(name: &str) -> Vec<(u64, &str)> {
    let part = |text| str::parse(text).map_or((u64::MAX, text), |number| (number, ""));
    name.split(SEPARATOR).map(part).collect()
}
