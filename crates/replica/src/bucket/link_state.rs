//! The state of a link, and what to do with it next.

use std::time::Duration;

use serde::Serialize;

use crate::link::Ticket;

/// The state of a link, with the data of that state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum LinkState {
    /// Not needed, or not opened yet.
    Idle,
    /// Both connections are being opened.
    Connecting,
    /// Open, with the running command.
    Up { running: Option<Ticket> },
    /// Down; opened again at the given time.
    Waiting { until: Duration },
    /// Closing its streams, then its connections.
    Closing,
}

/// What to do with a link next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    Nothing,
    /// Open its connections.
    Connect,
    /// Leave it closed: it is not needed.
    Rest,
    /// Cancel its opening.
    Abandon,
    /// Close its streams, then its connections.
    Close,
    /// Run the next set-up.
    SetUp,
}

/// The phase of a link in the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkPhase {
    /// Connections are being opened.
    Connecting,
    /// Both connections are open.
    Up,
    /// Both connections are open, and one of both nodes is unresponsive: it is heard on no
    /// connection.
    Unresponsive,
    /// Down after a failure; opened again after its backoff.
    Waiting,
    /// Streams are being closed; the link ends after that.
    Closing,
    /// Closed on purpose.
    Stopped,
}

impl LinkState {
    /// Returns what to do next with a link. One that is reserved for a takeover is kept open and
    /// gets no set-up.
    pub(super) fn decide(self, is_needed: bool, is_reserved: bool, now: Duration) -> Decision {
        match self {
            Self::Idle if is_needed => Decision::Connect,
            Self::Waiting { .. } if !is_needed => Decision::Rest,
            Self::Waiting { until } if until <= now => Decision::Connect,
            Self::Connecting if !is_needed => Decision::Abandon,
            Self::Up { .. } if !is_needed => Decision::Close,
            Self::Up { running: None } if !is_reserved => Decision::SetUp,
            Self::Idle
            | Self::Waiting { .. }
            | Self::Connecting
            | Self::Up { .. }
            | Self::Closing => Decision::Nothing,
        }
    }

    /// Returns when it is opened again, where it waits for that.
    pub(super) const fn retry_at(self) -> Option<Duration> {
        match self {
            Self::Waiting { until } => Some(until),
            Self::Idle | Self::Connecting | Self::Up { .. } | Self::Closing => None,
        }
    }

    /// Returns the phase. `is_unresponsive` is set where one of both nodes is.
    pub(super) const fn phase(self, is_unresponsive: bool) -> LinkPhase {
        match self {
            Self::Up { .. } if is_unresponsive => LinkPhase::Unresponsive,
            Self::Idle => LinkPhase::Stopped,
            Self::Connecting => LinkPhase::Connecting,
            Self::Up { .. } => LinkPhase::Up,
            Self::Waiting { .. } => LinkPhase::Waiting,
            Self::Closing => LinkPhase::Closing,
        }
    }
}
