//! SYSTEM_EVENT, SEQNO_ADVANCED and OSO_SNAPSHOT.

use bytes::BytesMut;

use super::{Extras, Reader};
use crate::{Frame, FrameBuilder, FrameError, Opaque, Opcode, Seqno, VbId};

/// The extras of SYSTEM_EVENT; its key is a name, its value depends on event and version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemEvent {
    /// The sequence number of the event.
    pub seqno: Seqno,
    /// 0 begin collection, 1 end collection, 3 create scope, 4 drop scope, 5 modify collection.
    pub event: u32,
    /// The version of the value: 0, 1, or 2 for FlatBuffers.
    pub version: u8,
}

impl SystemEvent {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 13 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<13>("extras must be 13 bytes")?);
        Ok(Self { seqno: reader.seqno()?, event: reader.u32()?, version: reader.u8()? })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, key: &[u8], value: &[u8], out: &mut BytesMut) {
        let extras = Extras::<13>::new().seqno(self.seqno).u32(self.event).u8(self.version);
        let frame = FrameBuilder::request(Opcode::DCP_SYSTEM_EVENT).vbucket(vb).opaque(opaque);
        frame.extras(extras.bytes()).key(key).value(value).write(out);
    }
}

/// The body of SEQNO_ADVANCED: the stream advanced without a document to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeqnoAdvanced {
    /// The seqno of the stream now.
    pub seqno: Seqno,
}

impl SeqnoAdvanced {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 8 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let extras = frame.extras_exact::<8>("extras must be 8 bytes")?;
        Ok(Self { seqno: Seqno(u64::from_be_bytes(*extras)) })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let frame = FrameBuilder::request(Opcode::DCP_SEQNO_ADVANCED).vbucket(vb).opaque(opaque);
        frame.extras(&self.seqno.0.to_be_bytes()).write(out);
    }
}

/// The body of OSO_SNAPSHOT: changes between start and end are in any order of seqnos.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OsoSnapshot {
    /// Whether this starts the snapshot (1 on the wire) or ends it (2).
    pub start: bool,
}

impl OsoSnapshot {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 4 bytes with the number 1 or 2.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        match u32::from_be_bytes(*frame.extras_exact::<4>("extras must be 4 bytes")?) {
            1 => Ok(Self { start: true }),
            2 => Ok(Self { start: false }),
            _ => Err(frame.malformed("an OSO snapshot starts (1) or ends (2)")),
        }
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let number: u32 = if self.start { 1 } else { 2 };
        let frame = FrameBuilder::request(Opcode::DCP_OSO_SNAPSHOT).vbucket(vb).opaque(opaque);
        frame.extras(&number.to_be_bytes()).write(out);
    }
}
