//! The bodies of DCP frames: one type a message, each with `decode` and `write`.
//!
//! A type holds what stands in extras, key and value; vBucket, opaque, CAS and datatype stay in the
//! header. Source: `dcp/documentation/commands` of couchbase/kv_engine; the captured frames of real
//! nodes are the check (`tests/captures.rs`).

mod cache;
mod control;
mod document;
mod durability;
mod event;
mod marker;
mod open;
mod stream;

pub use cache::CacheRecord;
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

/// Reads big-endian numbers from the front of a slice whose length was checked before.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            None => [0; N],
        }
    }
    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }
    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }
    pub(crate) fn seqno(&mut self) -> crate::Seqno {
        crate::Seqno(self.u64())
    }
}

/// Fixed-size extras in the making.
pub(crate) struct Extras<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Extras<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }
    fn put(mut self, part: &[u8]) -> Self {
        if let Some(room) = self.bytes.get_mut(self.at..self.at + part.len()) {
            room.copy_from_slice(part);
        }
        self.at += part.len();
        debug_assert!(self.at <= N, "extras overflow");
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
    pub(crate) fn seqno(self, n: crate::Seqno) -> Self {
        self.u64(n.0)
    }
    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
