//! The command line of the program `kvnode`: a data node alone.
//!
//! Exit codes: 0 stopped cleanly, 1 failed, 2 wrong usage or configuration.

mod file;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use log::{error, info, warn};
use mcbp::VbState;
use relay::Secret;

use crate::{BucketOptions, Limits, Node, NodeConfig, NodeError, Tls, Users};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// What is logged unless RUST_LOG says otherwise: the storage engine is chatty.
const LOG_FILTER: &str = "info,fjall=warn,lsm_tree=warn";

/// A data node that speaks the memcached binary protocol and DCP.
#[derive(Parser, Debug)]
#[command(name = "kvnode", version)]
struct Arguments {
    /// Address to listen on, such as 127.0.0.1:11210; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder for data; made where there is none
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Bucket and how many vBuckets it has (1 to 1024)
    #[arg(long, value_name = "NAME[:VBUCKETS]", value_parser = parse_bucket)]
    bucket: Option<(String, Option<u16>)>,
    /// User who may connect
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// File with the user's password; one line break at its end is left out
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// State that the vBuckets of a new data folder get
    #[arg(long, value_name = "STATE")]
    state: Option<InitialState>,
    /// Address at which Prometheus finds /metrics, such as 127.0.0.1:9210; nowhere without it
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,
    /// Certificate to listen with (PEM); every connection is then TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Authorities of clients' certificates (PEM), which are asked for then
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// TOML file with the same and more; what is given here goes before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File to write the port to once the node listens
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
}

/// The state of vBuckets in a new store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum InitialState {
    Active,
    Replica,
    /// No vBucket at all
    None,
}

impl InitialState {
    const fn vb_state(self) -> Option<VbState> {
        match self {
            Self::Active => Some(VbState::Active),
            Self::Replica => Some(VbState::Replica),
            Self::None => None,
        }
    }
}

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
    // Watched from the beginning: a signal during the start stops the node as well.
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let signals = signals.map_err(NodeError::Threads)?;
    let mut stop = signals.block_on(async { Stop::new() }).map_err(NodeError::Threads)?;
    let node = Node::start(config)?;
    if let Some(path) = port_file {
        let written = std::fs::write(path, format!("{}\n", node.address().port()));
        written.map_err(|source| NodeError::PortFile { path: path.to_owned(), source })?;
    }
    let signal = signals.block_on(stop.wait());
    info!("got {signal}, stopping; once more to stop at once");
    let stopped = signals.spawn_blocking(move || node.shutdown());
    signals.block_on(async {
        tokio::select! {
            outcome = stopped => {
                outcome.unwrap_or_else(|died| Err(NodeError::Threads(std::io::Error::other(died))))
            }
            signal = stop.wait() => {
                warn!("got {signal} again, stopping at once; the next start takes it for a crash");
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

/// The file's configuration with what the command line says put over it.
fn configuration(arguments: Arguments) -> Result<NodeConfig, String> {
    let mut config = match &arguments.config {
        Some(path) => file::read(path)?,
        None => file::Partial::default(),
    };
    if let Some((name, vbuckets)) = arguments.bucket {
        let mut options = BucketOptions::new(name);
        options.vbuckets = vbuckets.unwrap_or(options.vbuckets);
        config.buckets = vec![options];
    }
    if let Some(state) = arguments.state {
        for bucket in &mut config.buckets {
            bucket.initial_state = state.vb_state();
        }
    }
    if let (Some(name), Some(path)) = (arguments.username, arguments.password_file) {
        config.users.push((name, password(&path)?));
    }
    if let (Some(certificate), Some(key)) = (arguments.tls_cert, arguments.tls_key) {
        config.tls = Some(Tls::load(&certificate, &key, arguments.tls_client_ca.as_deref())?);
    }
    Ok(NodeConfig {
        tls: config.tls,
        listen: arguments.listen.or(config.listen).ok_or("no address: give --listen ADDR")?,
        metrics: arguments.metrics.or(config.metrics),
        data: arguments.data.or(config.data).ok_or("no folder for data: give --data DIR")?,
        buckets: config.buckets,
        users: Users(config.users),
        limits: config.limits,
    })
}

/// A password from a file.
fn password(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path:?}: {error}"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err(format!("{path:?} holds no password")) } else { Ok(Secret::new(line)) }
}

fn parse_bucket(text: &str) -> Result<(String, Option<u16>), String> {
    match text.split_once(':') {
        None => Ok((text.to_owned(), None)),
        Some((name, count)) => {
            let count = count.parse().map_err(|_| format!("{count:?} is no number of vBuckets"))?;
            Ok((name.to_owned(), Some(count)))
        }
    }
}
