//! What a subcommand prints, and how it ends.

use serde_json::{Value, json};

use super::error::{AskError, Exit};
use super::failures;
use super::page::Page;

/// The result of a subcommand in both forms.
pub(super) struct Answer {
    pub(super) exit: Exit,
    /// For programs.
    pub(super) json: Value,
    /// For people.
    pub(super) page: Page,
}

impl Answer {
    pub(super) fn done(json: Value, page: impl Into<Page>) -> Self {
        Self { exit: Exit::Done, json, page: page.into() }
    }
}

impl From<AskError> for Answer {
    fn from(error: AskError) -> Self {
        let json = error.body().cloned().unwrap_or_else(|| json!({ "error": error.to_string() }));
        let page = failures::page(&error);
        Self { exit: error.exit(), json, page }
    }
}
