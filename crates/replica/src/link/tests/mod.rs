//! Script tables: one line for each event, with all its effects.
//!
//! Our own opaques are written as their sequence number, so `#0` is our first frame.

mod close;
mod ends;
mod lessons;
mod reads;
mod refusals;
mod rollbacks;
mod setup;
mod shut;
mod takeover;
mod texts;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use mcbp::dcp::stream_flags;

pub(super) use mcbp::{Opaque, Opcode, Seqno, Side, Status, StreamEndStatus, VbId, VbState};

pub(super) use super::{
    Command, ConsumerMachine, ControlFrame, Deadline, Effect, ErrorAnswer, Event, LinkStep, Note,
    Outcome, OwnFrame, Reason, Ticket, VbError, VbOutcome, Verdict,
};

/// An input of a script.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Event(Event),
    Frame(ControlFrame),
}

const OWN: u32 = 0x1000_0000;

pub(super) fn own(n: u32) -> Opaque {
    Opaque(OWN + n)
}

/// An opaque of a consumer, which counts in host byte order: the first is `01 00 00 00`.
pub(super) fn stream(n: u32) -> Opaque {
    Opaque(n.swap_bytes())
}

pub(super) fn vbs(list: &[u16]) -> BTreeSet<VbId> {
    list.iter().copied().map(VbId).collect()
}

fn command(ticket: u64, command: Command) -> Input {
    Input::Event(Event::Command { ticket: Ticket(ticket), command })
}

pub(super) fn setup(wanted: &[u16], ticket: u64) -> Input {
    command(ticket, Command::set_up(vbs(wanted)))
}

/// A set-up in which open streams are closed first.
pub(super) fn reopen(wanted: &[u16], again: &[u16], ticket: u64) -> Input {
    let (wanted, reopen) = (vbs(wanted), vbs(again));
    command(ticket, Command::SetupStreams { wanted, reopen, incomplete: BTreeMap::new() })
}

/// A set-up of one vBucket whose copy is complete up to a seqno only.
pub(super) fn setup_incomplete(vb: u16, complete_to: u64, ticket: u64) -> Input {
    let incomplete = BTreeMap::from([(VbId(vb), Seqno(complete_to))]);
    let (wanted, reopen) = (vbs(&[vb]), BTreeSet::new());
    command(ticket, Command::SetupStreams { wanted, reopen, incomplete })
}

pub(super) fn add(list: &[u16], ticket: u64) -> Input {
    command(ticket, Command::AddStreams { vbs: vbs(list) })
}

pub(super) fn close(list: &[u16], ticket: u64) -> Input {
    command(ticket, Command::CloseStreams { vbs: vbs(list) })
}

pub(super) fn takeover(vb: u16, ticket: u64) -> Input {
    command(ticket, Command::Takeover { vb: VbId(vb) })
}

pub(super) fn shut(ticket: u64) -> Input {
    command(ticket, Command::Shut)
}

/// The answer to the ADD_STREAM that was our frame number `n`.
pub(super) fn added(n: u32, status: Status) -> Input {
    Input::Frame(ControlFrame::AddStreamResponse { opaque: own(n), status })
}

/// The answer to the CLOSE_STREAM that was our frame number `n`.
pub(super) fn closed(side: Side, n: u32, status: Status) -> Input {
    Input::Frame(ControlFrame::CloseStreamResponse { side, opaque: own(n), status })
}

pub(super) fn request(vb: u16, n: u32) -> Input {
    request_from(vb, n, 0)
}

/// A STREAM_REQ of a consumer that has everything up to `start`.
pub(super) fn request_from(vb: u16, n: u32, start: u64) -> Input {
    let (vb, opaque, start) = (VbId(vb), stream(n), Seqno(start));
    Input::Frame(ControlFrame::StreamReq { vb, opaque, flags: 0, start })
}

