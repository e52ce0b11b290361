//! The lag of a consumer, by vBucket, in seqnos and in time.
//!
//! The caller records the seqnos that the nodes report. A seqno without a recent report is unknown,
//! never zero: a node that hangs must not look caught up. The lag in time is always known of a
//! tracked vBucket: without recent reports it grows by the clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mcbp::{Seqno, VbId};

/// Bound on the producer seqnos kept for a vBucket while its consumer lags. A full history drops
/// every second entry: it keeps its reach and loses resolution.
pub const HISTORY_MAX: usize = 32;

/// The seqnos that the nodes reported. Times are since any fixed start.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LagTracker {
    rows: BTreeMap<VbId, Row>,
    /// When each producer last reported its seqnos.
    heard: BTreeMap<String, Duration>,
    /// When the consumer last reported its seqnos.
    consumer_heard: Option<Duration>,
}

/// The lag of one vBucket; `None` for what is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Lag {
    /// The high seqno of the producer.
    pub producer: Option<Seqno>,
    /// The high seqno of the consumer.
    pub consumer: Option<Seqno>,
    /// Age of the oldest producer seqno that the consumer does not have; zero without lag. Where
    /// that is unknown: the time since it was last known that nothing was missing, or since the
    /// vBucket is tracked.
    pub behind_for: Option<Duration>,
    /// Age of the reports that the lag rests on: of the older of both nodes' last ones. `None`
    /// where a node has never reported the vBucket.
    pub age: Option<Duration>,
    /// Time since the consumer's seqno last changed.
    pub still_for: Option<Duration>,
}

