//! What the tests of a data node share: a client, a store in memory with faults, a node to start.

pub mod client;
pub mod memory_store;
pub mod scrape;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvnode::{BucketOptions, Node, NodeConfig, NodeHandle};
use memory_store::{Disk, MemoryStore};
use relay::Secret;
use vbucket::store::Durability;

pub const USER: &str = "dcp-proxy";
pub const PASSWORD: &str = "secret";
pub const BUCKET: &str = "default";

/// The longest that anything in a test may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Eight active vBuckets.
pub fn options() -> BucketOptions {
    let mut options = BucketOptions::new(BUCKET);
    options.vbuckets = 8;
    options
}

/// The same, whose changes are not synced before they are acknowledged.
pub fn buffered() -> BucketOptions {
    BucketOptions { durability: Durability::Buffered, ..options() }
}

pub fn config(options: BucketOptions, data: &std::path::Path) -> NodeConfig {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = NodeConfig::new(listen, data, options, USER, Secret::new(PASSWORD));
    config.limits.worker_threads = 2;
    config
}

/// A node on a disk in memory.
pub fn start_in_memory(disk: &Arc<Disk>, options: BucketOptions) -> NodeHandle {
    let config = config(options, std::path::Path::new("unused"));
    Node::start_on(config, |_| Ok(Arc::new(MemoryStore::open(disk)))).unwrap()
}

/// Sets it at the end of a test, also of one that fails.
pub struct OnDrop<'a>(pub &'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for a condition.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited too long for: {what}");
        std::thread::yield_now();
    }
}
