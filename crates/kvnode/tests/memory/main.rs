//! A data node stays within its quota while consumers do not read, and they miss nothing; while
//! clients do not read, or do not end what they send; and what a large request took is given back.
//!
//! The node runs in a process of its own, this test program started again, so that its memory can
//! be looked at; the figures are printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

#[path = "../dcp/client.rs"]
#[allow(dead_code, reason = "shared with the tests of DCP")]
mod client;
mod connections;
mod consumers;
mod process;

use std::io::Read as _;

use client::wait_for;
use kvnode::{BucketOptions, Durability, Node, NodeConfig};
use process::{FOLDER, LISTENING, QUOTA_BYTES, VBUCKETS};
use relay::Secret;

/// That of the program `kvnode`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Not a test but the node itself: does nothing unless it was started as one.
#[test]
fn serves_until_its_input_ends() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut bucket = BucketOptions::new("default");
    bucket.vbuckets = VBUCKETS;
    bucket.durability = Durability::Buffered;
    bucket.set_quota(QUOTA_BYTES);
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = NodeConfig::new(listen, &folder, bucket, "dcp-proxy", Secret::new("secret"));
    config.limits.worker_threads = 2;
    let node = Node::start(config).unwrap();
    wait_for("warm-up", || node.buckets()[0].is_ready());
    println!("\n{LISTENING}{}", node.address());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
