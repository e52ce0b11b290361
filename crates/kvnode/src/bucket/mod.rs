//! A bucket: vBuckets over one store, one commit queue, one committer thread.
//!
//! - `core`: the bucket itself; `options`: its configuration; `error`: why an operation failed
//! - `vb`: one vBucket as others see it; `cell`: what it holds in memory, `memory_log` and
//!   `listener` with it; `shared`: what all vBuckets share
//! - `find`: how a document is found; `row_cache`: those in memory
//! - `write`, `apply`: the two ways in, for clients (active) and for producers (replica);
//!   `draft`: a change that a client wants; `stamp`: a value that holds its own CAS; `filling`:
//!   lookups that are skipped while a replica is filled
//! - `locks`, `lock_document`: documents that clients have locked
//! - `requirement`, `durable`, `tracking`, `advance`, `sync_writes`: writes that wait for replicas
//! - `queue`, `batch`, `vb_batch`, `pending_commit`, `committer`, `losses`: group commit; `turn`,
//!   `bell`: by whom
//! - `admin`, `history`, `moving`: state, history and existence of vBuckets, which are on disk
//!   before they are visible
//! - `manifest`: all collections; `collections`: how it is set, and how vBuckets follow it;
//!   `events`: the rows that they follow it with
//! - `warmup`: from the store to vBuckets, all or nothing; `pager`: expired documents;
//!   `purge`: old deletions
//! - `counters`: what it counts, and how failed reads are logged

mod admin;
mod advance;
mod apply;
mod batch;
mod bell;
mod cell;
mod collections;
mod committer;
mod core;
mod counters;
mod draft;
mod durable;
mod error;
mod events;
mod filling;
mod find;
mod history;
mod listener;
mod lock_document;
mod locks;
mod losses;
mod manifest;
mod memory_log;
mod moving;
mod options;
mod pager;
mod pending_commit;
mod purge;
mod queue;
mod requirement;
mod row_cache;
mod shared;
mod stamp;
mod sync_writes;
mod tracking;
mod turn;
mod vb;
mod vb_batch;
mod warmup;
mod write;

pub use self::core::{Bucket, Warmup};
pub(crate) use collections::ManifestError;
pub(crate) use draft::{By, Draft, Stamped, Version, WriteRefusal};
pub use error::{CommitError, VbError};
pub(crate) use events::from_rows as collections_from_rows;
pub use listener::{Subscription, VbEvent, VbListener};
pub(crate) use locks::LOCK_TIME_MAX;
pub use options::BucketOptions;
pub use pending_commit::PendingCommit;
pub(crate) use requirement::Requirement;
pub(crate) use stamp::{Number, Stamp};
pub use vb::{Vb, VbView, WriteHold};
pub use vbucket::producer::LogRead;
pub(crate) use write::Written;
