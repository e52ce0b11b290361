//! The bodies of DCP frames: one type for each message, with `decode` and `write`.
//!
//! A type has the fields of extras, key and value; vBucket, opaque, CAS and datatype are in the
//! header. Source: `dcp/documentation/commands` of couchbase/kv_engine; the captured frames of real
//! nodes verify it (`tests/captures.rs`).

mod cache;
mod change;
mod control;
mod document;
mod durability;
mod event;
mod marker;
mod open;
mod stream;
mod stream_id;

use crate::{Frame, FrameError, Header, Seqno};

pub use cache::CacheRecord;
pub use change::{ChangeKind, DocumentChange, change_seqno};
pub use control::{BufferAck, Control, control_key};
pub use document::{Deletion, Expiration, Mutation, Target};
pub use durability::{Abort, Commit, Prepare, SeqnoAck};
pub use event::{OsoSnapshot, SeqnoAdvanced, SystemEvent};
pub use marker::{MarkerBody, SnapshotMarker, marker_flags};
pub use open::{Open, open_flags};
pub use stream::{
    AddStream, FailoverEntry, SetVbucketState, StreamEnd, StreamReq, decode_failover_log,
    decode_rollback, encode_failover_log, stream_flags,
};
pub use stream_id::{STREAM_ID_BYTES, push_stream_id, stream_id};

/// Reads big-endian numbers from the front of a part of a frame. Each method returns
/// [`FrameError::Malformed`] where the part is too short for it.
pub(crate) struct Reader<'a> {
    header: &'a Header,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `part` is a part of `frame`, which the errors describe.
    pub(crate) const fn of(frame: &'a Frame<'_>, part: &'a [u8]) -> Self {
        Self { header: &frame.header, rest: part }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.header.malformed("a number is cut off"));
        };
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn seqno(&mut self) -> Result<Seqno, FrameError> {
        self.u64().map(Seqno)
    }
}

/// Extras, or a value of fixed size, that are being written. Every use fills all `N` bytes: how
/// many it writes depends on no input, so that one test of each shows it.
pub(crate) struct Extras<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Extras<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }
    fn put(mut self, part: &[u8]) -> Self {
        let end = self.at + part.len();
        if let Some(room) = self.bytes.get_mut(self.at..end) {
            room.copy_from_slice(part);
        }
        self.at = end;
        self
    }
    pub(crate) fn u8(self, n: u8) -> Self {
        self.put(&[n])
    }
    pub(crate) fn u16(self, n: u16) -> Self {
        self.put(&n.to_be_bytes())
    }
    pub(crate) fn u32(self, n: u32) -> Self {
        self.put(&n.to_be_bytes())
    }
    pub(crate) fn u64(self, n: u64) -> Self {
        self.put(&n.to_be_bytes())
    }
    pub(crate) fn seqno(self, n: Seqno) -> Self {
        self.u64(n.0)
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        debug_assert_eq!(self.at, N, "bytes written, and those that there are");
        &self.bytes
    }
}
