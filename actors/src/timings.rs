//! How long the steps of a bucket take, for metrics.

use std::sync::Arc;
use std::time::Duration;

use exposition::Durations;
use replica::link::Command;
use tokio::time::Instant;

/// The histograms of one bucket, since the start.
#[derive(Debug, Default)]
pub struct Timings {
    /// From the first connection of a link to both being logged in and open.
    pub link_setup: Durations,
    /// From the ADD_STREAMs of a link to their last outcome.
    pub stream_setup: Durations,
    /// From the first request of a takeover to its outcome, good or bad.
    pub takeover: Durations,
    /// From a prepare of a durable write to the SEQNO_ACK that covers it, as they pass here; by
    /// samples: one prepare of each vBucket at a time.
    pub acknowledgement: Arc<Durations>,
}

/// The command that a link runs, and when it began.
#[derive(Debug)]
pub(crate) struct Running {
    is_takeover: bool,
    since: Instant,
}

impl Running {
    /// Returns what to time of a command; `None` if nothing.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        let is_takeover = match command {
            Command::SetupStreams { wanted, .. } if !wanted.is_empty() => false,
            Command::AddStreams { .. } => false,
            Command::Takeover { .. } => true,
            Command::SetupStreams { .. } | Command::CloseStreams { .. } | Command::Shut => {
                return None;
            }
        };
        Some(Self { is_takeover, since: Instant::now() })
    }

    /// Records that the command was answered.
    pub(crate) fn answered(self, timings: &Timings) {
        let took: Duration = self.since.elapsed();
        let of = if self.is_takeover { &timings.takeover } else { &timings.stream_setup };
        of.observe(took);
    }
}
