//! What a bucket counts, for STAT and the metrics.

use super::read_failures::ReadFailures;
use crate::counter::Counter;

/// Counted since the bucket was opened.
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
