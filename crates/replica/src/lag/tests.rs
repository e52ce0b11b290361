//! Tests of the lag.

use super::*;

const VB: VbId = VbId(3);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tracker() -> LagTracker {
    let mut lags = LagTracker::default();
    lags.follow(&BTreeMap::from([(VB, "alpha".to_owned())]), at(0));
    lags
}

fn report(lags: &mut LagTracker, seconds: u64, producer: u64, consumer: u64) -> Lag {
    lags.record_producer("alpha", Some(&[(VB, Seqno(producer))]), at(seconds));
    lags.record_consumer(Some(&[(VB, Seqno(consumer))]), at(seconds));
    lags.lag(VB, at(seconds))
}

fn lag(lag: Lag) -> (Option<u64>, Option<u64>) {
    (lag.seqnos(), lag.behind_for.map(|time| time.as_secs()))
}

#[test]
fn lag_is_the_age_of_the_oldest_change_that_is_missing() {
    let mut lags = tracker();
    assert_eq!(lag(report(&mut lags, 1, 10, 10)), (Some(0), Some(0)));
    assert_eq!(lag(report(&mut lags, 2, 20, 10)), (Some(10), Some(0)));
    assert_eq!(lag(report(&mut lags, 3, 30, 10)), (Some(20), Some(1)));
    assert_eq!(lag(report(&mut lags, 4, 30, 20)), (Some(10), Some(1)), "since second 3");
    assert_eq!(lag(report(&mut lags, 5, 30, 29)), (Some(1), Some(2)));
    assert_eq!(lag(report(&mut lags, 6, 30, 30)), (Some(0), Some(0)));
}

#[test]
fn a_node_that_does_not_answer_makes_lag_unknown_and_not_zero() {
    let mut lags = tracker();
    report(&mut lags, 1, 20, 10);
    lags.record_producer("alpha", None, at(2));
    assert_eq!(lag(lags.lag(VB, at(2))), (None, None));
    assert_eq!(lag(report(&mut lags, 4, 20, 10)), (Some(10), Some(3)), "not forgotten");
    lags.record_consumer(None, at(5));
    assert_eq!(lag(lags.lag(VB, at(5))), (None, None));
    assert_eq!(lag(lags.lag(VbId(4), at(5))), (None, None), "not followed");
}

#[test]
fn a_report_that_is_too_old_is_unknown() {
    let (mut lags, max_age) = (tracker(), Duration::from_secs(4));
    report(&mut lags, 1, 20, 10);
    let recent = |lags: &LagTracker, seconds| lag(lags.recent_lag(VB, at(seconds), max_age));
    assert_eq!(recent(&lags, 5), (Some(10), Some(4)));
    assert_eq!(lags.consumer_heard(), Some(at(1)));
    assert_eq!(recent(&lags, 6), (None, Some(5)), "the time goes on");
    assert_eq!(lag(lags.lag(VB, at(6))), (Some(10), Some(5)), "the last report is kept");
    lags.record_consumer(Some(&[(VB, Seqno(10))]), at(6));
    let half = lags.recent_lag(VB, at(6), max_age);
    assert_eq!((half.producer, half.consumer), (None, Some(Seqno(10))));
    assert_eq!(lag(half), (None, Some(5)));
    lags.record_producer("alpha", Some(&[(VB, Seqno(30))]), at(7));
    assert_eq!(recent(&lags, 7), (Some(20), Some(6)));
}

#[test]
fn a_lag_that_cannot_be_refreshed_grows_by_the_clock_and_says_how_old_it_is() {
    let (mut lags, max_age) = (tracker(), Duration::from_secs(4));
    let seen = |lags: &LagTracker, seconds| {
        let lag = lags.recent_lag(VB, at(seconds), max_age);
        (lag.seqnos(), lag.behind_for.unwrap().as_secs(), lag.age.map(|age| age.as_secs()))
    };
    assert_eq!(seen(&lags, 7), (None, 7, None), "nodes that were never there");
    report(&mut lags, 10, 20, 20);
    assert_eq!(seen(&lags, 14), (Some(0), 0, Some(4)));
    // Frozen with nothing missing: what was written since is unknown.
    assert_eq!(seen(&lags, 15), (None, 5, Some(5)));
    assert_eq!(seen(&lags, 371), (None, 361, Some(361)));
    // One of both is heard again: no answer yet to what is missing.
    lags.record_consumer(Some(&[(VB, Seqno(20))]), at(372));
    assert_eq!(seen(&lags, 373), (None, 363, Some(363)));
    lags.record_producer("alpha", None, at(373));
    assert_eq!(seen(&lags, 373), (None, 363, Some(363)), "an error refreshes nothing");
    report(&mut lags, 374, 20, 20);
    assert_eq!(seen(&lags, 374), (Some(0), 0, Some(0)));
    // Frozen with something missing.
    report(&mut lags, 375, 30, 20);
    report(&mut lags, 376, 30, 20);
    assert_eq!(seen(&lags, 376), (Some(10), 1, Some(0)));
    assert_eq!(seen(&lags, 475), (None, 100, Some(99)));
    // A node that answers without the vBucket does not refresh it.
    lags.record_producer("alpha", Some(&[]), at(476));
    lags.record_consumer(Some(&[]), at(476));
    assert_eq!(seen(&lags, 476), (None, 101, Some(100)));
}

#[test]
fn a_vbucket_that_is_reported_again_has_appeared_once() {
    let mut lags = tracker();
    let has = [(VB, Seqno(1))];
    assert_eq!(lags.record_producer("alpha", Some(&has), at(1)), [VB]);
    assert_eq!(lags.record_producer("alpha", Some(&has), at(2)), []);
    assert_eq!(lags.record_producer("alpha", Some(&[]), at(3)), [], "a node that warms up");
    assert_eq!(lags.record_producer("alpha", Some(&has), at(4)), [VB]);
    assert_eq!(lags.record_consumer(Some(&has), at(5)), [VB]);
    assert_eq!(lags.record_consumer(None, at(6)), [], "a node that is gone");
    assert_eq!(lags.record_consumer(Some(&has), at(7)), [VB]);
}

#[test]
fn another_producer_of_the_same_vbucket_begins_anew() {
    let mut lags = tracker();
    report(&mut lags, 1, 20, 10);
    lags.record_producer("gamma", Some(&[(VB, Seqno(99))]), at(1));
    assert_eq!(lags.lag(VB, at(1)).producer, Some(Seqno(20)), "not its producer");
    lags.follow(&BTreeMap::from([(VB, "gamma".to_owned())]), at(2));
    assert_eq!(lags.lag(VB, at(2)), Lag::default());
}

#[test]
fn a_history_that_went_back_does_not_count_as_lag() {
    let mut lags = tracker();
    report(&mut lags, 1, 100, 50);
    assert_eq!(lag(report(&mut lags, 9, 40, 50)), (Some(0), Some(0)));
}

#[test]
fn the_history_is_bounded_and_keeps_its_oldest_entry() {
    let mut lags = tracker();
    report(&mut lags, 0, 0, 0);
    for second in 1..1000 {
        lags.record_producer("alpha", Some(&[(VB, Seqno(second))]), at(second));
    }
    assert!(lags.rows[&VB].ahead.len() <= HISTORY_MAX);
    assert_eq!(lag(lags.lag(VB, at(1000))), (Some(999), Some(999)));
}

#[test]
fn the_age_of_progress_is_that_of_the_last_change() {
    let mut lags = tracker();
    report(&mut lags, 1, 20, 10);
    report(&mut lags, 5, 20, 10);
    assert_eq!(lags.lag(VB, at(7)).still_for, Some(at(6)));
}
