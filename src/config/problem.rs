//! The problems of a configuration file, as lines that tell how to fix them.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The key, such as `bucket "default": replicate.alpha`; empty if there is none.
    pub key: String,
    /// What was found and what is allowed.
    pub text: String,
}

/// All problems of one file, in the order of its lines; never empty.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Problems {
    /// The file.
    pub path: PathBuf,
    /// The problems.
    pub list: Vec<Problem>,
}

impl Problems {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let text = format!("could not be read: {error}: name another file with --config");
        Self { path: path.to_owned(), list: vec![Problem { line: 0, key: String::new(), text }] }
    }

    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(0, |span| line_of(text, &span));
        let text = plain(error.message().trim_end());
        Self { path: path.to_owned(), list: vec![Problem { line, key: String::new(), text }] }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", problem.within(&self.path))?;
        }
        Ok(())
    }
}

impl Problem {
    /// Returns the line that names the problem in the file at `path`.
    #[must_use]
    pub fn within(&self, path: &Path) -> String {
        let mut out = path.display().to_string();
        if self.line > 0 {
            out += &format!(":{}", self.line);
        }
        if !self.key.is_empty() {
            out += &format!(": {}", self.key);
        }
        format!("{out}: {}", self.text)
    }
}

/// The words of a parser about a wrong type, in words for people; one line.
pub(crate) fn plain(message: &str) -> String {
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

/// The line, from 1, on which `span` begins.
pub(super) fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|&byte| byte == b'\n').count()
}
