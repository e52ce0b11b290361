//! Copies that lost changes.

use dcp_actors::RolledBackStatus;

use super::*;
use crate::admin::fixtures::bucket;

fn copy(vbucket: u16, from: u64, to: u64) -> RolledBackStatus {
    RolledBackStatus { vbucket, producer: "alpha".to_owned(), from, to, since_ms: 60_000 }
}

fn of(copies: impl IntoIterator<Item = RolledBackStatus>) -> Vec<BucketStatus> {
    let mut bucket = bucket(Vec::new());
    bucket.rolled_back = copies.into_iter().collect();
    vec![bucket]
}

#[test]
fn a_producer_that_lost_its_data_is_told_for_an_hour() {
    let buckets = of((0..512).map(|vb| copy(vb, 1000 + u64::from(vb), 0)));
    let facts = facts(&buckets);
    let problem = only(&facts);
    assert_eq!((problem.id, problem.severity), ("rolled-back", Severity::Warning));
    assert_eq!(
        problem.what,
        "our copies of 512 vBuckets of default went back from seqno 1,511 to 0 at most, and were \
         empty then: producer alpha lacks these changes"
    );
    assert_eq!(
        (problem.vbuckets.as_deref(), problem.node.as_deref()),
        (Some("0-511"), Some("alpha"))
    );
    assert_eq!(problem.since.as_deref(), Some("1970-01-01T23:59:00.000Z"));
    assert!(problem.remedy.contains("dcp-proxy events --kind rollback --config proxy.toml"));
    assert_eq!(headline(std::slice::from_ref(&problem)), problem.what);
}

#[test]
fn the_few_changes_of_a_failover_are_no_problem() {
    let few = of((0..63).map(|vb| copy(vb, 100, 90)));
    assert_eq!(told(&facts(&few)), []);
    for (buckets, what) in [
        (
            of((0..64).map(|vb| copy(vb, 100, 90))),
            "64 vBuckets of default went back from seqno 100 to 90 at most:",
        ),
        (
            of([copy(1, 100, 90), copy(7, 80, 0)]),
            "2 vBuckets of default went back from seqno 80 to 0 at most, 1 of them to 0:",
        ),
        (of([copy(7, 80, 0)]), "1 vBucket of default went back from seqno 80 to 0:"),
    ] {
        let problem = only(&facts(&buckets));
        assert!(problem.what.starts_with(&format!("our copies of {what}")), "{}", problem.what);
    }
}
