//! DCP over real sockets: producers, consumers, and both with a relay between them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod claims;
mod client;
mod collections;
mod collections_hostile;
mod collections_reads;
mod collections_replica;
mod durable;
mod durable_edges;
mod durable_gaps;
mod failures;
mod flow;
mod history;
mod hostile;
mod lessons;
mod link;
mod manifests;
mod node;
mod ordinary;
mod producer;
mod recorded;
mod refusals;
mod relay;
mod replay;
mod requests;
mod scripted;
mod streams;
mod takeover;
