//! What the control plane is started with.

use std::collections::BTreeSet;
use std::time::Duration;

use relay::{Deadlines, Endpoint, PumpLimits};
use replica::backoff::Backoff;
use replica::breaker::{BREAKER_LIMIT, BREAKER_WINDOW};
use replica::bucket::Settings;
use replica::plan::{Connections, Desired};

/// Everything that replication needs to know.
#[derive(Clone, Debug)]
pub struct ReplicationConfig {
    /// The data node this sidecar serves: the consumer of every link.
    pub node: Endpoint,
    /// The data nodes it may replicate from; names are unique.
    pub producers: Vec<Endpoint>,
    /// What to replicate; one entry a bucket.
    pub buckets: Vec<BucketPlan>,
    /// Deadlines and sizes.
    pub limits: Limits,
}

/// The desired replications of one bucket.
#[derive(Clone, Debug)]
pub struct BucketPlan {
    /// The bucket.
    pub name: String,
    /// Connections for each producer.
    pub connections: Connections,
    /// From which producer which vBuckets come.
    pub desired: Desired,
}

/// Deadlines and sizes of the control plane.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of connecting and of single requests.
    pub handshake: Deadlines,
    /// Of the steps of a stream's life.
    pub steps: replica::link::StepLimits,
    /// Of the byte path.
    pub pump: PumpLimits,
    /// Between attempts.
    pub backoff: Backoff,
    /// How long a command may take until whatever is not settled counts as failed. 90 s: a connect
    /// and a set-up with their own deadlines, and some.
    pub command: Duration,
    /// How long a move may wait for the producer to have less to send than ever before. 1 h: a
    /// producer that reads a large vBucket from its disk counts slowly.
    pub data_move: Duration,
    /// How long a link may stand still that has something to do, until it is restarted. 20 s: long
    /// for a node that is well, and a person notices nothing yet.
    pub stall: Duration,
    /// How often the data nodes are asked for their seqnos; `None` to leave lag unknown, and with
    /// it most stalls. 1 s: a request of a few bytes on a connection of its own.
    pub lag_interval: Option<Duration>,
    /// How many failures of one vBucket in a loop, within [`Self::loop_window`], are too many.
    pub loop_failures: usize,
    /// See [`Self::loop_failures`].
    pub loop_window: Duration,
    /// Threads over which the links are spread, at least 1.
    pub threads: usize,
}

impl Default for Limits {
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
        }
    }
}

/// A seqno that was not refreshed for so many intervals is shown as unknown: the node hangs, long
/// before a request runs into its deadline.
const INTERVALS_MAX: u32 = 3;
/// What a node that is busy may take beyond that.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

impl Limits {
    /// What the machine of a bucket is made with.
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

    /// Those of the byte path: a peer that takes no byte stalls the link like any other stall.
    pub(crate) fn of_pump(&self) -> PumpLimits {
        PumpLimits { write_stall: self.pump.write_stall.min(self.stall), ..self.pump }
    }
}
