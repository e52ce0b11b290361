//! The extras of key-value commands.
//!
//! Source: `docs/BinaryProtocol.md` of couchbase/kv_engine.

use crate::dcp::Reader;
use crate::{Datatype, Frame, FrameError, Seqno, VbUuid};

/// The extras of SET, ADD and REPLACE, quiet or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreExtras {
    /// The user's flags, which GET returns unchanged.
    pub flags: u32,
    /// Seconds from now up to 30 days, else Unix time; 0 for never.
    pub expiry: u32,
}

impl StoreExtras {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 8 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<8>("extras must be 8 bytes")?);
        Ok(Self { flags: reader.u32()?, expiry: reader.u32()? })
    }

    /// The 8 bytes.
    #[must_use]
    pub const fn encode(&self) -> [u8; 8] {
        let ([f0, f1, f2, f3], [e0, e1, e2, e3]) =
            (self.flags.to_be_bytes(), self.expiry.to_be_bytes());
        [f0, f1, f2, f3, e0, e1, e2, e3]
    }
}

/// The extras of INCREMENT and DECREMENT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterExtras {
    /// How much to add or subtract.
    pub delta: u64,
    /// The value of a counter that does not exist yet.
    pub initial: u64,
    /// As in [`StoreExtras`]; `0xffff_ffff` means "do not create".
    pub expiry: u32,
}

impl CounterExtras {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 20 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras_exact::<20>("extras must be 20 bytes")?);
        Ok(Self { delta: reader.u64()?, initial: reader.u64()?, expiry: reader.u32()? })
    }
}

/// Bits of [`WithMetaExtras::options`]. Source: `protocol_binary.h` of couchbase/kv_engine.
pub mod with_meta_options {
    /// Conflicts are not resolved: the incoming change wins.
    pub const SKIP_CONFLICT_RESOLUTION: u32 = 0x08;
    /// An older name of the same (it also reached replicas once, MB-67207).
    pub const FORCE: u32 = 0x01;
    /// For buckets with last-write-wins conflict resolution; others refuse it.
    pub const FORCE_ACCEPT: u32 = 0x02;
    /// The node assigns a new CAS; needs [`SKIP_CONFLICT_RESOLUTION`].
    pub const REGENERATE_CAS: u32 = 0x04;
    /// The deletion is an expiration.
    pub const IS_EXPIRATION: u32 = 0x10;
}

/// The extras of SET_WITH_META, ADD_WITH_META and DELETE_WITH_META, quiet or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WithMetaExtras {
    /// The user's flags.
    pub flags: u32,
    /// Unix time in seconds at which the document expires (0 for never), or was deleted.
    pub expiry: u32,
    /// How often the document was changed.
    pub rev: u64,
    /// The CAS of the document at its origin.
    pub cas: u64,
    /// See [`with_meta_options`].
    pub options: u32,
    /// How many bytes at the end of the value are extended metadata.
    pub extended_bytes: u16,
}

impl WithMetaExtras {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 24, 26 (with the length of extended metadata), 28
    /// (with options) or 30 bytes (with both).
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let length = frame.extras.len();
        if !matches!(length, 24 | 26 | 28 | 30) {
            return Err(frame.malformed("extras must be 24, 26, 28 or 30 bytes"));
        }
        let mut reader = Reader::of(frame, frame.extras);
        let (flags, expiry) = (reader.u32()?, reader.u32()?);
        let (rev, cas) = (reader.u64()?, reader.u64()?);
        let options = if length >= 28 { reader.u32()? } else { 0 };
        let extended_bytes = if matches!(length, 26 | 30) { reader.u16()? } else { 0 };
        Ok(Self { flags, expiry, rev, cas, options, extended_bytes })
    }
}

/// The answer to GET_META about a document, also a deleted one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocumentMeta {
    /// Whether the document is deleted.
    pub deleted: bool,
    /// The user's flags.
    pub flags: u32,
    /// Unix time in seconds at which it expires (0 for never), or was deleted.
    pub expiry: u32,
    /// How often the document was changed.
    pub rev: u64,
    /// The datatype of the value.
    pub datatype: Datatype,
}

impl DocumentMeta {
    /// The extras of the answer: 20 bytes, then the datatype in version 2.
    #[must_use]
    pub fn encode(&self) -> [u8; 21] {
        let mut bytes = [0; 21];
        let fields = [u32::from(self.deleted), self.flags, self.expiry].map(u32::to_be_bytes);
        let all = fields.as_flattened().iter().copied();
        let all = all.chain(self.rev.to_be_bytes()).chain([self.datatype.0]);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// Returns the extras of a mutation response on a connection with the feature MutationSeqno.
#[must_use]
pub fn mutation_token(uuid: VbUuid, seqno: Seqno) -> [u8; 16] {
    let mut token = [0; 16];
    let (left, right) = token.split_at_mut(8);
    left.copy_from_slice(&uuid.0.to_be_bytes());
    right.copy_from_slice(&seqno.0.to_be_bytes());
    token
}
