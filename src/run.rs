//! The main job, and what has to be there as long as it runs: the admin API, embedded nodes.
//!
//! Only the order of start and stop is here.
//!
//! - `job`: the steps of the job itself; `plan`: what is replicated at the start
//! - `drain`: the time between a request to stop and the stop
//! - `tell`: what the service manager hears meanwhile

mod drain;
mod job;
mod plan;
mod tell;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lifecycle::notify;
use relay::LinkError;
use tokio_util::sync::CancellationToken;

use self::drain::Drain;
use self::job::Job;
use crate::admin::{Admin, AdminError};
use crate::descriptors::TooFew;
use crate::embedded::{EmbeddedError, Nodes};
use crate::load::LoadError;
use crate::screen::Screen;
use crate::sources::{Sources, StateError};
use crate::story;
use crate::verify::VerifyError;

/// How long what follows the desired maps may take to stop: etcd is told that its reports are over.
const SOURCES_STOP: Duration = Duration::from_secs(4);

/// The options of the command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Exit after both nodes were compared.
    pub once: bool,
    /// The file to write the URL of the admin API to, once it listens.
    pub admin_file: Option<PathBuf>,
}

/// Why the job failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The admin API did not start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The file for the URL of the admin API could not be written.
    #[error("the admin API's URL could not be written to {path}: {source}")]
    AdminFile {
        /// The file.
        path: PathBuf,
        /// The OS error.
        source: std::io::Error,
    },
    /// An embedded node did not start, or did not stop cleanly.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The sample documents were not written.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A node did not return its seqnos.
    #[error("replication could not be watched: {0}")]
    Watch(#[from] LinkError),
    /// The comparison failed.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// What was changed at run time cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The process may not open enough files.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// What was checked could not be printed, or the check not be started.
    #[error("{0}")]
    Check(std::io::Error),
    /// The operating system has no thread left.
    #[error("replication could not be started: {0}")]
    Start(#[from] std::io::Error),
}

/// Runs until `stop` is cancelled, which the admin API may do too, and for `drain_ms` longer; with
/// `once`, until both nodes were compared. Returns false where the nodes differ.
///
/// # Errors
/// A [`RunError`]; everything that was started has been stopped.
pub async fn run(
    sources: &Sources,
    options: &Options,
    screen: &Screen,
    stop: &CancellationToken,
) -> Result<bool, RunError> {
    let admin = Admin::start(sources, stop)?;
    let drain = Drain::new(&sources.config(), options.once, stop);
    let done = match &options.admin_file {
        Some(path) => announce(&admin, path),
        None => Ok(()),
    };
    let done = match done {
        Ok(()) => run_beside(&admin, sources, options.once, screen, drain.over()).await,
        Err(error) => Err(error),
    };
    // Last, so that it answers "stopping" until everything has stopped.
    admin.stop().await;
    done
}

fn announce(admin: &Admin, path: &Path) -> Result<(), RunError> {
    let url = format!("http://{}\n", admin.address());
    let failed = |source| RunError::AdminFile { path: path.to_owned(), source };
    std::fs::write(path, url).map_err(failed)
}

async fn run_beside(
    admin: &Admin,
    sources: &Sources,
    once: bool,
    screen: &Screen,
    stop: &CancellationToken,
) -> Result<bool, RunError> {
    let config = sources.config();
    if let Some(embedded) = &config.embedded {
        notify::status("data nodes start");
        let url = (!once).then(|| admin.dashboard_url());
        story::starting(embedded, url.as_deref()).iter().for_each(|line| screen.say(line));
    }
    let nodes = Nodes::start(config.embedded.as_ref(), config.limits.shutdown).await?;
    if let Some(embedded) = &config.embedded {
        admin.name_nodes(nodes.iter().map(|node| node.session(embedded)).collect());
    }
    let job = Job { sources, config: &config, nodes: &nodes, admin, once, screen, stop };
    let done = job.run().await;
    sources.stop(SOURCES_STOP).await;
    let stopped = nodes.stop().await;
    let done = done?;
    stopped?;
    Ok(done)
}
