//! Which rows of a vBucket a stream has: all, or those of some collections.

use std::collections::BTreeSet;

use mcbp::StreamEndStatus;
use mcbp::key::{DEFAULT_COLLECTION, DEFAULT_PREFIX, collection_id};

use super::{Change, SystemEvent, VbCollections};
use crate::{Kind, Row};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamFilter {
    /// All rows.
    All,
    /// The documents of the default collection and no system events, for clients that know of no
    /// collections.
    Default,
    /// The documents and events of these collections.
    Collections(BTreeSet<u32>),
    /// The documents and events of the collections of this scope, and the events of the scope.
    Scope(u32),
}

impl StreamFilter {
    /// Whether the stream has nothing from its beginning on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Collections(ids) if ids.is_empty())
    }

    /// Whether the stream has this row. `there` are the collections of the vBucket at some seqno at
    /// or above that of the row: the rows of a collection that is gone by then need not be sent.
    ///
    /// A system event that cannot be read is sent, which fails with the reason.
    #[must_use]
    #[inline]
    pub fn has(&self, row: &Row, there: &VbCollections) -> bool {
        match self {
            Self::All => true,
            Self::Default => row.document_key().first() == Some(&DEFAULT_PREFIX),
            Self::Collections(_) | Self::Scope(_) => self.has_named(row, there),
        }
    }

    fn has_named(&self, row: &Row, there: &VbCollections) -> bool {
        if let Kind::Event { is_end } = row.kind {
            let event = SystemEvent::from_row(&row.key, is_end, &row.value);
            return event.map_or(true, |event| self.has_event(&event.change));
        }
        collection_id(row.document_key()).is_some_and(|id| match self {
            Self::Collections(ids) => ids.contains(&id),
            Self::Scope(scope) => {
                there.get(id).is_some_and(|known| known.collection.scope == *scope)
            }
            Self::All | Self::Default => true,
        })
    }

    fn has_event(&self, change: &Change) -> bool {
        let (of_collection, of_scope) = match change {
            Change::Begin { id, collection } | Change::Modify { id, collection } => {
                (Some(*id), collection.scope)
            }
            Change::End { id, scope, .. } => (Some(*id), *scope),
            Change::CreateScope { id, .. } | Change::DropScope { id, .. } => (None, *id),
        };
        match self {
            Self::All => true,
            Self::Default => false,
            Self::Collections(ids) => of_collection.is_some_and(|id| ids.contains(&id)),
            Self::Scope(scope) => of_scope == *scope,
        }
    }

    /// Follows a row that was passed, sent or not. Returns the status with which the stream ends
    /// after it, if nothing can follow.
    pub fn follow(&mut self, row: &Row) -> Option<StreamEndStatus> {
        let Kind::Event { is_end: true } = row.kind else { return None };
        let event = SystemEvent::from_row(&row.key, true, &row.value).ok()?;
        match (self, event.change) {
            (Self::Default, Change::End { id: DEFAULT_COLLECTION, .. }) => {
                Some(StreamEndStatus::OK)
            }
            (Self::Collections(ids), Change::End { id, .. }) => {
                let was_last = ids.remove(&id) && ids.is_empty();
                was_last.then_some(StreamEndStatus::FILTER_EMPTY)
            }
            (Self::Scope(scope), Change::DropScope { id, .. }) if *scope == id => {
                Some(StreamEndStatus::FILTER_EMPTY)
            }
            _ => None,
        }
    }
}
