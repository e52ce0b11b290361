//! Reads the configuration again, at SIGHUP and when its file changes, and applies what a running
//! node can take: users, their passwords, certificates, deadlines, and the log.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use log::{error, info, warn};
use logline::value;
use tokio::sync::Notify;
use watchfile::Watcher;

use super::arguments::Arguments;
use super::changes::Changes;
use super::configuration::{Configured, configuration};
use super::log::Log;
use crate::config::NodeConfig;
use crate::node::Live;
use crate::sync::lock;

/// Why the configuration is read again.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    Signal,
    File,
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::Signal => "SIGHUP",
            Self::File => "file",
        }
    }
}

/// The configuration in force.
pub(super) struct Reload {
    in_force: Mutex<(NodeConfig, Log)>,
    changes: FileChanges,
}

impl Reload {
    /// `changes` watches another file of users where the configuration names one.
    pub(super) fn new(config: &NodeConfig, log: Log, changes: FileChanges) -> Self {
        Self { in_force: Mutex::new((config.clone(), log)), changes }
    }

    /// Reads the configuration and applies it to the node. Where it is invalid, nothing changes.
    pub(super) fn run(&self, cause: Cause, arguments: &Arguments, node: &Live) {
        let _told = lifecycle::notify::reloading();
        failpoint::panic_at("reload-panics");
        let cause = cause.name();
        let read = configuration(arguments.clone()).inspect_err(|_| node.reload_failed());
        let read = read.map_err(|problems| problems.lines().collect());
        let apply = |configured| self.apply(configured, arguments, node);
        let done = read.and_then(|configured| apply(configured).map_err(|problem| vec![problem]));
        let (Changes { applied, restart }, closed) = match done {
            Ok(changes) => changes,
            Err(problems) => {
                for problem in problems.iter().map(value) {
                    error!(
                        "configuration invalid, the old one stays cause={cause} problem={problem}"
                    );
                }
                return;
            }
        };
        let applied = value(applied.join(", "));
        info!(
            "configuration read again cause={cause} applied={applied} closed_connections={closed}"
        );
        if !restart.is_empty() {
            let settings = value(restart.join(", "));
            warn!("changed settings need a restart cause={cause} settings={settings}");
        }
    }

    fn apply(
        &self,
        configured: Configured,
        arguments: &Arguments,
        node: &Live,
    ) -> Result<(Changes, usize), String> {
        let Configured { node: new, log, users_file, .. } = configured;
        self.changes.watch(users_file);
        let mut in_force = lock(&self.in_force);
        let changes = Changes::between((&in_force.0, in_force.1), (&new, log));
        let closed = node.reload(new.clone())?;
        arguments.log().apply(log);
        let (config, logging) = &mut *in_force;
        *logging = log;
        // What needs a restart is told at every reload until then.
        config.users = new.users;
        config.certificate = new.certificate;
        config.limits.authentication = new.limits.authentication;
        config.limits.shutdown = new.limits.shutdown;
        Ok((changes, closed))
    }
}

/// Notices changes of the configuration file and of the file of users; clones share it.
#[derive(Clone)]
pub(super) struct FileChanges {
    changed: Arc<Notify>,
    file: Option<PathBuf>,
    watcher: Option<Arc<Watcher>>,
}

impl FileChanges {
    /// Watches those that there are; the file of users may be named by the other one. Passwords and
    /// certificates in files of their own are read when they are used.
    pub(super) fn of(file: Option<PathBuf>, users_file: Option<PathBuf>) -> Self {
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let files: Vec<_> = file.iter().cloned().chain(users_file).collect();
        let start = || Watcher::start(files.clone(), move |_| tell.notify_one());
        let started = (!files.is_empty()).then(start);
        let watcher = started.and_then(|it| it.inspect_err(not_watched).ok()).map(Arc::new);
        Self { changed, file, watcher }
    }

    /// Watches this file of users. Of one that is new, changes after this returns are noticed.
    pub(super) fn watch(&self, users_file: Option<PathBuf>) {
        if let Some(watcher) = &self.watcher {
            watcher.set_files(self.file.iter().cloned().chain(users_file).collect());
        }
    }

    /// Waits until one of them has changed.
    pub(super) async fn next(&self) {
        self.changed.notified().await;
    }
}

fn not_watched(error: &std::io::Error) {
    let error = value(error);
    warn!("the configuration file is not watched, send SIGHUP after a change error={error}");
}
