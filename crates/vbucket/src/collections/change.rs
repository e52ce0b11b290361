//! A collection, and what may happen to collections and scopes.

use super::names::{DEFAULT_NAME, DEFAULT_SCOPE};

/// What a manifest says of a collection. Its id stands beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collection {
    /// The id of its scope.
    pub scope: u32,
    /// Its name, unique in its scope; 1 to [`super::NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// How long its documents live at most, in seconds, up to [`super::MAX_TTL_SECONDS`]. `None`:
    /// the limit of the bucket applies. `Some(0)`: there is no limit, whatever the bucket has.
    pub max_ttl: Option<u32>,
    /// Whether it keeps the history of its documents, for change streams.
    pub history: bool,
    /// Whether its use is metered.
    pub metered: bool,
    /// The uid of the manifest that flushed it last; 0 if none did.
    pub flush_uid: u64,
}

impl Collection {
    /// Returns the default collection as it is in a new bucket.
    #[must_use]
    pub(super) fn default_collection() -> Self {
        Self {
            scope: DEFAULT_SCOPE,
            name: DEFAULT_NAME.to_owned(),
            max_ttl: None,
            history: false,
            metered: false,
            flush_uid: 0,
        }
    }
}

/// A change of the collections of a vBucket; it has a seqno as a document has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The collection begins: it was created or flushed. Documents that it had before are gone.
    Begin {
        /// Id of the collection.
        id: u32,
        /// All of its properties.
        collection: Collection,
    },
    /// Properties of the collection changed; its documents stay.
    Modify {
        /// Id of the collection.
        id: u32,
        /// All of its properties, the unchanged ones too.
        collection: Collection,
    },
    /// The collection was dropped with its documents.
    End {
        /// Id of the collection.
        id: u32,
        /// Id of the scope that had it.
        scope: u32,
        /// Whether it was a collection of the system, see [`super::is_system`].
        is_system: bool,
    },
    /// The scope was created.
    CreateScope {
        /// Id of the scope.
        id: u32,
        /// Its name; 1 to [`super::NAME_BYTES_MAX`] bytes.
        name: String,
    },
    /// The scope was dropped. Its collections ended before.
    DropScope {
        /// Id of the scope.
        id: u32,
        /// Whether it was a scope of the system, see [`super::is_system`].
        is_system: bool,
    },
}

/// A change, with the uid of the manifest that is complete with it.
///
/// Where a manifest takes several changes, only the last one has its uid. The others have the uid
/// of the manifest before: whoever gets some of them knows that there is more to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SystemEvent {
    /// The manifest that is complete with this event.
    pub uid: u64,
    /// What happened.
    pub change: Change,
}

/// The kinds of changes, with their numbers in a `DCP_SYSTEM_EVENT` frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Begin = 0,
    End = 1,
    CreateScope = 3,
    DropScope = 4,
    Modify = 5,
}

impl Kind {
    /// Returns the kind with that number in a frame.
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Begin,
            1 => Self::End,
            3 => Self::CreateScope,
            4 => Self::DropScope,
            5 => Self::Modify,
            _ => return None,
        })
    }
}

impl Change {
    /// Returns the kind of the change.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Begin { .. } => Kind::Begin,
            Self::Modify { .. } => Kind::Modify,
            Self::End { .. } => Kind::End,
            Self::CreateScope { .. } => Kind::CreateScope,
            Self::DropScope { .. } => Kind::DropScope,
        }
    }
}

/// What is wrong with a change from a disk or a peer.
pub(super) type Flaw = &'static str;
