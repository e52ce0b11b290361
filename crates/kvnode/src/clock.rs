//! Time and randomness: Unix time, the hybrid logical clock of CAS values, uuids of failover
//! entries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcbp::VbUuid;
use vbucket::failover::uuid_from_random;

/// The low bits of a CAS count changes within 65.5 us of the wall clock.
const LOGICAL_BITS: u64 = 0xffff;

/// Expiry times up to this are seconds from now, greater ones are Unix time. Source: memcached's
/// protocol.
const RELATIVE_EXPIRY_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;

/// The time since 1970. A clock that is set to an earlier time counts as 1970.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> u32 {
    u32::try_from(since_epoch().as_secs()).unwrap_or(u32::MAX)
}

/// Returns a CAS above `max`: wall time in nanoseconds if that is greater, else the next number.
pub(crate) fn next_cas(max: u64) -> u64 {
    let wall = u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX) & !LOGICAL_BITS;
    wall.max(max.saturating_add(1))
}

/// Converts an expiry that a client sent to Unix time; 0 means "never" and stays 0.
pub(crate) fn absolute_expiry(expiry: u32, now: u32) -> u32 {
    match expiry {
        0 => 0,
        1..=RELATIVE_EXPIRY_SECONDS_MAX => now.saturating_add(expiry),
        absolute => absolute,
    }
}

/// Makes a uuid for a new branch of history.
pub(crate) fn new_uuid() -> VbUuid {
    uuid_from_random(fastrand::u64(..))
}
