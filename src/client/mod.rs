//! The subcommands that ask a running sidecar: their arguments, requests and output.
//!
//! They use nothing but the admin API of the sidecar. Fields that they do not know are ignored, so
//! that an older client can read a newer sidecar.

mod alike;
mod answer;
mod args;
mod ask;
mod caller;
mod capture;
mod capture_args;
mod capture_copy;
mod capture_file;
mod change;
mod config_cmd;
mod config_diff;
mod config_save;
mod confirm;
mod dashboard;
mod edit;
mod error;
mod event_args;
mod event_lines;
mod event_stream;
mod events;
mod failures;
mod filter;
mod http;
mod inquire;
mod interrupt;
mod known;
mod log_level;
mod output;
mod page;
mod parts;
mod paused;
mod plain;
mod preview;
mod probe;
mod progress;
mod reload;
pub(crate) mod replace_file;
mod show;
mod sidecar;
mod status;
mod streams;
pub(crate) mod table;
mod top;
mod transfer;
mod verify;
mod views;
mod wait;

use std::io::{self, ErrorKind};
use std::path::Path;

use console::Term;

use self::answer::Answer;
use self::caller::Caller;
use self::error::AskError;
use self::http::Http;
use self::known::File;

pub use self::args::Ask;
pub use self::capture_args::CaptureArgs;
pub use self::config_cmd::ConfigAsk;
pub use self::error::Exit;
pub use self::event_args::EventsArgs;
pub(crate) use self::inquire::{Unanswered, inquire};
pub(crate) use self::known::running_session;
pub(crate) use self::output::{width, write};
pub use self::parts::To;
pub(crate) use self::plain::plain;
pub(crate) use self::probe::{Probe, probe};
pub(crate) use self::show::ms;
pub use self::verify::InSidecar;

/// Asks the sidecar of the file `config`, or the one of `--admin`, and prints the answer. A file
/// that is missing is an error if it `is_named` on the command line, else the default address is
/// asked. Standard output gets the answer and, with `--json`, any error; other errors go to
/// standard error.
#[must_use]
pub fn run(ask: &Ask, config: &Path, is_named: bool) -> Exit {
    let to = ask.to();
    let caller = match caller(to, config, is_named, File::Helps) {
        Ok(caller) => caller,
        Err(error) => return shown(Err(error), to),
    };
    if let Ask::Status { watch: Some(seconds), .. } = ask {
        return status::watch(&caller.http, *seconds, to.json);
    }
    if let Ask::Top { interval, to } = ask {
        let exit = top::run(&caller.http, *interval, to.json);
        return exit.unwrap_or_else(|error| shown(Err(error), to));
    }
    if let Ask::Capture(args) = ask {
        return capture::run(args, &caller.http).unwrap_or_else(|error| shown(Err(error), to));
    }
    if let Ask::Events(args) = ask {
        // It prints while it reads.
        return events::run(args, &caller.http).unwrap_or_else(|error| shown(Err(error), to));
    }
    shown(ask::ask(ask, &caller), to)
}

/// The same for `config diff`, `save` and `discard`.
#[must_use]
pub fn run_config(ask: &ConfigAsk, config: &Path, is_named: bool) -> Exit {
    let to = ask.to();
    let answer =
        caller(to, config, is_named, File::Needed).and_then(|caller| config_cmd::ask(ask, &caller));
    shown(answer, to)
}

/// Prints a help text, the version, or what is wrong with the command line.
#[must_use]
pub fn usage(error: &clap::Error) -> Exit {
    let exit = if error.use_stderr() { Exit::Wrong } else { Exit::Done };
    written(error.print()).max(exit)
}

/// Says that the command line or the configuration is wrong.
pub(crate) fn wrong(text: String, to: &To) -> Exit {
    shown(Err(AskError::Usage(text)), to)
}

/// Says that `--admin` is wrong, if it is.
pub(crate) fn wrong_admin(to: &To, config: &Path, is_named: bool) -> Option<Exit> {
    to.admin.as_ref()?;
    match sidecar::find(to, config, is_named, File::Helps) {
        Err(error @ AskError::Usage(_)) => Some(shown(Err(error), to)),
        Err(_) | Ok(_) => None,
    }
}

/// Writes a text and a line end to standard output. Returns `exit`, or a failure where it cannot
/// be written.
pub(crate) fn print(text: &str, exit: Exit) -> Exit {
    output::print(text, exit)
}

/// Writes a line to standard output. False where its reader has closed the pipe.
///
/// # Errors
/// The OS error.
pub(crate) fn write_line(line: &str) -> io::Result<bool> {
    output::write(format!("{line}\n")).map(|written| written == output::Written::Taken)
}

/// The exit code after output that may be incomplete. A reader that has closed the pipe, as `head`
/// does, is no failure.
#[must_use]
pub fn written(result: io::Result<()>) -> Exit {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => output::full(&error, Exit::Done),
        Ok(()) | Err(_) => Exit::Done,
    }
}

/// `verify --in-sidecar` and `verify --repair`; output and errors as those of [`run`].
#[must_use]
pub fn run_verify(what: &InSidecar, to: &To, config: &Path, is_named: bool) -> Exit {
    let answer = caller(to, config, is_named, File::Helps);
    shown(answer.and_then(|caller| verify::verify(&caller, what)), to)
}

fn caller<'a>(
    to: &'a To,
    config: &'a Path,
    is_named: bool,
    file: File,
) -> Result<Caller<'a>, AskError> {
    let http = Http::new(sidecar::find(to, config, is_named, file)?);
    Ok(Caller { http, to, config, is_named })
}

fn shown(answer: Result<Answer, AskError>, to: &To) -> Exit {
    let Answer { exit, json, page } = answer.unwrap_or_else(Answer::from);
    match exit {
        _ if to.json => output::print(&format!("{json:#}"), exit),
        Exit::Done | Exit::NotReady => {
            output::print(page.render(output::width(&Term::stdout())).trim_end(), exit)
        }
        Exit::Failed | Exit::Wrong => {
            output::say(page.render(output::width(&Term::stderr())).trim_end());
            exit
        }
    }
}
