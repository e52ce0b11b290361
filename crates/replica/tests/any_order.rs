//! For any frames in any order, the machine keeps its invariants, withholds what it must, and
//! answers each command exactly once. The nodes here follow no protocol.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::collections::BTreeMap;

use mcbp::{Opaque, Opcode, Seqno, Side, Status, StreamEndStatus, VbId, VbState};
use proptest::prelude::*;
use proptest::sample::select;
use replica::link::{
    Command, ConsumerMachine, ControlFrame, Deadline, Effect, ErrorAnswer, Event, LinkStep, Ticket,
    Verdict,
};

/// An input of the machine. A deadline is given by its index among the awaited ones.
#[derive(Clone, Debug)]
enum Input {
    Command(Command),
    Frame(ControlFrame),
    Due(usize),
    Lost(Side),
}

fn vb() -> impl Strategy<Value = VbId> {
    (0..3_u16).prop_map(VbId)
}

fn side() -> impl Strategy<Value = Side> {
    select(vec![Side::Consumer, Side::Producer])
}

/// Small, so that random opaques often match those of our own frames and of streams.
fn opaque() -> impl Strategy<Value = Opaque> {
    let own = (0x1000_0000..0x1000_0010_u32).prop_map(Opaque);
    let stream = (1..4_u32).prop_map(Opaque);
    prop_oneof![own, stream]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![4 => Just(Status::SUCCESS), 3 => select(Status::NAMED.to_vec())]
}

fn seqno() -> impl Strategy<Value = Seqno> {
    (0..3_u64).prop_map(Seqno)
}

fn command() -> impl Strategy<Value = Command> {
    let vbs = || proptest::collection::btree_set(vb(), 0..3);
    prop_oneof![
        3 => vbs().prop_map(Command::set_up),
        3 => (vbs(), vbs(), vb(), seqno()).prop_map(|(wanted, reopen, vb, seqno)| {
            Command::SetupStreams { wanted, reopen, incomplete: BTreeMap::from([(vb, seqno)]) }
        }),
        2 => vbs().prop_map(|vbs| Command::AddStreams { vbs }),
        2 => vbs().prop_map(|vbs| Command::CloseStreams { vbs }),
        4 => vb().prop_map(|vb| Command::Takeover { vb }),
        1 => Just(Command::Shut),
    ]
}

