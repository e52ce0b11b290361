//! The configuration of the control plane.

use std::collections::BTreeSet;
use std::time::Duration;

use relay::{Deadlines, Endpoint, PumpLimits};
use replica::backoff::Backoff;
use replica::breaker::{BREAKER_LIMIT, BREAKER_WINDOW};
use replica::bucket::Settings;
use replica::plan::{Connections, Desired};

/// The configuration of replication.
#[derive(Clone, Debug)]
pub struct ReplicationConfig {
    /// The data node that this sidecar serves: the consumer of every link.
    pub node: Endpoint,
    /// The data nodes that it may replicate from; names are unique.
    pub producers: Vec<Endpoint>,
    /// The buckets to replicate.
    pub buckets: Vec<BucketPlan>,
    /// Time limits and sizes.
    pub limits: ControlLimits,
}

/// The desired replications of one bucket.
#[derive(Clone, Debug)]
pub struct BucketPlan {
    /// The bucket.
    pub name: String,
    /// Connections for each producer.
    pub connections: Connections,
    /// The vBuckets of each producer.
    pub desired: Desired,
}

/// Time limits and sizes of the control plane.
#[derive(Clone, Debug)]
pub struct ControlLimits {
    /// Time limits of connecting and of single requests.
    pub handshake: Deadlines,
    /// Time limits of the steps of a stream.
    pub steps: replica::link::StepLimits,
    /// Limits of the pumps.
    pub pump: PumpLimits,
    /// The delays between attempts.
    pub backoff: Backoff,
    /// Time without progress after which the unsettled vBuckets of a command count as failed. 90 s:
    /// a connect and a set-up with their own time limits, and a margin.
    pub command: Duration,
    /// Time that a move allows without a new minimum of missing changes. 1 h: the estimate of a
    /// producer that reads a large vBucket from its disk changes slowly.
    pub data_move: Duration,
    /// Time without progress after which a link with data to send is restarted. 20 s: longer than
    /// any pause of a healthy node, and before an operator notices.
    pub stall: Duration,
    /// The interval at which the data nodes are polled for their seqnos; `None` leaves lag unknown,
    /// and most stalls undetected. 1 s: a request of a few bytes on a connection of its own.
    pub lag_interval: Option<Duration>,
    /// Failures of one vBucket within [`Self::loop_window`] that make it broken.
    pub loop_failures: usize,
    /// See [`Self::loop_failures`].
    pub loop_window: Duration,
    /// The number of threads that the links share, at least 1.
    pub threads: usize,
    /// How many bytes of the last frames are kept of each link, for captures of what has been; 0
    /// for the handshake and control frames alone.
    pub recorded_bytes: usize,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            handshake: Deadlines::default(),
            steps: replica::link::StepLimits::default(),
            pump: PumpLimits::default(),
            backoff: Backoff::default(),
            command: Duration::from_secs(90),
            data_move: Duration::from_secs(3600),
            stall: Duration::from_secs(20),
            lag_interval: Some(Duration::from_secs(1)),
            loop_failures: BREAKER_LIMIT,
            loop_window: BREAKER_WINDOW,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
            recorded_bytes: 0,
        }
    }
}

/// Poll intervals after which a seqno is too old and counts as unknown: the node hangs, which shows
/// long before a request reaches its deadline.
const INTERVALS_MAX: u32 = 3;
/// Additional time for a busy node.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

impl ControlLimits {
    /// Returns the settings of the machine of a bucket.
    pub(crate) fn settings(
        &self,
        bucket: String,
        node: String,
        producers: BTreeSet<String>,
    ) -> Settings {
        Settings {
            bucket,
            node,
            producers,
            backoff: self.backoff,
            command: self.command,
            takeover: self.steps.takeover,
            data_move: self.data_move,
            stall: self.stall,
            poll_max_age: self.lag_interval.map(|every| every * INTERVALS_MAX + ANSWER_SLACK),
            loop_failures: self.loop_failures,
            loop_window: self.loop_window,
        }
    }

    /// Returns how long a takeover that makes no progress lasts, with the examination after it.
    pub(crate) fn takeover(&self) -> Duration {
        self.command + self.steps.takeover + self.command
    }

    /// Returns the limits of the pumps. A peer that takes no byte stalls the link like any other
    /// stall.
    pub(crate) fn of_pump(&self) -> PumpLimits {
        PumpLimits { write_stall: self.pump.write_stall.min(self.stall), ..self.pump }
    }
}
