//! One deadline for all running steps of a kind. It is for progress, not for the whole: it restarts
//! while any of these steps makes progress. A slow node is not a dead one.

use super::{Deadline, Effect, Effects};

/// The deadline of one kind of step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct ProgressDeadline {
    armed: Option<Deadline>,
    /// Whether a step made progress since it was armed.
    moved: bool,
}

/// The meaning of a passed deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passed {
    /// None: it was extended, or its steps are over.
    GoOn,
    /// No step made progress: all of them are overdue.
    Overdue,
}

impl ProgressDeadline {
    /// Records that a step begins. The `first` running one arms the deadline under its own name.
    pub(super) fn begin(&mut self, deadline: Deadline, first: bool, fx: &mut Effects) {
        if first {
            *self = Self { armed: Some(deadline), moved: false };
            fx.push(Effect::Arm(deadline));
        } else {
            self.moved = true;
        }
    }

    /// Records progress of a step. `wait` says whether steps of this kind still run.
    pub(super) fn moved(&mut self, wait: bool) {
        *self = if wait { Self { moved: self.armed.is_some(), ..*self } } else { Self::default() };
    }

    /// Returns the armed deadline.
    pub(super) const fn armed(&self) -> Option<Deadline> {
        self.armed
    }

    /// Handles a passed deadline. `wait` says whether steps of this kind still run.
    pub(super) fn passed(&mut self, deadline: Deadline, wait: bool, fx: &mut Effects) -> Passed {
        if !wait || self.armed != Some(deadline) {
            return Passed::GoOn;
        }
        if !std::mem::take(&mut self.moved) {
            return Passed::Overdue;
        }
        fx.extend([Effect::Arm(deadline), Effect::Progress]);
        Passed::GoOn
    }
}
