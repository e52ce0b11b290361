//! How long a peer has moved nothing that this side waits for.

use std::time::Duration;

use tokio::time::Instant;

/// How long a peer may move nothing.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// The same while others wait for memory that it holds.
pub(super) const STALL_WANTED: Duration = Duration::from_secs(10);
/// What one look adds at most: while this side does not look, or the process is stopped, the peer
/// is not to blame.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Still {
    /// How many bytes had moved at the last look.
    seen_bytes: u64,
    looked: Instant,
    still: Duration,
}

impl Still {
    /// The wait begins, and so many bytes have moved.
    pub(super) fn begin(seen_bytes: u64) -> Self {
        Self { seen_bytes, looked: Instant::now(), still: Duration::ZERO }
    }

    /// Looks at how many bytes have moved. Returns since when nothing has, if that is too long;
    /// `wanted` says whether others wait for what the peer holds.
    pub(super) fn look(&mut self, bytes: u64, wanted: bool) -> Option<Duration> {
        let since_look = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        if std::mem::replace(&mut self.seen_bytes, bytes) != bytes {
            self.still = Duration::ZERO;
            return None;
        }
        self.still += since_look.min(LOOK);
        let patience = if wanted { STALL_WANTED } else { STALL };
        (self.still >= patience).then_some(self.still)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Looks each half second while nothing moves; returns when it is too long.
    async fn patience(wanted: bool) -> Duration {
        let (mut still, began) = (Still::begin(7), Instant::now());
        while still.look(7, wanted).is_none() {
            advance(Duration::from_millis(500)).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_moves_nothing_is_given_up_sooner_where_others_wait() {
        assert_eq!(patience(false).await, STALL);
        assert_eq!(patience(true).await, STALL_WANTED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_begins_the_wait_anew_and_a_pause_of_this_side_counts_little() {
        let mut still = Still::begin(0);
        for bytes in 1..100 {
            advance(STALL).await;
            assert_eq!(still.look(bytes, true), None);
        }
        advance(STALL).await;
        assert_eq!(still.look(99, true), None);
    }
}
