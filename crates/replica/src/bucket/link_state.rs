//! How far a link is, and what to do with it next.

use std::time::Duration;

use serde::Serialize;

use crate::link::Ticket;

/// How far a link is, with what that state needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum LinkState {
    /// Nothing is wanted of it, or not yet begun.
    Idle,
    /// The pair is being opened.
    Connecting,
    /// Open; with the command that it is running.
    Up { running: Option<Ticket> },
    /// Down; to be opened again then.
    Waiting { until: Duration },
    /// LoggedReasons to close its streams and end.
    Closing,
}

/// What to do with a link next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    Nothing,
    /// Open its connections.
    Connect,
    /// Leave it closed: nothing is wanted of it.
    Rest,
    /// Give up opening it.
    Abandon,
    /// Close its streams, then its connections.
    Close,
    /// Ask for what is wanted and not open.
    SetUp,
}

/// How far a link is, for status pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkPhase {
    /// Connections are being opened.
    Connecting,
    /// Both connections are open.
    Up,
    /// Down after a failure; will be opened again.
    Waiting,
    /// Streams are being closed; it ends after that.
    Closing,
    /// Ended on purpose.
    Stopped,
}

impl LinkState {
    /// What to do next with a link that is needed or not. One that is reserved for a takeover is
    /// kept open, and gets no set-up.
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

    pub(super) const fn phase(self) -> LinkPhase {
        match self {
            Self::Idle => LinkPhase::Stopped,
            Self::Connecting => LinkPhase::Connecting,
            Self::Up { .. } => LinkPhase::Up,
            Self::Waiting { .. } => LinkPhase::Waiting,
            Self::Closing => LinkPhase::Closing,
        }
    }
}
