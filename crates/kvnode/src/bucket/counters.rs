//! What a bucket counts, for STAT and the metrics.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use exposition::Durations;
use log::error;
use logline::{Limit, LogLimiter};
use tokio_util::sync::CancellationToken;
use vbucket::hlc::Drift;

use crate::counter::Counter;
use crate::sync::lock;
use crate::timings::Timings;

/// Failed reads have one cause, which lasts.
const LIMIT: Limit = Limit { lines: 5, window: Duration::from_secs(60), events: 1 };
/// How often it is checked whether the window of the limit is over.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Counted since the bucket was opened.
#[derive(Default, Debug)]
pub(crate) struct Counters {
    pub(crate) commits: Counter,
    /// How long each batch took to be written and synced, failed ones too.
    pub(crate) commit_time: Durations,
    pub(crate) commit_failures: Counter,
    pub(crate) rows_committed: Counter,
    /// Changes that clients had been told of, and that could not be written.
    pub(crate) changes_lost: Counter,
    /// How long the commands of clients took.
    pub(crate) timings: Timings,
    pub(crate) read_failures: ReadFailures,
    /// Documents that were not in memory.
    pub(crate) disk_reads: Counter,
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
#[derive(Debug)]
pub(crate) struct ReadFailures {
    count: Counter,
    began: Instant,
    limiter: Mutex<LogLimiter<()>>,
}

impl Default for ReadFailures {
    fn default() -> Self {
        let limiter = Mutex::new(LogLimiter::new(LIMIT));
        Self { count: Counter::default(), began: Instant::now(), limiter }
    }
}

impl ReadFailures {
    /// Counts a failure; returns whether to log it.
    pub(crate) fn add(&self) -> bool {
        self.count.add(1);
        lock(&self.limiter).allow((), self.began.elapsed())
    }

    /// How many there were.
    pub(crate) fn get(&self) -> u64 {
        self.count.get()
    }

    /// Logs how many messages were suppressed, until `shutdown`.
    pub(crate) async fn report(&self, bucket: &str, shutdown: &CancellationToken) {
        let log = |now| {
            for ((), suppressed) in lock(&self.limiter).take_suppressed(now) {
                let total = self.get();
                error!(
                    "suppressed read-failure messages bucket={bucket} suppressed={suppressed} \
                     total={total}"
                );
            }
        };
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(CHECK_INTERVAL) => log(self.began.elapsed()),
            }
        }
        log(self.began.elapsed() + LIMIT.window);
    }
}
