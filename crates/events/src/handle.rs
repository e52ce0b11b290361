//! The handle of the history: cheap to clone, usable from any thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::cursor::Cursor;
use crate::event::{Event, Recorded};
use crate::history::{At, Filter, History, Page};
use crate::kind::{Kind, Level};

/// The events of a process.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    epoch: u64,
    started: Instant,
    history: Mutex<History>,
    newest: watch::Sender<u64>,
}

/// What a follower reads at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// What is missing before the events, if anything.
    pub gap: Option<Gap>,
    /// The events, the oldest first.
    pub events: Vec<Arc<Recorded>>,
    /// The position to read on from.
    pub next: Cursor,
}

/// Events that a follower asked for and that are not kept any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Gap {
    /// How many, of all kinds; `None` where that is unknown.
    pub missed: Option<u64>,
    /// Why.
    pub reason: GapReason,
    /// The same for people.
    pub text: String,
}

/// Why there is a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// The history no longer reaches back so far.
    Forgotten,
    /// The position is one of another process: the sidecar has started again.
    Restarted,
}

impl Default for Events {
    fn default() -> Self {
        Self::start()
    }
}

impl Events {
    /// Begins the history of this process.
    #[must_use]
    pub fn start() -> Self {
        let epoch = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        let (started, history) = (Instant::now(), Mutex::new(History::new(epoch)));
        let newest = watch::Sender::new(0);
        Self(Arc::new(Inner { epoch, started, history, newest }))
    }

    /// Records an event. Never waits for a reader.
    pub fn push(&self, event: Event) {
        let mut history = self.lock();
        history.push(event, self.now());
        self.tell(history);
    }

    /// Records what a few words say; `bucket` is `None` for what concerns the whole process.
    pub fn note(&self, level: Level, kind: Kind, bucket: Option<&str>, text: impl Into<String>) {
        let mut event = Event::new(level, kind, text);
        event.bucket = bucket.map(str::to_owned);
        self.push(event);
    }

    /// Returns up to `count` events after `after` that `filter` takes; without `after`, from the
    /// oldest on.
    #[must_use]
    pub fn read(&self, after: Option<Cursor>, filter: &Filter, count: usize) -> Batch {
        let mut history = self.lock();
        history.settle(self.now());
        let newest = history.newest();
        let is_ours = |cursor: &Cursor| {
            cursor.epoch.is_none_or(|epoch| epoch == self.0.epoch) && cursor.seq <= newest
        };
        let Page { events, seq, missed } =
            history.after(after.filter(is_ours).map_or(0, |cursor| cursor.seq), filter, count);
        self.tell(history);
        let gap = match after {
            Some(cursor) if !is_ours(&cursor) => Some(Gap::restarted(&cursor)),
            Some(_) if missed > 0 => Some(Gap::forgotten(missed)),
            Some(_) | None => None,
        };
        Batch { gap, events, next: Cursor { epoch: Some(self.0.epoch), seq } }
    }

    /// Returns the position of the newest event.
    #[must_use]
    pub fn newest_id(&self) -> Cursor {
        Cursor { epoch: Some(self.0.epoch), seq: self.lock().newest() }
    }

    /// Returns the last `count` events that `filter` takes, the newest last.
    #[must_use]
    pub fn last(&self, filter: &Filter, count: usize) -> Vec<Arc<Recorded>> {
        let mut events = self.read(None, filter, usize::MAX).events;
        events.split_off(events.len().saturating_sub(count))
    }

    /// Returns what changes with every event, for followers that have read everything.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// Returns how many events of each kind there were since the start, also those that were not
    /// recorded one by one.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Kind, u64> {
        self.lock().counts().clone()
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> At {
        At { now: self.0.started.elapsed(), time: Timestamp::now() }
    }

    /// Wakes the followers if there are events that they have not seen.
    fn tell(&self, history: MutexGuard<'_, History>) {
        let newest = history.newest();
        drop(history);
        self.0.newest.send_if_modified(|told| {
            let is_new = newest > *told;
            *told = newest.max(*told);
            is_new
        });
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("newest", &self.lock().newest()).finish_non_exhaustive()
    }
}

