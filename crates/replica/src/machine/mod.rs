//! The consumer side of one replication link, as a pure state machine.
//!
//! [`ConsumerMachine`] takes one event at a time and returns the effects to carry out. It opens no
//! socket, reads no clock, spawns nothing and cannot fail. That is why the same type runs in the
//! actor, in the simulator and in the model checker.

mod adding;
mod closing;
mod deadline;
mod effect;
mod ends;
mod event;
mod invariants;
mod ledger;
mod outcome;
mod setup;
mod shut;
mod snapshot;
mod takeover;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;

pub use deadline::{Deadline, Limits, Step};
pub use effect::{Effect, Effects, Note, OwnFrame, Verdict};
use ends::Ending;
pub use event::{Command, ControlFrame, Event, Ticket};
use ledger::{Ledger, Settled};
pub use mcbp::Side;
pub use outcome::{Outcome, Reason, Retry, StopReason, VbError, VbOutcome};
use setup::SetUp;
use shut::Shut;
pub use snapshot::{Snapshot, VbPhase, VbSnapshot};
use takeover::Takeover;

/// The consumer side of one link: which streams are open, and what is being done about the others.
///
/// One machine lives as long as one pair of connections. After [`Effect::Stop`] a new pair needs a
/// new machine: the data nodes have forgotten the old streams, and so must we.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ConsumerMachine {
    phase: Phase,
    ledger: Ledger,
}

/// What the machine is busy with. Frames may concern any stream in any phase.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
enum Phase {
    #[default]
    Idle,
    SettingUp(SetUp),
    TakingOver(Takeover),
    Shut(Shut),
}

impl Phase {
    /// This phase, leaving the machine idle.
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl ConsumerMachine {
    /// Takes in a command, a deadline or a loss.
    pub fn on(&mut self, event: Event) -> Effects {
        let mut fx = Effects::new();
        match event {
            Event::Command { ticket, command } => self.command(ticket, command, &mut fx),
            Event::DeadlinePassed(deadline) => self.overdue(deadline, &mut fx),
            Event::LinkLost { side, why } => self.link_lost(side, why, &mut fx),
        }
        debug_assert_eq!(self.check_invariants(), Ok(()), "{self:?}");
        fx
    }

    /// Takes in a control frame before it is passed on, and says whether it may be.
    ///
    /// The effects are to be carried out before the frame is forwarded.
    pub fn on_frame(&mut self, frame: ControlFrame) -> (Verdict, Effects) {
        let mut fx = Effects::new();
        match self.phase {
            Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_) => self.frame(frame, &mut fx),
            Phase::Shut(_) => self.frame_in_shut(frame, &mut fx),
        }
        debug_assert_eq!(self.check_invariants(), Ok(()), "{self:?}");
        (self.verdict(frame), fx)
    }

