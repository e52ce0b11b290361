//! What is kept of the events. Pure: events and times in, pages out.
//!
//! Equal events (of one kind, level, bucket, link and node) are recorded one by one up to a limit
//! in a window; the others become one event with their number and vBuckets once it has ended.
//! So 1,024 streams that fail together do not push out what happened before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use logline::{Limit, LogLimiter};
use mcbp::VbId;
use replica::plan::VbSet;

use crate::cursor::Cursor;
use crate::event::{Event, Recorded};
use crate::kind::{Kind, Level};

/// The most events that are kept: hours of a cluster in trouble, within the limit below.
pub const HISTORY_EVENTS_MAX: usize = 1000;
/// The most bytes that they take.
pub const HISTORY_BYTES_MAX: usize = 1024 * 1024;
/// How many equal events are recorded one by one, and how many are told apart.
const EQUAL: Limit = Limit { events: 256, ..Limit::OF_A_PROCESS };

/// What equal events have in common: kind, level, bucket, link and node.
type Key = (Kind, Level, [Option<String>; 3]);

/// When an event is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Since a fixed start.
    pub(crate) now: Duration,
    /// By the calendar.
    pub(crate) time: Timestamp,
}

/// Which events a follower reads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of this bucket only.
    pub bucket: Option<String>,
    /// Of these kinds only; all where it is empty.
    pub kinds: Vec<Kind>,
    /// As important as this, or more.
    pub level: Level,
    /// With this vBucket among theirs only. An event without a set of them is left out: it says
    /// nothing of this one.
    pub vbucket: Option<VbId>,
}

impl Filter {
    fn takes(&self, event: &Recorded) -> bool {
        self.bucket.as_ref().is_none_or(|bucket| event.bucket.as_ref() == Some(bucket))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && event.level <= self.level
            && self.vbucket.is_none_or(|vb| event.vbuckets.as_set().contains(&vb))
    }
}

/// A part of the history.
pub(crate) struct Page {
    /// The oldest first.
    pub(crate) events: Vec<Arc<Recorded>>,
    /// The number of the last event that was looked at.
    pub(crate) seq: u64,
    /// How many events between the position and the first that is kept were forgotten.
    pub(crate) missed: u64,
}

/// See the module.
pub(crate) struct History {
    epoch: u64,
    /// The number of the newest event.
    newest: u64,
    events: VecDeque<(Arc<Recorded>, usize)>,
    bytes: usize,
    equal: LogLimiter<Key>,
    /// The vBuckets of the events that were not recorded one by one.
    left_out: BTreeMap<Key, VbSet>,
    /// When events of sources beyond those that are told apart were last recorded.
    others_told: Duration,
    counts: BTreeMap<Kind, u64>,
}

impl History {
    pub(crate) fn new(epoch: u64) -> Self {
        let counts = Kind::ALL.iter().map(|&kind| (kind, 0)).collect();
        let (events, left_out) = (VecDeque::new(), BTreeMap::new());
        let (equal, others_told) = (LogLimiter::new(EQUAL), Duration::ZERO);
        Self { epoch, newest: 0, events, bytes: 0, equal, left_out, others_told, counts }
    }

    /// Records an event, or counts it.
    pub(crate) fn push(&mut self, event: Event, at: At) {
        self.settle(at);
        let event = event.bounded();
        *self.counts.entry(event.kind).or_default() += event.more.max(1);
        let names = [event.bucket.clone(), event.link.clone(), event.node.clone()];
        let key = (event.kind, event.level, names);
        // One that stands for others was limited before.
        if event.more > 0 || self.equal.allow(key.clone(), at.now) {
            self.record(event, at);
            return;
        }
        if self.left_out.len() < EQUAL.events || self.left_out.contains_key(&key) {
            let left_out = self.left_out.entry(key).or_default();
            event.vbuckets.iter().for_each(|vb| _ = left_out.insert(vb));
        }
    }

    /// Records how many events were not recorded one by one, once their window has ended.
    pub(crate) fn settle(&mut self, at: At) {
        for (key, more) in self.equal.take_suppressed(at.now) {
            let vbuckets = self.left_out.remove(&key).unwrap_or_default();
            let (kind, level, [bucket, link, node]) = key;
            let text = "of the same source, not recorded one by one".to_owned();
            let event =
                Event { bucket, link, node, vbuckets, more, ..Event::new(level, kind, text) };
            self.record(event, at);
        }
        if self.equal.is_empty() {
            self.left_out.clear();
        }
        if at.now.saturating_sub(self.others_told) < EQUAL.window {
            return;
        }
        let more = self.equal.take_others();
        if more > 0 {
            self.others_told = at.now;
            let text = format!("{more} events of more sources than are told apart");
            self.record(Event { more, ..Event::new(Level::Warn, Kind::Other, text) }, at);
        }
    }

    fn record(&mut self, event: Event, at: At) {
        self.newest += 1;
        let id = Cursor { epoch: Some(self.epoch), seq: self.newest };
        let bytes = event.bytes();
        self.bytes += bytes;
        self.events.push_back((Arc::new(Recorded::new(id, at.time, event)), bytes));
        while self.events.len() > HISTORY_EVENTS_MAX || self.bytes > HISTORY_BYTES_MAX {
            let Some((_, bytes)) = self.events.pop_front() else { break };
            self.bytes -= bytes;
        }
    }

    /// Returns the number of the newest event, 0 before the first.
    pub(crate) const fn newest(&self) -> u64 {
        self.newest
    }

