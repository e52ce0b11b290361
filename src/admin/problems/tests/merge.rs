//! Many problems become few.

use super::super::merge::{LISTED_MAX, alike, capped};
use super::*;

/// The same is wrong with vBuckets of a bucket.
fn failing(bucket: &str, why: &str) -> Problem {
    let vbs: VbSet = "0-9".parse().unwrap();
    let what = format!("10 vBuckets of {bucket} get no changes, because of producer alpha: {why}");
    let problem = Problem::new(Severity::Error, "stream-waiting", what, "wait");
    problem.about(bucket, &vbs).at("alpha")
}

#[test]
fn what_is_wrong_with_many_buckets_alike_is_one_problem() {
    let names: Vec<_> = (1..=64).map(|number| format!("bucket{number}")).collect();
    let mut problems: Vec<_> = names.iter().map(|name| failing(name, "refused")).collect();
    problems.insert(30, failing("bucket7", "another reason"));
    problems.push(Problem::new(Severity::Error, "invariant-broken", "a defect at 1", "report"));
    problems.push(Problem::new(Severity::Error, "invariant-broken", "a defect at 2", "report"));
    let merged = alike(problems);
    let told: Vec<_> = merged.iter().map(|it| (it.id, it.count, it.bucket.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("stream-waiting", 640, None),
            ("stream-waiting", 10, Some("bucket7")),
            ("invariant-broken", 0, None),
            ("invariant-broken", 0, None),
        ]
    );
    assert_eq!(
        merged[0].what,
        "10 vBuckets of bucket1 get no changes, because of producer alpha: refused; the same is \
         wrong with 63 more buckets: bucket2, bucket3, bucket4, bucket5, bucket6, bucket7, bucket8 \
         and 56 more"
    );
    assert_eq!((merged[0].node.as_deref(), &merged[0].vbuckets), (Some("alpha"), &None));
    assert_eq!(merged[0].remedy, "wait; likewise for each of these buckets");
}

#[test]
fn two_buckets_are_both_named_and_other_nodes_are_another_problem() {
    let elsewhere = failing("c", "refused").at("gamma");
    let merged = alike(vec![failing("a1", "refused"), failing("b2", "refused"), elsewhere]);
    assert_eq!(merged.len(), 2, "{merged:#?}");
    assert!(merged[0].what.ends_with("refused; the same is wrong with 1 more bucket: b2"));
}

#[test]
fn a_long_list_ends_with_how_many_more_there_are() {
    let many = |count: usize| -> Vec<Problem> {
        (0..count).map(|it| failing("default", &format!("reason {it}"))).collect()
    };
    assert_eq!(capped(many(LISTED_MAX), "x"), many(LISTED_MAX));
    let list = capped(many(LISTED_MAX + 7), "dcp-proxy streams --failed");
    assert_eq!(list.len(), LISTED_MAX);
    let last = list.last().unwrap();
    assert_eq!((last.id, last.severity), ("more", Severity::Error));
    assert_eq!(last.what, "8 more problems are not listed");
    assert!(last.remedy.contains("dcp-proxy streams --failed lists all streams"));
}
