//! The output of the main job, as plain lines for people. Pure: numbers in, text out.

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount};
use relay::Endpoint;

use crate::catch_up::{CaughtUp, End};
use crate::config::Config;
use crate::embedded::Nodes;
use crate::load::{Loaded, rate};
use crate::verify::Verified;

/// The result of writing the sample documents.
#[must_use]
pub fn loaded(node: &str, documents: u64, loaded: Loaded, elapsed: Duration) -> Vec<String> {
    match loaded {
        Loaded::AlreadyThere => {
            let documents = HumanCount(documents);
            let found = "sample documents of an earlier run; they are not written again";
            vec![format!("{node} has {documents} {found}.")]
        }
        Loaded::Written(totals) => {
            vec![format!("Wrote {totals} into {node} in {elapsed:.1?}.")]
        }
        Loaded::Stopped => {
            let stopped = "Stopped before all sample documents were written";
            vec![format!("{stopped}; the next start writes them again.")]
        }
    }
}

/// The result of copying: what was copied, and what is missing.
#[must_use]
pub fn caught_up(consumer: &str, caught_up: &CaughtUp) -> Vec<String> {
    let CaughtUp { end, before, after, links, elapsed, idle } = caught_up;
    let mut lines = Vec::new();
    if before.done() > 0 {
        let (done, total) = (HumanCount(before.done()), HumanCount(before.total));
        lines
            .push(format!("{consumer} had {done} of {total} changes; copying resumed from there."));
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
        lines.push(format!("No progress for {idle:?}, and {missing} changes are missing:"));
        lines.extend(links.reasons.iter().map(|reason| format!("  {reason}")));
    }
    lines
}

/// The result of the comparison.
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

/// Where to watch replication while it continues.
#[must_use]
pub fn where_to_look(config: &Config, nodes: &Nodes, admin: SocketAddr) -> Vec<String> {
    let mut lines =
        vec!["Replication continues, with ten writes a second. Where to look:".to_owned()];
    for node in nodes.iter() {
        let Endpoint { name, address, username, .. } = &node.endpoint;
        let directory = node.directory.display();
        lines.push(format!("  {name}: {address}, user {username}, data in {directory}"));
    }
    lines
        .push(format!("  http://{admin}/api/v1/status: the admin API; `dcp-proxy status` asks it"));
    lines.push(format!("  {}: the configuration, with comments", config.path.display()));
    lines.push("Ctrl-C stops it; the next start resumes from here.".to_owned());
    lines
}

/// The last line of a run that continued after the comparison.
#[must_use]
pub fn stopping(written: u64) -> String {
    format!("Stopping; {} more writes were acknowledged.", HumanCount(written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catch_up::Links;
    use crate::compare::Difference;
    use crate::load::Totals;
    use crate::watch::Position;

    fn stalled() -> CaughtUp {
        CaughtUp {
            end: End::Stalled,
            before: Position { total: 1000, behind: 400, unequal: 4 },
            after: Position { total: 1200, behind: 100, unequal: 1 },
            links: Links {
                wanted: 1024,
                open: 1023,
                bytes: 3_000_000,
                reasons: vec!["vb:5: consumer refused".to_owned()],
            },
            elapsed: Duration::from_secs(2),
            idle: Duration::from_secs(30),
        }
    }

    #[test]
    fn a_stalled_copy_says_what_it_did_and_what_is_missing() {
        assert_eq!(
            caught_up("beta", &stalled()),
            [
                "beta had 600 of 1,000 changes; copying resumed from there.",
                "Copied 500 changes to beta in 2.0s (3.00 MB, 1.50 MB/s); \
                 1,023 of 1,024 streams are open.",
                "No progress for 30s, and 100 changes are missing:",
                "  vb:5: consumer refused",
            ]
        );
    }

    #[test]
    fn a_first_copy_says_nothing_of_an_earlier_one() {
        let before = Position { total: 1200, behind: 1200, unequal: 9 };
        let first = CaughtUp { end: End::Complete, before, ..stalled() };
        assert_eq!(caught_up("beta", &first).len(), 1);
    }

    #[test]
    fn a_comparison_gives_a_total_or_the_first_differences() {
        let second = Duration::from_secs(1);
        let mut found = Verified { vbuckets: 1024, changes: 5000, ..Verified::default() };
        assert_eq!(
            verified("alpha", "beta", &found, second),
            ["Compared 1,024 vBuckets on alpha and beta in 1.0s: identical, 5,000 documents and \
              deletions, seqnos and failover logs."]
        );
        found
            .differences
            .push(Difference { vb: mcbp::VbId(3), what: "high seqno is 1".to_owned() });
        found.difference_count = 70_000;
        assert_eq!(
            verified("alpha", "beta", &found, second),
            [
                "Compared 1,024 vBuckets on alpha and beta: 70,000 differences, the first are:",
                "  vb:3: high seqno is 1",
            ]
        );
    }

    #[test]
    fn documents_are_written_once() {
        let totals = Totals { documents: 1000, bytes: 2_500_000, deleted: 30, expiring: 50 };
        let say = |what| loaded("alpha", 1000, what, Duration::from_secs(1)).join("\n");
        assert_eq!(
            say(Loaded::Written(totals)),
            "Wrote 1,000 sample documents, 2.50 MB (30 deleted again, 50 with an expiry) \
             into alpha in 1.0s."
        );
        assert_eq!(
            say(Loaded::AlreadyThere),
            "alpha has 1,000 sample documents of an earlier run; they are not written again."
        );
        assert!(say(Loaded::Stopped).contains("the next start writes them again"));
    }
}