pub(super) fn request_takeover(vb: u16, n: u32) -> Input {
    let flags = stream_flags::TAKEOVER;
    let (vb, opaque, start) = (VbId(vb), stream(n), Seqno(0));
    Input::Frame(ControlFrame::StreamReq { vb, opaque, flags, start })
}

/// The consumer refuses a frame of stream `n`.
pub(super) fn refused(n: u32, opcode: Opcode, status: Status) -> Input {
    Input::Frame(ControlFrame::DataRefused { opaque: stream(n), opcode, status })
}

/// An error answer that no rule needs.
pub(super) fn error(side: Side, opcode: Opcode, status: Status) -> Input {
    let opaque = Opaque(9);
    Input::Frame(ControlFrame::ErrorAnswer(ErrorAnswer { side, opcode, status, opaque }))
}

/// The consumer's answer to the NOOP that was our frame number `n`.
pub(super) fn noop_answer(n: u32) -> Input {
    Input::Frame(ControlFrame::NoopResponse { opaque: Opaque(0xff00_00ff | n << 8) })
}

pub(super) fn request_answer(n: u32, status: Status) -> Input {
    Input::Frame(ControlFrame::StreamReqResponse { opaque: stream(n), status })
}

pub(super) fn end(vb: u16, n: u32, status: StreamEndStatus) -> Input {
    Input::Frame(ControlFrame::StreamEnd { vb: VbId(vb), opaque: stream(n), status })
}

pub(super) fn state(vb: u16, n: u32, state: VbState) -> Input {
    Input::Frame(ControlFrame::SetVbucketState { vb: VbId(vb), opaque: stream(n), state })
}

pub(super) fn state_answer(n: u32, status: Status) -> Input {
    Input::Frame(ControlFrame::SetVbucketStateResponse { opaque: stream(n), status })
}

pub(super) fn overdue(step: LinkStep, n: u32) -> Input {
    Input::Event(Event::DeadlinePassed(Deadline { step, opaque: own(n) }))
}

pub(super) fn lost(side: Side) -> Input {
    Input::Event(Event::LinkLost { side, why: "end of file".to_owned() })
}

/// Feeds a script to a new machine.
#[track_caller]
pub(super) fn check(script: &[(Input, &str)]) -> ConsumerMachine {
    check_from(ConsumerMachine::default(), script)
}

/// Feeds a script and compares every effect. Armed deadlines are not in the text; instead, every
/// awaited deadline must have been armed.
#[track_caller]
pub(super) fn check_from(
    mut machine: ConsumerMachine,
    script: &[(Input, &str)],
) -> ConsumerMachine {
    let mut armed: Vec<Deadline> = machine.deadlines().collect();
    for (step, (input, want)) in script.iter().enumerate() {
        let (verdict, effects) = match input.clone() {
            Input::Event(event) => (None, machine.on(event)),
            Input::Frame(frame) => {
                let (verdict, effects) = machine.on_frame(frame);
                (Some(verdict), effects)
            }
        };
        let mut words: Vec<String> = effects.iter().filter_map(show).collect();
        match verdict {
            Some(Verdict::Forward) => words.insert(0, "forward".to_owned()),
            Some(Verdict::Withhold) => words.insert(0, "withhold".to_owned()),
            None => {}
        }
        assert_eq!(words.join(" "), *want, "step {step}: {input:?}, now {machine:?}");
        armed.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Arm(deadline) => Some(*deadline),
            _ => None,
        }));
        assert!(machine.deadlines().all(|d| armed.contains(&d)), "step {step}: not armed");
        assert_eq!(machine.check_invariants(), Ok(()), "step {step}");
    }
    machine
}

/// The open streams, for the end of a script.
pub(super) fn open(machine: &ConsumerMachine) -> Vec<u16> {
    machine.open().map(|vb| vb.0).collect()
}

