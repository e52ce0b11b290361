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

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, by a clock that nobody sets: leases are renewed in time and pauses end
/// also where the calendar goes back.
fn now_ms() -> u64 {
    static START: LazyLock<(SystemTime, Instant)> =
        LazyLock::new(|| (SystemTime::now(), Instant::now()));
    let (calendar, clock) = *START;
    let since = calendar.duration_since(UNIX_EPOCH).unwrap_or_default() + clock.elapsed();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
