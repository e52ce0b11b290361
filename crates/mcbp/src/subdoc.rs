//! The bodies of sub-document operations: extras, and the operations of SUBDOC_MULTI_LOOKUP and
//! SUBDOC_MULTI_MUTATION.
//!
//! Source: `docs/SubDocument.md` of couchbase/kv_engine, and recordings 15a and 15b of
//! `tests/data/wire`.

use crate::dcp::Reader;
use crate::{Frame, FrameError, Opcode};

/// Bits of [`PathExtras::path_flags`] and [`Spec::path_flags`].
pub mod path_flags {
    /// Objects that are missing on the way are made.
    pub const MKDIR_P: u8 = 0x01;
    /// The path leads into the extended attributes.
    pub const XATTR: u8 = 0x04;
    /// The value is a macro, which is replaced by what it stands for.
    pub const EXPAND_MACROS: u8 = 0x10;
    /// The value is bytes, and stored as base64 within a string.
    pub const BINARY: u8 = 0x20;
}

/// Bits of [`DocumentExtras::flags`].
pub mod doc_flags {
    /// A document that does not exist is made.
    pub const MKDOC: u8 = 0x01;
    /// The document must not exist, and is made.
    pub const ADD: u8 = 0x02;
    /// A deletion is a document too: its attributes are read and changed.
    pub const ACCESS_DELETED: u8 = 0x04;
    /// What is made is a deletion with attributes.
    pub const CREATE_AS_DELETED: u8 = 0x08;
    /// The change of a deletion makes a document of it.
    pub const REVIVE: u8 = 0x10;
    /// The document is read from a replica.
    pub const REPLICA_READ: u8 = 0x20;
    /// Bits with a meaning.
    pub const KNOWN: u8 = 0x3f;
}

/// The operations that one request may have.
pub const SPECS_MAX: usize = 16;

/// What the extras say about the document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DocumentExtras {
    /// Seconds from now up to 30 days, else Unix time, 0 for never; `None` if the extras have none.
    pub expiry: Option<u32>,
    /// The user's flags; `None` to keep them.
    pub user_flags: Option<u32>,
    /// See [`doc_flags`].
    pub flags: u8,
}

impl DocumentExtras {
    /// Reads the extras of SUBDOC_MULTI_LOOKUP and SUBDOC_MULTI_MUTATION.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] for another length than 0 or 1, with an expiry 4 or 5, with user
    /// flags 8 or 9; for unknown flags, and for an expiry of a lookup.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        Self::of(frame, frame.extras, frame.opcode() != Opcode::SUBDOC_MULTI_LOOKUP)
    }

    fn of(frame: &Frame<'_>, bytes: &[u8], may_expire: bool) -> Result<Self, FrameError> {
        if !matches!(bytes.len(), 0 | 1 | 4 | 5 | 8 | 9) {
            return Err(frame.malformed("the extras have no length of sub-document extras"));
        }
        if bytes.len() > 1 && !may_expire {
            return Err(frame.malformed("the extras of a lookup have no expiry"));
        }
        let mut reader = Reader::of(frame, bytes);
        let expiry = if bytes.len() >= 4 { Some(reader.u32()?) } else { None };
        let user_flags = if bytes.len() >= 8 { Some(reader.u32()?) } else { None };
        let flags = if bytes.len() % 4 == 1 { reader.u8()? } else { 0 };
        if flags & !doc_flags::KNOWN != 0 {
            return Err(frame.malformed("the extras have unknown document flags"));
        }
        Ok(Self { expiry, user_flags, flags })
    }
}

/// The extras of an operation with a request of its own. The path is the front of the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathExtras {
    /// The length of the path in bytes.
    pub path_bytes: u16,
    /// See [`path_flags`].
    pub path_flags: u8,
    /// What they say about the document.
    pub document: DocumentExtras,
}

impl PathExtras {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] for another length than 3 or 4, with an expiry 7 or 8, with user
    /// flags 11 or 12; for unknown document flags, and for an expiry of a lookup.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader::of(frame, frame.extras);
        let (path_bytes, path_flags) = (reader.u16()?, reader.u8()?);
        let rest = frame.extras.get(3..).unwrap_or_default();
        let lookups = [Opcode::SUBDOC_GET, Opcode::SUBDOC_EXISTS, Opcode::SUBDOC_GET_COUNT];
        let may_expire = !lookups.contains(&frame.opcode());
        let document = DocumentExtras::of(frame, rest, may_expire)?;
        Ok(Self { path_bytes, path_flags, document })
    }
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spec<'a> {
    /// What is done.
    pub opcode: Opcode,
    /// See [`path_flags`].
    pub path_flags: u8,
    /// Where; not checked.
    pub path: &'a [u8],
    /// Its value; empty in a lookup.
    pub value: &'a [u8],
}

impl<'a> Spec<'a> {
    /// Reads the one operation of a request that is not SUBDOC_MULTI_LOOKUP or
    /// SUBDOC_MULTI_MUTATION.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] where the path is longer than the value of the frame.
    pub fn single(frame: &Frame<'a>, extras: &PathExtras) -> Result<Self, FrameError> {
        let parts = frame.value.split_at_checked(usize::from(extras.path_bytes));
        let (path, value) =
            parts.ok_or_else(|| frame.malformed("the path is longer than the value"))?;
        Ok(Self { opcode: frame.opcode(), path_flags: extras.path_flags, path, value })
    }

    /// Goes through the operations of SUBDOC_MULTI_LOOKUP or SUBDOC_MULTI_MUTATION; nothing follows
    /// an error. Their number is not checked.
    #[must_use]
    pub fn each(frame: &Frame<'a>) -> Specs<'a> {
        Specs { frame: *frame, rest: frame.value }
    }
}

/// See [`Spec::each`].
#[derive(Clone, Debug)]
pub struct Specs<'a> {
    frame: Frame<'a>,
    rest: &'a [u8],
}

impl<'a> Specs<'a> {
    fn one(&mut self) -> Result<Spec<'a>, FrameError> {
        let has_value = self.frame.opcode() != Opcode::SUBDOC_MULTI_LOOKUP;
        let cut_off = || self.frame.malformed("an operation is cut off");
        let front = self.rest.split_at_checked(if has_value { 8 } else { 4 });
        let (front, rest) = front.ok_or_else(cut_off)?;
        let mut reader = Reader::of(&self.frame, front);
        let (opcode, path_flags) = (Opcode(reader.u8()?), reader.u8()?);
        let path_bytes = usize::from(reader.u16()?);
        let value_bytes = if has_value { reader.u32()? } else { 0 };
        let value_bytes = usize::try_from(value_bytes).map_err(|_| cut_off())?;
        let (path, rest) = rest.split_at_checked(path_bytes).ok_or_else(cut_off)?;
        let (value, rest) = rest.split_at_checked(value_bytes).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(Spec { opcode, path_flags, path, value })
    }
}

impl<'a> Iterator for Specs<'a> {
    type Item = Result<Spec<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let spec = self.one();
        if spec.is_err() {
            self.rest = &[];
        }
        Some(spec)
    }
}

#[cfg(test)]
#[path = "subdoc/tests.rs"]
mod tests;
