//! Asks the sidecar of a configuration for what another part of the program shows.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::error::AskError;
use super::http::Http;
use super::known::File;
use super::parts::To;
use super::sidecar;

/// A sidecar that can be asked.
pub(crate) struct Inquiry {
    http: Http,
    wait: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nothing listens there, or the sidecar of the session has ended.
    NotRunning(String),
    /// Anything else.
    Unknown(String),
}

/// Finds the sidecar as every subcommand does. `wait` is the deadline of each answer.
pub(crate) fn inquire(
    to: &To,
    config: &Path,
    is_named: bool,
    wait: Duration,
) -> Result<Inquiry, Unanswered> {
    let found = sidecar::find(to, config, is_named, File::Helps).map_err(Unanswered::from)?;
    Ok(Inquiry { http: Http::new(found), wait })
}

impl Inquiry {
    /// Reads an answer. Blocks.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Unanswered> {
        self.http.list_within(path, self.wait).map_err(Unanswered::from)
    }
}

impl From<AskError> for Unanswered {
    fn from(error: AskError) -> Self {
        match &error {
            // The session names a sidecar that has ended.
            AskError::Failed(why) => Self::NotRunning(why.clone()),
            // Only a refusal shows that nothing listens: what hangs may be a frozen sidecar.
            _ if error.is_refused_connection() => Self::NotRunning(error.to_string()),
            _ => Self::Unknown(error.to_string()),
        }
    }
}
