//! The output of the main job, as plain lines for people. Pure: numbers in, text out.
//!
//! - `look`: where a demonstration can be watched; `sums`: its numbers, reconciled

mod look;
mod sums;

use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount};

use crate::catch_up::{CaughtUp, End};
use crate::config::Embedded;
use crate::load::{Loaded, rate};
use crate::verify::{Difference, Verified};

pub use self::look::{Where, where_to_look};
pub use self::sums::{Numbers, sums};

/// How many differences are shown; the first ones are enough to see what is wrong.
pub const DIFFERENCES_MAX: usize = 20;

/// What is said before the data nodes of this process start: it can be watched from now on.
#[must_use]
pub fn starting(embedded: &Embedded, dashboard: Option<&str>) -> Vec<String> {
    let names: Vec<_> = embedded.nodes.iter().map(|node| node.name.as_str()).collect();
    let (names, directory) = (names.join(" and "), embedded.directory.display());
    let mut lines: Vec<_> =
        dashboard.map(|url| format!("To watch from the start: {url}")).into_iter().collect();
    lines.push(format!(
        "Starting data nodes in this process: {names}, with their data in {directory}."
    ));
    lines
}

/// What is said before sample documents are written.
#[must_use]
pub fn loading(node: &str, documents: u64) -> Vec<String> {
    let documents = HumanCount(documents);
    vec![format!("Writing {documents} sample documents to {node}, unless it has them.")]
}

/// What is said before the wait for replication.
#[must_use]
pub fn copying(consumer: &str, producers: &[&str], vbuckets: usize) -> Vec<String> {
    let (producers, vbuckets) = (producers.join(" and "), HumanCount(vbuckets as u64));
    vec![format!("Replicating {vbuckets} vBuckets from {producers} to {consumer} over TCP.")]
}

/// What is said before the comparison.
#[must_use]
pub fn comparing(producer: &str, consumer: &str, vbuckets: usize) -> Vec<String> {
    let vbuckets = HumanCount(vbuckets as u64);
    vec![format!("Comparing {vbuckets} vBuckets on {producer} and {consumer}, row by row.")]
}

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

/// What is said where a stop comes before replication.
#[must_use]
pub fn not_started() -> Vec<String> {
    vec!["Interrupted: nothing was replicated or compared.".to_owned()]
}

/// What is said where a step does not end by itself after a stop.
#[must_use]
pub fn given_up(limit: Duration) -> Vec<String> {
    vec![format!("Interrupted: the step that ran did not end within {limit:?}, and was given up.")]
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
    // Only the newest change of a key is sent, so this is no number of rows.
    let copied = format!("{copied} seqnos further in {elapsed:.1?} ({bytes}, {rate})");
    if *end == End::Stopped {
        let (missing, total) = (HumanCount(after.behind), HumanCount(after.total));
        lines.push(format!(
            "Interrupted: copying to {consumer} got {copied}; {missing} of {total} changes are \
             missing, and nothing was compared. The next start resumes from there."
        ));
        return lines;
    }
    lines.push(format!("Copied to {consumer}: {copied}; {open} of {wanted} streams are open."));
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
    first: &[Difference],
    elapsed: Duration,
) -> Vec<String> {
    let (vbuckets, wanted) =
        (HumanCount(verified.vbuckets as u64), HumanCount(verified.wanted as u64));
    let nodes = format!("on {producer} and {consumer}");
    let mut compared = format!("Compared {vbuckets} vBuckets {nodes}");
    if verified.is_interrupted() {
        compared = format!("Interrupted: {vbuckets} of {wanted} vBuckets compared {nodes}");
        if verified.differences() == 0 {
            return vec![format!("{compared}, no difference among them.")];
        }
    }
    if verified.is_identical() {
        let changes = HumanCount(verified.rows);
        let same = "rows, their seqnos and failover logs";
        return vec![format!("{compared} in {elapsed:.1?}: identical, {changes} {same}.")];
    }
    let count = HumanCount(verified.differences());
    let mut lines = vec![format!("{compared}: {count} differences, the first are:")];
    lines.extend(first.iter().map(|difference| format!("  {difference}")));
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
    use crate::load::Totals;
    use crate::verify::Class;
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
                "Copied to beta: 500 seqnos further in 2.0s (3.00 MB, 1.50 MB/s); \
                 1,023 of 1,024 streams are open.",
                "No progress for 30s, and 100 changes are missing:",
                "  vb:5: consumer refused",
            ]
        );
    }

    #[test]
    fn a_copy_that_was_interrupted_says_so_and_what_is_missing() {
        let before = Position { total: 1200, behind: 1200, unequal: 9 };
        let stopped = CaughtUp { end: End::Stopped, before, ..stalled() };
        assert_eq!(
            caught_up("beta", &stopped),
            ["Interrupted: copying to beta got 1,100 seqnos further in 2.0s (3.00 MB, 1.50 \
              MB/s); 100 of 1,200 changes are missing, and nothing was compared. The next start \
              resumes from there."]
        );
    }

    #[test]
    fn a_comparison_that_was_interrupted_is_never_identical() {
        let mut found = Verified { wanted: 1024, vbuckets: 558, ..Verified::default() };
        assert!(found.is_interrupted() && !found.is_identical());
        let second = Duration::from_secs(1);
        let compared = "Interrupted: 558 of 1,024 vBuckets compared on alpha and beta";
        assert_eq!(
            verified("alpha", "beta", &found, &[], second),
            [format!("{compared}, no difference among them.")]
        );
        found.by_class.insert(Class::Value, 1);
        let differs = Difference::of_vbucket(mcbp::VbId(3), Class::Value, "differs".to_owned());
        assert_eq!(
            verified("alpha", "beta", &found, &[differs], second),
            [format!("{compared}: 1 differences, the first are:"), "  vb:3: differs".to_owned()]
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
        let mut found =
            Verified { wanted: 1024, vbuckets: 1024, rows: 5000, ..Verified::default() };
        assert_eq!(
            verified("alpha", "beta", &found, &[], second),
            ["Compared 1,024 vBuckets on alpha and beta in 1.0s: identical, 5,000 rows, \
              their seqnos and failover logs."]
        );
        let first =
            Difference::of_vbucket(mcbp::VbId(3), Class::Behind, "high seqno is 1".to_owned());
        found.by_class.insert(Class::Behind, 70_000);
        assert_eq!(
            verified("alpha", "beta", &found, &[first], second),
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
