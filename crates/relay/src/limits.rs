//! Deadlines and sizes, each with the reason for its default.

use std::time::Duration;

/// How long a connect and each request may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// For the TCP connect with name resolution. 10 s: three lost SYNs. Couchbase waits 180 s, but
    /// a connect that takes longer is better repeated after a backoff, and delays a failover less
    /// (MB-50442).
    pub connect: Duration,
    /// For each request with its response. 10 s: a healthy node needs milliseconds, one with a busy
    /// disk seconds.
    pub request: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), request: Duration::from_secs(10) }
    }
}

/// Sizes and deadlines of a pump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PumpLimits {
    /// The initial size of the read buffer, 64 KiB: 64 idle links take 8 MiB.
    pub buffer_bytes: usize,
    /// The maximal size of the read buffer, 512 KiB: a byte then costs a third less processor time
    /// than with 64 KiB (measured on loopback); larger buffers save nothing more.
    pub buffer_bytes_max: usize,
    /// The largest control frame, 64 KiB: the largest valid ones have a failover log of 25 entries
    /// or a small filter. The buffer is at least as large.
    pub control_bytes_max: usize,
    /// How long the sink may accept no bytes, 360 s: data nodes close an idle connection after that
    /// (`dcp_idle_timeout`).
    pub write_stall: Duration,
    /// How long a verdict may take, 30 s. It takes microseconds; a judge that needs longer hangs.
    pub verdict: Duration,
}

impl Default for PumpLimits {
    fn default() -> Self {
        Self {
            buffer_bytes: 64 * 1024,
            buffer_bytes_max: 512 * 1024,
            control_bytes_max: 64 * 1024,
            write_stall: Duration::from_secs(360),
            verdict: Duration::from_secs(30),
        }
    }
}
