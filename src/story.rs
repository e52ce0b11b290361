//! What the main job tells a person, in plain lines. Pure: numbers in, text out.

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount};
use relay::Endpoint;

use crate::catch_up::{CaughtUp, End};
use crate::config::Config;
use crate::embedded::Nodes;
use crate::load::{Loaded, rate};
use crate::verify::Verified;

/// What became of the sample documents.
#[must_use]
pub fn loaded(node: &str, documents: u64, loaded: Loaded, elapsed: Duration) -> Vec<String> {
    match loaded {
        Loaded::AlreadyThere => {
            let documents = HumanCount(documents);
            let found = "sample documents of an earlier run; none is written again";
            vec![format!("{node} has {documents} {found}.")]
        }
        Loaded::Written(totals) => {
            vec![format!("Wrote {totals} into {node} in {elapsed:.1?}.")]
        }
        Loaded::Stopped => {
            let cut = "Stopped before all sample documents were written";
            vec![format!("{cut}; the next start writes them again.")]
        }
    }
}

/// What was copied, and what was not.
#[must_use]
pub fn caught_up(consumer: &str, caught_up: &CaughtUp) -> Vec<String> {
    let CaughtUp { end, before, after, links, elapsed, stall } = caught_up;
    let mut lines = Vec::new();
    if before.done() > 0 {
        let (done, total) = (HumanCount(before.done()), HumanCount(before.total));
        lines
            .push(format!("{consumer} had {done} of {total} changes; copying went on from there."));
    }
    let copied = HumanCount(after.done().saturating_sub(before.done()));
    let (open, wanted) = (HumanCount(links.open as u64), HumanCount(links.wanted as u64));
    let (bytes, rate) = (DecimalBytes(links.bytes), rate(links.bytes, *elapsed));
    lines.push(format!(
        "Copied {copied} changes to {consumer} in {elapsed:.1?} ({bytes}, {rate}); \
         {open} of {wanted} streams are open."
    ));
    if *end == End::Stalled {
        let missing = HumanCount(after.behind);
        lines.push(format!("Nothing moved for {stall:?}, and {missing} changes are missing:"));
        lines.extend(links.reasons.iter().map(|reason| format!("  {reason}")));
    }
    lines
}

/// What the comparison found.
#[must_use]
pub fn verified(
    producer: &str,
    consumer: &str,
    verified: &Verified,
    elapsed: Duration,
) -> Vec<String> {
    let vbuckets = HumanCount(verified.vbuckets as u64);
    let compared = format!("Compared {vbuckets} vBuckets on {producer} and {consumer}");
    if verified.is_identical() {
        let changes = HumanCount(verified.changes);
        let same = "documents and deletions, seqnos and failover logs";
        return vec![format!("{compared} in {elapsed:.1?}: identical, {changes} {same}.")];
    }
    let count = HumanCount(verified.difference_count);
    let mut lines = vec![format!("{compared}: {count} differences, the first are:")];
    lines.extend(verified.differences.iter().map(|difference| format!("  {difference}")));
    lines
}

/// Where a person can look while replication goes on.
#[must_use]
pub fn where_to_look(config: &Config, nodes: &Nodes, admin: SocketAddr) -> Vec<String> {
    let mut lines =
        vec!["Replication goes on, with ten writes a second to watch. Where to look:".to_owned()];
    for node in nodes.iter() {
        let Endpoint { name, address, username, .. } = &node.endpoint;
        let directory = node.directory.display();
        lines.push(format!("  {name}: {address}, user {username}, data in {directory}"));
    }
    lines
        .push(format!("  http://{admin}/api/v1/status: the admin API; `dcp-proxy status` asks it"));
    lines.push(format!("  {}: what runs here, and how to change it", config.path.display()));
    lines.push("Ctrl-C stops it; the next start goes on from here.".to_owned());
    lines
}

/// The last words of a run that went on after the comparison.
#[must_use]
pub fn stopping(written: u64) -> String {
    format!("Stopping; {} more writes were made meanwhile.", HumanCount(written))
}
