//! What was found out about one vBucket: from our node, from producers, from the sidecar. Facts
//! only: what they mean is decided by the rules. A field is `None` where it is unknown.

use std::time::Duration;

use mcbp::VbState;
use mcbp::dcp::FailoverEntry;
use serde::Serialize;

pub(super) use super::told::{Event, Told, View};

/// All facts.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) bucket: String,
    pub(super) vb: u16,
    /// The name of our node.
    pub(super) our_name: String,
    /// Our node.
    pub(super) ours: Node,
    /// The producer that it is wanted from first, then the others that were asked.
    pub(super) producers: Vec<Node>,
    pub(super) wanted: Wanted,
    pub(super) sidecar: Sidecar,
    /// What a rollback would drop; `None` where none is expected, or our node was not asked.
    pub(super) dropped: Option<Dropped>,
}

/// Where the vBucket is to come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    From(String),
    Nobody,
    /// Neither the sidecar nor the file says.
    Unknown,
}

/// A data node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) answer: Answer,
}

/// What a node answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Why it was not asked.
    NotAsked(String),
    /// It does not answer, refuses the login, or has no such bucket.
    Failed(String),
    /// It still loads its data.
    WarmingUp,
    /// It does not have the vBucket.
    Missing,
    /// What it says of the vBucket.
    Copy(Box<VbCopy>),
}

/// The vBucket at one node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct VbCopy {
    pub(super) version: Option<String>,
    pub(super) state: Option<VbState>,
    pub(super) uuid: Option<u64>,
    /// Newest entry first.
    pub(super) log: Vec<FailoverEntry>,
    pub(super) high: Option<u64>,
    pub(super) persisted: Option<u64>,
    pub(super) snapshot: Option<(u64, u64)>,
    pub(super) purge: Option<u64>,
    pub(super) max_cas: Option<u64>,
    pub(super) documents: Option<u64>,
    /// Tombstones that are kept.
    pub(super) deletions: Option<u64>,
    pub(super) high_prepared: Option<u64>,
    pub(super) high_completed: Option<u64>,
    /// Durable writes that are neither committed nor aborted.
    pub(super) pending_prepares: Option<u64>,
    /// The chains of the topology; empty for none.
    pub(super) topology: Option<Vec<Vec<Option<String>>>>,
    pub(super) streams: Vec<DcpStream>,
    /// A second look a moment later.
    pub(super) later: Option<Later>,
    /// The groups of statistics that could not be read, and why.
    pub(super) unread: Vec<(String, String)>,
}

/// The second look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Later {
    /// How long after the first.
    pub(super) after: Duration,
    pub(super) high: Option<u64>,
    pub(super) documents: Option<u64>,
}

/// A DCP stream of the vBucket, as a node lists it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct DcpStream {
    /// The name of its connection.
    pub(super) connection: String,
    /// `producer` or `consumer`, as which the node takes part.
    pub(super) role: Option<String>,
    /// The node's word, such as `in-memory`, `backfilling` or `reading`.
    pub(super) state: Option<String>,
    pub(super) last_sent: Option<u64>,
    pub(super) last_received: Option<u64>,
    pub(super) snapshot_start: Option<u64>,
    pub(super) snapshot_end: Option<u64>,
    /// Bytes that were read and not sent, or received and not applied.
    pub(super) buffered_bytes: Option<u64>,
    /// Bytes of the whole connection that are not acknowledged.
    pub(super) unacked_bytes: Option<u64>,
    /// The window of flow control of the connection.
    pub(super) window_bytes: Option<u64>,
    /// Changes that were read from disk.
    pub(super) backfill_sent: Option<u64>,
}

/// What a rollback would drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Dropped {
    /// The rows, as our node streams them.
    Rows {
        /// How many there are.
        count: u64,
        /// Whether there are more than were read.
        more: bool,
        /// How many of them the producer never had; `None` where that was not counted to its end.
        lost: Option<u64>,
        /// The first keys: of those that the producer never had, if there are any.
        keys: Vec<String>,
    },
    /// They could not be read.
    Unknown(String),
}

/// The sidecar of the configuration.
#[derive(Debug)]
pub(super) enum Sidecar {
    /// Nothing listens at its address.
    NotRunning(String),
    /// Nothing listens at its address, and the nodes list streams of its connection: what shows
    /// that, and why it could not be asked.
    Elsewhere(String),
    /// Whether it runs, or what it knows, is unknown.
    Unknown(String),
    /// What it says.
    Says(Box<Told>),
}

impl Facts {
    /// The producer that the vBucket is wanted from, where it was asked.
    pub(super) fn producer(&self) -> Option<&Node> {
        let Wanted::From(name) = &self.wanted else { return None };
        self.producers.iter().find(|node| node.name == *name)
    }

    /// What the sidecar says.
    pub(super) fn view(&self) -> Option<&View> {
        match &self.sidecar {
            Sidecar::Says(told) => Some(&told.view),
            Sidecar::NotRunning(_) | Sidecar::Elsewhere(_) | Sidecar::Unknown(_) => None,
        }
    }

    /// Our node, then the producers.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.ours).chain(&self.producers)
    }
}

impl Node {
    /// What it says of the vBucket.
    pub(super) fn copy(&self) -> Option<&VbCopy> {
        match &self.answer {
            Answer::Copy(copy) => Some(copy),
            _ => None,
        }
    }

    pub(super) fn is(&self, state: VbState) -> bool {
        self.copy().is_some_and(|copy| copy.state == Some(state))
    }
}

impl VbCopy {
    /// The high seqno by the last look.
    pub(super) fn last_high(&self) -> Option<u64> {
        self.later.as_ref().and_then(|later| later.high).max(self.high)
    }
}
