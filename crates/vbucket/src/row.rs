//! One change of one document, as it is kept on disk, held in memory and streamed.

use bytes::Bytes;
use mcbp::{Datatype, Seqno, VbId};

/// What a change did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The document has a value.
    Document {
        /// The user's flags, as they came.
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
}

/// The newest change of one document at some seqno.
///
/// The key has no collection prefix (there is only the default collection); the value is as the
/// client or producer sent it, `datatype` says what it is. A deletion may carry extended attributes
/// as its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The key without collection prefix, 1 to 250 bytes.
    pub key: Bytes,
    /// Where the change stands in the vBucket's history; never 0.
    pub seqno: Seqno,
    /// How often the document was changed, from 1.
    pub rev: u64,
    /// The compare-and-swap token.
    pub cas: u64,
    /// What the value is.
    pub datatype: Datatype,
    /// Document, deletion or expiration.
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

    /// Whether the document exists but its time is over at `now` (Unix time in seconds).
    #[must_use]
    pub const fn is_expired_at(&self, now: u32) -> bool {
        matches!(self.kind, Kind::Document { expiry, .. } if expiry != 0 && expiry <= now)
    }

    /// What a row takes in memory beside key and value, roughly.
    pub const OVERHEAD_BYTES: usize = 160;

    /// What this row takes in memory, roughly: key, value and a fixed overhead, in bytes.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.key.len() + self.value.len() + Self::OVERHEAD_BYTES
    }
}

/// A row on its way to disk.
#[derive(Clone, Debug)]
pub struct Change {
    /// The vBucket.
    pub vb: VbId,
    /// The row; shared with the memory log.
    pub row: std::sync::Arc<Row>,
    /// What the caller knows of the row that it replaces.
    pub replaces: Replaces,
}

/// The newest committed row of a change's key.
#[derive(Clone, Debug)]
pub enum Replaces {
    /// The store looks for itself, and sees rows before it in the same batch.
    Unknown,
    /// There is none, for sure, and none before it in the same batch: the store takes the caller's
    /// word and does not look.
    Nothing,
    /// This one, which the caller has just read, and none before it in the same batch: the store
    /// takes the caller's word.
    Row(std::sync::Arc<Row>),
}
