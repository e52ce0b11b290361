//! The embedded engine, fjall 3.1 (an LSM tree), fenced off: no other module names it.
//!
//! Here stands everything that uses the engine, guards against it, or depends on what it does not
//! promise: its file formats and its hidden members. All of it belongs to the pinned version; check
//! each file before another version is taken (`docs/decisions/0001-fjall.md`).
//!
//! - `table`: tables, snapshots, batches as the store sees them
//! - `tables`: opening the database, committing, snapshots of whole commits. Hidden members:
//!   `Database::supervisor`, `Snapshot::seqno`
//! - `flush`: when memtables are sealed, and how long writers wait for flushes. Hidden members:
//!   `Keyspace::tree`, `Keyspace::rotate_memtable`, `Keyspace::sealed_memtable_count`,
//!   `AbstractTree::current_version`
//! - `journal`: reads the journals (`*.jnl`) before the engine truncates them without an error
//! - `manifest`: compares the checksums of the lists of files, which the engine does not
//! - `helper`: a thread that does what the engine would do with the locks of commits and reads
//! - `damage`: finds the damaged files for an error that names none
//! - `errors`: errors of the engine as errors of the store

mod damage;
mod errors;
mod flush;
mod helper;
mod journal;
mod manifest;
mod table;
mod tables;

pub(crate) use damage::name_damaged_files;
pub(crate) use errors::WriteError;
/// Bytes that share memory with a block or a batch of the engine.
pub(crate) use fjall::Slice;
pub(crate) use flush::{Due, FlushPolicy};
pub(crate) use journal::inspect as inspect_journals;
pub(crate) use manifest::inspect as inspect_manifests;
pub(crate) use table::{Entries, ReadResult, Snapshot, Table, WriteBatch};
pub(crate) use tables::{Tables, exists, remove_unfinished};
