//! The program: from its arguments to its exit code.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use log::{error, info, warn};

use super::arguments::Arguments;
use super::configuration::configuration;
use crate::admission;
use crate::config::NodeConfig;
use crate::node::{Node, NodeError};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// The log filter unless RUST_LOG gives another; the storage engine logs a lot at `info`.
const LOG_FILTER: &str = "info,fjall=warn,lsm_tree=warn";

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(LOG_FILTER)).init();
    let port_file = arguments.port_file.clone();
    let config = match configuration(arguments) {
        Ok(config) => config,
        Err(problem) => {
            error!("{problem}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match run(config, port_file.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(NodeError::Config(problem)) => {
            error!("{problem}");
            ExitCode::from(WRONG_USAGE)
        }
        Err(problem) => {
            error!("{problem}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(config: NodeConfig, port_file: Option<&Path>) -> Result<(), NodeError> {
    // Installed first, so that a signal during the start stops the node as well.
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let signals = signals.map_err(NodeError::Threads)?;
    let mut stop = signals.block_on(async { Stop::new() }).map_err(NodeError::Threads)?;
    admission::raise_limit();
    let node = Node::start(config)?;
    if let Some(path) = port_file {
        let written = std::fs::write(path, format!("{}\n", node.address().port()));
        written.map_err(|source| NodeError::PortFile { path: path.to_owned(), source })?;
    }
    let signal = signals.block_on(stop.wait());
    info!("stopping, a second signal stops at once signal={signal}");
    let stopped = signals.spawn_blocking(move || node.shutdown());
    signals.block_on(async {
        tokio::select! {
            outcome = stopped => {
                outcome.unwrap_or_else(|died| Err(NodeError::Threads(std::io::Error::other(died))))
            }
            signal = stop.wait() => {
                warn!("stopping at once, the next start treats this as a crash signal={signal}");
                std::process::exit(FAILED.into())
            }
        }
    })
}

/// The signals that ask for a clean stop.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