    /// Returns up to `count` events after number `seq` that `filter` takes.
    pub(crate) fn after(&self, seq: u64, filter: &Filter, count: usize) -> Page {
        let oldest = self.newest + 1 - self.events.len() as u64;
        let missed = oldest.saturating_sub(seq + 1);
        let known = usize::try_from((seq + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let (mut events, mut seen) = (Vec::new(), seq.max(oldest - 1));
        for (event, _) in self.events.iter().skip(known) {
            if events.len() >= count {
                break;
            }
            seen = event.seq;
            if filter.takes(event) {
                events.push(Arc::clone(event));
            }
        }
        Page { events, seq: seen, missed }
    }

    /// Returns how many events of each kind there were since the start.
    pub(crate) const fn counts(&self) -> &BTreeMap<Kind, u64> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> At {
        let time = Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
        At { now: Duration::from_secs(seconds), time }
    }

    fn failed(link: &str, vb: u16) -> Event {
        let mut event = Event::new(Level::Warn, Kind::StreamFailed, "stream failed");
        (event.bucket, event.link) = (Some("default".to_owned()), Some(link.to_owned()));
        event.of_vbuckets([VbId(vb)].into_iter().collect())
    }

    fn all(history: &History) -> Vec<Arc<Recorded>> {
        history.after(0, &Filter::default(), usize::MAX).events
    }

    #[test]
    fn equal_failures_are_a_few_events_and_one_for_the_others() {
        let mut history = History::new(1);
        history.push(Event::new(Level::Info, Kind::Started, "started"), at(0));
        (0..1024).for_each(|vb| history.push(failed("a", vb), at(1)));
        history.push(failed("b", 3), at(1));
        assert_eq!(all(&history).len() as u64, 1 + EQUAL.lines + 1);
        history.settle(at(1 + EQUAL.window.as_secs()));
        let last = all(&history).pop().unwrap();
        assert_eq!(
            (last.kind, last.level, last.link.as_deref()),
            (Kind::StreamFailed, Level::Warn, Some("a"))
        );
        assert_eq!(
            (last.more, last.vbuckets.to_string()),
            (1024 - EQUAL.lines, "20-1023".to_owned())
        );
        assert_eq!(history.counts()[&Kind::StreamFailed], 1025);
        history.push(failed("a", 9), at(40));
        assert_eq!(all(&history).pop().unwrap().more, 0, "a new window");
        assert!(history.left_out.is_empty());
    }

    #[test]
    fn the_history_is_bounded_in_events_and_in_bytes_and_says_what_it_missed() {
        let mut history = History::new(1);
        for link in 0..3000_u64 {
            // A new window for each.
            history.push(failed("a", 1), at(link * 100));
        }
        assert_eq!((history.events.len(), history.newest()), (HISTORY_EVENTS_MAX, 3000));
        let page = |seq, count| history.after(seq, &Filter::default(), count);
        assert_eq!(
            (page(0, 5).missed, page(0, 5).events[0].seq, page(0, 5).seq),
            (2000, 2001, 2005)
        );
        assert_eq!((page(1999, 1).missed, page(2000, 1).missed), (1, 0));
        assert_eq!((page(2990, 100).events.len(), page(2990, 100).seq), (10, 3000));
        assert_eq!((page(3000, 1).events.len(), page(3000, 1).seq), (0, 3000));

        let mut history = History::new(1);
        for at_second in 0..2000 {
            let text = "x".repeat(5000);
            history.push(Event::new(Level::Info, Kind::LinkUp, text), at(at_second * 100));
        }
        assert!(history.bytes <= HISTORY_BYTES_MAX && history.events.len() > 500);
        let is_cut = |event: &Arc<Recorded>| event.text.len() < 1100;
        assert!(all(&history).iter().all(is_cut));
    }

    #[test]
    fn sources_without_end_take_no_memory_without_end() {
        let mut history = History::new(1);
        (0..5000).for_each(|link| history.push(failed(&link.to_string(), 1), at(0)));
        assert_eq!(all(&history).len(), EQUAL.events, "one of each that is told apart");
        assert!(history.left_out.len() <= EQUAL.events);
        history.settle(at(100));
        let last = all(&history).pop().unwrap();
        assert_eq!((last.kind, last.more), (Kind::Other, 5000 - EQUAL.events as u64));
        assert!(history.left_out.is_empty());
    }

    #[test]
    fn a_filter_takes_what_it_names_and_moves_on_all_the_same() {
        let mut history = History::new(1);
        history.push(failed("a", 1), at(0));
        history.push(Event::new(Level::Error, Kind::ReloadFailed, "x"), at(0));
        history.push(Event::new(Level::Info, Kind::LinkUp, "x").of_bucket("other"), at(0));
        let seqs = |filter: Filter| {
            let page = history.after(0, &filter, 10);
            assert_eq!(page.seq, 3);
            page.events.iter().map(|event| event.seq).collect::<Vec<_>>()
        };
        assert_eq!(seqs(Filter::default()), [1, 2, 3]);
        assert_eq!(seqs(Filter { level: Level::Warn, ..Filter::default() }), [1, 2]);
        assert_eq!(seqs(Filter { level: Level::Error, ..Filter::default() }), [2]);
        assert_eq!(seqs(Filter { bucket: Some("other".to_owned()), ..Filter::default() }), [3]);
        let kinds = vec![Kind::LinkUp, Kind::StreamFailed];
        assert_eq!(seqs(Filter { kinds, ..Filter::default() }), [1, 3]);
        let vbucket = |vb| Filter { vbucket: Some(VbId(vb)), ..Filter::default() };
        assert_eq!((seqs(vbucket(1)), seqs(vbucket(2))), (vec![1], vec![]), "a set is needed");
    }
}
