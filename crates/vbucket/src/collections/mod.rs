//! Scopes and collections: what a bucket has, what a vBucket has, and the events between them.
//!
//! A client sets the manifest of a bucket. Each active vBucket compares it with the collections
//! that it has, and writes the difference as system events: rows with seqnos, which replicas get
//! in their place among the documents. What a vBucket has at a seqno therefore follows from its
//! rows alone. The map:
//!
//! - `change`: a collection, and what may happen to it
//! - `names`: which ids and names are valid
//! - `event`: the row of a system event: key and value; `value`, `table`: the FlatBuffers in it
//! - `wire`: the DCP frame of a system event
//! - `manifest`: all collections of a bucket; `parse`, `member`, `json`: its
//!   JSON; `succeed`: which manifest
//!   may follow which; `path`: names of collections to ids
//! - `known`: the collections of a vBucket; `changes`: what it takes to get to a manifest;
//!   `filter`: the rows of some of them
//!
//! Source: `docs/Collections.md`, `engines/ep/src/collections` and
//! `docs/dcp/documentation/commands/system_event.md` of couchbase/kv_engine, and two recordings of
//! real nodes.

mod change;
mod changes;
mod event;
mod filter;
mod json;
mod known;
mod manifest;
mod member;
mod names;
mod parse;
mod path;
mod succeed;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod wire;

pub use change::{Change, Collection, SystemEvent};
pub use event::{EventKey, event_key};
pub use filter::StreamFilter;
pub use known::{VbCollection, VbCollections};
pub use manifest::Manifest;
pub use member::ManifestError;
pub use names::{
    DEFAULT_NAME, DEFAULT_SCOPE, MAX_TTL_SECONDS, NAME_BYTES_MAX, SYSTEM_EVENTS, is_reserved,
    is_system, is_valid_name,
};
pub use parse::{COLLECTIONS_MAX, MANIFEST_BYTES_MAX, SCOPES_MAX};
pub use path::PathError;
pub use succeed::ManifestRefusal;
