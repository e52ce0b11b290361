//! What a bucket counts, for STAT and the metrics.

use exposition::Durations;
use log::error;
use tokio_util::sync::CancellationToken;

use crate::counter::Counter;
use crate::log_limit::LogLimit;

/// Counted since the bucket was opened.
#[derive(Default, Debug)]
pub(crate) struct Counters {
    pub(crate) commits: Counter,
    /// How long each batch took to be written and synced, failed ones too.
    pub(crate) commit_time: Durations,
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

/// Reads of the disk that failed: every one is counted, and logged within a limit, because a
/// damaged block can fail thousands of reads a second.
#[derive(Default, Debug)]
pub(crate) struct ReadFailures {
    count: Counter,
    limit: LogLimit,
}

impl ReadFailures {
    /// Counts a failure; returns whether to log it.
    pub(crate) fn add(&self) -> bool {
        self.count.add(1);
        self.limit.allows()
    }

    /// How many there were.
    pub(crate) fn get(&self) -> u64 {
        self.count.get()
    }

    /// Logs how many messages were suppressed, until `shutdown`.
    pub(crate) async fn report(&self, bucket: &str, shutdown: &CancellationToken) {
        let log = |suppressed| {
            let total = self.get();
            error!(
                "suppressed read-failure messages bucket={bucket} suppressed={suppressed} \
                 total={total}"
            );
        };
        self.limit.report(shutdown, log).await;
    }
}
