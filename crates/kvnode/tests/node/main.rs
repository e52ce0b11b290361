//! The data node over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod blast_radius;
mod bucketless;
mod by_worker;
mod collections;
mod connection;
mod documents;
mod durability;
mod expiry;
mod frozen;
mod hostile;
mod login;
mod memory_first;
mod meta;
mod metrics;
mod neighbours;
mod ordinary;
mod privileges;
mod purge;
mod put_off;
mod range_scan;
mod replay;
mod replica;
mod restart;
mod row_cache;
mod sdk;
mod stats;
mod strangers;
mod subdoc;
mod timers;
mod vbuckets;
