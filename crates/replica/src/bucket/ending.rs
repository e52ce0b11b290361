//! How the time of a stop is divided.

use std::time::Duration;

use super::moves::{Move, MoveStep};
use crate::link::Ticket;

/// A stop that has begun. What is left of its time is for the streams and links.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ending {
    pub(super) ticket: Ticket,
    /// Until when a takeover may run: half of the time.
    takeover: Duration,
    /// Until when it may be examined: three quarters of the time.
    pub(super) examination: Duration,
}

impl Ending {
    pub(super) fn new(ticket: Ticket, within: Duration, now: Duration) -> Self {
        let half = within / 2;
        Self { ticket, takeover: now + half, examination: now + half + half / 2 }
    }

    /// When the present step of a move is over, whatever its own deadline is.
    pub(super) const fn limit(&self, moving: &Move) -> Duration {
        match moving.step {
            MoveStep::Examining { .. } => self.examination,
            _ => self.takeover,
        }
    }
}
