//! The output of a command: for people and as JSON.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::failure::Failure;
use crate::client;

/// What a command answers.
pub(super) struct Answer {
    /// For people, with its line ends; a document has exactly its bytes.
    pub(super) text: Vec<u8>,
    /// For programs.
    pub(super) json: Value,
    /// What failed of it.
    pub(super) failure: Option<Failure>,
}

impl Answer {
    /// An answer of whole lines.
    pub(super) fn text(text: impl Into<String>, json: Value) -> Self {
        Self { text: (text.into() + "\n").into_bytes(), json, failure: None }
    }
}

/// Prints an answer, or a failure, and returns the exit code. Standard output gets the answer and,
/// as JSON, any failure; other failures go to standard error.
pub(super) fn finish(outcome: Result<Answer, Failure>, as_json: bool) -> ExitCode {
    let (printed, failure) = match outcome {
        Ok(Answer { text, failure, .. }) if !as_json => (write_document(&text), failure),
        Ok(Answer { json, failure, .. }) => (write_json(&json, failure.as_ref()), failure),
        Err(failure) if as_json => (write_json(&failure.details, Some(&failure)), Some(failure)),
        Err(failure) => (Ok(()), Some(failure)),
    };
    if let Some(failure) = failure.as_ref().filter(|_| !as_json) {
        tell(failure);
    }
    if let Err(unwritten) = &printed {
        tell(unwritten);
    }
    let exits = failure.into_iter().chain(printed.err()).map(|failure| failure.exit);
    exits.max().map_or(ExitCode::SUCCESS, ExitCode::from)
}

/// Writes to standard error, where it can: `eprintln` panics on a full disk.
fn tell(failure: &Failure) {
    _ = writeln!(std::io::stderr().lock(), "kvnode: {}", failure.text);
}

fn write_document(bytes: &[u8]) -> Result<(), Failure> {
    write_out(bytes)?;
    let ends_line = bytes.ends_with(b"\n") || !std::io::stdout().is_terminal();
    if ends_line { Ok(()) } else { write_out(b"\n") }
}

fn write_json(json: &Value, failure: Option<&Failure>) -> Result<(), Failure> {
    let mut json = json.clone();
    if let (Some(fields), Some(failure)) = (json.as_object_mut(), failure) {
        fields.insert("error".to_owned(), json!(failure.text));
    }
    write_out(format!("{json:#}\n").as_bytes())
}

/// Writes to standard output. A reader that has closed the pipe, as `head` does, is no failure.
pub(super) fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("standard output: {error}"), json!({}));
    client::write(bytes).map(drop).map_err(failed)
}
