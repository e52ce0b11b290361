//! Frame information: the small tagged values in the framing extras of magics 0x08 and 0x18.
//!
//! Each begins with a byte: 4 bits id, 4 bits length (15 in either half: the number is 15 plus the
//! next byte). The value follows. Source: `BinaryProtocol.md`, "Request Header with flexible
//! framing extras".

/// Id of the DCP stream-id frame information; its value is a u16.
pub const DCP_STREAM_ID: u16 = 2;
/// Id of the durability requirement; its value is a level byte and an optional u16 of milliseconds.
pub const DURABILITY: u16 = 1;
/// Id of "keep the expiry of the document".
pub const PRESERVE_TTL: u16 = 5;
/// Id of "act as another user".
pub const IMPERSONATE_USER: u16 = 4;
/// Id of "with this privilege too", of the user of [`IMPERSONATE_USER`].
pub const IMPERSONATE_PRIVILEGE: u16 = 6;
/// Id of "act as the user of this token"; its value is a u16.
pub const IMPERSONATE_TOKEN: u16 = 7;
/// Id of the barrier: nothing is reordered across it.
pub const BARRIER: u16 = 0;

/// How many copies must have a durable write, and how, before it counts. Its numbers are those on
/// the wire. Source: `docs/Durability.md` of couchbase/kv_engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// A majority of the copies has it.
    Majority = 1,
    /// The same, and the active copy has it on its disk.
    MajorityAndPersistOnActive = 2,
    /// A majority has it on disk, the active copy among them.
    PersistToMajority = 3,
}

impl Level {
    /// The level of a number on the wire.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Majority),
            2 => Some(Self::MajorityAndPersistOnActive),
            3 => Some(Self::PersistToMajority),
            _ => None,
        }
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn wire(self) -> u8 {
        self as u8
    }
}

/// One frame information.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameInfo<'a> {
    /// The id, which says what the value is.
    pub id: u16,
    /// Its value.
    pub value: &'a [u8],
}

/// The framing extras are not a list of tagged values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("framing extras are cut off")]
pub struct BadFraming;

/// Iterates over the frame information in `framing`; stops after the first error.
#[must_use]
pub const fn iter(framing: &[u8]) -> Iter<'_> {
    Iter { rest: framing }
}

/// See [`iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], BadFraming> {
        let (head, tail) = self.rest.split_at_checked(bytes).ok_or(BadFraming)?;
        self.rest = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, BadFraming> {
        let (first, rest) = self.rest.split_first().ok_or(BadFraming)?;
        self.rest = rest;
        Ok(*first)
    }

    fn wide(&mut self, nibble: u8) -> Result<u16, BadFraming> {
        if nibble < 15 {
            return Ok(u16::from(nibble));
        }
        Ok(15 + u16::from(self.byte()?))
    }

    fn one(&mut self) -> Result<FrameInfo<'a>, BadFraming> {
        let tag = self.byte()?;
        let id = self.wide(tag >> 4)?;
        let value_bytes = self.wide(tag & 0x0f)?;
        Ok(FrameInfo { id, value: self.take(usize::from(value_bytes))? })
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<FrameInfo<'a>, BadFraming>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.one();
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

/// Appends one frame information. Id and length are at most 270; a longer value is truncated.
pub fn push(out: &mut Vec<u8>, info: FrameInfo<'_>) {
    let value = info.value.get(..270).unwrap_or(info.value);
    let (id, id_more) = nibble(usize::from(info.id));
    let (value_bytes, value_bytes_more) = nibble(value.len());
    out.push(id << 4 | value_bytes);
    out.extend(id_more);
    out.extend(value_bytes_more);
    out.extend_from_slice(value);
}

/// Encodes a number as 4 bits and, from 15 on, a further byte.
fn nibble(number: usize) -> (u8, Option<u8>) {
    match u8::try_from(number) {
        Ok(small) if small < 15 => (small, None),
        _ => (15, Some(u8::try_from(number - 15).unwrap_or(u8::MAX))),
    }
}
