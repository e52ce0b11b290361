//! The liveness of a DCP connection: NOOP, one at a time, and the idle timeout.
//!
//! The caller gives the time, on a clock of its choice.

use std::time::Duration;

use mcbp::Opaque;

/// A connection on which nothing is received for this long is closed (kv_engine's
/// `dcp_idle_timeout`).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(360);

/// One less than the opaque of the first NOOP. kv_engine counts NOOPs from here in host byte order.
const NOOP_OPAQUE_BASE: u32 = 10_000_000;

/// The liveness of one connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Liveness {
    counter: u32,
    /// The opaque of the unanswered NOOP.
    outstanding: Option<Opaque>,
    noop_sent_at: Duration,
    heard_at: Duration,
}

impl Liveness {
    /// A connection that was opened at `now`.
    #[must_use]
    pub const fn new(now: Duration) -> Self {
        let counter = NOOP_OPAQUE_BASE;
        Self { counter, outstanding: None, noop_sent_at: now, heard_at: now }
    }

    /// Records that the peer sent something.
    pub const fn heard(&mut self, now: Duration) {
        self.heard_at = now;
    }

    /// Returns the opaque of a NOOP that is due: `interval` after the last one, if that was
    /// answered.
    pub fn noop_due(&mut self, now: Duration, interval: Duration) -> Option<Opaque> {
        if self.outstanding.is_some() || now.saturating_sub(self.noop_sent_at) < interval {
            return None;
        }
        self.counter = self.counter.wrapping_add(1);
        let opaque = Opaque(self.counter.swap_bytes());
        self.outstanding = Some(opaque);
        self.noop_sent_at = now;
        Some(opaque)
    }

    /// Takes the answer to a NOOP; ignores other opaques.
    pub fn noop_answered(&mut self, opaque: Opaque) {
        if self.outstanding == Some(opaque) {
            self.outstanding = None;
        }
    }

    /// Whether a NOOP is unanswered.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Whether nothing was received for [`IDLE_TIMEOUT`].
    #[must_use]
    pub fn is_idle(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard_at) >= IDLE_TIMEOUT
    }

    /// When something was last received.
    #[must_use]
    pub const fn heard_at(&self) -> Duration {
        self.heard_at
    }
}
