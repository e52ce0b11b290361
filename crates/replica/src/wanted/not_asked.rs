//! Wanted streams that are not asked for, because of what the consumer reports: those that are held
//! back, and those that it dropped silently.

use std::time::Duration;

use mcbp::VbId;

use super::{WantedPhase, WantedStreams};
use crate::link::{Retry, VbError};

impl WantedStreams {
    /// Holds back the chosen streams that are not open and not asked for, and releases all others.
    pub fn hold(&mut self, which: impl Fn(VbId) -> bool) {
        for (&vb, stream) in &mut self.streams {
            match stream.phase {
                WantedPhase::Due | WantedPhase::Waiting { .. } if which(vb) => {
                    stream.phase = WantedPhase::Held;
                    // It stays in `reopen`: it may be released before it is closed.
                    if self.reopen.contains(&vb) {
                        self.surplus.insert(vb);
                    }
                }
                WantedPhase::Held if !which(vb) => stream.phase = WantedPhase::Due,
                _ => {}
            }
        }
    }

    /// Whether a wanted stream is held back.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        self.streams.values().any(|stream| stream.phase == WantedPhase::Held)
    }

    /// Records that the consumer has dropped an open stream silently. It is closed at
    /// both nodes with the next set-up, and added again after its backoff.
    pub fn dropped(
        &mut self,
        error: VbError,
        now: Duration,
        mut delay: impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        if self.is_open(error.vb) {
            self.surplus.insert(error.vb);
            self.reopen.insert(error.vb);
            self.wait(error.vb, Some(error), now, &mut delay);
        }
    }
}
