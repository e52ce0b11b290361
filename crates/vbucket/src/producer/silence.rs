//! A consumer that lives, answers NOOPs and acknowledges nothing: its streams stand still, and
//! nobody would know (MB-65403, MB-61159). It is told; the connection is left as it is, for it
//! costs little and the consumer may come to itself.

use std::time::Duration;

use super::window::Window;

/// After so long with a full window and no acknowledgement the connection is told of. kv_engine
/// hangs up after 720 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// For how long the window has been full without an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Silence {
    since: Option<Duration>,
    acked_bytes: u64,
    lasts: Duration,
    told: bool,
}

impl Silence {
    /// Looks at the window; says once when it has been like that for too long.
    pub(super) fn look(&mut self, window: &Window, now: Duration) -> bool {
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
        self.is_too_long() && !std::mem::replace(&mut self.told, true)
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.lasts >= SILENCE_MAX
    }

    /// How long it lasts.
    pub(super) const fn lasts(&self) -> Duration {
        self.lasts
    }
}
