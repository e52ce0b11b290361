//! The client of etcd: connections, the tasks of a sidecar, and what `dcp-proxy map` does.
//!
//! Every call has a deadline. One member of etcd is used at a time, so that an error names it.

mod config;
mod error;
mod follow;
mod maps;
mod range;
mod reports;
mod store;
mod watch;

pub use config::{EtcdConfig, EtcdTls};
pub use error::EtcdError;
pub use maps::EtcdMaps;
pub use store::{Store, Written};
pub use watch::{News, Watch};

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
