//! How many bytes a second all connections of a comparison read together.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Option<NonZeroU64>,
    /// When everything that was read so far has been paid for.
    paid_at: Mutex<Instant>,
}

impl Limiter {
    /// `rate` is in bytes a second; `None` for no limit.
    pub(super) fn new(rate: Option<NonZeroU64>) -> Self {
        Self { rate, paid_at: Mutex::new(Instant::now()) }
    }

    pub(super) const fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// Waits for as long as bytes that were read take at this rate. Meanwhile the window of their
    /// connection fills, and the node stops.
    pub(super) async fn take(&self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let until = {
            let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            *paid_at = (*paid_at).max(now).checked_add(takes).unwrap_or(now);
            *paid_at
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_connections_together_keep_to_the_rate() {
        let limiter = Limiter::new(NonZeroU64::new(1000));
        let started = Instant::now();
        tokio::join!(limiter.take(500), limiter.take(1500), limiter.take(1000));
        assert_eq!(started.elapsed().as_secs(), 3);
        // What was not read in time is not saved up.
        tokio::time::advance(Duration::from_secs(60)).await;
        let later = Instant::now();
        limiter.take(2000).await;
        assert_eq!(later.elapsed().as_secs(), 2);
        Limiter::new(None).take(u64::MAX).await;
        assert_eq!(later.elapsed().as_secs(), 2);
    }
}
