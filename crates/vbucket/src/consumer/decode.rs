//! Frames to rows: a document as a producer sends it, kept as it came.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use mcbp::dcp::{Deletion, Expiration, Mutation};
use mcbp::{Frame, FrameError, Opcode, Seqno, Status};

use crate::{Kind, Row};

/// Why a frame is no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadRow(pub(super) Status);

impl From<FrameError> for BadRow {
    fn from(_: FrameError) -> Self {
        Self(Status::EINVAL)
    }
}

/// How the rows of a stream are made.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    /// Keys have a collection id.
    pub(super) collections: bool,
    /// The time of a deletion that does not say its own.
    pub(super) unix_s: u32,
    /// What the frame was read into, for the row to share.
    pub(super) memory: Option<&'a Bytes>,
}

/// The row of a MUTATION, DELETION or EXPIRATION, to be shared with the store and the memory log.
pub(super) fn row(frame: &Frame<'_>, making: Making<'_>) -> Result<Arc<Row>, BadRow> {
    let Making { collections, unix_s, memory } = making;
    let key = if collections { default_collection_key(frame.key)? } else { frame.key };
    if key.is_empty() {
        return Err(BadRow(Status::EINVAL));
    }
    let (seqno, rev, kind) = body(frame, unix_s)?;
    if seqno == Seqno::ZERO {
        return Err(BadRow(Status::EINVAL));
    }
    let (key, value) = match memory {
        Some(memory) => (memory.slice_ref(key), memory.slice_ref(frame.value)),
        None => copied(key, frame.value),
    };
    let (cas, datatype) = (frame.header.cas, frame.header.datatype);
    Ok(Arc::new(Row { key, seqno, rev, cas, datatype, kind, value }))
}

/// One allocation for both: they live and die together.
fn copied(key: &[u8], value: &[u8]) -> (Bytes, Bytes) {
    let mut bytes = BytesMut::with_capacity(key.len() + value.len());
    bytes.put_slice(key);
    bytes.put_slice(value);
    let mut value = bytes.freeze();
    (value.split_to(key.len()), value)
}

fn body(frame: &Frame<'_>, unix_s: u32) -> Result<(Seqno, u64, Kind), BadRow> {
    match frame.opcode() {
        Opcode::DCP_MUTATION => {
            let Mutation { seqno, rev, flags, expiry, .. } = Mutation::decode(frame)?;
            Ok((seqno, rev, Kind::Document { flags, expiry }))
        }
        Opcode::DCP_DELETION => {
            let Deletion { seqno, rev, delete_time } = Deletion::decode(frame)?;
            Ok((seqno, rev, Kind::Deleted { at: delete_time.unwrap_or(unix_s) }))
        }
        _ => {
            let Expiration { seqno, rev, delete_time } = Expiration::decode(frame)?;
            Ok((seqno, rev, Kind::Expired { at: delete_time }))
        }
    }
}

fn default_collection_key(key: &[u8]) -> Result<&[u8], BadRow> {
    match mcbp::key::split(key) {
        Some((mcbp::key::DEFAULT_COLLECTION, key)) => Ok(key),
        Some(_) => Err(BadRow(Status::UNKNOWN_COLLECTION)),
        None => Err(BadRow(Status::EINVAL)),
    }
}