fn show(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Send(side, OwnFrame::AddStream { vb, opaque, flags }) => {
            assert_eq!(*side, Side::Consumer);
            let takeover = if *flags == stream_flags::TAKEOVER { " takeover" } else { "" };
            format!("add({vb} #{}{takeover})", opaque.0 - OWN)
        }
        Effect::Send(side, OwnFrame::CloseStream { vb, opaque }) => {
            format!("close({side} {vb} #{})", opaque.0 - OWN)
        }
        Effect::Send(side, frame) => {
            assert_eq!(*side, Side::Consumer);
            match frame {
                OwnFrame::Rollback { opaque, to } => format!("rollback({opaque} to {to})"),
                OwnFrame::RefuseRequest { opaque } => format!("refuse({opaque})"),
                OwnFrame::Noop { opaque } => format!("noop(#{})", (opaque.0 >> 8) & 0xffff),
                OwnFrame::SetVbucketState { vb, state, .. } => format!("set({vb} {state})"),
                OwnFrame::AddStream { .. } | OwnFrame::CloseStream { .. } => unreachable!(),
            }
        }
        Effect::Arm(_) => return None,
        Effect::Answer(ticket, outcome) => format!("answer({ticket} {})", show_outcome(outcome)),
        Effect::Ended(error) => format!("ended({})", show_error(error)),
        Effect::Incomplete(vb, complete_to) => format!("incomplete({vb} {complete_to})"),
        Effect::Complete(vb) => format!("complete({vb})"),
        Effect::Opened(vb) => format!("opened({vb})"),
        Effect::Progress => "progress".to_owned(),
        Effect::Note(note) => format!("note({})", show_note(note)),
        Effect::Stop(reason) => format!("stop({reason})"),
    })
}

fn show_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(vbs) if vbs.is_empty() => "done".to_owned(),
        Outcome::Done(vbs) => {
            let show_vb = |(vb, outcome): (&VbId, &VbOutcome)| match outcome {
                VbOutcome::Failed(error) => {
                    assert_eq!(*vb, error.vb);
                    show_error(error)
                }
                outcome => format!("{vb} {outcome:?}"),
            };
            vbs.iter().map(show_vb).collect::<Vec<_>>().join(", ")
        }
        Outcome::Busy => "busy".to_owned(),
        Outcome::Down(reason) => format!("down: {reason}"),
    }
}

fn show_error(VbError { vb, side, reason }: &VbError) -> String {
    let reason = match reason {
        Reason::Refused { step, status } => format!("refused {step} {status}"),
        Reason::RowRefused { opcode, status } => format!("row-refused {opcode} {status}"),
        Reason::StreamGone { opcode, status } => format!("stream-gone {opcode} {status}"),
        Reason::Incomplete => "incomplete".to_owned(),
        Reason::RollingBack => "rolling-back".to_owned(),
        Reason::Stalled { .. } => "stalled".to_owned(),
        Reason::StreamEnd(status) => format!("end {status}"),
        Reason::Deadline(step) => format!("deadline {step}"),
        Reason::LinkLost(_) => "lost".to_owned(),
        Reason::Protocol(_) => "protocol".to_owned(),
        Reason::Shut => "shut".to_owned(),
        Reason::Internal(_) => "internal".to_owned(),
        Reason::ActiveThere | Reason::OtherBranch { .. } => {
            panic!("no machine of a link: {reason}")
        }
    };
    format!("{vb} {side} {reason}")
}

fn show_note(note: &Note) -> &'static str {
    match note {
        Note::LateAnswer { .. } => "late",
        Note::StrayAnswer { .. } => "stray",
        Note::StaleEnd { .. } => "stale",
        Note::FinishedEarly { .. } => "finished",
        Note::LeftOver { .. } => "left-over",
        Note::RollbackAsked { .. } => "rollback",
        Note::RollbackOver { .. } => "rolled-back",
        Note::UnexpectedRequest { .. } => "unexpected-request",
        Note::ErrorAnswer(_) => "error-answer",
        Note::UnexpectedState { .. } => "unexpected-state",
        Note::LostInShut { .. } => "lost-in-shut",
    }
}
