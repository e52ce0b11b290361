//! Time and chance: Unix time, the hybrid logical clock of CAS values, uuids of failover entries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcbp::VbUuid;
use vbucket::failover::uuid_from_random;

/// The low bits of a CAS count changes within one tick of the wall clock (65.5 us).
const LOGICAL_BITS: u64 = 0xffff;

/// Expiry times up to this are seconds from now, above it Unix time. Source: memcached's protocol.
const RELATIVE_EXPIRY_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;

/// The time since 1970. A clock that is set to an earlier time counts as 1970.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> u32 {
    u32::try_from(since_epoch().as_secs()).unwrap_or(u32::MAX)
}

/// A CAS above `max`: wall time in nanoseconds where that is ahead, else the next number.
pub(crate) fn next_cas(max: u64) -> u64 {
    let wall = u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX) & !LOGICAL_BITS;
    wall.max(max.saturating_add(1))
}

/// The Unix time of an expiry as a client wrote it; 0 stays "never".
pub(crate) fn absolute_expiry(expiry: u32, now: u32) -> u32 {
    match expiry {
        0 => 0,
        1..=RELATIVE_EXPIRY_SECONDS_MAX => now.saturating_add(expiry),
        absolute => absolute,
    }
}

/// A uuid for a new branch of history.
pub(crate) fn new_uuid() -> VbUuid {
    uuid_from_random(fastrand::u64(..))
}
