//! Disks that refuse: full, read-only, without permission, failing in the middle. Writes are
//! refused in time, nothing that was acknowledged is lost, the node says so and goes on when it
//! can.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod failing;
mod full;
mod mount;
mod refused;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the node")]
mod support;

use std::path::Path;
use std::sync::Arc;

use kvnode::{Node, NodeHandle};
use mcbp::Status;
use vbucket::store::SharedStore;

use support::client::Client;

/// Starts a node on a store that `wrap` may put something around.
fn start_on(
    folder: &Path,
    options: store::Options,
    wrap: impl FnOnce(store::FjallStore) -> SharedStore,
) -> NodeHandle {
    let store = wrap(store::FjallStore::open(&folder.join(support::BUCKET), options).unwrap());
    let config = support::config(support::options(), folder);
    Node::start_on(config, |_| Ok(Arc::clone(&store))).unwrap()
}

/// Writes documents until one is refused; gives the number of those that were acknowledged and the
/// status of the refusal.
fn write_until_refused(client: &mut Client, from: u32, value: &str) -> (u32, Status) {
    for n in from.. {
        assert!(n < from + 10_000, "nothing is refused");
        let status = client.set(0, &key(n), value).status;
        if status != Status::SUCCESS {
            return (n, status);
        }
    }
    unreachable!()
}

fn key(n: u32) -> String {
    format!("key-{n}")
}

#[track_caller]
fn assert_all_there(node: &NodeHandle, count: u32, value: &str) {
    let mut client = Client::ready(node);
    for n in 0..count {
        assert_eq!(client.get(0, &key(n)).value, value.as_bytes(), "{}", key(n));
    }
}
