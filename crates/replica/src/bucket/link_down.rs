//! Why a link is down, and when it is opened again.

use std::time::Duration;

use mcbp::{Side, VbId};

use crate::link::{NodeAnswer, ReasonCode, Retry, StopReason};
use crate::stall::Stall;

/// When a link that is down is opened again. The delays of each kind grow by themselves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reopen {
    /// After a growing delay: the peer is expected to be ready soon.
    Soon,
    /// After a growing delay.
    AfterBackoff,
    /// After a growing delay; only a change of some configuration will help.
    Slowly,
    /// After a growing delay, and after a long pause also while another client has the connection
    /// name, whose connection is closed by that.
    Rival,
    /// Not: it was closed on purpose.
    Never,
}

/// Why a link is down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LinkDown {
    /// The side at fault, if one is.
    pub side: Option<Side>,
    /// What happened: `refused`, `stalled`, `unresponsive` or `link-lost`.
    pub code: ReasonCode,
    /// What a data node answered, if one did.
    pub answer: Option<NodeAnswer>,
    /// The full text in one line, for the operator.
    pub detail: String,
    /// When the link is opened again.
    pub reopen: Reopen,
    /// Whether the node closed an open connection in an orderly way, as it does when another client
    /// opens one of the same name.
    pub hung_up: bool,
}

impl LinkDown {
    /// The link is stalled. The consumer is at fault where it does not acknowledge.
    #[must_use]
    pub fn stalled(stall: &Stall) -> Self {
        Self::without_answer(Some(stall.side()), ReasonCode::Stalled, stall.to_string())
    }

    /// A connection is dead: one side owes a NOOP or its answer, and answers elsewhere.
    #[must_use]
    pub fn unresponsive(side: Side, silent: Duration) -> Self {
        let detail = format!(
            "the {side} has sent nothing on this link for {} ms, not even a NOOP or its answer, \
             and answers on its control connection",
            silent.as_millis()
        );
        Self::without_answer(Some(side), ReasonCode::Unresponsive, detail)
    }

    /// The consumer dropped a rollback, because it does not serve the vBucket.
    #[must_use]
    pub fn rollback_given_up(vb: VbId) -> Self {
        let detail =
            format!("{vb} has to roll back, but is not served by the consumer (dead or deleted)");
        Self::without_answer(Some(Side::Consumer), ReasonCode::LinkLost, detail)
    }

    /// The machine of the link stopped.
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

    /// The link could not be opened because of a defect of this program.
    #[must_use]
    pub fn internal(defect: String) -> Self {
        Self { reopen: Reopen::Slowly, ..Self::without_answer(None, ReasonCode::Internal, defect) }
    }

    const fn without_answer(side: Option<Side>, code: ReasonCode, detail: String) -> Self {
        let reopen = Reopen::AfterBackoff;
        Self { side, code, answer: None, detail, reopen, hung_up: false }
    }

    /// Returns when a caller may retry.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self.reopen {
            Reopen::Soon => Retry::AtOnce,
            Reopen::AfterBackoff | Reopen::Slowly | Reopen::Rival => Retry::AfterBackoff,
            Reopen::Never => Retry::Never,
        }
    }
}
