//! The range scans of a bucket that have begun and not ended. Each holds a snapshot of the store,
//! so that there are few of them, and none for long.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// The scans of a bucket at a time, as many as kv_engine allows by default for a node.
const SCANS_MAX: usize = 100;
/// How long a scan may take in all. Source: kv_engine's `range_scan_max_lifetime`.
const LIFETIME: Duration = Duration::from_secs(180);

/// The name of a scan.
pub(crate) type ScanId = [u8; 16];

/// A bucket has too many scans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooManyScans;

/// Why a scan cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotThere {
    /// There is none of this name, or it has ended.
    Unknown,
    /// It is going on for somebody else.
    Busy,
}

/// See the module. `T` is a scan.
pub(crate) struct RangeScans<T>(Mutex<HashMap<ScanId, Place<T>>>);

struct Place<T> {
    /// `None` while it goes on.
    scan: Option<T>,
    until: Instant,
}

impl<T> Default for RangeScans<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> RangeScans<T> {
    /// Keeps a new scan.
    pub(crate) fn begin(&self, id: ScanId, scan: T) -> Result<(), TooManyScans> {
        let mut places = lock(&self.0);
        if places.len() >= SCANS_MAX {
            return Err(TooManyScans);
        }
        places.insert(id, Place { scan: Some(scan), until: Instant::now() + LIFETIME });
        Ok(())
    }

    /// Takes a scan, to go on with it. Whoever takes it gives it back, or ends it.
    pub(crate) fn take(&self, id: &ScanId) -> Result<T, NotThere> {
        let mut places = lock(&self.0);
        let place = places.get_mut(id).ok_or(NotThere::Unknown)?;
        place.scan.take().ok_or(NotThere::Busy)
    }

    /// Gives a scan back; drops it if it was ended meanwhile.
    pub(crate) fn give_back(&self, id: &ScanId, scan: T) {
        if let Some(place) = lock(&self.0).get_mut(id) {
            place.scan = Some(scan);
        }
    }

    /// Ends a scan. Returns false if there was none.
    pub(crate) fn end(&self, id: &ScanId) -> bool {
        let ended = lock(&self.0).remove(id);
        ended.is_some()
    }

    /// Ends those that have taken too long, at `now`.
    pub(crate) fn end_old(&self, now: Instant) {
        let mut old = Vec::new();
        lock(&self.0).retain(|_, place| {
            let is_old = place.until <= now;
            if is_old {
                // Dropped once the lock is free: that may touch the disk.
                old.push(place.scan.take());
            }
            !is_old
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_goes_on_for_one_at_a_time_and_ends_once() {
        let scans = RangeScans::default();
        let id = [7; 16];
        scans.begin(id, "scan").unwrap();
        assert_eq!(scans.take(&id), Ok("scan"));
        assert_eq!(scans.take(&id), Err(NotThere::Busy));
        scans.give_back(&id, "scan");
        assert_eq!(scans.take(&id), Ok("scan"));
        assert!(scans.end(&id) && !scans.end(&id));
        scans.give_back(&id, "scan");
        assert_eq!(scans.take(&id), Err(NotThere::Unknown));
    }

    #[test]
    fn scans_have_a_bound_and_old_ones_make_room() {
        let scans = RangeScans::default();
        for id in 0..SCANS_MAX {
            scans.begin((id as u128).to_be_bytes(), id).unwrap();
        }
        assert_eq!(scans.begin([0xff; 16], 0), Err(TooManyScans));
        scans.end_old(Instant::now());
        assert_eq!(scans.begin([0xff; 16], 0), Err(TooManyScans));
        scans.end_old(Instant::now() + LIFETIME);
        assert_eq!(scans.begin([0xff; 16], 0), Ok(()));
    }
}
