//! One change of a stream as it is compared, and the fields in which two of them differ.

use std::fmt;

pub use mcbp::dcp::ChangeKind as Kind;
use mcbp::dcp::{DocumentChange, SystemEvent};
use mcbp::{Datatype, Frame, FrameError, Opcode, Seqno, xattr};

use crate::{Class, Key, Version};

/// Stands for the collection of system events; no collection has this id.
pub const SYSTEM: u32 = u32::MAX;

/// One change of a stream, without the fields of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// Its place in the vBucket's history.
    pub seqno: Seqno,
    /// The id of the key's collection, [`SYSTEM`] for a system event.
    pub collection: u32,
    /// The key without collection prefix; of a system event, the ids of scope and collection.
    pub key: &'a [u8],
    /// Its revision.
    pub rev: u64,
    /// The compare-and-swap token.
    pub cas: u64,
    /// The datatype of the value.
    pub datatype: Datatype,
    /// Document, deletion or expiration.
    pub kind: Kind,
    /// The value.
    pub value: &'a [u8],
}

impl<'a> Change<'a> {
    /// Reads a MUTATION, DELETION, EXPIRATION or SYSTEM_EVENT of a connection with collections;
    /// `None` for any other frame.
    ///
    /// # Errors
    /// A [`FrameError`] where the frame is malformed for its opcode.
    #[inline]
    pub fn decode(frame: &Frame<'a>) -> Result<Option<Self>, FrameError> {
        let (cas, datatype) = (frame.header.cas, frame.header.datatype);
        if frame.opcode() == Opcode::DCP_SYSTEM_EVENT {
            return Self::system(frame).map(Some);
        }
        let Some(change) = DocumentChange::decode(frame)? else { return Ok(None) };
        let DocumentChange { seqno, rev, kind } = change;
        let (collection, key) = mcbp::key::split(frame.key)
            .ok_or_else(|| frame.malformed("the key has no collection prefix"))?;
        let value = frame.value;
        Ok(Some(Self { seqno, collection, key, rev, cas, datatype, kind, value }))
    }

    /// A node keeps the newest event of each scope and collection, under its ids. Event and version
    /// stand where a document has flags and expiry.
    fn system(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let SystemEvent { seqno, event, version } = SystemEvent::decode(frame)?;
        // The value begins with the id of the manifest, then the scope, then the collection.
        let ids = if matches!(event, 3 | 4) { 8..12 } else { 8..16 };
        let key = frame.value.get(ids).ok_or_else(|| frame.malformed("the ids are cut off"))?;
        let kind = Kind::Document { flags: event, expiry: u32::from(version) };
        let (cas, datatype, value) = (frame.header.cas, frame.header.datatype, frame.value);
        Ok(Self { seqno, collection: SYSTEM, key, rev: 0, cas, datatype, kind, value })
    }
}

impl Change<'_> {
    /// Whether the key has a document, and no deletion.
    #[must_use]
    pub const fn is_document(&self) -> bool {
        matches!(self.kind, Kind::Document { .. })
    }

    /// Its key, to be kept.
    #[must_use]
    pub fn owned_key(&self) -> Key {
        Key { collection: self.collection, key: self.key.into() }
    }

    /// What is kept and shown of it.
    #[must_use]
    pub const fn version(&self) -> Version {
        let Self { seqno, cas, rev: revision, .. } = *self;
        Version { seqno, cas, revision, deleted: !self.is_document() }
    }

    /// Attributes and body of the value; the whole value where the attributes are damaged.
    fn parts(&self) -> (&[u8], &[u8]) {
        let has_xattrs = self.datatype.contains(Datatype::XATTR);
        let split = if has_xattrs { xattr::split(self.value) } else { None };
        split.unwrap_or((&[], self.value))
    }
}

/// One field in which two changes differ: its class, and what each of them has.
pub(crate) struct Field {
    pub(crate) class: Class,
    name: &'static str,
    a: String,
    b: String,
}

impl Field {
    /// In words, with the names of the nodes.
    pub(crate) fn say(&self, a: &str, b: &str) -> String {
        format!("{} is {} on {a} and {} on {b}", self.name, self.a, self.b)
    }
}

/// All fields in which two changes of one key and one seqno differ, the most important one first.
pub(crate) fn fields(a: &Change<'_>, b: &Change<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut differs = |class, name, a: &dyn fmt::Display, b: &dyn fmt::Display| {
        fields.push(Field { class, name, a: a.to_string(), b: b.to_string() });
    };
    if a.is_document() != b.is_document() {
        differs(Class::Existence, "it", &a.kind, &b.kind);
    }
    let ((a_xattrs, a_body), (b_xattrs, b_body)) = (a.parts(), b.parts());
    if a_body != b_body {
        differs(Class::Value, "value", &Bytes(a_body), &Bytes(b_body));
    }
    if a_xattrs != b_xattrs {
        differs(Class::Xattrs, "xattrs", &Bytes(a_xattrs), &Bytes(b_xattrs));
    }
    if a.cas != b.cas {
        differs(Class::Cas, "cas", &a.cas, &b.cas);
    }
    if a.rev != b.rev {
        differs(Class::Revision, "revision", &a.rev, &b.rev);
    }
    if let (
        Kind::Document { flags: a_flags, expiry: a_expiry },
        Kind::Document { flags: b_flags, expiry: b_expiry },
    ) = (a.kind, b.kind)
    {
        if a_flags != b_flags {
            differs(Class::Flags, "flags", &a_flags, &b_flags);
        }
        if a_expiry != b_expiry {
            differs(Class::Expiry, "expiry", &a_expiry, &b_expiry);
        }
    }
    if a.datatype.0 != b.datatype.0 {
        differs(Class::Datatype, "datatype", &a.datatype.0, &b.datatype.0);
    }
    if !a.is_document() && !b.is_document() && a.kind != b.kind {
        differs(Class::Deletion, "it", &a.kind, &b.kind);
    }
    fields
}

/// Length and checksum: they show that two values differ, however long the values are.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes with CRC32 {:08x}", self.0.len(), crc32fast::hash(self.0))
    }
}

#[cfg(test)]
mod tests;
