//! The captures that run: so many at most, each with a number under which it can be ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::error::ApiError;

/// The most captures at the same time; each holds at most [`relay::QUEUE_BYTES`] for its client.
const CAPTURES_MAX: usize = 4;

/// The captures that run.
#[derive(Debug, Default)]
pub(super) struct Captures(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    /// The number of the last one.
    last: u64,
    ends: BTreeMap<u64, CancellationToken>,
}

impl Captures {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a capture to end. Returns whether it runs.
    pub(super) fn end(&self, number: u64) -> bool {
        self.running().ends.get(&number).map(CancellationToken::cancel).is_some()
    }
}

/// One of the captures that there may be at the same time.
#[derive(Debug)]
pub(super) struct Seat {
    captures: Arc<Captures>,
    number: u64,
    asked: CancellationToken,
}

impl Seat {
    pub(super) fn of(captures: &Arc<Captures>) -> Result<Self, ApiError> {
        let mut running = captures.running();
        let count = running.ends.len();
        if count >= CAPTURES_MAX {
            let text =
                format!("{count} captures run already: end one, or wait until one has ended");
            return Err(ApiError::Busy(text));
        }
        running.last += 1;
        let (number, asked) = (running.last, CancellationToken::new());
        running.ends.insert(number, asked.clone());
        drop(running);
        Ok(Self { captures: Arc::clone(captures), number, asked })
    }

    /// The path under which it can be ended.
    pub(super) fn path(&self) -> String {
        format!("/api/v1/captures/{}", self.number)
    }

    /// Cancelled once somebody has asked for the end.
    pub(super) const fn asked(&self) -> &CancellationToken {
        &self.asked
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.captures.running().ends.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_ended_alone_and_makes_room() {
        let captures = Arc::new(Captures::default());
        let mut seats: Vec<_> = (0..CAPTURES_MAX).map(|_| Seat::of(&captures).unwrap()).collect();
        assert!(matches!(Seat::of(&captures), Err(ApiError::Busy(_))));
        let ended = seats[1].number;
        assert!(captures.end(ended) && !captures.end(99));
        let asked: Vec<_> = seats.iter().map(|seat| seat.asked().is_cancelled()).collect();
        assert_eq!(asked, [false, true, false, false]);
        drop(seats.remove(1));
        assert!(!captures.end(ended), "it has ended");
        let next = Seat::of(&captures).unwrap();
        assert!(next.number > ended && !next.asked().is_cancelled());
        drop((seats, next));
        assert_eq!(captures.running().ends.len(), 0);
    }
}
