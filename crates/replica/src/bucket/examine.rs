//! What the examining task has to look into after a failed takeover, and what the copies that both
//! nodes report mean.

use std::time::Duration;

use mcbp::{Side, VbId, VbState};

use super::event::Finding;
use super::failure::{Cause, Examined};
use crate::plan::LinkKey;
use crate::remedy::{CopyReport, Remedy};

/// Upper bound on the time limits of connections and requests: a caller waits, and a healthy node
/// takes milliseconds.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The order for the examining task.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Examine {
    /// The link whose nodes are asked.
    pub key: LinkKey,
    /// The name of the consumer.
    pub consumer: String,
    /// The vBucket whose takeover failed.
    pub vb: VbId,
    /// How the takeover failed, by what the link saw.
    pub cause: Cause,
    /// Whether the copies may be repaired: no frame of a takeover is on its way to either node.
    pub may_repair: bool,
    /// Whether the consumer's copy is known to miss no row.
    pub is_complete: bool,
    /// How long a connection, and each request, may take at most.
    pub answer_max: Duration,
}

/// The copies of a vBucket that both nodes report.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CopyReports {
    /// The producer's copy.
    pub producer: CopyReport,
    /// The consumer's copy.
    pub consumer: CopyReport,
}

/// What the examining task does next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ExamineAction {
    /// Report the finding.
    Report(Finding),
    /// Set the copy of this side active, then report the finding.
    Activate(Side, Finding),
}

impl Examine {
    /// Whether to ask again for a while: the order to become active may still take effect at the
    /// consumer.
    #[must_use]
    pub fn may_change(&self, copies: &CopyReports) -> bool {
        !self.may_repair
            && copies.consumer.is(VbState::Pending)
            && !copies.producer.is(VbState::Active)
    }

    /// Returns what to do about the reported copies.
    #[must_use]
    pub fn judge(&self, copies: &CopyReports) -> ExamineAction {
        match self.remedy(copies) {
            Remedy::Done => ExamineAction::Report(Finding::Moved),
            Remedy::Activate if self.may_repair => {
                ExamineAction::Activate(Side::Consumer, Finding::Moved)
            }
            Remedy::GiveBack if self.may_repair => {
                ExamineAction::Activate(Side::Producer, Finding::GivenBack)
            }
            Remedy::Activate | Remedy::GiveBack | Remedy::AsBefore | Remedy::Ask(_) => {
                ExamineAction::Report(self.not_moved(copies, None))
            }
        }
    }

    /// Returns the finding that the vBucket did not move. `repair` is the error of a failed repair,
    /// where one was tried.
    #[must_use]
    pub fn not_moved(&self, copies: &CopyReports, repair: Option<String>) -> Finding {
        Finding::NotMoved(Cause::Examined(Box::new(Examined {
            cause: self.cause.clone(),
            found: self.describe(copies),
            repair,
            remedy: self.remedy(copies),
        })))
    }

    /// Describes both copies for the operator.
    #[must_use]
    pub fn describe(&self, copies: &CopyReports) -> String {
        let CopyReports { producer, consumer } = copies;
        format!("at {} it is {producer}, at {} {consumer}", self.key.producer, self.consumer)
    }

    fn remedy(&self, copies: &CopyReports) -> Remedy {
        Remedy::of(&copies.producer, &copies.consumer, self.is_complete)
    }
}
