//! The problems of a configuration: where, which key, what was found and what is allowed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// More problems than this of one file are counted and not shown.
pub(crate) const SHOWN_MAX: usize = 100;

/// Where a problem is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In the file as a whole.
    Whole,
    /// In a line of the file.
    Line {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// In bytes of the file.
        begin: usize,
        /// In bytes of the file.
        end: usize,
    },
    /// In the environment variable of this name.
    Variable(String),
}

/// One problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The key, such as `bucket "default": replicate.alpha`; empty if there is none.
    pub key: String,
    /// What was found and what is allowed.
    pub text: String,
}

/// All problems of one configuration, in the order of its lines; never empty.
///
/// `Display` gives a line for each, [`Problems::rendered`] source snippets too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems {
    /// The file.
    pub path: PathBuf,
    /// The problems.
    pub list: Vec<Problem>,
    /// The text of the file, without secrets.
    pub shown: String,
}

impl Problems {
    /// The file at `path` could not be read; `remedy` is what to do.
    #[must_use]
    pub fn unreadable(path: &Path, error: &io::Error, remedy: &str) -> Self {
        Self::whole(path, format!("could not be read: {error}: {remedy}"))
    }

    /// A problem that has no place in the file.
    #[must_use]
    pub fn whole(path: &Path, text: String) -> Self {
        let list = vec![Problem { place: Place::Whole, key: String::new(), text }];
        Self { path: path.to_owned(), list, shown: String::new() }
    }

    /// Problems that have no place in the file: where each is, such as an option, and what it is.
    #[must_use]
    pub fn elsewhere(list: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let problem = |(key, text): (&str, String)| Problem {
            place: Place::Whole,
            key: key.to_owned(),
            text,
        };
        let list = list.into_iter().map(problem).collect();
        Self { path: PathBuf::new(), list, shown: String::new() }
    }

    /// A line for each problem, and one for how many more there are.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let shown = self.list.iter().take(SHOWN_MAX);
        shown.map(|problem| problem.within(&self.path)).chain(self.more())
    }

    /// The first problem and how many more there are, for one line of a log.
    #[must_use]
    pub fn in_short(&self) -> String {
        let first = self.list.first().map(|problem| problem.within(&self.path)).unwrap_or_default();
        match self.list.len() {
            0 | 1 => first,
            all => format!("{first} (and {} more)", all - 1),
        }
    }

    pub(crate) fn more(&self) -> Option<String> {
        let more = self.list.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0)?;
        Some(format!("{}: {more} more problems", self.path.display()))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.lines().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for String {
    fn from(problems: Problems) -> Self {
        problems.to_string()
    }
}

impl Problem {
    /// Returns the line that names the problem in the file at `path`.
    #[must_use]
    pub fn within(&self, path: &Path) -> String {
        let place = match (&self.place, path.as_os_str().is_empty()) {
            (Place::Whole, true) => String::new(),
            (Place::Whole, false) => format!("{}: ", path.display()),
            (Place::Line { line, column, .. }, _) => {
                format!("{}:{line}:{column}: ", path.display())
            }
            (Place::Variable(name), _) => format!("environment variable {name}: "),
        };
        format!("{place}{}", self.message())
    }

    /// The key and the text.
    #[must_use]
    pub fn message(&self) -> String {
        if self.key.is_empty() { self.text.clone() } else { format!("{}: {}", self.key, self.text) }
    }
}
