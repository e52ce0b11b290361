//! The subcommand `top`: the state of a sidecar on a terminal, again and again.
//!
//! `machine` decides, from keys, answers and time, what to ask and when to draw; `state` is what it
//! knows, `choose` what a key changes, `asking` which request is next. `draw` makes cells of the
//! state, by `layout`. All of that is pure. `shell` has the threads and `screen` the terminal.

mod answers;
mod asking;
mod choose;
mod draw;
mod keys;
mod layout;
mod links;
mod machine;
mod screen;
mod shell;
mod state;
mod text;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::error::{AskError, Exit};
use super::http::Http;

/// Shows the sidecar every so many seconds until it is told to stop.
pub(super) fn run(http: &Http, seconds: u64, is_json: bool) -> Result<Exit, AskError> {
    let instead = "use dcp-proxy status --watch";
    if is_json {
        return Err(AskError::Usage(format!("top is for people: {instead} --json")));
    }
    if !screen::is_terminal() {
        let found = "top needs a terminal: standard input or output is none, or TERM is dumb";
        return Err(AskError::Usage(format!("{found}: {instead}")));
    }
    Ok(shell::show(http, Duration::from_secs(seconds)))
}
