//! Decodes frames to rows. Documents are stored as the producer sends them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use mcbp::dcp::{ChangeKind, DocumentChange};
use mcbp::{Frame, FrameError, Seqno, Status};

use crate::row::REV_TAKEN_MAX;
use crate::value::check;
use crate::{Kind, Row};

/// The longest key. Source: kv_engine's `KEY_MAX_LENGTH`.
const KEY_BYTES_MAX: usize = 250;

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
    /// The memory that holds the frame, which the row may share.
    pub(super) memory: Option<&'a Bytes>,
}

/// Returns the row of a MUTATION, DELETION or EXPIRATION.
pub(super) fn row(frame: &Frame<'_>, options: DecodeOptions<'_>) -> Result<Arc<Row>, FrameRefusal> {
    let DecodeOptions { collections, unix_s, cas_max, memory } = options;
    let key = if collections { default_collection_key(frame.key)? } else { frame.key };
    if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
        let reason = format!("the key has {} bytes, not 1 to {KEY_BYTES_MAX}", key.len());
        return Err(FrameRefusal::new(Status::EINVAL, reason));
    }
    let (seqno, rev, kind) = body(frame, unix_s)?;
    check_numbers(seqno, rev, frame.header.cas, cas_max)?;
    let is_document = matches!(kind, Kind::Document { .. });
    check(frame.header.datatype, frame.value, is_document)
        .map_err(|(status, reason)| FrameRefusal::new(status, reason))?;
    let (key, value) = match memory {
        Some(memory) => (memory.slice_ref(key), memory.slice_ref(frame.value)),
        None => copied(key, frame.value),
    };
    let (cas, datatype) = (frame.header.cas, frame.header.datatype);
    Ok(Arc::new(Row { key, seqno, rev, cas, datatype, kind, value }))
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
fn copied(key: &[u8], value: &[u8]) -> (Bytes, Bytes) {
    let mut bytes = BytesMut::with_capacity(key.len() + value.len());
    bytes.put_slice(key);
    bytes.put_slice(value);
    let mut value = bytes.freeze();
    (value.split_to(key.len()), value)
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

fn default_collection_key(key: &[u8]) -> Result<&[u8], FrameRefusal> {
    match mcbp::key::split(key) {
        Some((mcbp::key::DEFAULT_COLLECTION, key)) => Ok(key),
        Some((collection, _)) => {
            let reason = format!("collection {collection:#x} is unknown, only 0x0 is stored");
            Err(FrameRefusal::new(Status::UNKNOWN_COLLECTION, reason))
        }
        None => Err(FrameRefusal::new(Status::EINVAL, "the key has no collection id")),
    }
}
