//! Collects the problems and warnings of a configuration while it is checked.

use std::collections::BTreeSet;
use std::fmt::Display;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Place, Problem};
use crate::source::{Source, Span};

/// What is found about a source.
#[derive(Debug)]
pub struct Findings<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The keys with a problem, and the section of each: one is enough for each of them.
    reported: BTreeSet<(String, Option<usize>)>,
    /// Where the tables of arrays begin, as two of them may have the same name.
    sections: BTreeSet<usize>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    #[must_use]
    pub const fn new(source: &'a Source) -> Self {
        Self {
            source,
            problems: Vec::new(),
            warnings: Vec::new(),
            reported: BTreeSet::new(),
            sections: BTreeSet::new(),
        }
    }

    /// Tells sections of the same name apart from now on.
    pub(crate) fn tell_apart(&mut self, table: &DeTable<'_>) {
        for (_, value) in table.iter() {
            match value.get_ref() {
                DeValue::Table(inner) => self.tell_apart(inner),
                DeValue::Array(items) => {
                    for item in items.iter() {
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.sections.insert(item.span().start);
                            self.tell_apart(inner);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Records a problem of `key` at `at`; `0..0` stands for the file as a whole. A second problem
    /// of the same key in the same section would follow from the first, and is left out.
    pub fn report(&mut self, at: &Span, key: &str, text: impl Into<String>) {
        if key.is_empty() || !self.has(at, key) {
            self.settle(at, key);
            self.problems.push(self.problem(at, key, text.into()));
        }
    }

    /// Leaves out problems of `key` in the section of `at` from now on, because they would follow
    /// from one of another key.
    pub fn settle(&mut self, at: &Span, key: &str) {
        self.reported.insert((key.to_owned(), self.section(at)));
    }

    /// Whether there is a problem of `key` in the section of `at`.
    #[must_use]
    pub fn has(&self, at: &Span, key: &str) -> bool {
        let any = (key.to_owned(), None);
        match self.section(at) {
            None => self.reported.range(any..).next().is_some_and(|(other, _)| other == key),
            section => {
                self.reported.contains(&any) || self.reported.contains(&(key.to_owned(), section))
            }
        }
    }

    /// The section of a place, by where it begins; `None` for a place outside the file, which may
    /// be in any.
    fn section(&self, at: &Span) -> Option<usize> {
        let is_in_file = matches!(self.source.place(at), Place::Line { .. });
        is_in_file
            .then(|| self.sections.range(..=at.start).next_back().map_or(0, |begin| 1 + begin))
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
