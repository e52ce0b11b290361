//! Detects a link that makes no progress while both its connections are open, and the reason.
//!
//! The caller passes in samples of counters. A link with nothing to send is not stalled, however
//! long it is silent.

use std::time::Duration;

use mcbp::Side;

use crate::liveness::Quiet;

/// The limit doubles with each restart that moved no data, at most so often: a producer may read
/// its disk for long before it sends anything, and must not be restarted for ever.
const DOUBLINGS_MAX: u32 = 4;

/// A link at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sample {
    /// The lag in seqnos, summed over all open streams; `None` where unknown.
    pub behind: Option<u64>,
    /// Changes whenever data was passed to the consumer; noops do not count.
    pub data: u64,
    /// Bytes that the consumer has acknowledged so far.
    pub acked_bytes: u64,
    /// The size of the consumer's flow-control window; `None` where it asked for none.
    pub window_bytes: Option<u64>,
    /// How long both nodes have been silent on the link.
    pub quiet: Quiet,
}

/// Why a link is stalled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Stall {
    /// The producer has newer changes and sends no data.
    #[error(
        "the producer is {behind} seqnos ahead and has sent no data for {} ms",
        .for_.as_millis()
    )]
    Silent {
        /// Seqnos that are missing.
        behind: u64,
        /// Time without data.
        for_: Duration,
    },
    /// The window is full, and the consumer acknowledges nothing.
    #[error(
        "the consumer has acknowledged nothing for {} ms, with {unacked_bytes} bytes of data \
         sent and a window of {window_bytes}",
        .for_.as_millis()
    )]
    WindowFull {
        /// Data sent since the last acknowledgement.
        unacked_bytes: u64,
        /// The size of the window.
        window_bytes: u64,
        /// Time without data and acknowledgements.
        for_: Duration,
    },
}

impl Stall {
    /// The side at fault: the consumer if it does not acknowledge.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::Silent { .. } => Side::Producer,
            Self::WindowFull { .. } => Side::Consumer,
        }
    }
}

/// Watches one incarnation of a link.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StallRule {
    limit: Duration,
    last: Sample,
    data_at_ack: u64,
    /// When data or an acknowledgement last came; times are since any fixed start.
    moved: Duration,
    /// Since when every sample has shown a lag.
    behind_since: Option<Duration>,
    has_moved_data: bool,
}

impl StallRule {
    /// Returns the rule for a link that opened at `now`, after `restarts` stalls in a row. `limit`
    /// is the longest time without progress.
    #[must_use]
    pub fn new(limit: Duration, restarts: u32, now: Duration) -> Self {
        Self {
            limit: limit.saturating_mul(1 << restarts.min(DOUBLINGS_MAX)),
            last: Sample::default(),
            data_at_ack: 0,
            moved: now,
            behind_since: None,
            has_moved_data: false,
        }
    }

    /// Records a sample. Returns the stall, if the link is stalled.
    pub fn sample(&mut self, sample: Sample, now: Duration) -> Option<Stall> {
        if sample.acked_bytes != self.last.acked_bytes {
            (self.moved, self.data_at_ack) = (now, sample.data);
        }
        if sample.data != self.last.data {
            self.moved = now;
            self.has_moved_data = true;
        }
        self.behind_since = match sample.behind {
            Some(1..) => self.behind_since.or(Some(now)),
            Some(0) | None => None,
        };
        self.last = sample;
        self.judge(sample, now)
    }

    /// Starts to measure anew: this process did not run until `now`.
    pub fn resumed(&mut self, now: Duration) {
        self.moved = self.moved.max(now);
        self.behind_since = self.behind_since.map(|since| since.max(now));
    }

    /// Whether this incarnation has moved any data.
    #[must_use]
    pub const fn has_moved_data(&self) -> bool {
        self.has_moved_data
    }

