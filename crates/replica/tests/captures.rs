//! Frames between real data nodes, fed to the consumer machine one by one.
//!
//! The captures carry the opaques of the relay that recorded them; they are translated by vBucket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::dcp::stream_flags;
use mcbp::{Frame, Opaque, Opcode, Seqno, Side, Status, StreamEndStatus, VbId, VbState};
use recordings::{Line, capture};
use replica::link::{
    Command, ConsumerMachine, ControlFrame, Effect, Event, Outcome, OwnFrame, Reason, Ticket,
    VbError, VbOutcome, Verdict,
};

/// A machine between captured frames.
#[derive(Default)]
struct Replay {
    machine: ConsumerMachine,
    /// The opaques of the machine's ADD_STREAMs.
    ours: BTreeMap<VbId, Opaque>,
    /// The vBuckets of the relay's ADD_STREAMs.
    theirs: BTreeMap<Opaque, VbId>,
    /// A NOOP of the machine's that is to be answered.
    barrier: Option<Opaque>,
    /// Every other effect, with the number of the frame that led to it and its time.
    effects: Vec<(u64, Duration, Effect)>,
}

impl Replay {
    fn command(&mut self, command: Command) {
        let effects = self.machine.on(Event::Command { ticket: Ticket(1), command });
        self.keep(0, Duration::ZERO, effects);
    }

    fn keep(&mut self, number: u64, at: Duration, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(Side::Consumer, OwnFrame::AddStream { vb, opaque, .. }) => {
                    self.ours.insert(vb, opaque);
                }
                Effect::Send(Side::Consumer, OwnFrame::Noop { opaque }) => {
                    self.barrier = Some(opaque);
                }
                Effect::Arm(_) => {}
                effect => self.effects.push((number, at, effect)),
            }
        }
    }

    /// Feeds the frames up to number `last`.
    fn feed(&mut self, frames: &[Line], last: u64) {
        for captured in frames.iter().filter(|captured| captured.number <= last) {
            let frame = Frame::parse(&captured.bytes).unwrap();
            let side = match (captured.from.as_str(), frame.opcode()) {
                ("proxy", Opcode::DCP_ADD_STREAM) => {
                    self.theirs.insert(frame.header.opaque, frame.header.vbucket());
                    continue;
                }
                // In capture 08 the relay takes the place of the producer.
                ("producer", _) | ("proxy", Opcode::DCP_STREAM_END) => Side::Producer,
                ("consumer", _) => Side::Consumer,
                _ => continue,
            };
            let Some(told) = ControlFrame::decode(side, &frame).unwrap() else { continue };
            let (told, want) = match told {
                ControlFrame::AddStreamResponse { opaque, status } => {
                    let opaque = self.ours[&self.theirs[&opaque]];
                    (ControlFrame::AddStreamResponse { opaque, status }, Verdict::Withhold)
                }
                ControlFrame::DataRefused { .. } | ControlFrame::CloseStreamResponse { .. } => {
                    (told, Verdict::Withhold)
                }
                ControlFrame::SetVbucketState { state: VbState::Active, .. } => {
                    (told, Verdict::Withhold)
                }
                told => (told, Verdict::Forward),
            };
            let (verdict, effects) = self.machine.on_frame(told);
            let is_over = self.machine.stopped().is_some();
            assert!(verdict == want || is_over, "frame {}: {told:?}", captured.number);
            assert_eq!(self.machine.check_invariants(), Ok(()), "frame {}", captured.number);
            self.keep(captured.number, captured.at, effects);
            self.pass_barrier(captured);
        }
    }

    /// The consumer answers a NOOP, after which the withheld frame is sent.
    fn pass_barrier(&mut self, held: &Line) {
        let Some(opaque) = self.barrier.take() else { return };
        let (verdict, effects) = self.machine.on_frame(ControlFrame::NoopResponse { opaque });
        assert_eq!(verdict, Verdict::Withhold);
        let [Effect::Send(Side::Consumer, frame)] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!(frame.encode(), held.bytes, "frame {}", held.number);
    }

    /// The one answer, with the number and the time of the frame that led to it.
    fn answer(&self) -> (u64, Duration, BTreeMap<VbId, VbOutcome>) {
        let mut answers = self.effects.iter().filter_map(|(number, at, effect)| match effect {
            Effect::Answer(Ticket(1), Outcome::Done(vbs)) => Some((*number, *at, vbs.clone())),
            _ => None,
        });
        let answer = answers.next().expect("no answer");
        assert!(answers.next().is_none(), "two answers");
        answer
    }
}

