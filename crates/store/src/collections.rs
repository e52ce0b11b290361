//! The collections of a vBucket as the store sees them: since when they have rows, how many, and
//! which rows belong to none any more. Names and scopes are in the rows of system events.
//!
//! A collection begins with a system event, also again when it is flushed, and ends with one. Rows
//! of its keys from before its newest beginning are gone for every reader at once; the background
//! thread removes them (`erase`).

use std::collections::BTreeMap;
use std::sync::Arc;

use invariant::broken;
use mcbp::Seqno;
use mcbp::key::{DEFAULT_COLLECTION, DEFAULT_PREFIX, collection_id};
use vbucket::collections::{EventKey, event_key};
use vbucket::row::document_key;
use vbucket::{Kind, Row};

/// One collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Collection {
    /// Rows up to this seqno are gone.
    pub start: Seqno,
    /// The seqno of its newest row or system event.
    pub high: Seqno,
    /// Number of documents, without deletions.
    pub items: u64,
}

/// See the module. Cheap to copy: every commit does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Collections {
    /// The default collection, unless it was dropped.
    pub default: Option<Collection>,
    /// All others by id.
    pub named: Arc<BTreeMap<u32, Collection>>,
}

impl Default for Collections {
    /// Those of an empty vBucket.
    fn default() -> Self {
        Self { default: Some(Collection::default()), named: Arc::default() }
    }
}

/// A collection of which rows up to a seqno are to be erased.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Gone {
    pub id: u32,
    pub up_to: Seqno,
}

impl Collections {
    fn get(&self, id: u32) -> Option<&Collection> {
        if id == DEFAULT_COLLECTION { self.default.as_ref() } else { self.named.get(&id) }
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Collection> {
        if id == DEFAULT_COLLECTION {
            return self.default.as_mut();
        }
        // Not copied where there is no such collection.
        self.named.contains_key(&id).then(|| Arc::make_mut(&mut self.named).get_mut(&id)).flatten()
    }

    /// All of them by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Collection)> {
        let default = self.default.iter().map(|it| (DEFAULT_COLLECTION, *it));
        default.chain(self.named.iter().map(|(id, it)| (*id, *it)))
    }

    /// The number of documents in all of them.
    pub(crate) fn items(&self) -> u64 {
        self.iter().map(|(_, collection)| collection.items).sum()
    }

    /// The seqno of the newest row of the default collection; 0 for none.
    pub(crate) fn default_high_seqno(&self) -> Seqno {
        let rows = self.default.filter(|default| default.high > default.start);
        rows.map_or(Seqno::ZERO, |default| default.high)
    }

    /// Whether readers see a row of `key` at `seqno`. Steps of durable writes go with the
    /// collection of their document. A modification of a collection goes with it:
    /// consumers of kv_engine take none of a collection that they do not know. Rows of other system
    /// events always are seen.
    pub(crate) fn shows(&self, key: &[u8], seqno: Seqno) -> bool {
        let key = document_key(key);
        let id = match collection_of(key) {
            Some(id) => id,
            None => match event_key(key) {
                Some(EventKey::Modification(id)) => id,
                _ => return true,
            },
        };
        self.get(id).is_some_and(|collection| seqno > collection.start)
    }

    /// The same of a row that may be an older version. Such may be the event with which a
    /// collection began: not where it has ended or begun anew since.
    pub(crate) fn shows_version(&self, row: &Row) -> bool {
        let has_begun = match (row.kind, event_key(&row.key)) {
            (Kind::Event { is_end: false }, Some(EventKey::Collection(id))) => {
                self.get(id).is_some_and(|collection| row.seqno >= collection.start)
            }
            _ => true,
        };
        has_begun && self.shows(&row.key, row.seqno)
    }

    /// Counts a row that replaces another one or nothing. Returns the collection if it is not the
    /// default one, whose record is to be written then.
    ///
    /// The count is a statistic: one that is too low is reported, and refuses no change.
    pub(crate) fn count(&mut self, row: &Row, was_alive: bool) -> Option<u32> {
        let id = collection_of(&row.key)?;
        let collection = self.get_mut(id)?;
        collection.high = collection.high.max(row.seqno);
        collection.add(was_alive, row.is_alive());
        (id != DEFAULT_COLLECTION).then_some(id)
    }

    /// Counts that a row of `key` is undone, and that one which is alive or not is there instead.
    pub(crate) fn uncount(&mut self, key: &[u8], was_alive: bool, is_alive: bool) -> Option<u32> {
        let id = collection_of(key)?;
        self.get_mut(id)?.add(was_alive, is_alive);
        (id != DEFAULT_COLLECTION).then_some(id)
    }

    /// Follows the row of a system event. Returns the collection that it concerns, and what is to
    /// be erased.
    pub(crate) fn follow(&mut self, row: &Row, is_end: bool) -> (Option<u32>, Option<Gone>) {
        match event_key(&row.key) {
            Some(EventKey::Collection(id)) => {
                let began =
                    (!is_end).then_some(Collection { start: row.seqno, high: row.seqno, items: 0 });
                let before = self.put(id, began);
                let gone = before.map(|_| Gone { id, up_to: row.seqno });
                (Some(id), gone)
            }
            Some(EventKey::Modification(id)) => {
                if let Some(collection) = self.get_mut(id) {
                    collection.high = row.seqno;
                }
                (Some(id), None)
            }
            Some(EventKey::Scope(_)) | None => (None, None),
        }
    }

    fn put(&mut self, id: u32, collection: Option<Collection>) -> Option<Collection> {
        if id == DEFAULT_COLLECTION {
            return std::mem::replace(&mut self.default, collection);
        }
        let named = Arc::make_mut(&mut self.named);
        match collection {
            Some(collection) => named.insert(id, collection),
            None => named.remove(&id),
        }
    }

    /// Sets the highest seqno of a collection.
    pub(crate) fn set_high(&mut self, id: u32, high: Seqno) {
        if let Some(collection) = self.get_mut(id) {
            collection.high = high;
        }
    }
}

impl Collection {
    fn add(&mut self, was_alive: bool, is_alive: bool) {
        let items = self.items.checked_sub(u64::from(was_alive)).unwrap_or_else(|| {
            _ = broken!("a collection counts no documents, and one of it is replaced");
            0
        });
        self.items = items + u64::from(is_alive);
    }
}

/// The collection of a document's key; of any other key `None`, or one that no vBucket has.
pub(crate) fn collection_of(key: &[u8]) -> Option<u32> {
    match key {
        [DEFAULT_PREFIX, ..] => Some(DEFAULT_COLLECTION),
        _ if event_key(key).is_some() => None,
        _ => collection_id(key),
    }
}
