//! The consumer side of one replication link, as a pure state machine.
//!
//! [`ConsumerMachine`] takes one event at a time and returns the effects to carry out. It opens no
//! socket, reads no clock, spawns nothing and cannot fail. That is why the same type runs in the
//! actor, in the simulator and in the model checker.

mod deadline;
mod effect;
mod event;
mod outcome;
mod snapshot;
mod wire;

pub use deadline::{Deadline, Limits, Step};
pub use effect::{Effect, Effects, Note, OwnFrame, Verdict};
pub use event::{Command, ControlFrame, Event, Side, Ticket};
pub use outcome::{Outcome, Reason, Retry, StopReason, VbError, VbOutcome};
pub use snapshot::{Snapshot, VbPhase, VbSnapshot};

/// The consumer side of one link: which streams are open, and what is being done about the others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ConsumerMachine {}

impl ConsumerMachine {
    /// Takes in a command, a deadline or a loss.
    pub fn on(&mut self, _event: Event) -> Effects {
        Effects::new()
    }

    /// Takes in a control frame before it is passed on, and says whether it may be.
    ///
    /// The effects are to be carried out before the frame is forwarded.
    pub fn on_frame(&mut self, _frame: ControlFrame) -> (Verdict, Effects) {
        (Verdict::Forward, Effects::new())
    }
}
