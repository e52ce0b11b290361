//! Frames to rows: a document as a producer sends it, kept as it came.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
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

/// The row of a MUTATION, DELETION or EXPIRATION. `unix_s` is the time of a deletion that does not
/// say its own.
pub(super) fn row(frame: &Frame<'_>, collections: bool, unix_s: u32) -> Result<Row, BadRow> {
    let key = if collections { default_collection_key(frame.key)? } else { frame.key };
    if key.is_empty() {
        return Err(BadRow(Status::EINVAL));
    }
    let (seqno, rev, kind) = body(frame, unix_s)?;
    if seqno == Seqno::ZERO {
        return Err(BadRow(Status::EINVAL));
    }
    // One allocation for both: they live and die together.
    let mut bytes = BytesMut::with_capacity(key.len() + frame.value.len());
    bytes.put_slice(key);
    bytes.put_slice(frame.value);
    let mut value = bytes.freeze();
    let key = value.split_to(key.len());
    let (cas, datatype) = (frame.header.cas, frame.header.datatype);
    Ok(Row { key, seqno, rev, cas, datatype, kind, value })
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

/// A row that can be shared with the store and the memory log.
pub(super) fn shared_row(
    frame: &Frame<'_>,
    collections: bool,
    unix_s: u32,
) -> Result<Arc<Row>, BadRow> {
    row(frame, collections, unix_s).map(Arc::new)
}
