//! A small cluster of real processes for the tests here: data nodes, a sidecar, a client.
//!
//! Nothing sleeps: each wait names its condition and fails at a deadline. Every process is
//! killed by its own id when its owner is dropped, and shows its log when the test has failed.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each file of tests uses a part of this"
)]

mod cluster;
mod contents;
mod damage;
mod documents;
mod etcd;
mod fake_node;
mod name_server;
mod node;
mod process;
mod scrape;
mod session;
mod sidecar;
mod states;
mod writers;

use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval};

pub use cluster::{Cluster, converge, nodes};
pub use contents::{
    Contents, all_taken_over, compare, contents, differences, document, left_behind, same_documents,
};
pub use damage::Damaging;
pub use documents::Documents;
pub use etcd::{Etcd, etcd_program};
pub use fake_node::{FakeConsumer, FakeNode, FakeProducer, StreamRequest};
pub use name_server::NameServer;
pub use node::{DataNode, command, connect};
pub use process::Process;
pub use scrape::{page, post, scrape};
pub use session::session_token;
pub use sidecar::{Config, Sidecar, run};
pub use states::States;
pub use writers::Writers;

/// The deadline of every wait, far longer than needed, so that a loaded machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is checked that cannot be awaited.
const TICK: Duration = Duration::from_millis(10);

/// Calls `look` until it returns a value; fails with `what` at the deadline.
#[track_caller]
pub fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    until_within(PATIENCE, what, look)
}

/// The same with another deadline.
#[track_caller]
pub fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let (caller, deadline) = (std::panic::Location::caller(), Instant::now() + patience);
    async move {
        let mut looks = looks();
        loop {
            looks.tick().await;
            if let Some(value) = look().await {
                return value;
            }
            assert!(Instant::now() < deadline, "{caller}: not within {patience:?}: {what}");
        }
    }
}

/// When to check, or to try, again.
pub fn looks() -> Interval {
    let mut looks = interval(TICK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
