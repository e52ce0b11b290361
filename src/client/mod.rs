//! The subcommands that ask a running sidecar: their arguments, requests and output.
//!
//! They use nothing but the admin API of the sidecar. Fields that they do not know are ignored, so
//! that an older client can read a newer sidecar.

mod answer;
mod args;
mod ask;
mod error;
mod event_args;
mod event_lines;
mod event_stream;
mod events;
mod http;
mod log_level;
mod page;
mod probe;
mod show;
mod sidecar;
mod streams;
pub(crate) mod table;
mod to;
mod views;

use std::path::Path;

use console::Term;

use self::answer::Answer;
use self::http::Http;

pub use self::args::Ask;
pub use self::error::Exit;
pub use self::event_args::EventsArgs;
pub(crate) use self::probe::{Probe, probe};
pub use self::to::To;

/// Asks the sidecar of the file `config`, or the one of `--admin`, and prints the answer. A file
/// that is missing is an error if it `is_named` on the command line, else the default address is
/// asked. Standard output gets the answer and, with `--json`, any error; other errors go to
/// standard error.
#[must_use]
pub fn run(ask: &Ask, config: &Path, is_named: bool) -> Exit {
    let to = ask.to();
    let http = sidecar::find(to, config, is_named).map(Http::new);
    let answer = match (ask, http) {
        // It prints while it reads.
        (Ask::Events(args), Ok(http)) => match events::run(args, &http) {
            Ok(exit) => return exit,
            Err(error) => Err(error),
        },
        (ask, http) => http.and_then(|http| ask::ask(ask, &http)),
    };
    let Answer { exit, json, page } = answer.unwrap_or_else(Answer::from);
    match exit {
        _ if to.json => print(&format!("{json:#}")),
        Exit::Done | Exit::NotReady => print(page.render(width(&Term::stdout())).trim_end()),
        Exit::Failed | Exit::Wrong => {
            eprintln!("{}", page.render(width(&Term::stderr())).trim_end());
        }
    }
    exit
}

/// The columns of a terminal; `None` where the output is none.
fn width(out: &Term) -> Option<u16> {
    let (_rows, columns) = out.size_checked()?;
    out.is_term().then_some(columns)
}

/// Prints a line. A reader that has closed the pipe, as `head` does, is no failure.
fn print(text: &str) {
    use std::io::Write as _;
    _ = writeln!(std::io::stdout().lock(), "{text}");
}
