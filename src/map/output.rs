//! Standard output and standard error of the commands about maps.

use std::io::{self, Write as _};

use serde_json::Value;

/// Writes text for people or for `put`; a line end is added where there is none.
pub(super) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))?;
    out.flush()
}

/// Writes JSON over several lines.
pub(super) fn json(value: &Value) -> io::Result<()> {
    text(&format!("{value:#}"))
}

/// Writes what is not the result: warnings, progress, errors.
pub(super) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}