    fn judge(&self, sample: Sample, now: Duration) -> Option<Stall> {
        let for_ = now.saturating_sub(self.moved);
        let unacked_bytes = sample.data.saturating_sub(self.data_at_ack);
        if let Some(window_bytes) = sample.window_bytes
            // Half a window: `data` leaves out headers, and a healthy consumer acknowledges in
            // large steps, but leaves less than half a window unacknowledged.
            && window_bytes > 0
            && unacked_bytes >= window_bytes / 2
            && for_ >= self.limit
        {
            return Some(Stall::WindowFull { unacked_bytes, window_bytes, for_ });
        }
        let for_ = for_.min(now.saturating_sub(self.behind_since?));
        let behind = sample.behind?;
        (for_ >= self.limit).then_some(Stall::Silent { behind, for_ })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rule() -> StallRule {
        StallRule::new(LIMIT, 0, at(0))
    }

    fn behind(behind: u64, data: u64) -> Sample {
        Sample { behind: Some(behind), data, ..Sample::default() }
    }

    #[test]
    fn mb_14187_a_producer_that_is_ahead_and_sends_nothing_is_found() {
        let mut rule = rule();
        assert_eq!(rule.sample(behind(5, 100), at(1)), None);
        assert_eq!(rule.sample(behind(7, 100), at(20)), None);
        let stall = Some(Stall::Silent { behind: 7, for_: LIMIT });
        assert_eq!(rule.sample(behind(7, 100), at(21)), stall);
    }

    #[test]
    fn data_that_moves_is_no_stall_however_large_the_lag() {
        let mut rule = rule();
        for second in 0..100 {
            assert_eq!(rule.sample(behind(1_000_000, second), at(second)), None);
        }
        assert!(rule.has_moved_data());
    }

    #[test]
    fn an_idle_link_is_no_stall_and_the_time_counts_from_the_first_change() {
        let mut rule = rule();
        assert_eq!(rule.sample(behind(0, 7), at(1)), None);
        assert_eq!(rule.sample(behind(0, 7), at(1000)), None);
        assert_eq!(rule.sample(behind(1, 7), at(1001)), None);
        assert_eq!(rule.sample(behind(1, 7), at(1020)), None);
        assert!(rule.sample(behind(1, 7), at(1021)).is_some());
    }

    #[test]
    fn an_unknown_lag_proves_nothing() {
        let mut rule = rule();
        rule.sample(behind(5, 1), at(1));
        assert_eq!(rule.sample(Sample { behind: None, ..behind(0, 1) }, at(50)), None);
        assert_eq!(rule.sample(behind(5, 1), at(51)), None, "the time restarts");
    }

    #[test]
    fn kafka_8_a_full_window_without_an_acknowledgement_is_found_by_itself() {
        let mut rule = rule();
        let full = |data, acked_bytes| Sample {
            behind: None,
            data,
            acked_bytes,
            window_bytes: Some(1000),
            ..Sample::default()
        };
        assert_eq!(rule.sample(full(600, 0), at(1)), None);
        assert_eq!(rule.sample(full(900, 600), at(2)), None);
        assert_eq!(rule.sample(full(900, 600), at(100)), None, "300 of 1000 is no full window");
        assert_eq!(rule.sample(full(1600, 600), at(101)), None);
        let stall = Stall::WindowFull { unacked_bytes: 700, window_bytes: 1000, for_: LIMIT };
        assert_eq!(rule.sample(full(1600, 600), at(121)), Some(stall));
    }

    #[test]
    fn time_in_which_this_process_did_not_run_does_not_count() {
        let mut rule = rule();
        assert_eq!(rule.sample(behind(5, 100), at(1)), None);
        rule.resumed(at(300));
        assert_eq!(rule.sample(behind(7, 100), at(300)), None);
        assert_eq!(rule.sample(behind(7, 100), at(319)), None);
        assert!(rule.sample(behind(7, 100), at(320)).is_some());
    }

    #[test]
    fn restarts_that_move_nothing_are_given_more_and_more_time() {
        let mut rule = StallRule::new(LIMIT, 2, at(0));
        rule.sample(behind(1, 0), at(0));
        assert_eq!(rule.sample(behind(1, 0), at(79)), None);
        assert!(rule.sample(behind(1, 0), at(80)).is_some());
        assert_eq!(StallRule::new(LIMIT, 99, at(0)).limit, 16 * LIMIT);
    }
}
