//! Copies that lost changes in a rollback, of the last hour: what the producer had lost is lost
//! here too, although everything is replicated again.

use std::collections::BTreeMap;

use dcp_actors::{BucketStatus, RolledBackStatus};
use mcbp::VbId;
use replica::bucket::MANY_ROLLED_BACK;
use replica::plan::VbSet;

use super::facts::Facts;
use super::{Problem, thousands, vbuckets};
use crate::vb_state::Severity;

/// The problems of all buckets.
pub(super) fn problems(facts: &Facts<'_>) -> Vec<Problem> {
    facts.buckets.iter().flat_map(|bucket| of_bucket(facts, bucket)).collect()
}

fn of_bucket(facts: &Facts<'_>, bucket: &BucketStatus) -> Vec<Problem> {
    let mut by_producer: BTreeMap<&str, Vec<&RolledBackStatus>> = BTreeMap::new();
    for copy in &bucket.rolled_back {
        by_producer.entry(copy.producer.as_str()).or_default().push(copy);
    }
    let problem = |(producer, copies): (&str, Vec<_>)| of(facts, &bucket.bucket, producer, &copies);
    by_producer.into_iter().filter_map(problem).collect()
}

fn of(
    facts: &Facts<'_>,
    bucket: &str,
    producer: &str,
    copies: &[&RolledBackStatus],
) -> Option<Problem> {
    let emptied = copies.iter().filter(|copy| copy.to == 0).count();
    // A few changes of a few copies are what a failover loses.
    if emptied == 0 && copies.len() < MANY_ROLLED_BACK {
        return None;
    }
    let some = vbuckets(copies.len(), bucket);
    let worst = copies.iter().max_by_key(|copy| copy.from.saturating_sub(copy.to))?;
    let range = format!("from seqno {} to {}", number(worst.from), number(worst.to));
    let extent = match (copies.len(), emptied) {
        (1, _) => range,
        (all, emptied) if all == emptied => format!("{range} at most, and were empty then"),
        (_, 0) => format!("{range} at most"),
        (_, emptied) => format!("{range} at most, {} of them to 0", thousands(emptied)),
    };
    let what =
        format!("our copies of {some} went back {extent}: producer {producer} lacks these changes");
    let remedy = format!(
        "see whether {producer} lost its data, and restore it from another copy or a backup: {} \
         tells when; this stays for an hour",
        facts.command(&["events", "--kind", "rollback"])
    );
    let vbs: VbSet = copies.iter().map(|copy| VbId(copy.vbucket)).collect();
    let since = copies.iter().map(|copy| copy.since_ms).max();
    let problem = Problem::new(Severity::Warning, "rolled-back", what, remedy).at(producer);
    Some(problem.about(bucket, &vbs).since(facts.ago(since)))
}

fn number(seqno: u64) -> String {
    usize::try_from(seqno).map_or_else(|_| seqno.to_string(), thousands)
}
