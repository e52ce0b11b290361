//! The changes of documents: MUTATION, DELETION, EXPIRATION.
//!
//! `write` takes the fields of the header (CAS, datatype), and key and value as they are sent, so
//! that a producer encodes a row without an intermediate copy.

use bytes::BytesMut;

use super::{Extras, Reader};
use crate::{Datatype, Frame, FrameBuilder, FrameError, Opaque, Opcode, Seqno, VbId};

/// The extras of MUTATION.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mutation {
    /// The sequence number of the change.
    pub seqno: Seqno,
    /// How often the document was changed.
    pub rev: u64,
    /// The user's flags, as the four bytes that the client sent.
    pub flags: u32,
    /// When the document expires, in seconds of Unix time; 0 for never.
    pub expiry: u32,
    /// How long the document stays locked, in seconds; 0 in practice.
    pub lock_time: u32,
    /// How recently and how often the document was used.
    pub nru: u8,
}

impl Mutation {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 31 bytes without extended metadata.
    #[inline]
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<31>("extras must be 31 bytes")?);
        let (seqno, rev) = (reader.seqno()?, reader.u64()?);
        let (flags, expiry, lock_time) = (reader.u32()?, reader.u32()?, reader.u32()?);
        check_no_metadata(frame, reader.u16()?)?;
        Ok(Self { seqno, rev, flags, expiry, lock_time, nru: reader.u8()? })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, to: Target, key: &[u8], value: &[u8], out: &mut BytesMut) {
        let extras = Extras::<31>::new()
            .seqno(self.seqno)
            .u64(self.rev)
            .u32(self.flags)
            .u32(self.expiry)
            .u32(self.lock_time)
            .u16(0)
            .u8(self.nru);
        let frame = to.frame(Opcode::DCP_MUTATION).key(key).value(value);
        frame.extras(extras.bytes()).write(out);
    }
}

/// The extras of DELETION, version 1 (18 bytes) or 2 (21 bytes, with the time of the deletion).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deletion {
    /// The sequence number of the change.
    pub seqno: Seqno,
    /// How often the document was changed.
    pub rev: u64,
    /// When the document was deleted, in seconds of Unix time; `None` in version 1.
    pub delete_time: Option<u32>,
}

impl Deletion {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 18 bytes without extended metadata, or 21 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let length = frame.extras.len();
        if !matches!(length, 18 | 21) {
            return Err(frame.malformed("extras must be 18 or 21 bytes"));
        }
        let mut reader = Reader::of(frame, frame.extras);
        let (seqno, rev) = (reader.seqno()?, reader.u64()?);
        let delete_time = if length == 21 { Some(reader.u32()?) } else { None };
        if length == 18 {
            check_no_metadata(frame, reader.u16()?)?;
        }
        Ok(Self { seqno, rev, delete_time })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, to: Target, key: &[u8], value: &[u8], out: &mut BytesMut) {
        let v1 = Extras::<18>::new().seqno(self.seqno).u64(self.rev).u16(0);
        let v2 = Extras::<21>::new().seqno(self.seqno).u64(self.rev);
        let frame = to.frame(Opcode::DCP_DELETION).key(key).value(value);
        match self.delete_time {
            None => frame.extras(v1.bytes()).write(out),
            Some(time) => frame.extras(v2.u32(time).u8(0).bytes()).write(out),
        }
    }
}

/// The extras of EXPIRATION.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiration {
    /// The sequence number of the change.
    pub seqno: Seqno,
    /// How often the document was changed.
    pub rev: u64,
    /// When the document expired, in seconds of Unix time.
    pub delete_time: u32,
}

impl Expiration {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 20 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<20>("extras must be 20 bytes")?);
        Ok(Self { seqno: reader.seqno()?, rev: reader.u64()?, delete_time: reader.u32()? })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, to: Target, key: &[u8], value: &[u8], out: &mut BytesMut) {
        let extras = Extras::<20>::new().seqno(self.seqno).u64(self.rev).u32(self.delete_time);
        let frame = to.frame(Opcode::DCP_EXPIRATION).key(key).value(value);
        frame.extras(extras.bytes()).write(out);
    }
}

/// Up to 5.x a value could end with `nmeta` bytes of extended metadata. No current node sends it.
/// It is refused, because as a part of the value it would silently damage the document.
fn check_no_metadata(frame: &Frame<'_>, nmeta_bytes: u16) -> Result<(), FrameError> {
    match nmeta_bytes {
        0 => Ok(()),
        _ => Err(frame.malformed("extended metadata (nmeta) must be 0 bytes")),
    }
}

/// The header fields of a document frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// The vBucket.
    pub vb: VbId,
    /// The opaque of the stream.
    pub opaque: Opaque,
    /// The CAS of the document.
    pub cas: u64,
    /// The datatype of the value.
    pub datatype: Datatype,
}

impl Target {
    pub(super) fn frame<'a>(self, opcode: Opcode) -> FrameBuilder<'a> {
        FrameBuilder::request(opcode)
            .vbucket(self.vb)
            .opaque(self.opaque)
            .cas(self.cas)
            .datatype(self.datatype)
    }
}
