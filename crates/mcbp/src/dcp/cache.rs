//! CACHE_TRANSFER: documents of a producer's cache, many in one frame.
//!
//! They warm up the consumer's cache; none of them is a change.

use super::{Extras, Reader};
use crate::{Datatype, Frame, FrameError, Seqno};

/// The fixed part of a record, in bytes; key and value follow it.
const RECORD_BYTES: usize = 40;

/// One document of a CACHE_TRANSFER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheRecord<'a> {
    /// The CAS of the document.
    pub cas: u64,
    /// The sequence number of its last change.
    pub seqno: Seqno,
    /// How often the document was changed.
    pub rev: u64,
    /// The user's flags.
    pub flags: u32,
    /// When the document expires, in seconds of Unix time; 0 for never.
    pub expiry: u32,
    /// The datatype of the value.
    pub datatype: Datatype,
    /// How recently and how often the document was used.
    pub hint: u8,
    /// The key, with its collection prefix; at most 65,535 bytes.
    pub key: &'a [u8],
    /// The value; empty if only the metadata is cached.
    pub value: &'a [u8],
}

impl<'a> CacheRecord<'a> {
    /// Iterates over the records in the value of `frame`; stops after the first error.
    ///
    /// The error is [`FrameError::Malformed`], for a truncated record.
    pub fn iter(frame: &Frame<'a>) -> impl Iterator<Item = Result<Self, FrameError>> + use<'a> {
        let frame = *frame;
        let cut_off = frame.malformed("a cache record is 40 bytes, then its key and value");
        let mut rest = frame.value;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some((record, after)) = Self::split(&frame, rest) else {
                rest = &[];
                return Some(Err(cut_off));
            };
            rest = after;
            Some(Ok(record))
        })
    }

    fn split(frame: &Frame<'a>, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (fixed, rest) = bytes.split_at_checked(RECORD_BYTES)?;
        let mut reader = Reader::of(frame, fixed);
        let (cas, seqno, rev) = (reader.u64().ok()?, reader.seqno().ok()?, reader.u64().ok()?);
        let value_bytes = usize::try_from(reader.u32().ok()?).ok()?;
        let (flags, expiry) = (reader.u32().ok()?, reader.u32().ok()?);
        let key_bytes = usize::from(reader.u16().ok()?);
        let (datatype, hint) = (Datatype(reader.u8().ok()?), reader.u8().ok()?);
        let (key, rest) = rest.split_at_checked(key_bytes)?;
        let (value, rest) = rest.split_at_checked(value_bytes)?;
        Some((Self { cas, seqno, rev, flags, expiry, datatype, hint, key, value }, rest))
    }

    /// Appends the record to the value of a frame; a longer key is truncated.
    pub fn push(&self, out: &mut Vec<u8>) {
        let key = self.key.get(..0xffff).unwrap_or(self.key);
        let fixed = Extras::<RECORD_BYTES>::new()
            .u64(self.cas)
            .seqno(self.seqno)
            .u64(self.rev)
            .u32(u32::try_from(self.value.len()).unwrap_or(u32::MAX))
            .u32(self.flags)
            .u32(self.expiry)
            .u16(u16::try_from(key.len()).unwrap_or(u16::MAX))
            .u8(self.datatype.0)
            .u8(self.hint);
        out.extend_from_slice(fixed.bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(self.value);
    }
}
