//! What a bucket's machine is made with.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::loops::Loops;

/// The names and times of one bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Settings {
    /// The bucket.
    pub bucket: String,
    /// The name of the data node that the sidecar serves: the consumer.
    pub node: String,
    /// The names of the producers that there are.
    pub producers: BTreeSet<String>,
    /// Between attempts.
    pub backoff: Backoff,
    /// How long a command may take, without progress, until what is not settled counts as failed.
    pub command: Duration,
    /// How long a link may take for the longest step of a takeover, without progress.
    pub takeover: Duration,
    /// How long a move waits for the producer to have less to send than ever before.
    pub data_move: Duration,
    /// How long a link, or a vBucket, may stand still.
    pub stall: Duration,
    /// Whether the data nodes are polled, and how long an answer counts as recent.
    pub poll_max_age: Option<Duration>,
    /// Failures of one vBucket in a loop that are too many, within `loop_window`.
    pub loop_failures: usize,
    /// See `loop_failures`.
    pub loop_window: Duration,
}

impl Settings {
    /// How long the takeover step of a move may take, with what the link needs before it.
    pub(super) fn takeover_step(&self) -> Duration {
        self.command + self.takeover
    }

    /// The book of failures. Quiet is longer than two attempts at the slowest pace are apart.
    pub(super) fn loops(&self) -> Loops {
        let quiet = self.loop_window.max(self.backoff.max * 2);
        Loops::new(self.loop_failures, self.loop_window, quiet)
    }
}
