//! The consumer side of one replication link, as a pure state machine.
//!
//! [`ConsumerMachine`] takes one event at a time and returns the effects to carry out. It opens no
//! socket, reads no clock, spawns nothing and cannot fail. So the same type runs in the actor, in
//! the simulator and in the model checker.

mod adding;
mod attempt;
mod close;
mod closing;
mod deadline;
mod effect;
mod ends;
mod event;
mod invariants;
mod ledger;
mod outcome;
mod overdue;
mod phase;
mod progress_deadline;
mod reason_code;
mod refusals;
mod repeat_filter;
mod retry;
mod setup;
mod shut;
mod snapshot;
mod stream;
mod takeover;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;

use mcbp::{Opaque, StreamEndStatus, VbId};

pub use deadline::{Deadline, LinkStep, StepLimits};
pub use effect::{Effect, Effects, Note, OwnFrame, Verdict};
use ends::Ending;
pub use event::{Command, ControlFrame, ErrorAnswer, Event, Ticket};
use ledger::Ledger;
pub use ledger::is_barrier;
pub use mcbp::Side;
pub use outcome::{Outcome, Reason, StopReason, VbError, VbOutcome};
use overdue::Overdue;
use phase::{Activity, Phase};
pub use reason_code::{NodeAnswer, ReasonCode};
pub use repeat_filter::RepeatFilter;
pub use retry::Retry;
pub use snapshot::{Snapshot, VbPhase, VbSnapshot};
use stream::{Request, Settled};
pub use wire::{DATA_OPCODES, REQUESTS_OF_CONSUMERS};

/// The consumer side of one link: its streams and the running command.
///
/// A machine lives as long as its pair of connections. After [`Effect::Stop`] a new pair needs a
/// new machine, because the data nodes have forgotten the old streams.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ConsumerMachine {
    phase: Phase,
    ledger: Ledger,
}

impl ConsumerMachine {
    /// Handles a command, a passed deadline or a lost connection. Returns the effects to carry out.
    pub fn on(&mut self, event: Event) -> Effects {
        let mut fx = Effects::new();
        match event {
            Event::Command { ticket, command } => self.command(ticket, command, &mut fx),
            Event::DataPassed => self.data_passed(),
            Event::DeadlinePassed(deadline) => self.overdue(deadline, &mut fx),
            Event::LinkLost { side, why } => self.link_lost(side, why, &mut fx),
        }
        self.end_if_broken(&mut fx);
        fx
    }

    /// Handles a control frame before it is forwarded. Returns whether to forward it.
    ///
    /// The effects must be carried out before the frame is forwarded.
    pub fn on_frame(&mut self, frame: ControlFrame) -> (Verdict, Effects) {
        let mut fx = Effects::new();
        let verdict = match self.phase {
            Phase::Live(_) => self.frame(frame, &mut fx),
            Phase::Shut(_) => {
                self.frame_in_shut(frame, &mut fx);
                Verdict::Withhold
            }
        };
        self.end_if_broken(&mut fx);
        (verdict, fx)
    }

