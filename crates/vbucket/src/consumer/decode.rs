//! Decodes frames to rows. Documents are stored as the producer sends them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use mcbp::dcp::{Abort, ChangeKind, Commit, DocumentChange, Prepare};
use mcbp::framing::Level;
use mcbp::key::{DEFAULT_COLLECTION, DEFAULT_PREFIX, KEY_BYTES_MAX, prefixed, split};
use mcbp::{Frame, FrameError, Seqno, Status};

use crate::collections::{SystemEvent, is_reserved};
use crate::row::{REV_TAKEN_MAX, prepared_key};
use crate::value::check;
use crate::{Kind, Row, Write};

/// Why a frame is refused: the status of the answer, and the reason as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FrameRefusal {
    pub(super) status: Status,
    pub(super) reason: String,
}

impl FrameRefusal {
    pub(super) fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl From<FrameError> for FrameRefusal {
    fn from(error: FrameError) -> Self {
        Self::new(Status::EINVAL, error.to_string())
    }
}

/// What a row takes from its connection.
#[derive(Clone, Copy)]
pub(super) struct DecodeOptions<'a> {
    /// Keys have a collection id.
    pub(super) collections: bool,
    /// The time of a deletion whose frame has none.
    pub(super) unix_s: u32,
    /// The highest CAS that is taken.
    pub(super) cas_max: u64,
    /// Durable writes were agreed.
    pub(super) sync_writes: bool,
    /// The memory that holds the frame, which the row may share.
    pub(super) memory: Option<&'a Bytes>,
}

/// Returns the row of a MUTATION, DELETION or EXPIRATION.
pub(super) fn row(frame: &Frame<'_>, options: DecodeOptions<'_>) -> Result<Arc<Row>, FrameRefusal> {
    let DecodeOptions { collections, unix_s, cas_max, memory, .. } = options;
    check_key(frame.key, collections)?;
    let (seqno, rev, kind) = body(frame, unix_s)?;
    check_numbers(seqno, rev, frame.header.cas, cas_max)?;
    let is_document = matches!(kind, Kind::Document { .. });
    check(frame.header.datatype, frame.value, is_document)
        .map_err(|(status, reason)| FrameRefusal::new(status, reason))?;
    let (key, value) = match memory {
        Some(memory) if collections => (memory.slice_ref(frame.key), memory.slice_ref(frame.value)),
        Some(memory) => (prefixed(DEFAULT_COLLECTION, frame.key), memory.slice_ref(frame.value)),
        None if collections => copied(&[], frame.key, frame.value),
        None => copied(&[DEFAULT_PREFIX], frame.key, frame.value),
    };
    let (cas, datatype) = (frame.header.cas, frame.header.datatype);
    let prepared = Seqno::ZERO;
    Ok(Arc::new(Row { key, seqno, rev, cas, datatype, kind, prepared, value }))
}

/// Returns the row of a PREPARE. It may wait for long: the memory of the whole read is not kept.
pub(super) fn prepare(
    frame: &Frame<'_>,
    options: DecodeOptions<'_>,
) -> Result<Arc<Row>, FrameRefusal> {
    check_key(frame.key, options.collections)?;
    let Prepare { seqno, rev, flags, expiry, deleted, level, .. } = Prepare::decode(frame)?;
    let (cas, datatype) = (frame.header.cas, frame.header.datatype);
    check_numbers(seqno, rev, cas, options.cas_max)?;
    check(datatype, frame.value, !deleted)
        .map_err(|(status, reason)| FrameRefusal::new(status, reason))?;
    let unknown = || FrameRefusal::new(Status::EINVAL, format!("durability level {level}"));
    let level = Level::from_wire(level).ok_or_else(unknown)?;
    let write = match deleted {
        true => Write::Deletion { at: if expiry == 0 { options.unix_s } else { expiry } },
        false => Write::Document { flags, expiry },
    };
    let (key, value) = (prepared_key(&document(frame.key, options)), frame.value);
    let (kind, value) = (Kind::Prepared { level, write }, Bytes::copy_from_slice(value));
    Ok(Arc::new(Row { key, seqno, rev, cas, datatype, kind, prepared: Seqno::ZERO, value }))
}

/// Returns the row of a COMMIT; `prepared` is the prepare of a document that is here.
pub(super) fn commit(
    frame: &Frame<'_>,
    options: DecodeOptions<'_>,
    prepared: impl FnOnce(&[u8]) -> Option<Arc<Row>>,
) -> Result<Arc<Row>, FrameRefusal> {
    check_key(frame.key, options.collections)?;
    let Commit { prepared: seqno, committed } = Commit::decode(frame)?;
    check_numbers(committed, 0, 0, 0)?;
    let document = document(frame.key, options);
    let row = prepared(&document).filter(|row| row.seqno == seqno);
    let missing = || {
        let reason = format!("there is no prepare at seqno {seqno} to commit at {committed}");
        FrameRefusal::new(Status::KEY_ENOENT, reason)
    };
    let row = row.ok_or_else(missing)?;
    row.committed_at(committed).map(Arc::new).ok_or_else(missing)
}

