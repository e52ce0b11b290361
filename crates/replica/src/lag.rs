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
mod tests;
