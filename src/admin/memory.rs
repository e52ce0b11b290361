//! What is remembered from one look at replication to the next: rates of links, since when a link
//! has its phase, where a move began. Pure: looks in. What is gone is forgotten, so the memory is
//! bounded by what there is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use dcp_actors::{BucketStatus, LinkPhase, LinkStatus, MoveStatus};

use super::memory_lag::{Lags, lag};
use super::problems::{Growing, Problem};
use crate::clock::utc;

#[cfg(test)]
mod tests;

/// How long a rate is measured at least, before an older reading is replaced.
const WINDOW: Duration = Duration::from_millis(2500);
/// The shortest time over which a rate says something.
const SHORTEST: Duration = Duration::from_millis(400);

/// A link: bucket, producer and number of the connection.
pub(super) type LinkKey = (String, String, u8);
/// A move: bucket, vBucket and producer.
type MoveKey = (String, u16, String);

/// The key of a link.
pub(super) fn link_key(bucket: &str, link: &LinkStatus) -> LinkKey {
    (bucket.to_owned(), link.producer.clone(), link.connection)
}

/// What passed in a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rate {
    /// Bytes from producer to consumer.
    pub(super) bytes: f64,
    /// Frames from producer to consumer.
    pub(super) frames: f64,
}

/// Counters of a link at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Counted {
    at: Instant,
    bytes: u64,
    frames: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    links: BTreeMap<LinkKey, LinkMemory>,
    /// The largest known estimate of each move.
    moves: BTreeMap<MoveKey, u64>,
    /// The lag of each bucket in the last minute, and which of them grow.
    lags: BTreeMap<String, Lags>,
    grows: Vec<Growing>,
    /// When each problem was first seen.
    problems: BTreeMap<[String; 4], SystemTime>,
}

/// What is remembered of a link.
#[derive(Debug)]
struct LinkMemory {
    /// The reading that the rate is measured from, and the one that replaces it.
    base: Counted,
    next: Counted,
    rate: Option<Rate>,
    phase: LinkPhase,
    /// Since when it is known to have that phase; `None` where it had it at the first look.
    since: Option<SystemTime>,
}

impl Memory {
    /// Takes a newer status, read `at` that moment, which is `time` by the calendar.
    pub(super) fn update(&mut self, buckets: &[BucketStatus], at: Instant, time: SystemTime) {
        let mut before = std::mem::take(&mut self.links);
        for bucket in buckets {
            for link in &bucket.links {
                let key = link_key(&bucket.bucket, link);
                let known = before.remove(&key);
                self.links.insert(key, LinkMemory::after(known.as_ref(), at, time, link));
            }
        }
        let mut before = std::mem::take(&mut self.lags);
        for bucket in buckets {
            let mut lags = before.remove(&bucket.bucket).unwrap_or_default();
            lags.push(at, lag(bucket));
            self.lags.insert(bucket.bucket.clone(), lags);
        }
        self.grows =
            self.lags.iter().filter_map(|(name, lags)| lags.growing(name, at, time)).collect();
        let mut before = std::mem::take(&mut self.moves);
        for moving in buckets.iter().flat_map(|bucket| &bucket.moves) {
            let key = move_key(moving);
            if let Some(largest) = before.remove(&key).max(moving.estimate) {
                self.moves.insert(key, largest);
            }
        }
    }

    /// The buckets whose lag grows.
    pub(super) fn growing(&self) -> Vec<Growing> {
        self.grows.clone()
    }

    /// Says since when there is each problem that does not know it: when it was first seen.
    pub(super) fn date(&mut self, problems: &mut [Problem], time: SystemTime) {
        let mut before = std::mem::take(&mut self.problems);
        for problem in problems {
            let key = problem.key();
            let seen = before.remove(&key).unwrap_or(time);
            if problem.since.is_none() {
                problem.since = Some(utc(seen));
            }
            self.problems.insert(key, seen);
        }
    }

    /// What passed on a link lately; `None` where that is not known yet.
    pub(super) fn rate(&self, key: &LinkKey) -> Option<Rate> {
        self.links.get(key)?.rate
    }

    /// Since when a link has its phase, to the interval of the looks.
    pub(super) fn phase_since(&self, key: &LinkKey) -> Option<SystemTime> {
        self.links.get(key)?.since
    }

    /// The largest estimate of a move so far.
    pub(super) fn estimate_first(&self, moving: &MoveStatus) -> Option<u64> {
        self.moves.get(&move_key(moving)).copied()
    }
}

fn move_key(moving: &MoveStatus) -> MoveKey {
    (moving.bucket.clone(), moving.vbucket, moving.from.clone())
}

impl LinkMemory {
    fn after(known: Option<&Self>, at: Instant, time: SystemTime, link: &LinkStatus) -> Self {
        let now = Counted { at, bytes: link.bytes_total, frames: link.frames_total };
        let Some(&Self { mut base, mut next, mut rate, phase, mut since }) = known else {
            return Self { base: now, next: now, rate: None, phase: link.phase, since: None };
        };
        if phase != link.phase {
            since = Some(time);
        }
        // A counter that fell is one of another link of that name.
        if now.bytes < next.bytes || now.frames < next.frames {
            (base, next, rate) = (now, now, None);
        }
        if now.at.saturating_duration_since(base.at) >= SHORTEST {
            rate = Some(now.since(&base));
        }
        if now.at.saturating_duration_since(next.at) >= WINDOW {
            (base, next) = (next, now);
        }
        Self { base, next, rate, phase: link.phase, since }
    }
}

impl Counted {
    /// What passed in a second since then.
    fn since(&self, base: &Self) -> Rate {
        let seconds = self.at.saturating_duration_since(base.at).as_secs_f64();
        // Exact up to 2^53.
        #[allow(clippy::cast_precision_loss, reason = "a rate is no exact number")]
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Rate {
            bytes: per_second(self.bytes.saturating_sub(base.bytes)),
            frames: per_second(self.frames.saturating_sub(base.frames)),
        }
    }
}

/// A rate as a whole number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn whole(rate: f64) -> u64 {
    rate.round() as u64
}
