//! The comparison of two real nodes: what differs is found and classed, what is on its way is not
//! reported, and the subcommand says so to people and programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod command;
mod cut_off;
mod faults;
mod load;
mod of_sidecar;

use common::DataNode;
use dcp_proxy::verify::{Difference, Progress, Verified, Verify, verify};
use mcbp::VbId;
use tokio_util::sync::CancellationToken;

/// Compares all vBuckets.
async fn compare(a: &DataNode, b: &DataNode) -> (Verified, Vec<Difference>) {
    let vbs = (0..a.vbuckets).map(VbId).collect();
    let bucket = "default".to_owned();
    let what = Verify::new(a.endpoint(), b.endpoint(), bucket, vbs, "test".to_owned());
    let (mut found, stop) = (Vec::new(), CancellationToken::new());
    let mut each = |difference: Difference| found.push(difference);
    let verified = verify(&what, &Progress::default(), &mut each, &stop).await.unwrap();
    (verified, found)
}

/// A number of the environment, for runs that take long.
fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |number| number.parse().unwrap())
}
