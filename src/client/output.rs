//! Standard output and standard error of a subcommand.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

use console::Term;

use super::error::Exit;

/// What became of output that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    /// It was taken.
    Taken,
    /// The reader has closed the pipe, as `head` does. That is no failure.
    Closed,
}

/// Writes text to standard output.
pub(crate) fn write(text: impl AsRef<[u8]>) -> io::Result<Written> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Written::Taken),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Written::Closed),
        Err(error) => Err(error),
    }
}

/// Writes a line to standard output. Returns `exit`, or a failure where the line cannot be
/// written, as on a full disk.
pub(super) fn print(text: &str, exit: Exit) -> Exit {
    match write(format!("{text}\n")) {
        Ok(Written::Taken | Written::Closed) => exit,
        Err(error) => full(&error, exit),
    }
}

/// Says that the output is incomplete.
pub(super) fn full(error: &io::Error, exit: Exit) -> Exit {
    say(format_args!("could not write to standard output: {error}: the output is incomplete"));
    exit.max(Exit::Failed)
}

/// Writes a line to standard error. If even that fails, nobody can be told.
pub(super) fn say(text: impl Display) {
    _ = writeln!(io::stderr().lock(), "{text}");
}

/// The columns of a terminal; `None` where the output is none.
pub(crate) fn width(out: &Term) -> Option<u16> {
    let (_rows, columns) = out.size_checked()?;
    out.is_term().then_some(columns)
}
