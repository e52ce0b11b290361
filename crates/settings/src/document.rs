//! A file with its overrides, read and checked against the table of settings.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::entries::{Entry, entries};
use crate::findings::Findings;
use crate::overrides;
use crate::problem::{Place, Problems};
use crate::schema::Setting;
use crate::source::{Source, Span};
use crate::walk::Walk;

/// A file of which keys, types and ranges are checked.
#[derive(Debug)]
pub struct Document<'a> {
    /// What is found so far; the program's own checks add to it.
    pub findings: Findings<'a>,
    table: Spanned<DeTable<'a>>,
    settings: &'a [Setting],
}

impl<'a> Document<'a> {
    /// Reads a source. The variables in it begin with `prefix`, such as `DCP_PROXY__`.
    ///
    /// # Errors
    /// The file is no TOML; all mistakes that can be found nevertheless.
    pub fn read(
        source: &'a Source,
        settings: &'a [Setting],
        prefix: &str,
    ) -> Result<Self, Problems> {
        let (mut table, errors) = DeTable::parse_recoverable(source.file());
        let mut findings = Findings::new(source);
        findings.tell_apart(table.get_ref());
        overrides::apply(&mut findings, prefix, settings, table.get_mut());
        let mut walk = Walk { findings: &mut findings, root: settings, whole: errors.is_empty() };
        walk.table(settings, table.get_mut(), &(0..0), "");
        let document = Self { findings, table, settings };
        if errors.is_empty() { Ok(document) } else { Err(document.syntax(&errors)) }
    }

    /// The errors of the syntax, with whatever else is wrong in other lines.
    fn syntax(self, errors: &[toml::de::Error]) -> Problems {
        let source = self.findings.source();
        let lines: Vec<_> = errors.iter().filter_map(|it| line(&source.place(&at(it)))).collect();
        let (table, settings) = (self.table, self.settings);
        let (mut list, _) = self.findings.into_parts();
        list.retain(|problem| line(&problem.place).is_none_or(|line| !lines.contains(&line)));
        let mut syntax = Findings::new(source);
        for error in errors {
            let text = match error.message() {
                "duplicate key" => duplicate(source, table.get_ref(), &at(error)),
                message => words(message.trim_end()),
            };
            syntax.report(&at(error), "", text);
        }
        list.extend(syntax.into_parts().0);
        source.problems(list, settings)
    }

    /// The values as they are written, where `T` has a field for every setting.
    pub fn written<T: DeserializeOwned>(&mut self) -> Option<T> {
        match T::deserialize(Deserializer::from(self.table.clone())) {
            Ok(written) => Some(written),
            Err(error) => {
                self.findings.report(&at(&error), "", plain(error.message()));
                None
            }
        }
    }

    /// The effective values, in the order of the settings.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        entries(self.findings.source(), self.settings, self.table.get_ref())
    }

    /// The problems that were found.
    #[must_use]
    pub fn into_problems(self) -> Problems {
        let source = self.findings.source();
        let (list, _) = self.findings.into_parts();
        source.problems(list, self.settings)
    }
}

/// The words of the parser about the syntax, where they can be plainer.
fn words(message: &str) -> String {
    match message {
        "string values must be quoted, expected literal string" => {
            "a value is missing, or a text is not in quotes".to_owned()
        }
        "invalid basic string, expected `\"`" => "a text is not closed: end it with \"".to_owned(),
        message => plain(message),
    }
}

fn at(error: &toml::de::Error) -> Span {
    error.span().unwrap_or(0..0)
}

const fn line(place: &Place) -> Option<usize> {
    match place {
        Place::Line { line, .. } => Some(*line),
        Place::Whole | Place::Variable(_) => None,
    }
}

/// What is said about a key that is there twice.
fn duplicate(source: &Source, table: &DeTable<'_>, at: &Span) -> String {
    let name = source.at(at).trim_matches(['"', '\'']);
    let mut first = None;
    find_before(table, name, at, &mut first);
    match first {
        Some(start) => {
            let first = source.words(&(start..start + 1));
            format!("duplicate key {name}, first set in {first}: remove one of them")
        }
        None => format!("duplicate key {name}: remove one of them"),
    }
}

/// The last key of this name before `at`.
fn find_before(table: &DeTable<'_>, name: &str, at: &Span, found: &mut Option<usize>) {
    for (key, value) in table.iter() {
        let start = key.span().start;
        if key.get_ref() == name && start < at.start {
            *found = (*found).max(Some(start));
        }
        match value.get_ref() {
            DeValue::Table(inner) => find_before(inner, name, at, found),
            DeValue::Array(items) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|inner| find_before(inner, name, at, found));
            }
            _ => {}
        }
    }
}

/// The words of a parser about a wrong type, in words for people; one line.
#[must_use]
pub fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("invalid type: string ", "wrong type: the text "),
        ("invalid type: integer ", "wrong type: the number "),
        ("invalid type: floating point ", "wrong type: the number "),
        ("invalid type: ", "wrong type: "),
        ("invalid value: integer ", "wrong value: the number "),
        ("invalid value: ", "wrong value: "),
        ("expected a string", "expected a text in quotes"),
        ("expected a sequence", "expected a list"),
    ];
    let mut text = message.replace('\n', ": ");
    for number in ["u64", "u32", "u16", "u8", "usize"] {
        text =
            text.replace(&format!("expected {number}"), "expected a whole number, without quotes");
    }
    WORDS.iter().fold(text, |text, (raw, word)| text.replace(raw, word))
}
