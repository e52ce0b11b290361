//! What the examining task is to look into after a takeover has failed, and what follows from what
//! both nodes say.

use mcbp::{Side, VbId, VbState};

use super::event::Finding;
use super::failure::{Cause, Examined};
use crate::plan::LinkKey;
use crate::remedy::{CopyReport, Remedy};

/// What to look into.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Examine {
    /// The link whose nodes are asked.
    pub key: LinkKey,
    /// The name of the consumer.
    pub consumer: String,
    /// The vBucket whose takeover failed.
    pub vb: VbId,
    /// How it failed, as far as the link knows.
    pub cause: Cause,
    /// Whether the copies may be repaired: nothing of a takeover is on its way to either node.
    pub may_repair: bool,
    /// Whether the consumer's copy is known to miss no row.
    pub is_complete: bool,
}

/// What both nodes say of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CopyReports {
    /// The producer.
    pub producer: CopyReport,
    /// The consumer.
    pub consumer: CopyReport,
}

/// What follows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ExamineAction {
    /// That is all.
    Report(Finding),
    /// Set the copy of this side active; then this is found.
    Activate(Side, Finding),
}

impl Examine {
    /// Whether to ask again for a while: the consumer may be about to become active.
    #[must_use]
    pub fn may_change(&self, copies: &CopyReports) -> bool {
        !self.may_repair
            && copies.consumer.is(VbState::Pending)
            && !copies.producer.is(VbState::Active)
    }

    /// Judges what both nodes say.
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

    /// The vBucket did not move; `repair` says why it could not be repaired, where that was tried.
    #[must_use]
    pub fn not_moved(&self, copies: &CopyReports, repair: Option<String>) -> Finding {
        Finding::NotMoved(Cause::Examined(Box::new(Examined {
            cause: self.cause.clone(),
            found: self.describe(copies),
            repair,
            remedy: self.remedy(copies),
        })))
    }

    /// What both nodes have, for a person.
    #[must_use]
    pub fn describe(&self, copies: &CopyReports) -> String {
        let CopyReports { producer, consumer } = copies;
        format!("at {} it is {producer}, at {} {consumer}", self.key.producer, self.consumer)
    }

    fn remedy(&self, copies: &CopyReports) -> Remedy {
        Remedy::of(&copies.producer, &copies.consumer, self.is_complete)
    }
}