    fn command(&mut self, ticket: Ticket, command: Command, fx: &mut Effects) {
        match (&self.phase, command) {
            (
                Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_) | Phase::Shut(_),
                Command::Shut,
            ) => self.shut(ticket, fx),
            (Phase::Idle, Command::SetupStreams { wanted }) => self.set_up(ticket, &wanted, fx),
            (Phase::Idle, Command::AddStreams { vbs }) => {
                self.change(ticket, &vbs, &BTreeSet::new(), fx);
            }
            (Phase::Idle, Command::CloseStreams { vbs }) => {
                self.change(ticket, &BTreeSet::new(), &vbs, fx);
            }
            (Phase::Idle, Command::Takeover { vb }) => self.take_over(ticket, vb, fx),
            (
                Phase::SettingUp(_) | Phase::TakingOver(_),
                Command::SetupStreams { .. }
                | Command::AddStreams { .. }
                | Command::CloseStreams { .. }
                | Command::Takeover { .. },
            ) => fx.push(Effect::Answer(ticket, Outcome::Busy)),
            (
                Phase::Shut(shut),
                Command::SetupStreams { .. }
                | Command::AddStreams { .. }
                | Command::CloseStreams { .. }
                | Command::Takeover { .. },
            ) => fx.push(Effect::Answer(ticket, Outcome::Down(shut.reason()))),
        }
    }

    fn overdue(&mut self, deadline: Deadline, fx: &mut Effects) {
        match (&self.phase, deadline.step) {
            (Phase::Shut(_), Step::Shut) => self.shut_overdue(deadline, fx),
            (Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_), Step::CloseStream) => {
                let settled = self.ledger.close_overdue(deadline, fx);
                self.settle(settled, fx);
            }
            (
                Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_),
                Step::AddStream | Step::Refusal | Step::Takeover,
            ) => {
                let settled = self.ledger.add_overdue(deadline, fx);
                self.settle(settled, fx);
                self.takeover_overdue(deadline, fx);
            }
            // Armed before the shutdown, which has a deadline of its own.
            (
                Phase::Shut(_),
                Step::AddStream | Step::Refusal | Step::CloseStream | Step::Takeover,
            )
            | (Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_), Step::Shut) => {}
        }
    }

    fn frame(&mut self, frame: ControlFrame, fx: &mut Effects) {
        use ControlFrame as F;
        match frame {
            F::AddStreamResponse { opaque, status } => {
                let settled = self.ledger.add_answered(opaque, status, fx);
                self.settle(settled, fx);
            }
            F::CloseStreamResponse { side, opaque, status } => {
                let settled = self.ledger.close_answered(side, opaque, status, fx);
                self.settle(settled, fx);
            }
            F::StreamReq { vb, opaque, flags } => self.ledger.requested(vb, opaque, flags, fx),
            F::StreamReqResponse { opaque, status } => {
                self.ledger.request_answered(opaque, status, fx);
            }
            F::StreamEnd { vb, opaque, status } => match &self.phase {
                Phase::TakingOver(takeover) if takeover.vb == vb => {
                    self.end_in_takeover(opaque, status, fx);
                }
                Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_) | Phase::Shut(_) => {
                    match self.ledger.end(vb, opaque, status, fx) {
                        Ending::Nothing => {}
                        Ending::Settled(settled) => self.settle(Some(settled), fx),
                        Ending::Open(error) => self.open_stream_ended(error, fx),
                    }
                }
            },
            F::SetVbucketState { vb, opaque, state } => self.state_asked(vb, opaque, state, fx),
            F::SetVbucketStateResponse { opaque, status } => {
                self.state_answered(opaque, status, fx);
            }
        }
    }

    /// Once the link shuts, only the consumer's answers to our own frames count.
    fn frame_in_shut(&mut self, frame: ControlFrame, fx: &mut Effects) {
        use ControlFrame as F;
        match frame {
            F::AddStreamResponse { opaque, status } => {
                self.ledger.late_answer(Side::Consumer, opaque, status, fx);
            }
            F::CloseStreamResponse { side, opaque, status } => {
                self.closed_in_shut(side, opaque, status, fx);
            }
            F::StreamReq { .. }
            | F::StreamReqResponse { .. }
            | F::StreamEnd { .. }
            | F::SetVbucketState { .. }
            | F::SetVbucketStateResponse { .. } => {}
        }
    }

    fn settle(&mut self, settled: Option<Settled>, fx: &mut Effects) {
        let Some(settled) = settled else { return };
        match self.phase {
            Phase::SettingUp(_) => self.settle_in_set_up(settled, fx),
            Phase::TakingOver(_) => self.settle_in_takeover(settled, fx),
            Phase::Idle | Phase::Shut(_) => {} // Nothing is pending: see `check_invariants`.
        }
    }

    /// Answers to frames of ours end here, and everything does once the link shuts.
    const fn verdict(&self, frame: ControlFrame) -> Verdict {
        use ControlFrame as F;
        match self.phase {
            Phase::Shut(_) => Verdict::Withhold,
            Phase::Idle | Phase::SettingUp(_) | Phase::TakingOver(_) => match frame {
                F::AddStreamResponse { .. } | F::CloseStreamResponse { .. } => Verdict::Withhold,
                F::StreamReq { .. }
                | F::StreamReqResponse { .. }
                | F::StreamEnd { .. }
                | F::SetVbucketState { .. }
                | F::SetVbucketStateResponse { .. } => Verdict::Forward,
            },
        }
    }
}
