//! The subcommands that ask a running sidecar: what they are, what they send, what they print.
//!
//! They know the sidecar by its admin API only, and fields that they do not know do not disturb
//! them: an older client can read a newer sidecar.

mod args;
mod ask;
mod http;
mod show;
mod table;
mod target;
mod views;

use std::path::Path;

use serde_json::{Value, json};

pub use self::args::{Ask, To};

use self::http::{AskError, Http};

/// What became of it, as an exit code says it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It is done.
    Done,
    /// The sidecar did not do it, or is not there.
    Failed,
    /// It was asked wrongly: the request itself, the token, or the configuration.
    Wrong,
}

/// What a subcommand has to say.
struct Said {
    outcome: Outcome,
    /// For programs.
    json: Value,
    /// For people.
    text: String,
}

/// Asks the sidecar that `config` describes, or the one of `--admin`, and prints the answer: to
/// standard output, but an error that is not for programs to standard error.
#[must_use]
pub fn run(ask: &Ask, config: &Path) -> Outcome {
    let to = ask.to();
    let said = target::find(to, config).and_then(|target| ask::ask(ask, &Http::new(target)));
    let Said { outcome, json, text } = said.unwrap_or_else(Said::error);
    match outcome {
        _ if to.json => print(&format!("{json:#}")),
        Outcome::Done => print(text.trim_end()),
        Outcome::Failed | Outcome::Wrong => eprintln!("{}", text.trim_end()),
    }
    outcome
}

/// Prints to a reader that may have gone, as `head` does: that is no failure.
fn print(text: &str) {
    use std::io::Write as _;
    _ = writeln!(std::io::stdout().lock(), "{text}");
}

impl Said {
    fn done(json: Value, text: String) -> Self {
        Self { outcome: Outcome::Done, json, text }
    }

    #[allow(clippy::needless_pass_by_value, reason = "the end of the error's way")]
    fn error(error: AskError) -> Self {
        let json = error.body().cloned().unwrap_or_else(|| json!({ "error": error.to_string() }));
        let text = show::error(&error);
        Self { outcome: error.outcome(), json, text }
    }
}