impl Gap {
    fn forgotten(missed: u64) -> Self {
        let text = format!("{missed} events were missed: they are not kept any more");
        Self { missed: Some(missed), reason: GapReason::Forgotten, text }
    }

    fn restarted(after: &Cursor) -> Self {
        let text = format!(
            "{after} is no event of this process: the sidecar has started again, and events before \
             that are not kept"
        );
        Self { missed: None, reason: GapReason::Restarted, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seqs(batch: &Batch) -> Vec<u64> {
        batch.events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn a_follower_reads_on_from_where_it_was_and_wakes_once_for_many() {
        let events = Events::start();
        let mut newest = events.newest();
        newest.mark_unchanged();
        for _ in 0..5 {
            events.note(Level::Info, Kind::LinkUp, Some("default"), "link up");
        }
        assert!(newest.has_changed().unwrap());
        newest.mark_unchanged();
        let first = events.read(None, &Filter::default(), 3);
        assert_eq!((seqs(&first), &first.gap), (vec![1, 2, 3], &None));
        let rest = events.read(Some(first.next), &Filter::default(), 3);
        assert_eq!(seqs(&rest), [4, 5]);
        assert!(seqs(&events.read(Some(rest.next), &Filter::default(), 3)).is_empty());
        assert!(!newest.has_changed().unwrap(), "nothing new");
        assert_eq!(events.counts()[&Kind::LinkUp], 5);
    }

    #[test]
    fn the_last_events_are_those_that_the_filter_takes() {
        let events = Events::start();
        for (kind, vb) in [(Kind::LinkUp, 1), (Kind::Rollback, 7), (Kind::Rollback, 8)] {
            let set = std::iter::once(mcbp::VbId(vb)).collect();
            events.push(Event::new(Level::Info, kind, "text").of_vbuckets(set));
        }
        let seqs = |filter, count| -> Vec<u64> {
            events.last(&filter, count).iter().map(|event| event.seq).collect()
        };
        assert_eq!(seqs(Filter::default(), 2), [2, 3]);
        assert_eq!(seqs(Filter { kinds: vec![Kind::LinkUp], ..Filter::default() }, 2), [1]);
        let of = Filter { vbucket: Some(mcbp::VbId(7)), ..Filter::default() };
        assert_eq!((seqs(of.clone(), 10), seqs(of, 0)), (vec![2], vec![]));
        assert!(events.newest_id().to_string().ends_with("-3"));
    }

    #[test]
    fn a_position_of_another_process_is_recognized() {
        let events = Events::start();
        events.note(Level::Info, Kind::Started, None, "started");
        for strange in ["1-1", "900"] {
            let after = strange.parse().unwrap();
            let batch = events.read(Some(after), &Filter::default(), 9);
            let gap = batch.gap.as_ref().unwrap();
            assert_eq!((gap.reason, gap.missed), (GapReason::Restarted, None));
            assert!(gap.text.starts_with(&format!("{strange} is no event of this process")));
            assert_eq!(seqs(&batch), [1], "from the start");
        }
        let own = events.read(Some("0".parse().unwrap()), &Filter::default(), 9);
        assert_eq!((own.gap, own.events.len()), (None, 1));
    }

    #[test]
    fn an_event_as_programs_read_it() {
        let events = Events::start();
        let mut event = Event::new(Level::Warn, Kind::StreamFailed, "stream\nfailed");
        event.vbuckets = "0-3,7".parse().unwrap();
        events.push(event.of_bucket("default").of_node("alpha"));
        let batch = events.read(None, &Filter::default(), 1);
        let mut json = serde_json::to_value(&*batch.events[0]).unwrap();
        let id = json["id"].as_str().unwrap().to_owned();
        assert!(id.ends_with("-1") && id.parse::<Cursor>() == Ok(batch.next), "{id}");
        let time = json["time"].as_str().unwrap().to_owned();
        assert!(time.len() == 24 && time.ends_with('Z') && time.contains('T'), "{time}");
        json.as_object_mut().unwrap().retain(|key, _| key != "id" && key != "time");
        assert_eq!(
            json,
            serde_json::json!({
                "bucket": "default", "kind": "stream-failed", "level": "warn", "link": null,
                "more": 0, "node": "alpha", "seq": 1, "text": "stream failed",
                "vbuckets": "0-3,7",
            })
        );
    }
}
