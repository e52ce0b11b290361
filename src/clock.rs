//! Times as the API and the log write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A time in UTC as RFC 3339, to the millisecond.
#[must_use]
pub fn utc(at: SystemTime) -> String {
    // Years beyond 9999 have no such form; no clock is there.
    Timestamp::try_from(at).map(|at| format!("{at:.3}")).unwrap_or_default()
}

/// The same of milliseconds since 1970.
#[must_use]
pub fn utc_ms(ms: u64) -> String {
    time_ms(ms).map(utc).unwrap_or_default()
}

/// Milliseconds since 1970 as a time; `None` where that is too far away.
#[must_use]
pub fn time_ms(ms: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_to_the_millisecond() {
        assert_eq!(utc_ms(1_764_378_123_004), "2025-11-29T01:02:03.004Z");
        assert_eq!(utc_ms(u64::MAX), "");
    }
}
