//! The lag of a consumer, by vBucket, in seqnos and in time.
//!
//! The caller records the seqnos that the nodes report. A seqno without a recent report is unknown,
//! never zero: a node that hangs must not look caught up.

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
    /// Age of the oldest producer seqno that the consumer does not have; zero without lag.
    pub behind_for: Option<Duration>,
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
}

impl LagTracker {
    /// Sets the vBuckets to track and the producer of each. An entry whose producer stays keeps its
    /// history.
    pub fn follow(&mut self, sources: &BTreeMap<VbId, String>) {
        self.rows.retain(|vb, row| sources.get(vb) == Some(&row.source));
        for (&vb, source) in sources {
            self.rows.entry(vb).or_insert_with(|| Row { source: source.clone(), ..Row::default() });
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

    /// Returns the lag, where reports older than `max_age` count as unknown.
    #[must_use]
    pub fn recent_lag(&self, vb: VbId, now: Duration, max_age: Duration) -> Lag {
        let Some(row) = self.rows.get(&vb) else { return Lag::default() };
        let is_recent = |at: &Duration| now.saturating_sub(*at) <= max_age;
        let lag = self.lag(vb, now);
        let producer = lag.producer.filter(|_| self.heard.get(&row.source).is_some_and(is_recent));
        let consumer = lag.consumer.filter(|_| self.consumer_heard.as_ref().is_some_and(is_recent));
        let behind_for = lag.behind_for.filter(|_| producer.is_some() && consumer.is_some());
        Lag { producer, consumer, behind_for, still_for: lag.still_for }
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
            still_for: row.moved.map(|at| now.saturating_sub(at)),
        }
    }

    /// Returns the lag of every tracked vBucket.
    pub fn lags(&self, now: Duration) -> impl Iterator<Item = (VbId, Lag)> {
        self.rows.keys().map(move |&vb| (vb, self.lag(vb, now)))
    }
}

impl Row {
    fn record_producer(&mut self, seqno: Option<Seqno>, now: Duration) {
        let went_back = seqno < self.ahead.back().map(|&(_, seqno)| seqno);
        if seqno.is_some() && went_back {
            // A seqno that went back belongs to another history: a failover or a rollback.
            self.ahead.clear();
        }
        self.producer = seqno;
        let Some(seqno) = seqno else { return };
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
        lags.follow(&BTreeMap::from([(VB, "alpha".to_owned())]));
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
        assert_eq!(recent(&lags, 6), (None, None));
        assert_eq!(lag(lags.lag(VB, at(6))), (Some(10), Some(5)), "the last report is kept");
        lags.record_consumer(Some(&[(VB, Seqno(10))]), at(6));
        let half = lags.recent_lag(VB, at(6), max_age);
        assert_eq!((half.producer, half.consumer), (None, Some(Seqno(10))));
        assert_eq!(lag(half), (None, None));
        lags.record_producer("alpha", Some(&[(VB, Seqno(30))]), at(7));
        assert_eq!(recent(&lags, 7), (Some(20), Some(6)));
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
        lags.follow(&BTreeMap::from([(VB, "gamma".to_owned())]));
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