fn frame() -> impl Strategy<Value = ControlFrame> {
    use ControlFrame as F;
    let end = select(StreamEndStatus::NAMED.to_vec());
    let states = vec![VbState::Pending, VbState::Active, VbState::Active, VbState::Replica];
    prop_oneof![
        (opaque(), status()).prop_map(|(opaque, status)| F::AddStreamResponse { opaque, status }),
        (side(), opaque(), status()).prop_map(|(side, opaque, status)| F::CloseStreamResponse {
            side,
            opaque,
            status
        }),
        (vb(), opaque(), 0..2_u32, seqno()).prop_map(|(vb, opaque, flags, start)| F::StreamReq {
            vb,
            opaque,
            flags,
            start
        }),
        (opaque(), select(Opcode::NAMED.to_vec()), status())
            .prop_map(|(opaque, opcode, status)| F::DataRefused { opaque, opcode, status }),
        (side(), opaque(), select(Opcode::NAMED.to_vec()), status()).prop_map(
            |(side, opaque, opcode, status)| F::ErrorAnswer(ErrorAnswer {
                side,
                opcode,
                status,
                opaque
            })
        ),
        opaque().prop_map(|opaque| F::NoopResponse { opaque }),
        (opaque(), status()).prop_map(|(opaque, status)| F::StreamReqResponse { opaque, status }),
        (vb(), opaque(), end).prop_map(|(vb, opaque, status)| F::StreamEnd { vb, opaque, status }),
        (vb(), opaque(), select(states)).prop_map(|(vb, opaque, state)| F::SetVbucketState {
            vb,
            opaque,
            state
        }),
        (opaque(), status())
            .prop_map(|(opaque, status)| F::SetVbucketStateResponse { opaque, status }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => command().prop_map(Input::Command),
        40 => frame().prop_map(Input::Frame),
        6 => (0..4_usize).prop_map(Input::Due),
        1 => side().prop_map(Input::Lost),
    ]
}

/// The state that the shell would have.
#[derive(Default)]
struct Shell {
    machine: ConsumerMachine,
    armed: Vec<Deadline>,
    given: u64,
    answers: BTreeMap<Ticket, u32>,
    stops: u32,
}

impl Shell {
    fn feed(&mut self, input: Input) {
        let effects = match input {
            Input::Command(command) => {
                let ticket = Ticket(self.given);
                self.given += 1;
                self.machine.on(Event::Command { ticket, command })
            }
            Input::Frame(frame) => {
                let (verdict, effects) = self.machine.on_frame(frame);
                let shut = matches!(self.machine.phase(), "shutting" | "stopped");
                match frame {
                    ControlFrame::AddStreamResponse { .. }
                    | ControlFrame::CloseStreamResponse { .. } => {
                        assert_eq!(verdict, Verdict::Withhold);
                    }
                    ControlFrame::StreamEnd { .. } => {
                        assert_eq!(verdict == Verdict::Withhold, shut);
                    }
                    _ => assert!(!shut || verdict == Verdict::Withhold),
                }
                effects
            }
            Input::Due(at) => {
                let Some(deadline) = self.machine.deadlines().nth(at) else { return };
                self.machine.on(Event::DeadlinePassed(deadline))
            }
            Input::Lost(side) => self.machine.on(Event::LinkLost { side, why: String::new() }),
        };
        for effect in effects {
            match effect {
                Effect::Answer(ticket, _) => *self.answers.entry(ticket).or_default() += 1,
                Effect::Arm(deadline) => self.armed.push(deadline),
                Effect::Stop(_) => self.stops += 1,
                Effect::Send(..)
                | Effect::Ended(_)
                | Effect::Incomplete(..)
                | Effect::Complete(_)
                | Effect::Opened(_)
                | Effect::Progress
                | Effect::Note(_) => {}
            }
        }
        assert_eq!(self.machine.check_invariants(), Ok(()));
        assert!(self.machine.deadlines().all(|deadline| self.armed.contains(&deadline)));
        assert!(self.answers.values().all(|&count| count == 1), "{:?}", self.answers);
        let waiting = self.given - self.answers.len() as u64;
        assert!(waiting == 0 || self.machine.deadlines().next().is_some(), "nothing leads on");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_input_in_any_order_is_survived(inputs in proptest::collection::vec(input(), 0..60)) {
        let mut shell = Shell::default();
        for input in inputs {
            shell.feed(input);
        }
        // Passing deadlines alone must bring every command to its answer.
        for _ in 0..20 {
            shell.feed(Input::Due(0));
        }
        prop_assert_eq!(shell.answers.len() as u64, shell.given);
        shell.feed(Input::Lost(Side::Consumer));
        prop_assert_eq!(shell.stops, 1);
        prop_assert_eq!(shell.machine.phase(), "stopped");
    }

    #[test]
    fn a_deadline_that_is_not_awaited_changes_nothing(
        inputs in proptest::collection::vec(input(), 0..40), opaque in opaque(),
    ) {
        let mut shell = Shell::default();
        for input in inputs {
            shell.feed(input);
        }
        use LinkStep::{AddStream, CloseStream, Refusal, Shut, Takeover};
        for step in [AddStream, Refusal, CloseStream, Takeover, Shut] {
            let deadline = Deadline { step, opaque };
            if shell.machine.deadlines().all(|awaited| awaited != deadline) {
                let before = shell.machine.clone();
                prop_assert!(shell.machine.on(Event::DeadlinePassed(deadline)).is_empty());
                prop_assert_eq!(&shell.machine, &before);
            }
        }
    }
}
