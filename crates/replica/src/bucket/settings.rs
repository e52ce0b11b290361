//! The settings of the machine of a bucket.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::loops::Loops;

/// The pause after a rival was found, in longest backoffs: five minutes by default. An operator has
/// seen the error by then.
const RIVAL_PAUSE_BACKOFFS: u32 = 10;

/// The names and time limits of one bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Settings {
    /// The bucket.
    pub bucket: String,
    /// The name of the data node that the sidecar serves: the consumer.
    pub node: String,
    /// The names of the configured producers.
    pub producers: BTreeSet<String>,
    /// The delays between attempts.
    pub backoff: Backoff,
    /// Time without progress after which the unsettled vBuckets of a command count as failed.
    pub command: Duration,
    /// Time without progress that a link allows for a takeover.
    pub takeover: Duration,
    /// Time that a move allows without a new minimum of missing changes.
    pub data_move: Duration,
    /// Time without progress after which a link, or a vBucket, counts as stalled.
    pub stall: Duration,
    /// Maximum age of a recent poll; `None` where the data nodes are not polled.
    pub poll_max_age: Option<Duration>,
    /// Failures of one vBucket, or link, within `loop_window` that make it broken.
    pub loop_failures: usize,
    /// See `loop_failures`.
    pub loop_window: Duration,
}

impl Settings {
    /// Returns the time limit of a move's takeover step, with the opening of its link before it.
    pub(super) fn takeover_step(&self) -> Duration {
        self.command + self.takeover
    }

    /// Returns how long a rival of the same connection name is left alone before its connection is
    /// displaced: it may be a connection of our own that the node still takes for open.
    pub(super) fn rival_pause(&self) -> Duration {
        self.backoff.max * RIVAL_PAUSE_BACKOFFS
    }

    /// Returns the loop detection. Its quiet time exceeds the longest backoff, so that a broken
    /// vBucket or link stays broken between two attempts.
    pub(super) fn loops<K: Ord + Copy>(&self) -> Loops<K> {
        let quiet = self.loop_window.max(self.backoff.max * 2);
        Loops::new(self.loop_failures, self.loop_window, quiet)
    }
}
