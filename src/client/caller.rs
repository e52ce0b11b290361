//! The command line that a subcommand was given, as far as it matters while it runs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use lifecycle::quoted;

use super::http::Http;
use super::parts::To;

/// The sidecar to ask, and how.
pub(super) struct Caller<'a> {
    pub(super) http: Http,
    pub(super) to: &'a To,
    /// The configuration file.
    pub(super) config: &'a Path,
    /// Whether the command line names that file.
    pub(super) is_named: bool,
}

impl Caller<'_> {
    /// A command to paste that asks the same sidecar. A token is not shown.
    pub(super) fn command(&self, words: &[&str]) -> String {
        let mut command = "dcp-proxy".to_owned();
        for word in words {
            _ = write!(command, " {}", quoted(word));
        }
        if self.is_named {
            _ = write!(command, " --config {}", quoted(&self.config.display().to_string()));
        }
        if let Some(admin) = &self.to.admin {
            _ = write!(command, " --admin {}", quoted(admin));
        }
        command
    }
}

/// Whether a person can be asked and sees the question.
pub(super) fn is_at_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
