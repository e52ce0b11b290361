//! What may happen in a run of the model checker.

use mcbp::framing::Level;

use crate::node::Write;
use crate::world::Action;

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub writes: &'static [Write],
    /// The topologies that a leader may get.
    pub shapes: &'static [Shape],
    pub budget: Budget,
    /// Whether a fault may be the loss of a replica's disk.
    pub has_lost_disks: bool,
    pub mistake: Mistake,
}

/// So often each may happen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    /// Restarts, failed batches and disks that are lost.
    pub faults: u8,
    pub failovers: u8,
    /// Deactivations of the leader.
    pub moves: u8,
    pub topologies: u8,
}

impl Budget {
    pub const fn spend(&mut self, action: Action) {
        match action {
            Action::Restart(_) | Action::BatchFails(_) | Action::DiskIsLost(_) => self.faults -= 1,
            Action::FailOver(_) => self.failovers -= 1,
            Action::Deactivate => self.moves -= 1,
            Action::Topology(_) => self.topologies -= 1,
            _ => {}
        }
    }
}

/// A topology of three copies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    /// All three; null for one that is down.
    All,
    /// The leader, another one, and null.
    Two,
    /// The leader and two nulls.
    Alone,
    /// The leader, and no copies that should be there.
    Single,
    /// Two chains, of the leader and of the node to which the vBucket moves, each with the third.
    Moving,
    /// The leader was told none.
    Untold,
}

const KEY: &[u8] = b"\0k";
const OTHER: &[u8] = b"\0l";

pub const ONE: &[Write] = &[Write { id: 0, document: KEY, level: Level::Majority }];
pub const SAME_KEY: &[Write] =
    &[ONE[0], Write { id: 1, document: KEY, level: Level::PersistToMajority }];
pub const TWO_KEYS: &[Write] =
    &[ONE[0], Write { id: 1, document: OTHER, level: Level::MajorityAndPersistOnActive }];

pub const NOTHING: Budget = Budget { faults: 0, failovers: 0, moves: 0, topologies: 0 };
pub const FAULT: Budget = Budget { faults: 1, ..NOTHING };
pub const FAILOVER: Budget = Budget { failovers: 1, ..NOTHING };
pub const MOVE: Budget = Budget { moves: 1, ..NOTHING };
pub const RUN: Run = Run {
    writes: ONE,
    shapes: &[Shape::All, Shape::Two, Shape::Alone, Shape::Moving, Shape::Untold],
    budget: NOTHING,
    has_lost_disks: false,
    mistake: Mistake::None,
};

/// A seeded mistake of the data node or the orchestrator, to show that the checker finds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mistake {
    None,
    /// A replica acknowledges a prepare before it is stored.
    AckedTooEarly,
    /// What a replica has acknowledged counts after a new stream began.
    NotForgotten,
    /// An acknowledgement of an earlier stream arrives after the next one began.
    AcksKept,
    /// A replica does not acknowledge what it has when a stream begins.
    AcksNotRepeated,
    /// A node that is promoted drops its prepares.
    PreparesDropped,
    /// A node is promoted that has less than another.
    AnyPromoted,
    /// The client has its answer once the leader has stored the prepare.
    AnsweredTooEarly,
    /// A copy that should be there and is not counts neither for the majority nor against it.
    NullLeftOut,
    /// A write is given up whose commit is queued.
    AbortedAfterCommit,
    /// Writes that are decided together are queued in another order.
    OutOfOrder,
    /// A write is taken whose key is blocked.
    BlockedIgnored,
    /// A client is told of a commit, and the machine is not told of that.
    PromiseForgotten,
    /// The machine is not told that the batch of a completion failed.
    FailureUnheard,
    /// A replica's machine is not told of a completion.
    CompletionUnheard,
}
