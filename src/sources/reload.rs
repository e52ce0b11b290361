//! Reads the configuration file again: checked as a whole, then swapped. Where it is invalid,
//! nothing changes.
//!
//! What a running process cannot take keeps its value, and the caller is told that it needs a
//! restart. Secrets and certificates in files need no reload, as they are read again when they are
//! used; a reload takes those that stand in the configuration itself, and other files that it names
//! now.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use events::{Kind, Level};
use logline::value;
use tokio::runtime::Handle;

use super::secrets::{Renewed, share};
use super::{BucketDropped, Sources, now_ms};
use crate::config::{self, Admin, Config, MapSource, Node, Problems};
use crate::{descriptors, logging};

/// How a reload went.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// When it ended.
    pub at: SystemTime,
    /// Who asked for it: a client of the admin API, `SIGHUP` or `file`.
    pub by: String,
    /// Why nothing has changed; `None` where it went well.
    pub error: Option<String>,
    /// The keys whose new values need a restart.
    pub restart_needed: Vec<String>,
}

/// What a reload has changed.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// The keys that have other values, or other entries.
    pub changed: Vec<String>,
    /// Those that keep their old values until a restart.
    pub restart_needed: Vec<String>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
    /// What was dropped of the overlays.
    pub dropped: Vec<BucketDropped>,
}

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file is invalid.
    #[error(transparent)]
    Invalid(#[from] Problems),
    /// The file has changed, and of a bucket nothing is left: it may be half written.
    #[error(
        "the file replicates nothing of bucket {0:?} any more, which is not followed by itself: if \
         that is meant, run dcp-proxy reload"
    )]
    Emptied(String),
    /// The new configuration needs more descriptors than the process may have.
    #[error(transparent)]
    Descriptors(#[from] descriptors::TooFew),
    /// A producer is an embedded node that does not run.
    #[error(
        "producer {0:?} is a node of [embedded] that does not run in this process: restart it, or \
         give the producer an address"
    )]
    NotRunning(String),
    /// The thread that read the file panicked: a bug.
    #[error("the thread that reads the configuration panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl ReloadError {
    /// What fits into one line of a log; the whole of it is in the status.
    fn in_short(&self) -> String {
        match self {
            Self::Invalid(problems) => problems.in_short(),
            error => error.to_string(),
        }
    }
}

/// Who asks for a reload when the file has changed.
const FILE: &str = "file";

impl Sources {
    /// Reloads whenever the content of the configuration file changes, until the watcher is
    /// dropped. Needs a tokio runtime.
    ///
    /// # Errors
    /// The OS error where no thread can be created.
    pub fn watch_file(&self) -> io::Result<watchfile::Watcher> {
        let (sources, runtime) = (self.clone(), Handle::current());
        let path = self.config().path.clone();
        watchfile::Watcher::start(vec![path], move |_| {
            // It has logged what is wrong.
            _ = runtime.block_on(sources.reload(FILE));
        })
    }

    /// Reads the configuration file again on behalf of `by`. Streams follow after this returns.
    ///
    /// # Errors
    /// A [`ReloadError`]; everything is as it was then.
    pub async fn reload(&self, by: &str) -> Result<Reloaded, ReloadError> {
        let _one = self.0.reloading.lock().await;
        let _told = lifecycle::notify::reloading();
        failpoint::panic_at("reload-panics");
        let done = self.read_again(by).await;
        let file = value(self.config().path.display()).to_string();
        let (error, restart_needed) = match &done {
            Ok(done) => {
                // The file was read by somebody before its change was noticed.
                let is_news = by != FILE || !done.changed.is_empty();
                let level = if is_news { log::Level::Info } else { log::Level::Debug };
                let changed = value(done.changed.join("; ")).to_string();
                log::log!(level, "configuration reloaded by={by} file={file} changed={changed}");
                if !done.restart_needed.is_empty() {
                    let keys = value(done.restart_needed.join("; ")).to_string();
                    log::warn!("settings that need a restart keep their values keys={keys}");
                }
                self.tell_dropped(&done.dropped);
                (None, done.restart_needed.clone())
            }
            Err(error) => {
                let problem = value(error.in_short()).to_string();
                log::error!(
                    "configuration not reloaded, the old one stays by={by} file={file} \
                     problem={problem}"
                );
                (Some(error.to_string()), Vec::new())
            }
        };
        let (level, kind, text) = match &error {
            None => (Level::Info, Kind::ReloadDone, format!("configuration reloaded, by {by}")),
            Some(error) => (Level::Error, Kind::ReloadFailed, error.clone()),
        };
        self.0.events.note(level, kind, None, text);
        let last = LastReload { at: SystemTime::now(), by: by.to_owned(), error, restart_needed };
        let mut live = self.0.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = live.reloads.get_mut(usize::from(last.error.is_some())) {
            *count += 1;
        }
        live.last_reload = Some(last);
        done
    }