    fn command(&mut self, ticket: Ticket, command: Command, fx: &mut Effects) {
        match (&self.phase, command) {
            (Phase::Live(_) | Phase::Shut(_), Command::Shut) => self.shut(ticket, fx),
            (Phase::Live(Activity::Idle), Command::SetupStreams { wanted, reopen, incomplete }) => {
                self.ledger.incomplete.extend(incomplete);
                self.set_up(ticket, &wanted, &reopen, fx);
            }
            (Phase::Live(Activity::Idle), Command::AddStreams { vbs }) => {
                self.change(ticket, &vbs, &BTreeSet::new(), fx);
            }
            (Phase::Live(Activity::Idle), Command::CloseStreams { vbs }) => {
                self.change(ticket, &BTreeSet::new(), &vbs, fx);
            }
            (Phase::Live(Activity::Idle), Command::Takeover { vb }) => {
                self.take_over(ticket, vb, fx)
            }
            (
                Phase::Live(Activity::SettingUp(_) | Activity::TakingOver(_)),
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
        if self.may_go_on(deadline, fx) {
            return;
        }
        match (&self.phase, deadline.step) {
            (Phase::Shut(_), LinkStep::Shut) => self.shut_overdue(deadline, fx),
            (Phase::Live(_), LinkStep::CloseStream) => {
                let settled = self.ledger.close_overdue(deadline, fx);
                self.settle(settled, fx);
            }
            (Phase::Live(_), LinkStep::AddStream | LinkStep::Refusal | LinkStep::Takeover) => {
                match self.ledger.add_overdue(deadline, fx) {
                    Overdue::Failed(late) => {
                        self.settle(late, fx);
                        self.takeover_overdue(deadline, fx);
                    }
                    Overdue::RollbackStuck(vb) => {
                        let why =
                            format!("{vb} is rolling back, without progress before the deadline");
                        self.stop(StopReason::LinkLost { side: Side::Consumer, why }, fx);
                    }
                }
            }
            // Armed before the shutdown, which has its own deadline.
            (
                Phase::Shut(_),
                LinkStep::AddStream
                | LinkStep::Refusal
                | LinkStep::CloseStream
                | LinkStep::Takeover,
            )
            | (Phase::Live(_), LinkStep::Shut) => {}
        }
    }

    /// Handles a frame while the link is live. Answers to frames of our own end here.
    fn frame(&mut self, frame: ControlFrame, fx: &mut Effects) -> Verdict {
        use ControlFrame as F;
        match frame {
            F::AddStreamResponse { opaque, status } => {
                let settled = self.ledger.add_answered(opaque, status, fx);
                self.settle(settled, fx);
                Verdict::Withhold
            }
            F::CloseStreamResponse { side, opaque, status } => {
                let settled = self.ledger.close_answered(side, opaque, status, fx);
                self.settle(settled, fx);
                Verdict::Withhold
            }
            F::StreamReq { vb, opaque, flags, start } => {
                let request = Request { opaque, start };
                self.ledger.requested(vb, request, flags, fx).unwrap_or_else(|what| {
                    self.stop(StopReason::Protocol { side: Side::Consumer, what }, fx);
                    Verdict::Withhold
                })
            }
            F::StreamReqResponse { opaque, status } => {
                self.ledger.request_answered(opaque, status, fx)
            }
            F::DataRefused { opaque, opcode, status } => {
                self.data_refused(opaque, opcode, status, fx)
            }
            F::ErrorAnswer(answer) => {
                self.ledger.note_error(answer, fx);
                Verdict::Forward
            }
            F::NoopResponse { opaque } => self.noop_answered(opaque, fx),
            F::StreamEnd { vb, opaque, status } => {
                self.stream_ended(vb, opaque, status, fx);
                Verdict::Forward
            }
            F::SetVbucketState { vb, opaque, state } => self.state_asked(vb, opaque, state, fx),
            F::SetVbucketStateResponse { opaque, status } => {
                self.state_answered(opaque, status, fx)
            }
        }
    }

    fn stream_ended(
        &mut self,
        vb: VbId,
        opaque: Opaque,
        status: StreamEndStatus,
        fx: &mut Effects,
    ) {
        if self.taking_over() == Some(vb) {
            self.end_in_takeover(opaque, status, fx);
            return;
        }
        match self.ledger.end(vb, opaque, status, fx) {
            Ending::Nothing => {}
            Ending::Settled(settled) => self.settle(Some(settled), fx),
            Ending::Open(error) => self.open_stream_ended(error, fx),
        }
    }

    /// During shutdown only the consumer's answers to our own frames count.
    fn frame_in_shut(&mut self, frame: ControlFrame, fx: &mut Effects) {
        use ControlFrame as F;
        match frame {
            F::AddStreamResponse { opaque, status } => {
                self.ledger.late_answer(Side::Consumer, opaque, status, fx);
            }
            F::CloseStreamResponse { side, opaque, status } => {
                self.closed_in_shut(side, opaque, status, fx);
            }
            // The next link must know of the gap.
            F::DataRefused { opaque, opcode, status } => {
                _ = self.data_refused(opaque, opcode, status, fx);
            }
            F::StreamReq { .. }
            | F::StreamReqResponse { .. }
            | F::ErrorAnswer(_)
            | F::NoopResponse { .. }
            | F::StreamEnd { .. }
            | F::SetVbucketState { .. }
            | F::SetVbucketStateResponse { .. } => {}
        }
    }

    fn settle(&mut self, settled: impl IntoIterator<Item = Settled>, fx: &mut Effects) {
        match self.phase {
            Phase::Live(Activity::SettingUp(_)) => self.settle_in_set_up(settled, fx),
            Phase::Live(Activity::TakingOver(_)) => {
                for settled in settled {
                    self.settle_in_takeover(settled, fx);
                }
            }
            // Nothing is pending here: see `check_invariants`.
            Phase::Live(Activity::Idle) | Phase::Shut(_) => {}
        }
    }
}