/// Returns the row of an ABORT. From a producer's disk it may come without its prepare.
pub(super) fn abort(
    frame: &Frame<'_>,
    options: DecodeOptions<'_>,
) -> Result<Arc<Row>, FrameRefusal> {
    check_key(frame.key, options.collections)?;
    let Abort { prepared, aborted } = Abort::decode(frame)?;
    check_numbers(aborted, 0, 0, 0)?;
    if prepared >= aborted {
        let reason = format!("the abort of seqno {prepared} is at {aborted}");
        return Err(FrameRefusal::new(Status::EINVAL, reason));
    }
    let document = document(frame.key, options);
    Ok(Arc::new(Row::aborted(&document, prepared, aborted, options.unix_s)))
}

/// The key of a document as it is stored.
fn document(key: &[u8], options: DecodeOptions<'_>) -> Bytes {
    if options.collections {
        Bytes::copy_from_slice(key)
    } else {
        prefixed(DEFAULT_COLLECTION, key)
    }
}

/// Returns a SYSTEM_EVENT and its row. It has neither rev nor CAS.
pub(super) fn event(frame: &Frame<'_>) -> Result<(Arc<Row>, SystemEvent), FrameRefusal> {
    let (seqno, event) = SystemEvent::decode(frame)?;
    check_numbers(seqno, 0, 0, 0)?;
    Ok((Arc::new(event.row(seqno)), event))
}

/// Refuses numbers after which the vBucket has no room for more changes: they would go into its
/// record, and its copies would take them over.
#[inline]
fn check_numbers(seqno: Seqno, rev: u64, cas: u64, cas_max: u64) -> Result<(), FrameRefusal> {
    if seqno != Seqno::ZERO && seqno <= Seqno::TAKEN_MAX && rev <= REV_TAKEN_MAX && cas <= cas_max {
        return Ok(());
    }
    let (status, reason) = if seqno == Seqno::ZERO {
        (Status::EINVAL, "the seqno is 0".to_owned())
    } else if seqno > Seqno::TAKEN_MAX {
        (Status::ERANGE, format!("seqno {seqno} is above {}, the highest", Seqno::TAKEN_MAX))
    } else if rev > REV_TAKEN_MAX {
        (Status::ERANGE, format!("rev {rev} is above {REV_TAKEN_MAX}, the highest"))
    } else {
        let reason = format!("CAS {cas} is too far ahead of the clock, at most {cas_max} is taken");
        (Status::CAS_VALUE_INVALID, reason)
    };
    Err(FrameRefusal::new(status, reason))
}

/// Copies key and value into one allocation, because they are dropped together.
fn copied(prefix: &[u8], key: &[u8], value: &[u8]) -> (Bytes, Bytes) {
    let key_bytes = prefix.len() + key.len();
    let mut bytes = BytesMut::with_capacity(key_bytes + value.len());
    bytes.put_slice(prefix);
    bytes.put_slice(key);
    bytes.put_slice(value);
    let mut value = bytes.freeze();
    (value.split_to(key_bytes), value)
}

/// `unix_s` is the time of a deletion whose frame has none.
fn body(frame: &Frame<'_>, unix_s: u32) -> Result<(Seqno, u64, Kind), FrameRefusal> {
    let change = DocumentChange::decode(frame)?;
    let change = change.ok_or_else(|| frame.malformed("the frame is not the change of a document"));
    let DocumentChange { seqno, rev, kind } = change?;
    let kind = match kind {
        ChangeKind::Document { flags, expiry } => Kind::Document { flags, expiry },
        ChangeKind::Deleted { at } => Kind::Deleted { at: at.unwrap_or(unix_s) },
        ChangeKind::Expired { at } => Kind::Expired { at },
    };
    Ok((seqno, rev, kind))
}

/// Checks a key as it was sent: with the prefix of a collection, or without any.
fn check_key(key: &[u8], collections: bool) -> Result<(), FrameRefusal> {
    let no_prefix = || FrameRefusal::new(Status::EINVAL, "the key has no collection id");
    let (collection, rest) = match split(key).filter(|_| collections) {
        Some(parts) => parts,
        None if collections => return Err(no_prefix()),
        None => (DEFAULT_COLLECTION, key),
    };
    if is_reserved(collection) {
        let reason = format!("{collection:#x} is never the id of a collection");
        return Err(FrameRefusal::new(Status::UNKNOWN_COLLECTION, reason));
    }
    let prefix_bytes = if collections { key.len() - rest.len() } else { 1 };
    if rest.is_empty() || prefix_bytes + rest.len() > KEY_BYTES_MAX {
        let most = KEY_BYTES_MAX - prefix_bytes;
        let reason = format!("the key has {} bytes, not 1 to {most}", rest.len());
        return Err(FrameRefusal::new(Status::EINVAL, reason));
    }
    Ok(())
}
