//! The program: from its arguments to its exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use lifecycle::{notify, panics};
use log::{info, warn};
use logger::{Format, Stream};
use settings::Problems;
use tokio::task::JoinHandle;

use super::arguments::Arguments;
use super::configuration::{Configured, configuration};
use super::file::{default_file, effective_file};
use super::initial_state;
use super::reload::{Cause, FileChanges, Reload};
use super::tell::tell;
use super::values::Printed;
use crate::admission;
use crate::node::{Node, NodeError};

/// The name in log lines.
const NAME: &str = env!("CARGO_PKG_NAME");
/// What a stop takes at most, besides the wait for connections: the last commit.
const STOP_REST: Duration = Duration::from_secs(60);
const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Runs a node until a signal stops it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    // In a release build a panic ends the process; it must not wait for a log that nobody reads.
    panics::report(NAME, NAME, env!("CARGO_PKG_VERSION"), || ());
    let exit = match arguments.log().start() {
        Ok(()) => started(arguments),
        Err(error) => failed(&NodeError::Threads(error)),
    };
    logger::finish();
    exit
}

fn started(arguments: &Arguments) -> ExitCode {
    if let Some(which) = arguments.print_config {
        return print(which, arguments);
    }
    // Before the file is read, so that no change of it is missed.
    let changes = FileChanges::of(arguments.config.clone(), arguments.users_file.clone());
    let read = || configured(arguments);
    // Once more where the file names another one, of which no change is missed either.
    let again = |first: Configured| {
        let Some(users_file) = first.users_file.clone() else { return Ok(first) };
        changes.watch(Some(users_file));
        read()
    };
    let configured = match read().and_then(again) {
        Ok(configured) => configured,
        Err(problems) => return refused(arguments, &problems),
    };
    arguments.log().apply(configured.log);
    let ended = serve(configured, arguments, &changes);
    ended.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn configured(arguments: &Arguments) -> Result<Configured, Problems> {
    let configured = configuration(arguments.clone())?;
    let Configured { node, states, .. } = &configured;
    let mut names = node.buckets.iter().map(|bucket| &bucket.name);
    let checked = names.try_for_each(|name| initial_state::check(&node.data, name, states));
    checked.map_err(|text| Problems::elsewhere([("", text)]))?;
    Ok(configured)
}

fn print(which: Printed, arguments: &Arguments) -> ExitCode {
    let text = match which {
        Printed::Default => default_file(),
        Printed::Effective => match effective_file(arguments.config.as_deref()) {
            Ok(text) => text,
            Err(problems) => return refused(arguments, &problems),
        },
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logger::fatal(NAME, format_args!("could not write to standard output: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Says what is wrong with the configuration.
fn refused(arguments: &Arguments, problems: &Problems) -> ExitCode {
    match arguments.log_format {
        Some(Format::Json) => problems.lines().for_each(|line| logger::fatal(NAME, line)),
        _ => logger::say(Stream::Error, &problems.rendered()),
    }
    ExitCode::from(WRONG_USAGE)
}

/// Says why the program ends, whatever the log level.
fn failed(error: &NodeError) -> ExitCode {
    logger::fatal(NAME, error);
    ExitCode::from(if matches!(error, NodeError::Config(_)) { WRONG_USAGE } else { FAILED })
}

fn serve(
    configured: Configured,
    arguments: &Arguments,
    changes: &FileChanges,
) -> Result<(), NodeError> {
    let Configured { node: config, log, .. } = configured;
    // Installed first, so that a signal during the start stops the node as well.
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let signals = signals.map_err(NodeError::Threads)?;
    let mut stop = signals.block_on(async { Stop::new() }).map_err(NodeError::Threads)?;
    notify::start().map_err(NodeError::Threads)?;
    panics::reports_in(&config.data);
    notify::status(format!("opening the data in {}", config.data.display()));
    let stop_max = config.limits.shutdown + STOP_REST;
    lifecycle::leave_lost_folder();
    let reload = Reload::new(&config, log, changes.clone());
    admission::raise_limit();
    admission::check(config.buckets.len())?;
    let node = Node::start(config)?;
    if let Some(path) = &arguments.port_file {
        let written = std::fs::write(path, format!("{}\n", node.address().port()));
        written.map_err(|source| NodeError::PortFile { path: path.to_owned(), source })?;
    }
    let (reload, live) = (Arc::new(reload), node.live());
    // On a thread of its own: a file that blocks its reader must not keep the node from stopping.
    let reload = |cause| {
        let (reload, arguments) = (Arc::clone(&reload), arguments.clone());
        let live = live.clone();
        signals.spawn_blocking(move || reload.run(cause, &arguments, &live))
    };
    let told = signals.spawn(tell(node.health()));
    let signal = signals.block_on(stop.wait(changes, reload));
    notify::stopping(stop_max);
    told.abort();
    notify::status("stopping");
    info!("stopping, a second signal stops at once signal={signal}");
    let stopped = signals.spawn_blocking(move || node.shutdown());
    let outcome = signals.block_on(async {
        tokio::select! {
            outcome = stopped => {
                outcome.unwrap_or_else(|died| Err(NodeError::Threads(std::io::Error::other(died))))
            }
            signal = stop.signal() => {
                warn!("stopping at once, the next start treats this as a crash signal={signal}");
                logger::finish();
                std::process::exit(FAILED.into())
            }
        }
    });
    signals.shutdown_background();
    outcome
}

/// The signals that ask for a clean stop, and SIGHUP, which asks to read the configuration again.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate, hang_up: signal(SignalKind::hangup())? })
    }

    /// Waits for a signal to stop; calls `reload` at each SIGHUP and change of the file until then,
    /// one after the other.
    async fn wait(
        &mut self,
        changes: &FileChanges,
        reload: impl Fn(Cause) -> JoinHandle<()>,
    ) -> &'static str {
        let mut running: Option<JoinHandle<()>> = None;
        loop {
            let cause = tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                // The hook for panics has told of one.
                _ended = OptionFuture::from(running.as_mut()), if running.is_some() => None,
                _ = self.hang_up.recv(), if running.is_none() => Some(Cause::Signal),
                () = changes.next(), if running.is_none() => Some(Cause::File),
            };
            running = cause.map(&reload);
        }
    }

    /// Waits for a signal to stop.
    async fn signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
