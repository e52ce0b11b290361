//! vBuckets on an embedded log-structured store (fjall), behind the trait of `vbucket::store`.
//!
//! Blocking, no async. What was acknowledged as synced is there at the next open, or opening fails
//! and says what is missing; bytes that changed on disk are an error, never data. The map:
//!
//! - `store`: the interface, reading; `open`: opening, with all checks; `options`: sizes
//! - `scan`: one vBucket in seqno order
//! - `commit`, `rollback`: the two ways to change a vBucket; `points`: where a rollback may end
//! - `purge`: deletions that go for good
//! - `writer`: numbers and syncs commits
//! - `janitor`: the thread that frees space; `trim`: rows that nobody needs
//! - `tables`, `keys`, `format`, `record`: the engine's tables, their keys, their values;
//!   `backlog`: what the engine still has to write out; `beside`: two things at once
//! - `values`: large values, in files of their own
//! - `journal`, `manifest`: guards against an engine that loses data without a word
//! - `sidefile`: the lock, the format version, the clean stop, the number of synced commits

mod backlog;
mod beside;
mod commit;
mod errors;
mod format;
mod janitor;
mod journal;
mod keys;
mod manifest;
mod open;
mod options;
mod points;
mod purge;
mod record;
mod rollback;
mod scan;
mod sidefile;
mod space;
mod store;
mod suspects;
mod tables;
mod trim;
mod values;
mod writer;

pub use options::Options;
pub use store::FjallStore;