fn set_up(vbs: &[u16]) -> Command {
    Command::set_up(vbs.iter().copied().map(VbId).collect())
}

#[test]
fn capture_08_the_hang_is_answered_as_soon_as_the_end_passes() {
    let frames = capture("08-stream-end-before-add-stream-answer");
    let mut replay = Replay::default();
    replay.command(set_up(&[0, 1]));
    replay.feed(&frames, u64::MAX);

    let (number, answered, vbs) = replay.answer();
    let ended = frames.iter().find(|frame| frame.bytes[1] == Opcode::DCP_STREAM_END.0).unwrap();
    assert_eq!(number, ended.number);
    assert!(answered - ended.at < Duration::from_secs(1));
    assert_eq!(vbs[&VbId(0)], VbOutcome::Opened);
    let reason = Reason::StreamEnd(StreamEndStatus::STATE_CHANGED);
    let error = VbError { vb: VbId(1), side: Side::Producer, reason };
    assert_eq!(error.to_string(), "vb:1: producer ended the stream with StateChanged (2)");
    assert_eq!(vbs[&VbId(1)], VbOutcome::Failed(error));
    assert_eq!(replay.machine.open().collect::<Vec<_>>(), [VbId(0)]);
}

#[test]
fn capture_05_a_takeover_is_done_when_active_is_acknowledged() {
    let frames = capture("05-takeover");
    let mut replay = Replay::default();
    replay.command(Command::Takeover { vb: VbId(30) });
    replay.feed(&frames, 69);
    assert!(replay.effects.is_empty(), "answered too early");
    assert_eq!(replay.machine.pending(), [VbId(30)].into());

    replay.feed(&frames[69..], u64::MAX);
    let (number, _, vbs) = replay.answer();
    assert_eq!((number, &vbs[&VbId(30)]), (70, &VbOutcome::TakenOver));
    assert_eq!(replay.machine.open().count(), 0);
    assert_eq!(replay.effects.len(), 1, "the end of the stream is normal: {:?}", replay.effects);
}

#[test]
fn capture_01_four_streams_open() {
    let frames = capture("01-setup-four-vbuckets");
    let mut replay = Replay::default();
    replay.command(set_up(&[0, 1, 2, 3]));
    replay.feed(&frames, 150);
    let (number, _, vbs) = replay.answer();
    assert_eq!(number, 74);
    assert!(vbs.values().all(|outcome| *outcome == VbOutcome::Opened));
    // The opaque is in the consumer's byte order; only STREAM_REQ shows it.
    assert_eq!(replay.machine.stream_opaque(VbId(0)), Some(Opaque(0x0100_0000)));
}

#[test]
fn capture_02_a_refusal_names_the_producer_and_an_end_reaches_the_owner() {
    let frames = capture("02-producer-has-no-vbucket");
    let mut replay = Replay::default();
    replay.command(set_up(&[10, 11]));
    replay.feed(&frames, 50);
    let (_, _, vbs) = replay.answer();
    assert_eq!(vbs[&VbId(10)], VbOutcome::Opened);
    let error = vbs[&VbId(11)].error().unwrap();
    assert_eq!(error.side, Side::Producer);
    assert!(matches!(error.reason, Reason::Refused { status: Status::NOT_MY_VBUCKET, .. }));

    replay.feed(&frames[50..], u64::MAX);
    let reason = Reason::StreamEnd(StreamEndStatus::STATE_CHANGED);
    let ended = VbError { vb: VbId(10), side: Side::Producer, reason };
    assert_eq!(replay.effects.last().unwrap().2, Effect::Ended(ended));
    assert_eq!(replay.machine.open().count(), 0);
}

