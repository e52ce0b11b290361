//! One change of one document, as it is stored, held in memory and streamed.

use bytes::Bytes;
use mcbp::framing::Level;
use mcbp::{Datatype, Seqno, VbId};

/// The highest rev that a node takes from elsewhere. The other half of the range is left for the
/// changes that follow it.
pub const REV_TAKEN_MAX: u64 = i64::MAX as u64;

/// The first byte of the keys of prepares and aborts; the key of the document follows. It is an id
/// that no collection has. Source: kv_engine's `CollectionID::DurabilityPrepare`.
const PREPARED_PREFIX: u8 = 2;

/// What a durable write does once it is committed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Write {
    /// The document gets the value.
    Document {
        /// The user's flags, unchanged.
        flags: u32,
        /// Unix time in seconds at which it expires; 0 for never.
        expiry: u32,
    },
    /// The document is deleted.
    Deletion {
        /// Unix time in seconds.
        at: u32,
    },
}

impl Write {
    /// What the row of its commit is.
    #[must_use]
    pub const fn committed(self) -> Kind {
        match self {
            Self::Document { flags, expiry } => Kind::Document { flags, expiry },
            Self::Deletion { at } => Kind::Deleted { at },
        }
    }
}

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
    /// A durable write that is not decided yet. No reader sees it. The row is there until the write
    /// is committed or aborted.
    Prepared {
        /// What it waits for.
        level: Level,
        /// What it does.
        write: Write,
    },
    /// The durable write of the key was given up. The row replaces that of the prepare, so that
    /// streams tell it.
    Aborted {
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
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    /// The key with the prefix of its collection ([`mcbp::key`]), 2 to 251 bytes; of a prepare or
    /// an abort [`prepared_key`] of that.
    pub key: Bytes,
    /// The sequence number of the change; never 0.
    pub seqno: Seqno,
    /// The revision: how often the document was changed, from 1.
    pub rev: u64,
    /// The compare-and-swap token.
    pub cas: u64,
    /// Describes the value.
    pub datatype: Datatype,
    /// Document, deletion, expiration, a step of a durable write, or system event.
    pub kind: Kind,
    /// The prepare that this commits or aborts; 0 for any other change. A commit that was read from
    /// the disk has none: it is a change like others there.
    pub prepared: Seqno,
    /// At most 20 MiB, plus 1 MiB of extended attributes.
    pub value: Bytes,
}

impl Row {
    /// Whether the document exists after this change.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        matches!(self.kind, Kind::Document { .. })
    }

    /// Whether the document is deleted by this change, or would be by its commit.
    #[must_use]
    pub const fn is_deletion(&self) -> bool {
        matches!(
            self.kind,
            Kind::Deleted { .. }
                | Kind::Expired { .. }
                | Kind::Prepared { write: Write::Deletion { .. }, .. }
        )
    }

    /// The row of the prepare of this change of a document.
    #[must_use]
    pub fn prepared(self, level: Level) -> Self {
        let write = match self.kind {
            Kind::Document { flags, expiry } => Write::Document { flags, expiry },
            Kind::Deleted { at } | Kind::Expired { at } | Kind::Aborted { at } => {
                Write::Deletion { at }
            }
            Kind::Prepared { write, .. } => write,
            Kind::Event { .. } => Write::Deletion { at: 0 },
        };
        Self { key: prepared_key(&self.key), kind: Kind::Prepared { level, write }, ..self }
    }

    /// The row of the commit, at `seqno`, of this prepare; `None` if it is none.
    #[must_use]
    pub fn committed_at(&self, seqno: Seqno) -> Option<Self> {
        let Kind::Prepared { write, .. } = self.kind else { return None };
        let key = self.document();
        Some(Self { key, seqno, kind: write.committed(), prepared: self.seqno, ..self.clone() })
    }

    /// The row of the abort, at `seqno`, of the write of a document that was prepared at
    /// `prepared`.
    #[must_use]
    pub fn aborted(document: &[u8], prepared: Seqno, seqno: Seqno, unix_s: u32) -> Self {
        Self {
            key: prepared_key(document),
            seqno,
            rev: 0,
            cas: 0,
            datatype: Datatype::RAW,
            kind: Kind::Aborted { at: unix_s },
            prepared,
            value: Bytes::new(),
        }
    }

    /// Whether readers see the change: those that know nothing of durable writes get no other rows.
    #[must_use]
    pub const fn is_visible(&self) -> bool {
        !matches!(self.kind, Kind::Prepared { .. } | Kind::Aborted { .. })
    }

    /// The key of the document that a step of a durable write is about; of any other row its key.
    #[must_use]
    #[inline]
    pub fn document_key(&self) -> &[u8] {
        if self.is_visible() { &self.key } else { document_key(&self.key) }
    }

    /// The same, sharing the memory of the row.
    #[must_use]
    pub fn document(&self) -> Bytes {
        self.key.slice_ref(self.document_key())
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

/// The key of the prepare, and then of the abort, of a document's durable write.
#[must_use]
pub fn prepared_key(document: &[u8]) -> Bytes {
    [&[PREPARED_PREFIX], document].concat().into()
}

/// The key of the document in that of a prepare or an abort; any other key as it is.
#[must_use]
pub fn document_key(key: &[u8]) -> &[u8] {
    match key {
        [PREPARED_PREFIX, document @ ..] => document,
        key => key,
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
    /// The prepare of the same document that the row completes, if there is one: its row goes with
    /// this change. It is stored, or earlier in the same batch.
    pub completes: Option<std::sync::Arc<Row>>,
    /// The row that it replaces is kept as an older version if its seqno is below this one, and the
    /// change history of the vBucket begins at its seqno or before.
    pub keeps_before: Seqno,
}

/// The newest committed row of a change's key.
#[derive(Clone, Debug)]
pub enum Replaces {
    /// Unknown: the store looks it up, also among earlier rows of the same batch.
    Unknown,
    /// There is none that readers see, nor an earlier row of the key in the same batch. The store
    /// relies on that, and looks for no other but while it erases rows of the collection.
    Nothing,
    /// This one, which the caller has just read or queued; where it is not stored yet, it is in the
    /// same batch. The store relies on that.
    Row(std::sync::Arc<Row>),
}
