//! One deadline for everything of a kind that is under way. It is for progress, not for the whole:
//! as long as anything of that kind moves, all of it may go on. What is slow is not dead.

use super::{Deadline, Effect, Effects};

/// The deadline of one kind of step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct ProgressDeadline {
    armed: Option<Deadline>,
    /// Whether anything moved since it was armed.
    moved: bool,
}

/// What a deadline that has passed means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passed {
    /// Nothing: it is armed again, or belongs to what is over.
    GoOn,
    /// Nothing has moved: whatever waits is overdue.
    Overdue,
}

impl ProgressDeadline {
    /// A step begins. The `first` one that is under way arms the deadline, by its own name.
    pub(super) fn begin(&mut self, deadline: Deadline, first: bool, fx: &mut Effects) {
        if first {
            *self = Self { armed: Some(deadline), moved: false };
            fx.push(Effect::Arm(deadline));
        } else {
            self.moved = true;
        }
    }

    /// A step has come on; others of its kind still `wait`, or none does.
    pub(super) fn moved(&mut self, wait: bool) {
        *self = if wait { Self { moved: self.armed.is_some(), ..*self } } else { Self::default() };
    }

    /// The deadline that is awaited while anything is under way.
    pub(super) const fn armed(&self) -> Option<Deadline> {
        self.armed
    }

    /// A deadline has passed, and steps of this kind still `wait`, or none does.
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
