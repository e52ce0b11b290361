//! Whether the link is live, and the running command.

use std::collections::BTreeMap;

use mcbp::{Opaque, VbId, VbState};

use super::progress_deadline::ProgressDeadline;
use super::stream::Stream;
use super::{Deadline, LinkStep, Reason, Side, StopReason, Ticket, VbError, VbOutcome};

/// Whether the link is live. Frames may concern any stream in either phase.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Phase {
    Live(Activity),
    Shut(Shut),
}

/// The running command of a live link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Activity {
    #[default]
    Idle,
    SettingUp(SetUp),
    TakingOver(Takeover),
}

impl Default for Phase {
    fn default() -> Self {
        Self::Live(Activity::Idle)
    }
}

impl Phase {
    /// Returns the running command and leaves a live link idle. A link in shutdown runs none.
    pub(super) fn take_activity(&mut self) -> Activity {
        match self {
            Self::Live(activity) => std::mem::take(activity),
            Self::Shut(_) => Activity::Idle,
        }
    }

    pub(super) const fn set_up_mut(&mut self) -> Option<&mut SetUp> {
        match self {
            Self::Live(Activity::SettingUp(set_up)) => Some(set_up),
            Self::Live(Activity::Idle | Activity::TakingOver(_)) | Self::Shut(_) => None,
        }
    }

    pub(super) const fn takeover(&self) -> Option<&Takeover> {
        match self {
            Self::Live(Activity::TakingOver(takeover)) => Some(takeover),
            Self::Live(Activity::Idle | Activity::SettingUp(_)) | Self::Shut(_) => None,
        }
    }

    pub(super) const fn takeover_mut(&mut self) -> Option<&mut Takeover> {
        match self {
            Self::Live(Activity::TakingOver(takeover)) => Some(takeover),
            Self::Live(Activity::Idle | Activity::SettingUp(_)) | Self::Shut(_) => None,
        }
    }
}

/// A set-up that is running.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct SetUp {
    pub(super) ticket: Ticket,
    /// The vBuckets settled so far.
    pub(super) outcomes: BTreeMap<VbId, VbOutcome>,
}

/// A takeover that is running.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Takeover {
    pub(super) ticket: Ticket,
    pub(super) vb: VbId,
    /// The takeover stream, once ADD_STREAM was answered with success.
    pub(super) added: Option<Stream>,
    /// The SET_VBUCKET_STATE that the consumer has not answered yet.
    pub(super) asked: Option<(Opaque, VbState)>,
    /// The NOOP before the order to become active: its answer proves that every earlier row was
    /// taken or refused.
    pub(super) barrier: Option<Opaque>,
    /// Whether the consumer has acknowledged the active state.
    pub(super) active: bool,
    /// Whether data has passed since the deadline was armed.
    pub(super) moved: bool,
}

impl Takeover {
    pub(super) const fn deadline(stream: Stream) -> Deadline {
        Deadline { step: LinkStep::Takeover, opaque: stream.attempt }
    }

    /// Returns the side that is waited for after the stream was added, which an error names.
    pub(super) const fn awaited(&self) -> Side {
        if self.asked.is_some() { Side::Consumer } else { Side::Producer }
    }
}

/// A link in shutdown, or stopped.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Shut {
    /// The consumer is closing its streams.
    Closing(Shutdown),
    /// Stopped; the final state.
    Stopped(StopReason),
}

/// The consumer is closing its streams.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Shutdown {
    /// The tickets of all shutdown commands; they are answered together.
    pub(super) tickets: Vec<Ticket>,
    pub(super) deadline: ProgressDeadline,
    /// The streams that the consumer has not confirmed, by the opaque of our CLOSE_STREAM.
    pub(super) waiting: BTreeMap<Opaque, VbId>,
    pub(super) outcomes: BTreeMap<VbId, VbOutcome>,
}

impl Shut {
    pub(super) fn reason(&self) -> StopReason {
        match self {
            Self::Closing(_) => StopReason::Shut,
            Self::Stopped(reason) => reason.clone(),
        }
    }
}

impl Shutdown {
    /// Fails every stream that the consumer has not confirmed.
    pub(super) fn give_up(&mut self, reason: &Reason) {
        for (_, vb) in std::mem::take(&mut self.waiting) {
            let error = VbError { vb, side: Side::Consumer, reason: reason.clone() };
            self.outcomes.insert(vb, VbOutcome::Failed(error));
        }
    }
}
