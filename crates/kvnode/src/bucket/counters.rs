//! What a bucket counts, for STAT and the metrics.

use log::error;
use tokio_util::sync::CancellationToken;
use vbucket::hlc::Drift;

use crate::counter::Counter;
use crate::log_limit::LogLimit;

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
    /// CAS values of changes that came from another cluster to active vBuckets.
    pub(crate) active_drift: DriftCounters,
    /// CAS values of changes that came from producers to replicas.
    pub(crate) replica_drift: DriftCounters,
    /// CAS values that were refused.
    pub(crate) invalid_cas: Counter,
}

/// How far CAS values from elsewhere were from this node's clock.
#[derive(Default, Debug)]
pub(crate) struct DriftCounters {
    /// The sum of the distances in microseconds.
    pub(crate) total_us: Counter,
    /// How many CAS values there were.
    pub(crate) count: Counter,
    /// How many were further ahead of the clock than the options allow.
    pub(crate) ahead: Counter,
    /// How many were further behind it.
    pub(crate) behind: Counter,
}

impl DriftCounters {
    pub(crate) fn add(&self, drift: &Drift) {
        let Drift { total_us, count, ahead, behind } = *drift;
        self.total_us.add(total_us);
        self.count.add(count);
        self.ahead.add(ahead);
        self.behind.add(behind);
    }
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
