//! Deadlines and sizes, each with the reason for its default.

use std::time::Duration;

/// How long the steps of a handshake, or single requests, may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// For the TCP connect, name resolution included. 10 s: three lost SYNs. Couchbase waits
    /// 180 s, but a connect that needs longer does better after a backoff, and blocks a failover
    /// less (MB-50442).
    pub connect: Duration,
    /// For each request and its response. 10 s: a healthy node takes milliseconds, one with a
    /// busy disk seconds.
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
    /// The read buffer of an idle link, 64 KiB: 64 links take 8 MiB.
    pub buffer_bytes: usize,
    /// How far it grows while reads fill it, 512 KiB: a byte then costs a third less processor
    /// time than with 64 KiB (measured on loopback); beyond, nothing more is saved.
    pub buffer_bytes_max: usize,
    /// The largest control frame, 64 KiB: the largest legal ones carry a failover log of 25
    /// entries or a small filter. The buffer is never smaller.
    pub control_bytes_max: usize,
    /// How long the destination may take no byte at all, 360 s: data nodes themselves drop a
    /// connection after that (`dcp_idle_timeout`).
    pub write_stall: Duration,
    /// How long a verdict may take, 30 s: it takes microseconds; only a judge that hangs needs
    /// longer.
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
