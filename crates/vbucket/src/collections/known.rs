//! The collections that one vBucket has: what its system events say.

use std::collections::BTreeMap;

use mcbp::Seqno;
use mcbp::key::{DEFAULT_COLLECTION, collection_id, split};

use super::change::{Change, Collection, SystemEvent};
use super::event::{EventKey, event_key};
use super::manifest::Manifest;
use super::names::{DEFAULT_NAME, DEFAULT_SCOPE, SYSTEM_EVENTS};
use crate::{Kind, Row};

/// A collection of a vBucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbCollection {
    /// Its properties.
    pub collection: Collection,
    /// The seqno of its newest [`Change::Begin`]; 0 for a default collection that was never flushed
    /// or created anew. Documents up to it are gone.
    pub start: Seqno,
    /// Of a collection without history: rows before this seqno may have been written while it had
    /// history.
    pub history_until: Seqno,
}

/// The collections that one vBucket has at a seqno.
///
/// By default it has the default scope and the default collection since seqno 0, and uid 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbCollections {
    pub(super) uid: u64,
    /// Kept apart from the others: most buckets have no other one, and every read and write asks.
    default: Option<VbCollection>,
    others: BTreeMap<u32, VbCollection>,
    pub(super) scopes: BTreeMap<u32, String>,
}

impl Default for VbCollections {
    fn default() -> Self {
        let collection = Collection::default_collection();
        Self {
            uid: 0,
            default: Some(VbCollection {
                collection,
                start: Seqno::ZERO,
                history_until: Seqno::ZERO,
            }),
            others: BTreeMap::new(),
            scopes: BTreeMap::from([(DEFAULT_SCOPE, DEFAULT_NAME.to_owned())]),
        }
    }
}

impl VbCollections {
    /// Before which seqno rows that this one replaces are kept as change history: those of
    /// documents that were written while their collection had `history`, and of system events
    /// (MB-65281).
    #[must_use]
    pub fn keeps_before(&self, row: &Row) -> Seqno {
        match row.kind {
            Kind::Event { .. } => Seqno::MAX,
            Kind::Prepared { .. } | Kind::Aborted { .. } => Seqno::ZERO,
            _ => match collection_id(&row.key).and_then(|id| self.get(id)) {
                Some(known) if known.collection.history => Seqno::MAX,
                Some(known) => known.history_until,
                None => Seqno::ZERO,
            },
        }
    }

    /// Returns the collections that follow from the newest row of each key of system events, given
    /// in any order.
    pub fn from_events(events: impl IntoIterator<Item = (Seqno, SystemEvent)>) -> Self {
        let mut events: Vec<(Seqno, SystemEvent)> = events.into_iter().collect();
        events.sort_unstable_by_key(|(seqno, _)| *seqno);
        let mut collections = Self::default();
        for (seqno, event) in &events {
            collections.follow(*seqno, event);
        }
        collections
    }

    /// Follows one more event, whose seqno is above those of all before. The uid becomes that of
    /// the event, also where it is lower: a replica has what its producer has.
    ///
    /// A modification of an unknown collection is passed over: it is an old row, and the row of the
    /// collection's end or new beginning comes after it.
    pub fn follow(&mut self, seqno: Seqno, event: &SystemEvent) {
        self.uid = event.uid;
        match &event.change {
            Change::Begin { id, collection } => {
                let (collection, history_until) = (collection.clone(), Seqno::ZERO);
                let begun = VbCollection { collection, start: seqno, history_until };
                if *id == DEFAULT_COLLECTION {
                    self.default = Some(begun);
                } else {
                    self.others.insert(*id, begun);
                }
            }
            Change::Modify { id, collection } => {
                let known = match *id {
                    DEFAULT_COLLECTION => self.default.as_mut(),
                    id => self.others.get_mut(&id),
                };
                if let Some(known) = known {
                    known.collection.clone_from(collection);
                    // Of several modifications the newest alone is on the disk.
                    known.history_until = seqno;
                }
            }
            Change::End { id: DEFAULT_COLLECTION, .. } => self.default = None,
            Change::End { id, .. } => {
                self.others.remove(id);
            }
            Change::CreateScope { id, name } => {
                self.scopes.insert(*id, name.clone());
            }
            Change::DropScope { id, .. } => {
                self.scopes.remove(id);
            }
        }
    }

    /// Notes the uid of a manifest that changes nothing here. No row has it, so
    /// [`VbCollections::from_events`] does not find it again.
    pub const fn note_uid(&mut self, uid: u64) {
        self.uid = uid;
    }

    /// The uid of the manifest that is complete here.
    #[must_use]
    pub const fn uid(&self) -> u64 {
        self.uid
    }

    /// Returns the collection with that id.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&VbCollection> {
        match id {
            DEFAULT_COLLECTION => self.default.as_ref(),
            id => self.others.get(&id),
        }
    }

    /// Returns the collections with their ids, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &VbCollection)> {
        let default = self.default.iter().map(|known| (DEFAULT_COLLECTION, known));
        default.chain(self.others.iter().map(|(id, known)| (*id, known)))
    }

    /// Returns the names of the scopes with their ids, in the order of ids.
    pub fn scopes(&self) -> impl Iterator<Item = (u32, &str)> {
        self.scopes.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// Returns the name of the scope with that id.
    #[must_use]
    pub fn scope(&self, id: u32) -> Option<&str> {
        self.scopes.get(&id).map(String::as_str)
    }

    /// Returns the manifest that the vBucket follows, as far as it is complete here.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let collections = self.iter().map(|(id, known)| (id, known.collection.clone()));
        let collections = collections.collect();
        Manifest { uid: self.uid, scopes: self.scopes.clone(), collections }
    }

    /// Whether a row with this key, collection prefix included, is visible at this seqno: its
    /// collection exists and began before. A modification is visible with its collection, rows of
    /// other system events always are; a key with a malformed prefix never is.
    #[must_use]
    pub fn shows(&self, key: &[u8], seqno: Seqno) -> bool {
        let id = match split(key) {
            Some((SYSTEM_EVENTS, _)) => match event_key(key) {
                Some(EventKey::Modification(id)) => id,
                _ => return true,
            },
            Some((id, _)) => id,
            None => return false,
        };
        self.get(id).is_some_and(|known| seqno > known.start)
    }
}
