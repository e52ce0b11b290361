//! Detects a consumer that answers NOOPs and acknowledges nothing: its streams make no progress
//! (MB-65403, MB-61159). Logged once; the connection stays open because the consumer may recover.

use std::time::Duration;

use super::window::Window;

/// How long the window may be full without an acknowledgement before that is logged. kv_engine
/// disconnects after 720 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long the window has been full without an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Silence {
    since: Option<Duration>,
    acked_bytes: u64,
    lasts: Duration,
    reported: bool,
}

impl Silence {
    /// Looks at the window. Returns true once when the silence is too long.
    pub(super) fn check(&mut self, window: &Window, now: Duration) -> bool {
        let acked_bytes = window.acked_bytes();
        if window.is_open() {
            *self = Self::default();
            return false;
        }
        let since = match self.since.filter(|_| self.acked_bytes == acked_bytes) {
            Some(since) => since,
            None => {
                *self = Self { since: Some(now), acked_bytes, ..Self::default() };
                now
            }
        };
        self.lasts = now.saturating_sub(since);
        self.is_too_long() && !std::mem::replace(&mut self.reported, true)
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.lasts >= SILENCE_MAX
    }

    /// How long the silence lasts.
    pub(super) const fn lasts(&self) -> Duration {
        self.lasts
    }
}
