//! Scripts: the lease, the pace, failures.

use super::*;

fn report(revision: i64, lag: u64) -> Report {
    Report { revision, lag: Some(lag), ..Report::default() }
}

fn all(reports: &[(&str, i64, u64)]) -> BTreeMap<String, Report> {
    let named = reports.iter().map(|&(bucket, at, lag)| (bucket.to_owned(), report(at, lag)));
    named.collect()
}

fn put(bucket: &str, revision: i64, lag: u64, lease: i64) -> Step {
    Step::Put { bucket: bucket.to_owned(), report: report(revision, lag), lease }
}

fn until(ms: u64) -> Step {
    Step::Wait { until_ms: Some(ms) }
}

/// A reporter with a lease from time 0, whose reports of bucket a are written.
fn settled() -> Reporter {
    let mut reporter = Reporter::new(Pace::default());
    reporter.take(&all(&[("a", 1, 0)]));
    reporter.granted(7, 0);
    reporter.wrote("a", report(1, 0), 0);
    reporter
}

#[test]
fn there_is_no_lease_before_there_is_a_report() {
    let mut reporter = Reporter::new(Pace::default());
    assert_eq!(reporter.next(0), Step::Wait { until_ms: None });
    reporter.take(&all(&[("a", 1, 0), ("b", 1, 0)]));
    assert_eq!(reporter.next(0), Step::Grant);
    reporter.granted(7, 0);
    assert_eq!(reporter.next(0), put("a", 1, 0, 7));
    reporter.wrote("a", report(1, 0), 0);
    assert_eq!(reporter.next(0), put("b", 1, 0, 7));
    reporter.wrote("b", report(1, 0), 0);
    assert_eq!(reporter.next(0), until(10_000), "to renew the lease");
    assert_eq!(reporter.next(10_000), Step::Renew { lease: 7 });
    reporter.renewed(10_000);
    assert_eq!(reporter.next(10_000), until(20_000));
}

#[test]
fn the_newest_report_counts_and_is_not_written_too_often() {
    let mut reporter = settled();
    for revision in 2..100 {
        reporter.take(&all(&[("a", revision, 0)]));
        assert_eq!(reporter.next(500), until(1_000));
    }
    assert_eq!(reporter.next(1_000), put("a", 99, 0, 7));
}

#[test]
fn a_change_of_the_lag_alone_can_wait() {
    let mut reporter = settled();
    reporter.take(&all(&[("a", 1, 5)]));
    assert_eq!(reporter.next(1_000), until(10_000));
    reporter.renewed(10_000);
    assert_eq!(reporter.next(10_000), until(15_000));
    assert_eq!(reporter.next(15_000), put("a", 1, 5, 7));
    reporter.take(&all(&[("a", 1, 0)]));
    assert_eq!(reporter.next(15_000), until(20_000), "as it was written");
}

#[test]
fn after_the_loss_of_the_lease_everything_is_written_again() {
    let mut reporter = settled();
    reporter.lease_lost();
    assert_eq!(reporter.lease(), None);
    assert_eq!(reporter.next(100), Step::Grant);
    reporter.granted(8, 100);
    assert_eq!(reporter.next(100), put("a", 1, 0, 8));
}

#[test]
fn a_report_of_a_bucket_that_is_gone_is_deleted() {
    let mut reporter = settled();
    reporter.take(&all(&[]));
    assert_eq!(reporter.next(100), Step::Delete { bucket: "a".to_owned() });
    reporter.deleted("a");
    assert_eq!(reporter.next(100), until(10_000));
    let mut reporter = settled();
    reporter.take(&all(&[]));
    reporter.take(&all(&[("a", 2, 0)]));
    reporter.deleted("a");
    assert_eq!(reporter.next(1_000), put("a", 2, 0, 7), "it is back");
}

#[test]
fn a_failure_is_followed_by_a_pause() {
    let mut reporter = settled();
    reporter.take(&all(&[("a", 2, 0)]));
    reporter.failed(2_000);
    assert_eq!(reporter.next(2_000), until(7_000));
    assert_eq!(reporter.next(7_000), put("a", 2, 0, 7));
}
