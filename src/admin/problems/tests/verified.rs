//! Copies that differ, and comparisons that failed.

use super::*;
use crate::admin::fixtures::{all as streams, bucket, link};
use crate::verification::Board;
use crate::verify::Class;
use dcp_actors::{LinkPhase, StreamPhase};

fn replicated() -> BucketStatus {
    bucket(vec![link(LinkPhase::Up, None, streams(20, StreamPhase::Open))])
}

fn after(found: &[(u16, Class)]) -> Board {
    Board::after(0..20, found)
}

#[test]
fn copies_that_differ_are_an_error_with_a_command_that_repairs_them() {
    let buckets = [replicated()];
    let found: Vec<_> = (0..12)
        .map(|vb| (vb, Class::Value))
        .chain([(3, Class::Missing), (3, Class::Missing), (19, Class::Behind)])
        .collect();
    let facts = Facts { verified: after(&found[..14]), ..facts(&buckets) };
    let problem = only(&facts);
    assert_eq!((problem.severity, problem.id), (Severity::Error, "copies-differ"));
    assert_eq!(
        problem.what,
        "12 vBuckets of default differ between producer alpha and our node beta: 12 value, \
         2 missing"
    );
    assert!(problem.remedy.starts_with("dcp-proxy verify --repair default --config "));
    assert_eq!((problem.vbuckets.as_deref(), problem.count), (Some("0-11"), 12));
    assert_eq!(problem.since.as_deref(), Some("1970-01-01T00:01:00.000Z"));
}

#[test]
fn copies_that_are_made_anew_need_nothing_but_time() {
    let mut buckets = [replicated()];
    buckets[0].links[0].streams[3].complete_to = Some(0);
    let facts = Facts { verified: after(&[(3, Class::Value)]), ..facts(&buckets) };
    let differ = all(&facts).into_iter().find(|it| it.id == "copies-differ").unwrap();
    assert!(differ.what.starts_with("1 vBucket of default differs between"), "{}", differ.what);
    assert!(differ.remedy.starts_with("wait: "), "{}", differ.remedy);
}

#[test]
fn what_could_not_be_compared_is_not_called_different() {
    let buckets = [replicated()];
    let facts = Facts { verified: after(&[(5, Class::Behind)]), ..facts(&buckets) };
    let problem = only(&facts);
    assert_eq!((problem.severity, problem.id), (Severity::Warning, "verify-failed"));
    let what = "1 vBucket of default could not be compared with producer alpha: 1 behind";
    assert_eq!(problem.what, what);
}

#[test]
fn a_failed_comparison_is_a_warning_beside_what_is_known() {
    let buckets = [replicated()];
    let verified = after(&[(5, Class::Value)]).failed_then("connection refused");
    let facts = Facts { verified, ..facts(&buckets) };
    let told: Vec<_> = all(&facts).into_iter().map(|it| (it.id, it.what)).collect();
    assert_eq!(told[0].0, "copies-differ");
    let failed = "the last comparison of default with producer alpha failed: connection refused";
    assert_eq!(told[1], ("verify-failed", failed.to_owned()));
}

#[test]
fn identical_copies_are_no_problem() {
    let buckets = [replicated()];
    assert_eq!(all(&Facts { verified: after(&[]), ..facts(&buckets) }), []);
}
