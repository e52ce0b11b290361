//! Which frames stop at the proxy, and what they are taken for.

use bytes::BytesMut;
use mcbp::dcp::{AddStream, BufferAck, StreamEnd, StreamReq};
use mcbp::{FrameBuilder, Opaque, Seqno, Status, StreamEndStatus, VbId, VbUuid};

use super::*;

const VB: VbId = VbId(7);
const OPAQUE: Opaque = Opaque(0x0100_0000);

fn written(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

fn class_of(side: Side, frame: &[u8]) -> Class {
    let header = Header::peek(frame).unwrap().unwrap();
    match side {
        Side::Consumer => consumer_class(&header),
        Side::Producer => producer_class(&header),
    }
}

/// A frame is a control frame exactly when it says something.
fn check(side: Side, frame: &[u8], want: Option<ControlFrame>) {
    assert_eq!(class_of(side, frame) == Class::Control, want.is_some(), "{want:?}");
    if want.is_some() {
        assert_eq!(decode(side, frame).unwrap(), want);
    }
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
    check(Side::Consumer, &frame, Some(ControlFrame::StreamReq { vb, opaque, flags: 1 }));
    let ack = written(|out| BufferAck { bytes: 9 }.write(VB, OPAQUE, out));
    check(Side::Consumer, &ack, None);
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
    // Not ours to look at in this direction: a data node never sends it.
    let add = written(|out| AddStream { flags: 0 }.write(VB, OPAQUE, out));
    check(Side::Producer, &add, None);
}

#[test]
fn unknown_opcodes_pass_unseen() {
    for side in [Side::Consumer, Side::Producer] {
        check(side, &FrameBuilder::request(Opcode(0x7e)).build(), None);
        check(side, &FrameBuilder::response(Opcode(0x7e), Status(0)).build(), None);
    }
}

#[test]
fn a_control_frame_without_its_extras_is_an_error() {
    let bare = FrameBuilder::request(Opcode::DCP_STREAM_END).vbucket(VB).build();
    assert!(matches!(decode(Side::Producer, &bare), Err(FrameError::Malformed { .. })));
}
