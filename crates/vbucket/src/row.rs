//! One change of one document, as it is stored, held in memory and streamed.

use bytes::Bytes;
use mcbp::{Datatype, Seqno, VbId};

/// The highest rev that a node takes from elsewhere. The other half of the range is left for the
/// changes that follow it.
pub const REV_TAKEN_MAX: u64 = i64::MAX as u64;

/// What a change did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The document has a value.
    Document {
        /// The user's flags, unchanged.
        flags: u32,
        /// Unix time in seconds at which it expires; 0 for never.
        expiry: u32,
    },
    /// The document was deleted by a client.
    Deleted {
        /// Unix time in seconds.
        at: u32,
    },
    /// The document expired.
    Expired {
        /// Unix time in seconds.
        at: u32,
    },
    /// The collections of the vBucket changed; the row is that of a
    /// [`crate::collections::SystemEvent`], and no document.
    Event {
        /// A collection or scope is gone.
        is_end: bool,
    },
}

/// The newest change of one document at some seqno.
///
/// The value is as the client or producer sent it; `datatype` describes it. A deletion may have
/// extended attributes as its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The key with the prefix of its collection ([`mcbp::key`]), 2 to 251 bytes.
    pub key: Bytes,
    /// The sequence number of the change; never 0.
    pub seqno: Seqno,
    /// The revision: how often the document was changed, from 1.
    pub rev: u64,
    /// The compare-and-swap token.
    pub cas: u64,
    /// Describes the value.
    pub datatype: Datatype,
    /// Document, deletion, expiration or system event.
    pub kind: Kind,
    /// At most 20 MiB, plus 1 MiB of extended attributes.
    pub value: Bytes,
}

impl Row {
    /// Whether the document exists after this change.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        matches!(self.kind, Kind::Document { .. })
    }

    /// Whether the document exists and its expiry has not passed at `now` (Unix time in seconds).
    #[must_use]
    pub const fn is_there_at(&self, now: u32) -> bool {
        self.is_alive() && !self.is_expired_at(now)
    }

    /// Whether the document exists and its expiry has passed at `now` (Unix time in seconds).
    #[must_use]
    pub const fn is_expired_at(&self, now: u32) -> bool {
        matches!(self.kind, Kind::Document { expiry, .. } if expiry != 0 && expiry <= now)
    }

    /// The memory of a row without key and value, in bytes, roughly.
    pub const OVERHEAD_BYTES: usize = 160;

    /// The memory of this row, in bytes, roughly: key, value and a fixed overhead.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.key.len() + self.value.len() + Self::OVERHEAD_BYTES
    }
}

/// A row to be written.
#[derive(Clone, Debug)]
pub struct Change {
    /// The vBucket.
    pub vb: VbId,
    /// The row; shared with the memory log.
    pub row: std::sync::Arc<Row>,
    /// What the caller knows about the row that it replaces.
    pub replaces: Replaces,
}

/// The newest committed row of a change's key.
#[derive(Clone, Debug)]
pub enum Replaces {
    /// Unknown: the store looks it up, also among earlier rows of the same batch.
    Unknown,
    /// There is none, nor an earlier row of the key in the same batch. The store relies on that and
    /// does not look it up.
    Nothing,
    /// This one, which the caller has just read, and there is no earlier row of the key in the same
    /// batch. The store relies on that.
    Row(std::sync::Arc<Row>),
}
