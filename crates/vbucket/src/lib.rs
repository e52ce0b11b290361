//! The rules of a data node: states, failover tables, rollback, stream machines.
//!
//! Pure: time, chance, disk and peers come in as values and go out as effects. The map:
//!
//! - `row`: one change of one document, as it is kept and streamed
//! - `value`: what the bytes of a document are, and what a deletion keeps of them
//! - `meta`: what a vBucket is beside its rows; persisted with them
//! - `conflict`: which of two changes wins that meet from two clusters
//! - `failover`, `rollback`: histories, and how far a replica must go back
//! - `stream_req`, `producer`, `consumer`: the two sides of DCP; `liveness`, `stats` serve both
//! - `engine`: the trait that a store implements, and what a scan can come to

pub mod conflict;
pub mod consumer;
pub mod engine;
pub mod failover;
pub mod liveness;
pub mod meta;
pub mod producer;
pub mod rollback;
pub mod row;
pub mod stats;
pub mod stream_req;
pub mod value;

pub use engine::{Scan, ScanEnd, ScanStep, Store, StoreError};
pub use failover::{FailoverError, FailoverTable};
pub use meta::VbMeta;
pub use row::{Change, Kind, Replaces, Row};
