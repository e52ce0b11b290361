//! The frames that open and end a stream: ADD_STREAM, STREAM_REQ, STREAM_END, SET_VBUCKET_STATE,
//! and the failover log that answers a STREAM_REQ.

use bytes::BytesMut;

use super::{Extras, Reader};
use crate::{
    Frame, FrameBuilder, FrameError, Opaque, Opcode, Seqno, StreamEndStatus, VbId, VbState, VbUuid,
};

/// Flags of ADD_STREAM and STREAM_REQ.
pub mod stream_flags {
    /// Move the vBucket: it ends active at the consumer and dead at the producer.
    pub const TAKEOVER: u32 = 0x01;
    /// Send only what is on disk.
    pub const DISK_ONLY: u32 = 0x02;
    /// End at the high seqno at the moment of the request.
    pub const TO_LATEST: u32 = 0x04;
    /// Removed; answered with EINVAL.
    pub const REMOVED_NO_VALUE: u32 = 0x08;
    /// Stream only from an active vBucket.
    pub const ACTIVE_ONLY: u32 = 0x10;
    /// The uuid must match even from seqno 0.
    pub const STRICT_VBUUID: u32 = 0x20;
    /// Begin at the high seqno at the moment of the request.
    pub const FROM_LATEST: u32 = 0x40;
    /// Do not roll back because of purged tombstones.
    pub const IGNORE_PURGED_TOMBSTONES: u32 = 0x80;
    /// Send the cache as well; only with [`TAKEOVER`] or [`ACTIVE_ONLY`].
    pub const CACHE_TRANSFER: u32 = 0x100;
}

/// The body of ADD_STREAM, proxy to consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddStream {
    /// See [`stream_flags`].
    pub flags: u32,
}

impl AddStream {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless the extras are 4 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let extras = frame.extras_exact::<4>("extras must be 4 bytes")?;
        Ok(Self { flags: u32::from_be_bytes(*extras) })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        FrameBuilder::request(Opcode::DCP_ADD_STREAM)
            .vbucket(vb)
            .opaque(opaque)
            .extras(&self.flags.to_be_bytes())
            .write(out);
    }
}

/// The body of STREAM_REQ, consumer to producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamReq<'a> {
    /// See [`stream_flags`].
    pub flags: u32,
    /// The last seqno that the consumer has.
    pub start: Seqno,
    /// The last seqno that it asks for; [`Seqno::MAX`] for no end.
    pub end: Seqno,
    /// The branch of its history; 0 if `start` is 0.
    pub uuid: VbUuid,
    /// Start of the snapshot that contains `start`.
    pub snapshot_start: Seqno,
    /// End of the snapshot that contains `start`.
    pub snapshot_end: Seqno,
    /// JSON, or empty.
    pub value: &'a [u8],
}

impl<'a> StreamReq<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless the extras are 48 bytes.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<48>("extras must be 48 bytes")?);
        let flags = reader.u32()?;
        let _reserved = reader.u32()?;
        Ok(Self {
            flags,
            start: reader.seqno()?,
            end: reader.seqno()?,
            uuid: VbUuid(reader.u64()?),
            snapshot_start: reader.seqno()?,
            snapshot_end: reader.seqno()?,
            value: frame.value,
        })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let extras = Extras::<48>::new()
            .u32(self.flags)
            .u32(0)
            .seqno(self.start)
            .seqno(self.end)
            .u64(self.uuid.0)
            .seqno(self.snapshot_start)
            .seqno(self.snapshot_end);
        FrameBuilder::request(Opcode::DCP_STREAM_REQ)
            .vbucket(vb)
            .opaque(opaque)
            .extras(extras.bytes())
            .value(self.value)
            .write(out);
    }
}

/// One entry of a failover log: the branch `uuid` began after `seqno`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FailoverEntry {
    /// The uuid of the branch; never 0.
    pub uuid: VbUuid,
    /// The last seqno of the branch before it.
    pub seqno: Seqno,
}

/// Reads a failover log, newest entry first, from the value of a response.
///
/// # Errors
/// [`FrameError::Malformed`] unless the value is one or more entries of 16 bytes.
pub fn decode_failover_log(frame: &Frame<'_>) -> Result<Vec<FailoverEntry>, FrameError> {
    let (entries, rest) = frame.value.as_chunks::<16>();
    if entries.is_empty() || !rest.is_empty() {
        return Err(frame.malformed("a failover log is one or more entries of 16 bytes"));
    }
    let entry = |bytes: &[u8; 16]| {
        let mut reader = Reader::of(frame, bytes);
        Ok(FailoverEntry { uuid: VbUuid(reader.u64()?), seqno: reader.seqno()? })
    };
    entries.iter().map(entry).collect()
}

/// Encodes a failover log, newest entry first, as the value of a response.
#[must_use]
pub fn encode_failover_log(entries: &[FailoverEntry]) -> Vec<u8> {
    let bytes = |e: &FailoverEntry| [e.uuid.0.to_be_bytes(), e.seqno.0.to_be_bytes()];
    entries.iter().flat_map(bytes).flatten().collect()
}

/// Reads the seqno to roll back to from the value of a STREAM_REQ response with status Rollback.
///
/// # Errors
/// [`FrameError::Malformed`] unless the value is 8 bytes.
pub fn decode_rollback(frame: &Frame<'_>) -> Result<Seqno, FrameError> {
    let bytes = frame.value.try_into();
    let bytes: [u8; 8] = bytes.map_err(|_| frame.malformed("a rollback seqno is 8 bytes"))?;
    Ok(Seqno(u64::from_be_bytes(bytes)))
}

/// The body of STREAM_END, producer to consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamEnd {
    /// Why the stream ended.
    pub status: StreamEndStatus,
}

impl StreamEnd {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless the extras are 4 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let extras = frame.extras_exact::<4>("extras must be 4 bytes")?;
        Ok(Self { status: StreamEndStatus(u32::from_be_bytes(*extras)) })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        FrameBuilder::request(Opcode::DCP_STREAM_END)
            .vbucket(vb)
            .opaque(opaque)
            .extras(&self.status.0.to_be_bytes())
            .write(out);
    }
}

/// The body of SET_VBUCKET_STATE, producer to consumer during a takeover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetVbucketState {
    /// The new state of the consumer's vBucket.
    pub state: VbState,
}

impl SetVbucketState {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless the extras are one byte with the number of a state.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let [byte] = frame.extras_exact::<1>("extras must be 1 byte")?;
        let state = VbState::from_wire(u32::from(*byte));
        Ok(Self { state: state.ok_or(frame.malformed("a vBucket state is 1 to 4"))? })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        FrameBuilder::request(Opcode::DCP_SET_VBUCKET_STATE)
            .vbucket(vb)
            .opaque(opaque)
            .extras(&[self.state as u8])
            .write(out);
    }
}
