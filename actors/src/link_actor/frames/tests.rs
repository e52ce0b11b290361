//! Which frames are control frames, and that the machine can decode each of them.

use bytes::BytesMut;
use mcbp::dcp::{AddStream, StreamEnd, StreamReq};
use mcbp::{Frame, FrameBuilder, Opaque, Seqno, Side, Status, StreamEndStatus, VbId, VbUuid};
use replica::link::{ControlFrame, DATA_OPCODES, ErrorAnswer};

use super::*;

const VB: VbId = VbId(7);
const OPAQUE: Opaque = Opaque(0x0100_0000);

fn written(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

/// A frame that the machine decodes must be a control frame.
fn check(side: Side, frame: &[u8], want: Option<ControlFrame>) {
    let set = match side {
        Side::Consumer => &OF_CONSUMER,
        Side::Producer => &OF_PRODUCER,
    };
    let frame = Frame::parse(frame).unwrap();
    assert_eq!(set.contains(&frame.header), want.is_some(), "{want:?}");
    assert_eq!(ControlFrame::decode(side, &frame).unwrap(), want);
}

#[test]
fn what_the_consumer_says() {
    let response = |opcode, status| {
        FrameBuilder::response(opcode, status).opaque(OPAQUE).extras(&[0, 0, 0, 1]).build()
    };
    let (opaque, vb) = (OPAQUE, VB);
    let status = Status::SUCCESS;
    let added = ControlFrame::AddStreamResponse { opaque, status };
    check(Side::Consumer, &response(Opcode::DCP_ADD_STREAM, status), Some(added));
    let status = Status::DCP_STREAM_NOT_FOUND;
    let closed = ControlFrame::CloseStreamResponse { side: Side::Consumer, opaque, status };
    check(Side::Consumer, &response(Opcode::DCP_CLOSE_STREAM, status), Some(closed));
    let request = StreamReq {
        flags: 1,
        start: Seqno::ZERO,
        end: Seqno::MAX,
        uuid: VbUuid(0),
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno::ZERO,
        value: b"",
    };
    let frame = written(|out| request.write(VB, OPAQUE, out));
    let start = Seqno::ZERO;
    check(Side::Consumer, &frame, Some(ControlFrame::StreamReq { vb, opaque, flags: 1, start }));
    let noop = FrameBuilder::response(Opcode::DCP_NOOP, Status::SUCCESS).opaque(OPAQUE).build();
    check(Side::Consumer, &noop, Some(ControlFrame::NoopResponse { opaque }));
    let control = FrameBuilder::response(Opcode::DCP_CONTROL, Status::SUCCESS).build();
    check(Side::Consumer, &control, None);
}

/// The node that gets an error answer may close its connection because of it.
#[test]
fn every_other_error_answer_of_either_side_is_seen_and_no_answer_that_accepts() {
    let (opaque, own) = (OPAQUE, [Opcode::DCP_ADD_STREAM, Opcode::DCP_CLOSE_STREAM]);
    let of_rules = [own.as_slice(), &DATA_OPCODES, &[Opcode::DCP_STREAM_REQ]].concat();
    let more = [Opcode::DCP_NOOP, Opcode::DCP_SET_VBUCKET_STATE];
    // The refusal of an option is routine.
    let routine = [Opcode::GET_ERROR_MAP, Opcode::DCP_CONTROL];
    for (side, status) in [
        (Side::Consumer, Status::ERANGE),
        (Side::Producer, Status::UNKNOWN_COLLECTION),
        (Side::Producer, Status(0xabcd)),
    ] {
        for opcode in (0..=u8::MAX).map(Opcode) {
            let is_of_rules =
                of_rules.contains(&opcode) || (side == Side::Consumer && more.contains(&opcode));
            if is_of_rules || routine.contains(&opcode) {
                continue;
            }
            let answer = ErrorAnswer { side, opcode, status, opaque };
            let refused = FrameBuilder::response(opcode, status).opaque(opaque).build();
            check(side, &refused, Some(ControlFrame::ErrorAnswer(answer)));
            let accepted = FrameBuilder::response(opcode, Status::SUCCESS).build();
            check(side, &accepted, None);
        }
    }
}

#[test]
fn every_error_that_a_consumer_answers_to_data_is_seen_and_nothing_that_it_accepts() {
    let (opaque, status) = (OPAQUE, Status::EINVAL);
    for opcode in DATA_OPCODES {
        let refused = FrameBuilder::response(opcode, status).opaque(opaque).build();
        let said = ControlFrame::DataRefused { opaque, opcode, status };
        check(Side::Consumer, &refused, Some(said));
        let accepted = FrameBuilder::response(opcode, Status::SUCCESS).opaque(opaque).build();
        check(Side::Consumer, &accepted, None);
    }
}

#[test]
fn what_the_producer_says() {
    let (opaque, vb) = (OPAQUE, VB);
    let status = StreamEndStatus::STATE_CHANGED;
    let end = written(|out| StreamEnd { status }.write(VB, OPAQUE, out));
    check(Side::Producer, &end, Some(ControlFrame::StreamEnd { vb, opaque, status }));
    let status = Status::NOT_MY_VBUCKET;
    let refused = FrameBuilder::response(Opcode::DCP_STREAM_REQ, status).opaque(OPAQUE).build();
    let said = ControlFrame::StreamReqResponse { opaque, status };
    check(Side::Producer, &refused, Some(said));
    // No control frame in this direction: a data node never sends it.
    let add = written(|out| AddStream { flags: 0 }.write(VB, OPAQUE, out));
    check(Side::Producer, &add, None);
}

#[test]
fn mb_70640_mb_71212_unknown_opcodes_pass_unseen() {
    for side in [Side::Consumer, Side::Producer] {
        check(side, &FrameBuilder::request(Opcode(0x6e)).build(), None);
        check(side, &FrameBuilder::response(Opcode(0x6e), Status(0)).build(), None);
        check(side, &FrameBuilder::response(Opcode(0x7e), Status(0)).build(), None);
    }
}

/// A node would execute them with what the user of the sidecar may do.
#[test]
fn a_node_sends_the_other_no_request_outside_dcp() {
    for (side, set) in [(Side::Consumer, &OF_CONSUMER), (Side::Producer, &OF_PRODUCER)] {
        for opcode in (0..=u8::MAX).map(Opcode).filter(|it| !it.is_in_dcp_block()) {
            let bytes = FrameBuilder::request(opcode).vbucket(VB).opaque(OPAQUE).build();
            let frame = Frame::parse(&bytes).unwrap();
            let passes = side == Side::Consumer && opcode == Opcode::GET_ERROR_MAP;
            assert_eq!(set.contains(&frame.header), !passes, "{side} {opcode}");
            assert_eq!(ControlFrame::decode(side, &frame).is_ok(), passes, "{side} {opcode}");
        }
    }
}
