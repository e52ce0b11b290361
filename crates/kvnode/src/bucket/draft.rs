//! A change of a document that a client wants, what it is based on, and why it is not made.

use std::sync::Arc;

use bytes::Bytes;
use mcbp::{Datatype, VbId};
use vbucket::durability::Blocked;
use vbucket::{Kind, Row};

use super::error::VbError;
use super::pending_commit::PendingCommit;
use super::requirement::Requirement;
use super::stamp::Stamp;

/// Who assigns the rev and CAS of a change.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) enum Version {
    /// This node.
    #[default]
    Ours,
    /// The cluster where the change was made; without a CAS this node assigns one.
    Theirs { rev: u64, cas: Option<u64> },
}

/// A change that a client wants. Its seqno is not assigned yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) version: Version,
    pub(crate) kind: Kind,
    pub(crate) datatype: Datatype,
    pub(crate) value: Bytes,
}

/// A change, and the numbers that its value is to hold. Most have none.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) draft: Draft,
    pub(crate) stamps: Vec<Stamp>,
}

impl From<Draft> for Stamped {
    fn from(draft: Draft) -> Self {
        Self { draft, stamps: Vec::new() }
    }
}

/// Why a client's operation was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteRefusal {
    /// The status for the client.
    #[error("{0}")]
    Status(mcbp::Status),
    /// The same, to be answered only after the commit of what it is based on.
    #[error("{0}")]
    After(mcbp::Status, PendingCommit),
    /// A durable write of the document is not decided.
    #[error("{}", why(*.0))]
    Blocked(Blocked),
    /// Too few copies are there for a durable write.
    #[error(
        "{vb} cannot be written durably with topology {topology}: a majority of its copies, at \
         most 3, must be named"
    )]
    Impossible { vb: VbId, topology: String },
    #[error(transparent)]
    Vb(#[from] VbError),
}

const fn why(blocked: Blocked) -> &'static str {
    match blocked {
        Blocked::InProgress => "a durable write of the document waits for replicas",
        Blocked::Recommit => {
            "a durable write of the document is committed again, after a failover or a restart"
        }
    }
}

/// A document as a reader finds it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) row: Arc<Row>,
    /// How many bytes its value has, if that was left on the disk; else 0.
    pub(crate) left_bytes: usize,
    /// The commit of the row if it is not durable yet: it must not be shown before.
    pub(crate) commit: Option<PendingCommit>,
    pub(super) is_locked: bool,
}

impl Found {
    /// The row as clients see it: that of a locked document has a CAS that fits nothing.
    pub(crate) fn shown(&self) -> Arc<Row> {
        if self.is_locked {
            return Arc::new(Row { cas: u64::MAX, ..Row::clone(&self.row) });
        }
        Arc::clone(&self.row)
    }
}

/// Who changes a document.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// A client, with the CAS of its request: it may be that of a lock.
    Client(u64, Option<Requirement>),
    /// The node, whom locks do not concern.
    Node,
}

impl By {
    pub(super) const fn requirement(self) -> Option<Requirement> {
        match self {
            Self::Client(_, requirement) => requirement,
            Self::Node => None,
        }
    }
}

/// The change of a locked document: as if it had the CAS of the lock for the owner of that, and
/// refused to others, for a reason of its own if there is one.
pub(super) fn change_locked<D>(
    locked: u64,
    by: By,
    old: Option<&Row>,
    change: &mut impl FnMut(Option<&Row>) -> Result<D, WriteRefusal>,
) -> Result<D, WriteRefusal> {
    match by {
        By::Node => change(old),
        By::Client(cas, _) if cas == locked => {
            let old = old.map(|old| Row { cas, ..old.clone() });
            change(old.as_ref())
        }
        By::Client(0, _) => {
            change(old)?;
            Err(WriteRefusal::Status(mcbp::Status::LOCKED))
        }
        By::Client(..) => Err(WriteRefusal::Status(mcbp::Status::LOCKED)),
    }
}