    /// How the last reload went, if there was one.
    #[must_use]
    pub fn last_reload(&self) -> Option<LastReload> {
        self.0.live.read().unwrap_or_else(PoisonError::into_inner).last_reload.clone()
    }

    /// How many reloads went well, and how many did not.
    #[must_use]
    pub fn reloads(&self) -> [u64; 2] {
        self.0.live.read().unwrap_or_else(PoisonError::into_inner).reloads
    }

    async fn read_again(&self, by: &str) -> Result<Reloaded, ReloadError> {
        let before = self.config();
        let path: PathBuf = before.path.clone();
        let new = tokio::task::spawn_blocking(move || config::load(&path)).await??;
        let warnings = new.warnings.iter().map(|it| it.within(&new.path)).collect();
        let changed = config::changed(&before, &new);
        let restart_needed = config::restart_needed(&before, &new);
        let renewed = Renewed::of(&new);
        let live = merged(&before, new);
        descriptors::check(&live)?;
        self.check_embedded(&live)?;
        if by == FILE {
            check_emptied(&before, &live)?;
        }
        let dropped = self.follow_with(|maps| maps.follow(&live, now_ms())).await;
        renewed.adopt(&before);
        logging::configure(self.0.asked, &live.log);
        self.swap(&before, live);
        self.0.unsettled.notify_one();
        Ok(Reloaded { changed, restart_needed, warnings, dropped })
    }

    fn swap(&self, before: &Config, mut live: Config) {
        share(before, &mut live);
        let mut in_force = self.0.live.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(live.source, MapSource::Cluster(_)) {
            // A map may have changed them since.
            live.producers.clone_from(&in_force.config.producers);
        }
        in_force.config = Arc::new(live);
        in_force.loaded_at = SystemTime::now();
    }

    /// Refuses producers that are embedded nodes and do not run.
    fn check_embedded(&self, config: &Config) -> Result<(), ReloadError> {
        let Some(running) = self.0.running.get() else { return Ok(()) };
        let missing = config.producers.iter().find_map(|node| match node {
            Node::Embedded(name) if !running.embedded.contains_key(name) => Some(name.clone()),
            Node::Embedded(_) | Node::Remote(_) => None,
        });
        missing.map_or(Ok(()), |name| Err(ReloadError::NotRunning(name)))
    }
}

/// Refuses a file of which a bucket is gone, or its map: nobody has asked for a reload, and a file
/// that is being written may end anywhere.
fn check_emptied(before: &Config, live: &Config) -> Result<(), ReloadError> {
    let is_left = |name: &String| {
        live.buckets.iter().any(|it| it.name == *name && !it.desired.producers().is_empty())
    };
    let mut had = before.buckets.iter().filter(|it| !it.desired.producers().is_empty());
    match had.find(|it| !is_left(&it.name)) {
        Some(bucket) => Err(ReloadError::Emptied(bucket.name.clone())),
        None => Ok(()),
    }
}

/// The new configuration, but for what needs a restart.
fn merged(before: &Config, new: Config) -> Config {
    let listen = before.admin.listen;
    // The token may only go where nobody else can reach the API.
    let token = match new.admin.token {
        None if !listen.ip().is_loopback() => before.admin.token.clone(),
        token => token,
    };
    Config {
        node: before.node.clone(),
        limits: before.limits.clone(),
        embedded: before.embedded.clone(),
        state: before.state.clone(),
        source: before.source.clone(),
        producers: match before.source {
            MapSource::Cluster(_) => before.producers.clone(),
            MapSource::File | MapSource::Etcd(_) => new.producers,
        },
        admin: Admin { listen, token, ..new.admin },
        ..new
    }
}
