//! The rules of a data node: states, failover tables, rollback, stream machines.
//!
//! Pure: time, random bits, disk and peers come in as values and go out as effects. The map:
//!
//! - `row`: one change of one document, as it is stored and streamed
//! - `value`: the bytes of a document's value, and what a deletion keeps of them
//! - `meta`: the metadata of a vBucket, written with its rows
//! - `collections`: scopes and collections of a bucket and of a vBucket, and the events between
//! - `durability`: durable writes of a vBucket: which copies must have them, what becomes of them
//! - `conflict`: which of two changes wins when two clusters replicate to each other
//! - `hlc`: the CAS of the next change, and how far ahead one from elsewhere may be
//! - `failover`, `rollback`: histories, and how far a replica must roll back
//! - `stream_req`, `producer`, `consumer`: the two sides of DCP; `liveness`, `stats` serve both
//! - `store`: the trait that a store implements

pub mod collections;
pub mod conflict;
pub mod consumer;
pub mod durability;
pub mod failover;
pub mod hlc;
pub mod liveness;
pub mod meta;
pub mod producer;
pub mod rollback;
pub mod row;
pub mod stats;
pub mod store;
pub mod stream_req;
pub mod value;

pub use failover::{FailoverError, FailoverTable};
pub use meta::{DurableSeqnos, VbMeta};
pub use row::{Change, Kind, Replaces, Row, Write};
pub use store::{Scan, ScanEnd, ScanStep, Store, StoreError};
