//! Why a link is down, and when it is opened again.

use mcbp::{Side, VbId};

use crate::link::{NodeAnswer, ReasonCode, Retry, StopReason};
use crate::stall::Stall;

/// When a link that is down is opened again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reopen {
    /// The peer will be ready in a moment: after the shortest delay.
    Soon,
    /// After a delay that grows with each failure.
    AfterBackoff,
    /// The same, and only a change of somebody's configuration will help.
    Slowly,
    /// It ended because that was wanted.
    Never,
}

/// Why a link is down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LinkDown {
    /// The side at fault, where one is.
    pub side: Option<Side>,
    /// What happened: `refused`, `stalled` or `link-lost`.
    pub code: ReasonCode,
    /// What a data node answered, where one did.
    pub answer: Option<NodeAnswer>,
    /// The whole story in one line, for a person.
    pub detail: String,
    /// Whether and when a new link may help.
    pub reopen: Reopen,
}

impl LinkDown {
    /// The link stands still: the consumer's fault where it does not acknowledge.
    #[must_use]
    pub fn stalled(stall: &Stall) -> Self {
        let side = match stall {
            Stall::Silent { .. } => Side::Producer,
            Stall::WindowFull { .. } => Side::Consumer,
        };
        Self::without_answer(Some(side), ReasonCode::Stalled, stall.to_string())
    }

    /// The consumer will not roll back what it was told to.
    #[must_use]
    pub fn rollback_given_up(vb: VbId) -> Self {
        let detail = format!("{vb} has to roll back, and the consumer does not serve it");
        Self::without_answer(Some(Side::Consumer), ReasonCode::LinkLost, detail)
    }

    /// The link's machine stopped.
    #[must_use]
    pub fn stopped(reason: &StopReason) -> Self {
        let (side, code, reopen) = match reason {
            StopReason::Shut => (None, ReasonCode::LinkLost, Reopen::Never),
            StopReason::LinkLost { side, .. } | StopReason::Protocol { side, .. } => {
                (Some(*side), ReasonCode::LinkLost, Reopen::AfterBackoff)
            }
            StopReason::Internal { .. } => (None, ReasonCode::Internal, Reopen::AfterBackoff),
        };
        Self { reopen, ..Self::without_answer(side, code, reason.to_string()) }
    }

    /// It could not be opened, by a defect of this program.
    #[must_use]
    pub fn internal(defect: String) -> Self {
        Self { reopen: Reopen::Slowly, ..Self::without_answer(None, ReasonCode::Internal, defect) }
    }

    const fn without_answer(side: Option<Side>, code: ReasonCode, detail: String) -> Self {
        Self { side, code, answer: None, detail, reopen: Reopen::AfterBackoff }
    }

    /// When a caller may ask again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self.reopen {
            Reopen::Soon => Retry::AtOnce,
            Reopen::AfterBackoff | Reopen::Slowly => Retry::AfterBackoff,
            Reopen::Never => Retry::Never,
        }
    }
}
