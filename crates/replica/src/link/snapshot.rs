//! Views of a machine, in any phase, without changing it.

use std::collections::BTreeSet;

use mcbp::{Opaque, VbId};
use serde::Serialize;

use super::attempt::{AddPhase, Adding};
use super::phase::Shut;
use super::phase::Takeover;
use super::stream::Request;
use super::{Activity, ConsumerMachine, Deadline, Phase, StopReason};

/// A machine at one moment, for status pages, logs and tests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Snapshot {
    /// `idle`, `setting-up`, `taking-over`, `shutting` or `stopped`.
    pub phase: &'static str,
    /// Every vBucket that is open or part of the running command, in ascending order.
    pub vbuckets: Vec<VbSnapshot>,
}

/// One vBucket at one moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct VbSnapshot {
    /// The vBucket id.
    pub vbucket: u16,
    /// Its phase.
    pub phase: VbPhase,
    /// The stream's opaque, once its STREAM_REQ was seen.
    pub opaque: Option<u32>,
    /// While it rolls back: the number of rollbacks before its own in the queue of this link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollbacks_before: Option<usize>,
}

/// The phase of one vBucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VbPhase {
    /// ADD_STREAM was sent; the STREAM_REQ is pending.
    Adding,
    /// STREAM_REQ passed; the producer's answer is pending.
    Requested,
    /// The consumer rolls back first, one vBucket at a time.
    RollingBack,
    /// The producer accepted; the answer to ADD_STREAM is pending.
    Accepted,
    /// The producer refused; the answer to ADD_STREAM is pending.
    Refused,
    /// The stream is open.
    Open,
    /// The stream of a takeover is open, and the vBucket is not active yet.
    Moving,
    /// CLOSE_STREAM was sent.
    Closing,
}

impl From<AddPhase> for VbPhase {
    fn from(phase: AddPhase) -> Self {
        match phase {
            AddPhase::Adding => Self::Adding,
            AddPhase::Requested => Self::Requested,
            AddPhase::RollingBack(_) => Self::RollingBack,
            AddPhase::Accepted => Self::Accepted,
            AddPhase::Refused(_) | AddPhase::RolledBack => Self::Refused,
        }
    }
}

impl ConsumerMachine {
    /// Returns the vBuckets whose streams are open, in ascending order.
    pub fn open(&self) -> impl Iterator<Item = VbId> {
        self.ledger.open.keys().copied()
    }

    /// Returns the vBuckets that the running command waits for, in ascending order.
    #[must_use]
    pub fn pending(&self) -> BTreeSet<VbId> {
        let running = self.ledger.adding.keys().chain(self.ledger.closing.keys()).copied();
        running.chain(self.taken_over()).chain(self.shutting().map(|(_, vb)| vb)).collect()
    }

    /// Returns the vBucket that is being taken over, if any.
    #[must_use]
    pub fn taking_over(&self) -> Option<VbId> {
        self.moving().map(|takeover| takeover.vb)
    }

    /// Returns the name of the phase, as in [`Snapshot::phase`].
    #[must_use]
    pub const fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Live(Activity::Idle) => "idle",
            Phase::Live(Activity::SettingUp(_)) => "setting-up",
            Phase::Live(Activity::TakingOver(_)) => "taking-over",
            Phase::Shut(Shut::Closing(_)) => "shutting",
            Phase::Shut(Shut::Stopped(_)) => "stopped",
        }
    }

    /// Returns why the machine stopped, if it has.
    #[must_use]
    pub const fn stopped(&self) -> Option<&StopReason> {
        match &self.phase {
            Phase::Shut(Shut::Stopped(reason)) => Some(reason),
            Phase::Live(_) | Phase::Shut(Shut::Closing(_)) => None,
        }
    }

    /// Returns the opaque of a vBucket's stream, once its STREAM_REQ was seen.
    #[must_use]
    pub fn stream_opaque(&self, vb: VbId) -> Option<Opaque> {
        let open = self.ledger.open.get(&vb).map(|stream| stream.request);
        let request = open.or_else(|| self.ledger.adding.get(&vb).map(|entry| entry.request))?;
        request.map(|request| request.opaque)
    }

    /// Returns the armed deadlines that something waits for. Never empty while a command is
    /// running.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let ledger = &self.ledger;
        let takeover = ledger.adding.values().find_map(Adding::takeover_deadline);
        let plain = ledger.adding.values().any(|entry| entry.takeover_deadline().is_none());
        let adds = ledger.adds.armed().filter(|_| plain);
        let refused = ledger.adding.values().any(|entry| entry.phase.is_refusal());
        let refusals = ledger.refusals.armed().filter(|_| refused);
        let closes = ledger.closes.armed().filter(|_| !ledger.closing.is_empty());
        let moving = self.moving().and_then(|takeover| takeover.added).map(Takeover::deadline);
        let shut = match &self.phase {
            Phase::Shut(Shut::Closing(shutdown)) => shutdown.deadline.armed(),
            Phase::Live(_) | Phase::Shut(Shut::Stopped(_)) => None,
        };
        [takeover, adds, refusals, closes, moving, shut].into_iter().flatten()
    }

    /// Returns a snapshot of the machine.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let number = |request: Option<Request>| request.map(|request| request.opaque.0);
        let before = self.ledger.rollbacks_before();
        let row = |vb: VbId, phase, request| VbSnapshot {
            vbucket: vb.0,
            phase,
            opaque: number(request),
            rollbacks_before: before.get(&vb).copied(),
        };
        let open = self.ledger.open.iter().map(|(&vb, s)| row(vb, VbPhase::Open, s.request));
        let adding = self.ledger.adding.iter().chain(&self.ledger.stuck);
        let adding = adding.map(|(&vb, e)| row(vb, e.phase.into(), e.request));
        let closing = self.ledger.closing.iter().map(|(&vb, entry)| {
            row(vb, VbPhase::Closing, entry.stream.and_then(|stream| stream.request))
        });
        let moving = self.moving().and_then(|takeover| Some((takeover.vb, takeover.added?)));
        let moving = moving.map(|(vb, stream)| row(vb, VbPhase::Moving, stream.request));
        let shutting = self.shutting().map(|(_, vb)| row(vb, VbPhase::Closing, None));
        let mut vbuckets: Vec<_> =
            open.chain(adding).chain(closing).chain(moving).chain(shutting).collect();
        vbuckets.sort();
        Snapshot { phase: self.phase(), vbuckets }
    }

    const fn moving(&self) -> Option<&Takeover> {
        self.phase.takeover()
    }

    /// Returns the vBucket whose takeover stream is open, if any.
    pub(super) fn taken_over(&self) -> Option<VbId> {
        self.moving().filter(|takeover| takeover.added.is_some()).map(|takeover| takeover.vb)
    }

    fn shutting(&self) -> impl Iterator<Item = (Opaque, VbId)> {
        let waiting = match &self.phase {
            Phase::Shut(Shut::Closing(shutdown)) => Some(&shutdown.waiting),
            Phase::Live(_) | Phase::Shut(Shut::Stopped(_)) => None,
        };
        waiting.into_iter().flatten().map(|(&opaque, &vb)| (opaque, vb))
    }
}
