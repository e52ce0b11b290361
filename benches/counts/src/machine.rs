//! The rules of a link, from the bytes of control frames to verdicts: the set-up and the end of
//! [`STREAMS`] streams, three frames for each and one.

use bytes::{Bytes, BytesMut};
use gungraun::library_benchmark;
use mcbp::dcp::{StreamEnd, StreamReq};
use mcbp::{
    Frame, FrameBuilder, Opaque, Opcode, Seqno, Side, Status, StreamEndStatus, VbId, VbUuid,
};
use replica::link::{
    Command, ConsumerMachine, ControlFrame, Effect, Event, OwnFrame, Ticket, Verdict,
};

/// About the number of vBuckets of a bucket: a figure of 25,000 is 25 instructions per stream.
const STREAMS: usize = 1000;

#[library_benchmark]
#[bench::set_up(set_up())]
#[bench::stream_ends(stream_ends())]
fn machine_frames((mut machine, frames): (ConsumerMachine, Frames)) -> (ConsumerMachine, Frames) {
    for (side, bytes) in &frames {
        let _verdict = show(&mut machine, *side, bytes);
    }
    (machine, frames)
}

/// Frames and the sides that they come from.
type Frames = Vec<(Side, Bytes)>;

fn show(machine: &mut ConsumerMachine, side: Side, bytes: &[u8]) -> Option<Verdict> {
    let frame = ControlFrame::decode(side, &Frame::parse(bytes).ok()?).ok()??;
    let (verdict, _effects) = machine.on_frame(frame);
    Some(verdict)
}

/// A machine that has asked for its streams, and the frames until they are open.
fn set_up() -> (ConsumerMachine, Frames) {
    let mut machine = ConsumerMachine::default();
    let wanted = (0..1024).map(VbId).take(STREAMS).collect();
    let command = Command::set_up(wanted);
    let effects = machine.on(Event::Command { ticket: Ticket(1), command });
    let asked = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send(Side::Consumer, OwnFrame::AddStream { vb, opaque, .. }) => Some((vb, opaque)),
        _ => None,
    });
    let frames = asked.flat_map(|(vb, ours)| opening(vb, ours)).collect();
    (machine, frames)
}

/// A machine whose streams are open, and the STREAM_END of each.
fn stream_ends() -> (ConsumerMachine, Frames) {
    let (mut machine, frames) = set_up();
    for (side, bytes) in &frames {
        assert!(show(&mut machine, *side, bytes).is_some(), "a control frame");
    }
    let vbs = (0..1024).map(VbId).take(STREAMS);
    let end = StreamEnd { status: StreamEndStatus::STATE_CHANGED };
    let ends = vbs.map(|vb| (Side::Producer, built(|out| end.write(vb, opaque_of(vb), out))));
    (machine, ends.collect())
}

/// The frames while one stream is opened: STREAM_REQ, its answer, and the answer to ADD_STREAM.
fn opening(vb: VbId, ours: Opaque) -> [(Side, Bytes); 3] {
    let (zero, theirs) = (Seqno::ZERO, opaque_of(vb));
    let request = StreamReq {
        flags: 0,
        start: zero,
        end: Seqno::MAX,
        uuid: VbUuid(1),
        snapshot_start: zero,
        snapshot_end: zero,
        value: &[],
    };
    let answer = |opcode, opaque| FrameBuilder::response(opcode, Status::SUCCESS).opaque(opaque);
    [
        (Side::Consumer, built(|out| request.write(vb, theirs, out))),
        (Side::Producer, answer(Opcode::DCP_STREAM_REQ, theirs).build()),
        (
            Side::Consumer,
            answer(Opcode::DCP_ADD_STREAM, ours).extras(&theirs.0.to_be_bytes()).build(),
        ),
    ]
}

/// The opaque that the consumer chose for a stream.
const fn opaque_of(vb: VbId) -> Opaque {
    Opaque(vb.0 as u32 + 1)
}

fn built(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    out.freeze()
}