impl Lag {
    /// Returns the lag in seqnos; 0 for a consumer that is ahead, which is about to be rolled back.
    #[must_use]
    pub const fn seqnos(&self) -> Option<u64> {
        match (self.producer, self.consumer) {
            (Some(producer), Some(consumer)) => Some(producer.0.saturating_sub(consumer.0)),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Row {
    /// The name of the producer.
    source: String,
    producer: Option<Seqno>,
    consumer: Option<Seqno>,
    /// Producer seqnos that the consumer lacks, with the time each was first reported.
    ahead: VecDeque<(Duration, Seqno)>,
    /// When the consumer's seqno last changed.
    moved: Option<Duration>,
    /// When the vBucket was first tracked.
    tracked: Duration,
    /// When the producer last reported the vBucket.
    producer_at: Option<Duration>,
    /// When the consumer last reported the vBucket.
    consumer_at: Option<Duration>,
}

impl LagTracker {
    /// Sets the vBuckets to track from `now` on and the producer of each. An entry whose producer
    /// stays keeps its history.
    pub fn follow(&mut self, sources: &BTreeMap<VbId, String>, now: Duration) {
        self.rows.retain(|vb, row| sources.get(vb) == Some(&row.source));
        for (&vb, source) in sources {
            let new = || Row { source: source.clone(), tracked: now, ..Row::default() };
            self.rows.entry(vb).or_insert_with(new);
        }
        let rows = &self.rows;
        self.heard.retain(|source, _| rows.values().any(|row| row.source == *source));
    }

    /// Records the high seqnos that a producer reported; `None` when it did not answer. Returns the
    /// vBuckets that its previous report lacked.
    pub fn record_producer(
        &mut self,
        source: &str,
        seqnos: Option<&[(VbId, Seqno)]>,
        now: Duration,
    ) -> Vec<VbId> {
        let reported: BTreeMap<_, _> = seqnos.unwrap_or_default().iter().copied().collect();
        if seqnos.is_some() {
            self.heard.insert(source.to_owned(), now);
        }
        let mut appeared = Vec::new();
        for (&vb, row) in self.rows.iter_mut().filter(|(_, row)| row.source == source) {
            let seqno = reported.get(&vb).copied();
            if row.producer.is_none() && seqno.is_some() {
                appeared.push(vb);
            }
            row.record_producer(seqno, now);
        }
        appeared
    }

    /// Records the high seqnos that the consumer reported; `None` when it did not answer. Returns
    /// the vBuckets that its previous report lacked.
    pub fn record_consumer(
        &mut self,
        seqnos: Option<&[(VbId, Seqno)]>,
        now: Duration,
    ) -> Vec<VbId> {
        let reported: BTreeMap<_, _> = seqnos.unwrap_or_default().iter().copied().collect();
        if seqnos.is_some() {
            self.consumer_heard = Some(now);
        }
        let mut appeared = Vec::new();
        for (&vb, row) in &mut self.rows {
            let seqno = reported.get(&vb).copied();
            if row.consumer.is_none() && seqno.is_some() {
                appeared.push(vb);
            }
            row.record_consumer(seqno, now);
        }
        appeared
    }

    /// Whether the consumer has reported at least once, and its last report lacked this vBucket.
    #[must_use]
    pub fn consumer_lacks(&self, vb: VbId) -> bool {
        self.consumer_heard.is_some() && self.rows.get(&vb).is_some_and(|r| r.consumer.is_none())
    }

    /// Returns when the consumer last reported, on the clock of the caller.
    #[must_use]
    pub const fn consumer_heard(&self) -> Option<Duration> {
        self.consumer_heard
    }

    /// Returns the lag, where seqnos of reports older than `max_age` count as unknown.
    #[must_use]
    pub fn recent_lag(&self, vb: VbId, now: Duration, max_age: Duration) -> Lag {
        let Some(row) = self.rows.get(&vb) else { return Lag::default() };
        let is_recent = |at: &Duration| now.saturating_sub(*at) <= max_age;
        let lag = self.lag(vb, now);
        let producer = lag.producer.filter(|_| self.heard.get(&row.source).is_some_and(is_recent));
        let consumer = lag.consumer.filter(|_| self.consumer_heard.as_ref().is_some_and(is_recent));
        let behind_for = if producer.is_some() && consumer.is_some() {
            lag.behind_for
        } else {
            Some(now.saturating_sub(row.last_even()))
        };
        Lag { producer, consumer, behind_for, ..lag }
    }

    /// Returns the lag by the last reports, however old; all unknown for an untracked vBucket.
    #[must_use]
    pub fn lag(&self, vb: VbId, now: Duration) -> Lag {
        let Some(row) = self.rows.get(&vb) else { return Lag::default() };
        let since = row.ahead.front().map_or(now, |&(at, _)| at);
        let known = row.producer.is_some() && row.consumer.is_some();
        Lag {
            producer: row.producer,
            consumer: row.consumer,
            behind_for: known.then(|| now.saturating_sub(since)),
            age: row.refreshed().map(|at| now.saturating_sub(at)),
            still_for: row.moved.map(|at| now.saturating_sub(at)),
        }
    }

    /// Returns the lag of every tracked vBucket.
    pub fn lags(&self, now: Duration) -> impl Iterator<Item = (VbId, Lag)> {
        self.rows.keys().map(move |&vb| (vb, self.lag(vb, now)))
    }
}

impl Row {
    /// Returns when both nodes had reported the vBucket for the last time.
    fn refreshed(&self) -> Option<Duration> {
        self.producer_at.zip(self.consumer_at).map(|(producer, consumer)| producer.min(consumer))
    }

    /// Returns when it was last known that the consumer lacked nothing.
    fn last_even(&self) -> Duration {
        let refreshed = self.refreshed().unwrap_or(self.tracked);
        self.ahead.front().map_or(refreshed, |&(ahead, _)| ahead.min(refreshed))
    }

    fn record_producer(&mut self, seqno: Option<Seqno>, now: Duration) {
        let went_back = seqno < self.ahead.back().map(|&(_, seqno)| seqno);
        if seqno.is_some() && went_back {
            // A seqno that went back belongs to another history: a failover or a rollback.
            self.ahead.clear();
        }
        self.producer = seqno;
        let Some(seqno) = seqno else { return };
        self.producer_at = Some(now);
        let known = self.ahead.back().map(|&(_, seqno)| seqno).max(self.consumer);
        if known.is_none_or(|known| known < seqno) {
            if self.ahead.len() == HISTORY_MAX {
                let mut keep = [true, false].into_iter().cycle();
                self.ahead.retain(|_| keep.next().unwrap_or(true));
            }
            self.ahead.push_back((now, seqno));
        }
    }

    fn record_consumer(&mut self, seqno: Option<Seqno>, now: Duration) {
        if seqno.is_some() && self.consumer != seqno {
            self.moved = Some(now);
        }
        self.consumer = seqno;
        if seqno.is_some() {
            self.consumer_at = Some(now);
        }
        while let (Some(has), Some(&(_, ahead))) = (seqno, self.ahead.front())
            && ahead <= has
        {
            self.ahead.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
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
}
