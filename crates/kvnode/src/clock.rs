//! Time and randomness: Unix time, the wall clock of CAS values, expiry times, uuids of failover
//! entries. The rules of CAS values are in `vbucket::hlc`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcbp::VbUuid;
use vbucket::failover::uuid_from_random;

/// Expiry times up to this are seconds from now, greater ones are Unix time. Source: memcached's
/// protocol.
const RELATIVE_EXPIRY_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;

/// The time since 1970. A clock that is set to an earlier time counts as 1970.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Unix time in seconds; from 2106 on, the last second that 32 bits hold.
pub(crate) fn unix_now() -> u32 {
    u32::try_from(since_epoch().as_secs()).unwrap_or(u32::MAX)
}

/// Unix time in nanoseconds; 64 bits hold it until 2554, and stay there.
pub(crate) fn unix_now_ns() -> u64 {
    u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX)
}

/// Converts an expiry that a client sent to Unix time; 0 means "never" and stays 0. `None` where 32
/// bits do not hold it (MB-67576).
pub(crate) const fn absolute_expiry(expiry: u32, now: u32) -> Option<u32> {
    match expiry {
        0 => Some(0),
        1..=RELATIVE_EXPIRY_SECONDS_MAX => now.checked_add(expiry),
        absolute => Some(absolute),
    }
}

/// Makes a uuid for a new branch of history.
pub(crate) fn new_uuid() -> VbUuid {
    uuid_from_random(fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mb_67576_an_expiry_is_after_now_or_refused() {
        for now in [0, 1, 1_790_000_000, u32::MAX - 500, u32::MAX] {
            for expiry in [0, 1, 60, 500, 501, RELATIVE_EXPIRY_SECONDS_MAX] {
                let expected = u64::from(now) + u64::from(expiry);
                let expected = if expiry == 0 { Some(0) } else { u32::try_from(expected).ok() };
                assert_eq!(absolute_expiry(expiry, now), expected, "{expiry} s after {now}");
            }
            let absolute = RELATIVE_EXPIRY_SECONDS_MAX + 1;
            assert_eq!(absolute_expiry(absolute, now), Some(absolute));
            assert_eq!(absolute_expiry(u32::MAX, now), Some(u32::MAX));
        }
    }
}
