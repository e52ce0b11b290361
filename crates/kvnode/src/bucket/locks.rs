//! Documents that clients have locked for a while. Pure.
//!
//! A lock has a CAS of its own, which only its owner knows. It is in memory alone. It ends with its
//! time, with the first change by its owner, when the vBucket is no longer active, and with the
//! node.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The locks of a vBucket at a time. Each ends after [`LOCK_TIME_MAX`], so this is enough for 30 a
/// second in each vBucket.
const LOCKS_MAX: usize = 1_000;

/// The longest lock. Source: kv_engine's `getl_max_timeout`.
pub(crate) const LOCK_TIME_MAX: Duration = Duration::from_secs(30);

/// The vBucket has too many locks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooManyLocks;

#[derive(Clone, Copy, Debug)]
struct Held {
    cas: u64,
    until: Instant,
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Locks {
    held: HashMap<Bytes, Held>,
    /// When the last one ends.
    last_end: Option<Instant>,
}

impl Locks {
    /// The CAS of the lock of a document, if it is locked.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<u64> {
        // Almost always there is none, and no clock is read.
        self.last_end?;
        self.find_at(key, Instant::now())
    }

    fn find_at(&mut self, key: &[u8], now: Instant) -> Option<u64> {
        if self.last_end.is_some_and(|end| end <= now) {
            self.clear();
        }
        self.held.get(key).filter(|held| now < held.until).map(|held| held.cas)
    }

    /// Locks a document for `time`.
    pub(super) fn take(
        &mut self,
        key: &Bytes,
        cas: u64,
        time: Duration,
    ) -> Result<(), TooManyLocks> {
        self.take_at(key, cas, time, Instant::now())
    }

    fn take_at(
        &mut self,
        key: &Bytes,
        cas: u64,
        time: Duration,
        now: Instant,
    ) -> Result<(), TooManyLocks> {
        if self.held.len() >= LOCKS_MAX {
            self.held.retain(|_, held| now < held.until);
            if self.held.len() >= LOCKS_MAX {
                return Err(TooManyLocks);
            }
        }
        let until = now + time.min(LOCK_TIME_MAX);
        self.last_end = self.last_end.max(Some(until));
        // The request's frame is not kept.
        self.held.insert(Bytes::copy_from_slice(key), Held { cas, until });
        Ok(())
    }

    /// Ends a lock.
    pub(super) fn release(&mut self, key: &[u8]) {
        if self.last_end.is_some() {
            self.held.remove(key);
        }
    }

    /// Ends all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_time() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        let key = Bytes::from_static(b"key");
        locks.take_at(&key, 7, Duration::from_secs(2), now).unwrap();
        assert_eq!(locks.find_at(&key, now + Duration::from_millis(1999)), Some(7));
        assert_eq!(locks.find_at(&key, now + Duration::from_secs(2)), None);
        assert_eq!(locks.find_at(b"other", now), None);
        locks.take_at(&key, 8, Duration::from_secs(3600), now).unwrap();
        assert_eq!(locks.find_at(&key, now + LOCK_TIME_MAX), None);
        locks.release(&key);
        assert_eq!(locks.find_at(&key, now), None);
    }

    #[test]
    fn locks_have_a_bound_and_those_that_have_ended_make_room() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        let key = |n: usize| Bytes::from(n.to_string());
        for n in 0..LOCKS_MAX {
            locks.take_at(&key(n), 1, Duration::from_secs(1), now).unwrap();
        }
        let more = key(LOCKS_MAX);
        assert_eq!(locks.take_at(&more, 1, LOCK_TIME_MAX, now), Err(TooManyLocks));
        let later = now + Duration::from_secs(1);
        assert_eq!(locks.take_at(&more, 1, LOCK_TIME_MAX, later), Ok(()));
        assert_eq!(locks.held.len(), 1);
    }
}
