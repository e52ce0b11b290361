//! Data nodes that are killed: under load, at named places, and with the power cut.
//!
//! Nodes run in processes of their own: this test program, started again with a folder in its
//! environment. Their data lies in memory where the system has a file system for that: what a
//! killed process had written stays with the operating system on any.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "../dcp/client.rs"]
#[allow(dead_code, reason = "shared with the tests of DCP")]
mod client;
#[path = "../dcp/relay.rs"]
#[allow(dead_code, reason = "shared with the tests of DCP")]
mod relay;

#[path = "../support/folder.rs"]
mod folder;

mod campaign;
mod collections;
mod contents;
mod kills;
mod load;
mod node;
mod power_cut;
mod rollback;
mod steps;
mod takeover;
