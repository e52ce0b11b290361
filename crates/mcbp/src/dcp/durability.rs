//! Durable writes: PREPARE, COMMIT, ABORT and the acknowledgement SEQNO_ACK.

use bytes::BytesMut;

use super::{Extras, Reader};
use crate::{Frame, FrameBuilder, FrameError, Opaque, Opcode, Seqno, VbId};

/// The extras of PREPARE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prepare {
    /// The sequence number of the prepare.
    pub seqno: Seqno,
    /// How often the document was changed.
    pub rev: u64,
    /// The user's flags.
    pub flags: u32,
    /// When the document expires, in seconds of Unix time; 0 for never.
    pub expiry: u32,
    /// How long the document stays locked, in seconds.
    pub lock_time: u32,
    /// How recently and how often the document was used.
    pub nru: u8,
    /// Whether the write is a deletion.
    pub deleted: bool,
    /// 1 majority, 2 majority and persisted on the active, 3 persisted on a majority.
    pub level: u8,
}

impl Prepare {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 31 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<31>("extras must be 31 bytes")?);
        Ok(Self {
            seqno: reader.seqno()?,
            rev: reader.u64()?,
            flags: reader.u32()?,
            expiry: reader.u32()?,
            lock_time: reader.u32()?,
            nru: reader.u8()?,
            deleted: reader.u8()? != 0,
            level: reader.u8()?,
        })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, to: super::Target, key: &[u8], value: &[u8], out: &mut BytesMut) {
        let extras = Extras::<31>::new()
            .seqno(self.seqno)
            .u64(self.rev)
            .u32(self.flags)
            .u32(self.expiry)
            .u32(self.lock_time)
            .u8(self.nru)
            .u8(u8::from(self.deleted))
            .u8(self.level);
        let frame = to.frame(Opcode::DCP_PREPARE).key(key).value(value);
        frame.extras(extras.bytes()).write(out);
    }
}

macro_rules! completion {
    ($(#[$meta:meta])* $name:ident, $opcode:ident, $done:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            /// The seqno of the prepare that is completed.
            pub prepared: Seqno,
            /// The seqno of the completion itself.
            pub $done: Seqno,
        }

        impl $name {
            /// Reads the extras.
            ///
            /// # Errors
            /// [`FrameError::Malformed`] unless they are 16 bytes.
            pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
                let extras = frame.extras_exact::<16>("extras must be 16 bytes")?;
                let mut reader = Reader::of(frame, extras);
                Ok(Self { prepared: reader.seqno()?, $done: reader.seqno()? })
            }

            /// Appends the frame to `out`.
            pub fn write(&self, vb: VbId, opaque: Opaque, key: &[u8], out: &mut BytesMut) {
                let extras = Extras::<16>::new().seqno(self.prepared).seqno(self.$done);
                let frame = FrameBuilder::request(Opcode::$opcode).vbucket(vb).opaque(opaque);
                frame.extras(extras.bytes()).key(key).write(out);
            }
        }
    };
}

completion! {
    /// The extras of COMMIT.
    Commit, DCP_COMMIT, committed
}
completion! {
    /// The extras of ABORT.
    Abort, DCP_ABORT, aborted
}

/// The body of SEQNO_ACK, consumer to producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeqnoAck {
    /// The consumer has every prepare up to this seqno.
    pub prepared: Seqno,
}

impl SeqnoAck {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 8 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let extras = frame.extras_exact::<8>("extras must be 8 bytes")?;
        Ok(Self { prepared: Seqno(u64::from_be_bytes(*extras)) })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let frame = FrameBuilder::request(Opcode::DCP_SEQNO_ACK).vbucket(vb).opaque(opaque);
        frame.extras(&self.prepared.0.to_be_bytes()).write(out);
    }
}
