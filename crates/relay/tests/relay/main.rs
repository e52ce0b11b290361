//! Tests of the relay, over sockets to fake peers and over streams in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod captures;
mod client;
mod dcp_reader;
mod handshake;
mod login;
mod pump;
mod record;
mod samples;
mod support;
mod tls;