#[test]
fn capture_19_rows_that_are_refused_leave_an_incomplete_copy() {
    let frames = capture("19-snappy-only-at-producer");
    let mut replay = Replay::default();
    replay.command(set_up(&[0]));
    replay.feed(&frames, 73);
    let (_, _, vbs) = replay.answer();
    assert_eq!(vbs[&VbId(0)], VbOutcome::Opened);
    let reason = Reason::RowRefused { opcode: Opcode::DCP_MUTATION, status: Status::EINVAL };
    let error = VbError { vb: VbId(0), side: Side::Consumer, reason };
    assert_eq!(error.to_string(), "vb:0: consumer refused DCP_MUTATION with Invalid (0x04)");
    let effects: Vec<_> = replay.effects.into_iter().map(|(_, _, effect)| effect).collect();
    assert!(effects.contains(&Effect::Ended(error)), "{effects:?}");
    assert!(effects.contains(&Effect::Incomplete(VbId(0), Seqno(0))), "{effects:?}");
    assert_eq!(replay.machine.open().count(), 0);
}

#[test]
fn capture_20a_rollbacks_show_their_place_in_line_until_they_are_done() {
    let frames = capture("20a-rollbacks-unrelated");
    let mut replay = Replay::default();
    replay.command(set_up(&[0, 1, 2, 3, 4, 5, 6, 7]));
    let is_answer = |frame: &Line| frame.bytes[..2] == [0x81, Opcode::DCP_STREAM_REQ.0];
    let asked = frames.iter().filter(|frame| is_answer(frame)).nth(7).unwrap().number;
    replay.feed(&frames, asked);
    let rolling =
        replay.machine.snapshot().vbuckets.iter().filter_map(|row| row.rollbacks_before).count();
    assert!(rolling > 1, "{:?}", replay.machine.snapshot());
    let at = frames.iter().position(|frame| frame.number == asked).unwrap();
    replay.feed(&frames[at + 1..], u64::MAX);
    let (_, _, vbs) = replay.answer();
    assert!(vbs.values().all(|outcome| *outcome == VbOutcome::Opened), "{vbs:?}");
}

#[test]
fn capture_20b_a_closed_attempt_that_asks_again_ends_the_link_before_the_consumer_does() {
    let frames = capture("20b-rollback-closed-and-added");
    let mut replay = Replay::default();
    let vbs: Vec<u16> = (0x10..0x18).collect();
    replay.command(set_up(&vbs));
    replay.feed(&frames, 109);
    assert!(replay.machine.stopped().is_none());
    replay.feed(&frames[frames.iter().position(|frame| frame.number == 110).unwrap()..], 110);
    let why = replay.machine.stopped().map(ToString::to_string);
    assert!(why.is_some_and(|why| why.contains("rolled back and asked for again")));
}

#[test]
fn capture_21a_a_consumer_that_dropped_a_stream_says_so_with_every_row() {
    let frames = capture("21a-consumer-active-then-replica");
    let mut replay = Replay::default();
    replay.command(set_up(&[0, 1, 2, 3]));
    replay.feed(&frames, 120);
    let (opcode, status) = (Opcode::DCP_SNAPSHOT_MARKER, Status::DCP_STREAM_NOT_FOUND);
    let reason = Reason::StreamGone { opcode, status };
    let ended = Effect::Ended(VbError { vb: VbId(0), side: Side::Consumer, reason });
    let ends = replay.effects.iter().filter(|(_, _, effect)| *effect == ended).count();
    assert_eq!(ends, 1, "one stream ended, and is reported once");
    assert_eq!(replay.machine.open().count(), 3);
}

#[test]
fn own_frames_are_those_that_the_captures_show() {
    let add = OwnFrame::AddStream {
        vb: VbId(30),
        opaque: Opaque(0xadd0_001e),
        flags: stream_flags::TAKEOVER,
    };
    let close = OwnFrame::CloseStream { vb: VbId(1), opaque: Opaque(0xc105_0001) };
    for (name, number, own) in [("05-takeover", 9, add), ("01-setup-four-vbuckets", 177, close)] {
        let frames = capture(name);
        let shown = frames.iter().find(|frame| frame.number == number).unwrap();
        assert_eq!(own.encode(), shown.bytes, "{name} frame {number}");
    }
}
