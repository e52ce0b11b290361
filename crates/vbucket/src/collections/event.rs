//! The row of a system event: its key and its value.
//!
//! There is a row for each collection, one for its latest modification, and one for each scope. A
//! later event of the same kind replaces the row: drop replaces create, flush replaces create.

use bytes::Bytes;
use mcbp::key::{put_leb128, split};
use mcbp::{Datatype, Seqno};

use super::change::{Change, Flaw, Kind, SystemEvent};
use super::names::SYSTEM_EVENTS;
use super::value;
use crate::Row;

/// The end of keys of collections. It is for people who look at a disk.
const COLLECTION_TAG: &[u8] = b"_collection";
/// The end of keys of scopes.
const SCOPE_TAG: &[u8] = b"_scope";

/// What the key of a system event's row names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKey {
    /// The beginning or the end of the collection with that id.
    Collection(u32),
    /// The beginning or the end of the scope with that id.
    Scope(u32),
    /// The latest modification of the collection with that id.
    Modification(u32),
}

impl EventKey {
    /// Returns the key of the row: 0x01, the type, the id, and a tag. Numbers are LEB128.
    fn to_bytes(self) -> Bytes {
        let (number, id, tag) = match self {
            Self::Collection(id) => (0, id, COLLECTION_TAG),
            Self::Scope(id) => (1, id, SCOPE_TAG),
            Self::Modification(id) => (2, id, COLLECTION_TAG),
        };
        let mut key = Vec::with_capacity(2 + 5 + tag.len());
        put_leb128(&mut key, SYSTEM_EVENTS.into());
        put_leb128(&mut key, number);
        put_leb128(&mut key, id.into());
        key.extend_from_slice(tag);
        key.into()
    }
}

/// Returns what the key of a system event's row names; `None` for every other key.
#[must_use]
pub fn event_key(key: &[u8]) -> Option<EventKey> {
    let (SYSTEM_EVENTS, key) = split(key)? else { return None };
    let (number, key) = split(key)?;
    let (id, tag) = split(key)?;
    match (number, tag) {
        (0, COLLECTION_TAG) => Some(EventKey::Collection(id)),
        (1, SCOPE_TAG) => Some(EventKey::Scope(id)),
        (2, COLLECTION_TAG) => Some(EventKey::Modification(id)),
        _ => None,
    }
}

impl SystemEvent {
    /// Returns the key of the event's row, as kv_engine has it: 0x01 (the collection of system
    /// events), the type (0 collection, 1 scope, 2 modification) and the id as LEB128, then
    /// `_collection` or `_scope`.
    #[must_use]
    pub fn key(&self) -> Bytes {
        self.event_key().to_bytes()
    }

    const fn event_key(&self) -> EventKey {
        match self.change {
            Change::Begin { id, .. } | Change::End { id, .. } => EventKey::Collection(id),
            Change::Modify { id, .. } => EventKey::Modification(id),
            Change::CreateScope { id, .. } | Change::DropScope { id, .. } => EventKey::Scope(id),
        }
    }

    /// Whether the event's row says that its collection or scope is gone. Such a row is stored as a
    /// deletion, with a value.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self.change, Change::End { .. } | Change::DropScope { .. })
    }

    /// Returns the value of the event's row: the FlatBuffers value of version 2. Source:
    /// `engines/ep/src/collections/events.fbs` of couchbase/kv_engine.
    #[must_use]
    pub fn value(&self) -> Bytes {
        value::encode(self).into()
    }

    /// Returns the event's row. It has neither rev nor CAS.
    #[must_use]
    pub fn row(&self, seqno: Seqno) -> Row {
        Row {
            key: self.key(),
            seqno,
            rev: 0,
            cas: 0,
            datatype: Datatype::RAW,
            kind: crate::Kind::Event { is_end: self.is_end() },
            prepared: Seqno::ZERO,
            value: self.value(),
        }
    }

    /// Returns the event of a stored row: of its key, whether the row [is an end](Self::is_end),
    /// and its value.
    ///
    /// # Errors
    /// What is wrong with the row: its key is that of no event, its value is malformed, or the two
    /// name different ids.
    pub fn from_row(key: &[u8], is_end: bool, value: &[u8]) -> Result<Self, &'static str> {
        let named = event_key(key).ok_or("the key is that of no system event")?;
        let kind = match (named, is_end) {
            (EventKey::Collection(_), false) => Kind::Begin,
            (EventKey::Collection(_), true) => Kind::End,
            (EventKey::Scope(_), false) => Kind::CreateScope,
            (EventKey::Scope(_), true) => Kind::DropScope,
            (EventKey::Modification(_), false) => Kind::Modify,
            (EventKey::Modification(_), true) => return Err("a modification is no end"),
        };
        let event = value::decode(kind, value)?;
        let is_same = event.event_key() == named;
        if is_same { Ok(event) } else { Err::<_, Flaw>("key and value name different ids") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_kv_engine() {
        let key = |key: EventKey| key.to_bytes().to_vec();
        assert_eq!(key(EventKey::Collection(8)), b"\x01\x00\x08_collection");
        assert_eq!(key(EventKey::Scope(0x80)), b"\x01\x01\x80\x01_scope");
        assert_eq!(key(EventKey::Modification(0)), b"\x01\x02\x00_collection");
    }

    #[test]
    fn a_key_names_what_it_was_made_of() {
        for id in [0, 8, 127, 128, u32::MAX] {
            for key in [EventKey::Collection(id), EventKey::Scope(id), EventKey::Modification(id)] {
                assert_eq!(event_key(&key.to_bytes()), Some(key));
            }
        }
    }

    #[test]
    fn other_keys_name_nothing() {
        let keys: [&[u8]; 8] = [
            b"",
            b"\x00\x00\x08_collection",
            b"\x01",
            b"\x01\x00\x08_scope",
            b"\x01\x01\x08_collection",
            b"\x01\x03\x08_collection",
            b"\x01\x00\x88\x00_collection",
            b"\x01\x00\x08_collections",
        ];
        for key in keys {
            assert_eq!(event_key(key), None, "{key:?}");
        }
    }
}
