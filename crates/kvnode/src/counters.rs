//! What a node and its buckets count, for STAT. Relaxed: numbers for people, no decision hangs on
//! them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bucket::ReadFailures;

/// A number that only grows.
#[derive(Default, Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Since the node was started.
#[derive(Default, Debug)]
pub(crate) struct NodeCounters {
    pub(crate) connections: Counter,
    pub(crate) rejected_connections: Counter,
    pub(crate) auth_commands: Counter,
    pub(crate) auth_errors: Counter,
    pub(crate) errors: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
}

/// Since the bucket was opened.
#[derive(Default, Debug)]
pub(crate) struct Counters {
    pub(crate) commits: Counter,
    pub(crate) commit_failures: Counter,
    pub(crate) rows_committed: Counter,
    pub(crate) read_failures: ReadFailures,
    pub(crate) gets: Counter,
    pub(crate) get_hits: Counter,
    pub(crate) sets: Counter,
    pub(crate) deletes: Counter,
    pub(crate) not_my_vbucket: Counter,
    pub(crate) expired_on_access: Counter,
    pub(crate) expired_by_pager: Counter,
    pub(crate) pager_runs: Counter,
    pub(crate) rollbacks: Counter,
    pub(crate) purged: Counter,
}
