//! What a recording that begins in the middle, or has gaps, lacks: how the streams that are open
//! there were opened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{AddStream, FailoverEntry, StreamReq, change_seqno, encode_failover_log};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, Side, Status, VbId, VbUuid};

use super::recording::{Conversation, Event, Passed, Step};

/// The first opaque of an ADD_STREAM that is made up. No proxy counts from there.
const MADE_UP: u32 = 0xaaaa_0000;

/// Puts the opening of every stream that is used and was not opened in front of the conversation.
/// Returns the vBuckets of those streams.
pub(crate) fn complete(conversation: &mut Conversation) -> BTreeSet<VbId> {
    let (mut opened, mut missing) = (BTreeSet::new(), BTreeMap::new());
    if !conversation.openings.is_empty() && !conversation.has_gap {
        return BTreeSet::new();
    }
    for step in &conversation.steps {
        let (Event::From(_, bytes, _) | Event::Own(_, bytes)) = &step.event else { continue };
        let Ok(frame) = Frame::parse(bytes) else { continue };
        let vb = frame.header.vbucket();
        match (&step.event, frame.opcode()) {
            (Event::Own(Side::Consumer, _), Opcode::DCP_ADD_STREAM)
            | (Event::From(Side::Consumer, ..), Opcode::DCP_STREAM_REQ) => {
                opened.insert(vb);
            }
            (Event::From(Side::Producer, ..), opcode)
                if frame.header.is_request() && is_of_stream(opcode) && !opened.contains(&vb) =>
            {
                let seqno = change_seqno(&frame).unwrap_or(Seqno(1));
                let before = Seqno(seqno.0.saturating_sub(1));
                missing.entry(vb).or_insert((frame.header.opaque, before));
            }
            _ => {}
        }
    }
    let mut steps = Vec::new();
    for (number, (vb, (opaque, seqno))) in (0..).zip(&missing) {
        steps.extend(opening(*vb, Opaque(MADE_UP + number), *opaque, *seqno));
    }
    steps.append(&mut conversation.steps);
    conversation.steps = steps;
    missing.into_keys().collect()
}

const fn is_of_stream(opcode: Opcode) -> bool {
    matches!(opcode.0, 0x55..=0x5b | 0x5f | 0x60 | 0x62..=0x67)
}

/// The four frames by which a stream opens.
fn opening(vb: VbId, own: Opaque, stream: Opaque, start: Seqno) -> [Step; 4] {
    let mut add = BytesMut::new();
    AddStream { flags: 0 }.write(vb, own, &mut add);
    let mut request = BytesMut::new();
    let uuid = VbUuid(1);
    let range = StreamReq {
        flags: 0,
        start,
        end: Seqno::MAX,
        uuid,
        snapshot_start: start,
        snapshot_end: start,
        value: b"",
    };
    range.write(vb, stream, &mut request);
    let log = encode_failover_log(&[FailoverEntry { uuid, seqno: Seqno::ZERO }]);
    let accepted = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::SUCCESS).opaque(stream);
    let added = FrameBuilder::response(Opcode::DCP_ADD_STREAM, Status::SUCCESS).opaque(own);
    let number = stream.0.to_be_bytes();
    let step = |event| Step { n: 0, t: Duration::ZERO, event };
    let from = |side, bytes: Bytes, passed| step(Event::From(side, bytes, passed));
    [
        step(Event::Own(Side::Consumer, add.freeze())),
        from(Side::Consumer, request.freeze(), Passed::On),
        from(Side::Producer, accepted.value(&log).build(), Passed::On),
        from(Side::Consumer, added.extras(&number).build(), Passed::Kept),
    ]
}
