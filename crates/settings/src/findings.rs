//! Collects the problems and warnings of a configuration while it is checked.

use std::collections::BTreeSet;
use std::fmt::Display;

use toml::Spanned;

use crate::problem::Problem;
use crate::source::{Source, Span};

/// What is found about a source.
#[derive(Debug)]
pub struct Findings<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The keys with a problem: one is enough for each.
    reported: BTreeSet<String>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    #[must_use]
    pub const fn new(source: &'a Source) -> Self {
        Self { source, problems: Vec::new(), warnings: Vec::new(), reported: BTreeSet::new() }
    }

    /// Records a problem of `key` at `at`; `0..0` stands for the file as a whole. A second problem
    /// of the same key would follow from the first, and is left out.
    pub fn report(&mut self, at: &Span, key: &str, text: impl Into<String>) {
        if key.is_empty() || self.reported.insert(key.to_owned()) {
            self.problems.push(self.problem(at, key, text.into()));
        }
    }

    /// Leaves out problems of `key` from now on, because they would follow from one of another key.
    pub fn settle(&mut self, key: &str) {
        self.reported.insert(key.to_owned());
    }

    /// Records what is allowed at `at`, and probably not meant.
    pub fn warn(&mut self, at: &Span, key: &str, text: impl Into<String>) {
        self.warnings.push(self.problem(at, key, text.into()));
    }

    /// Parses what is written with `rule`; reports a problem and returns `None` where it fails.
    pub fn value<W, T, E: Display>(
        &mut self,
        key: &str,
        written: &Spanned<W>,
        rule: impl FnOnce(&W) -> Result<T, E>,
    ) -> Option<T> {
        let wrong = |text: E| self.report(&written.span(), key, text.to_string());
        rule(written.as_ref()).map_err(wrong).ok()
    }

    /// Whether anything is wrong.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The source.
    #[must_use]
    pub const fn source(&self) -> &'a Source {
        self.source
    }

    /// Problems and warnings, the latter in the order of the lines.
    #[must_use]
    pub fn into_parts(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.warnings.sort_by(|a, b| a.place.cmp(&b.place));
        (self.problems, self.warnings)
    }

    fn problem(&self, at: &Span, key: &str, text: String) -> Problem {
        Problem { place: self.source.place(at), key: key.to_owned(), text }
    }
}
