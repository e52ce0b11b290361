//! The log of the sidecar, and what a panic leaves in it before it ends the process.

use std::io;

use log::LevelFilter;
use logger::{Format, Settings};

use crate::config::Log;
use crate::screen::Screen;

/// What the command line says about the log; it takes precedence over the configuration file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// The level.
    pub level: Option<LevelFilter>,
    /// The format.
    pub format: Option<Format>,
}

/// The packages of the sidecar itself, as they are named in log lines.
const OWN: [&str; 5] = ["dcp_proxy", "dcp_actors", "relay", "etcdmaps", "watchfile"];
/// Those of data nodes inside this process, which log warnings only unless they are asked for more.
const QUIET: [&str; 2] = ["kvnode", "store"];
/// The packages whose level can be set by themselves.
pub const MODULES: [&str; 7] =
    ["dcp_proxy", "dcp_actors", "relay", "etcdmaps", "watchfile", "kvnode", "store"];

/// Starts logging to standard error through `screen`.
///
/// # Errors
/// The OS error where there is no file descriptor or thread left.
pub fn start(asked: Asked, screen: &Screen) -> io::Result<()> {
    let settings = Settings {
        level: asked.level,
        format: asked.format.unwrap_or_default(),
        own: &OWN,
        quiet: &QUIET,
    };
    logger::start(settings, screen.sink()?)
}

/// Applies the section `[log]` of the configuration, at the start and when it is read again.
pub fn configure(asked: Asked, log: &Log) {
    logger::set_format(asked.format.or(log.format).unwrap_or_default());
    if let (None, false) = (asked.level, logger::is_filtered()) {
        logger::configure(log.level);
    }
}

/// Makes every panic, on any thread, leave a report and abort the process. After a panic
/// replication may stand still; the supervisor sees the exit and restarts the process.
pub fn abort_on_panic() {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    lifecycle::panics::report(env!("CARGO_CRATE_NAME"), name, version, || std::process::abort());
}
