//! vBuckets on an embedded log-structured store, fjall. Implements the traits of `vbucket::store`.
//!
//! Blocking, no async. What was acknowledged as synced is there at the next open, or opening fails
//! and says what is missing; bytes that changed on disk are an error, never data. The map:
//!
//! - `store`: the interface; `open`: opening, with all checks; `options`: sizes
//! - `core`: what all operations share; `writer`: numbers, writes and syncs commits
//! - `commit` with `plan`, `failed_parts`; `rollback` with `history`; `purge`: the ways to change a
//!   vBucket; `points`: where a rollback may end; `records`, `steps`: records, written now and then
//! - `versions`, `retention`: older versions of documents, kept as change history
//! - `collections`: which rows readers see, and how many there are; `erase`, `erasures`: others;
//!   `manifest`: what all vBuckets follow
//! - `read`: one document; `scan`: one vBucket in seqno order; `key_scan`, `keys`: documents, or
//!   keys alone, in the order of keys; `walk`: what both scans have in common
//! - `janitor`, `work`: the thread that frees space and its work queue; `trim`: rows that nobody
//!   needs; `vacate`: all of them, where no vBucket is left; `collect`, `tally`: value files that
//!   are mostly garbage; `space`: what stays free
//! - `format`: every byte that is written; `values`: large values, in files of their own;
//!   `sidefile`: the lock and the state file
//! - `engine`: the fence around fjall, with the guards against what it does not check

mod collect;
mod collections;
mod commit;
mod concurrent;
mod core;
mod engine;
mod erase;
mod erasures;
mod errors;
mod failed_parts;
mod format;
mod history;
mod janitor;
mod key_scan;
mod keys;
mod manifest;
mod open;
mod options;
mod plan;
mod points;
mod purge;
mod read;
mod records;
mod retention;
mod rollback;
mod scan;
mod sidefile;
mod space;
mod steps;
mod store;
mod tally;
#[cfg(test)]
#[path = "../tests/common/rows.rs"]
mod test_rows;
mod trim;
mod vacate;
mod values;
mod versions;
mod walk;
mod work;
mod writer;

pub use options::{Options, Retention};
pub use store::FjallStore;
