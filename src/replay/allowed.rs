//! What may be sent to a data node. A recording is what somebody attached to a report: whatever is
//! in it, a replay never changes more than it says.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::dcp::{AddStream, StreamReq, control_key, stream_flags};
use mcbp::{Frame, Opcode, Side};
use replica::link::DATA_OPCODES;

use super::script::{Act, Line};

/// What `--yes` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Nothing may change at the node.
    None,
    /// It may lose its data.
    Given,
}

/// Why a frame is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// A takeover makes the vBucket of the producer dead.
    Takeover,
    /// It would speak for a replica that it is not.
    Replica,
    /// No link needs it.
    Foreign,
}

impl Reason {
    const fn text(self) -> &'static str {
        match self {
            Self::Takeover => {
                "with what follows of these vBuckets: a takeover takes them from the node; --yes \
                 sends it, to a node that may lose them"
            }
            Self::Replica => "it would acknowledge durable writes in the name of a replica",
            Self::Foreign => "replay sends nothing but the frames of a link",
        }
    }
}

/// Takes out of the script what may not be sent to the node that stands for `side`, with the
/// recorded answers. Returns remarks.
pub(crate) fn restrict(lines: &mut Vec<Line>, side: Side, consent: Consent) -> Vec<String> {
    let (mut left_out, mut answers, mut moved) =
        (BTreeMap::<_, u64>::new(), BTreeSet::new(), BTreeSet::new());
    lines.retain(|line| {
        let (Act::Send(part) | Act::Get(part)) = &line.act else { return true };
        if part.vb.is_some_and(|vb| moved.contains(&vb)) {
            return false;
        }
        let Ok(frame) = Frame::parse(&part.bytes) else { return false };
        let key = (frame.opcode(), frame.header.opaque);
        if matches!(line.act, Act::Get(_)) {
            return frame.header.is_request() || !answers.remove(&key);
        }
        let Some(reason) = reason(&frame, side, consent) else { return true };
        *left_out.entry((reason, name_of(&frame))).or_default() += 1;
        answers.insert(key);
        if reason == Reason::Takeover {
            moved.extend(part.vb);
        }
        false
    });
    let remark = |((reason, name), count): ((Reason, String), u64)| {
        format!("not sent: {count} {name}: {}", reason.text())
    };
    left_out.into_iter().map(remark).collect()
}

/// The opcode, and the key of an option.
fn name_of(frame: &Frame<'_>) -> String {
    match frame.opcode() {
        Opcode::DCP_CONTROL => format!("DCP_CONTROL {}", String::from_utf8_lossy(frame.key)),
        opcode => opcode.to_string(),
    }
}

/// Why the frame may not be sent; `None` if it may.
fn reason(frame: &Frame<'_>, side: Side, consent: Consent) -> Option<Reason> {
    let opcode = frame.opcode();
    if !frame.header.is_request() {
        // It is sent only if the node asks.
        return None;
    }
    let is_takeover = match opcode {
        // Malformed ones could be read otherwise by the node.
        Opcode::DCP_STREAM_REQ => StreamReq::decode(frame).map(|request| request.flags),
        Opcode::DCP_ADD_STREAM => AddStream::decode(frame).map(|add| add.flags),
        _ => Ok(0),
    }
    .map_or(true, |flags| flags & stream_flags::TAKEOVER != 0);
    if is_takeover && consent == Consent::None {
        return Some(Reason::Takeover);
    }
    let is_of_any =
        [Opcode::DCP_CLOSE_STREAM, Opcode::DCP_CONTROL, Opcode::DCP_NOOP, Opcode::GET_ERROR_MAP];
    let is_known = match side {
        Side::Producer => {
            let is_name = frame.key == control_key::CONSUMER_NAME.as_bytes();
            if opcode == Opcode::DCP_SEQNO_ACK || (opcode == Opcode::DCP_CONTROL && is_name) {
                return Some(Reason::Replica);
            }
            let of_consumer =
                [Opcode::DCP_STREAM_REQ, Opcode::DCP_BUFFER_ACK, Opcode::DCP_GET_FAILOVER_LOG];
            of_consumer.contains(&opcode)
        }
        Side::Consumer => {
            let of_producer = [Opcode::DCP_ADD_STREAM, Opcode::DCP_SET_VBUCKET_STATE];
            DATA_OPCODES.contains(&opcode) || of_producer.contains(&opcode)
        }
    };
    (!is_known && !is_of_any.contains(&opcode)).then_some(Reason::Foreign)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use mcbp::{FrameBuilder, Opaque, Seqno, VbId, VbUuid};

    use super::super::script::Part;
    use super::*;

    fn request(flags: u32) -> Bytes {
        let (start, value) = (Seqno::ZERO, &b""[..]);
        let (snapshot_start, snapshot_end) = (start, start);
        let uuid = VbUuid(0);
        let end = Seqno::MAX;
        let whole = StreamReq { flags, start, end, uuid, snapshot_start, snapshot_end, value };
        let mut out = BytesMut::new();
        whole.write(VbId(3), Opaque(9), &mut out);
        out.freeze()
    }

    fn control(key: &str) -> Bytes {
        FrameBuilder::request(Opcode::DCP_CONTROL).key(key.as_bytes()).value(b"true").build()
    }

    fn sent(bytes: Bytes) -> Line {
        let vb = super::super::shape::vb_of_request(&Frame::parse(&bytes).unwrap());
        Line { n: 1, act: Act::Send(Part { bytes, vb, is_accepted: false }) }
    }

    #[test]
    fn a_producer_gets_what_reads_and_nothing_that_changes_it() {
        let of = |opcode| FrameBuilder::request(opcode).vbucket(VbId(3)).build();
        let (none, given) = (Consent::None, Consent::Given);
        let table = [
            (request(0), none, None),
            (request(stream_flags::TAKEOVER), none, Some(Reason::Takeover)),
            (request(stream_flags::TAKEOVER | 0x10), none, Some(Reason::Takeover)),
            (request(stream_flags::TAKEOVER), given, None),
            // A STREAM_REQ that cannot be read.
            (of(Opcode::DCP_STREAM_REQ), none, Some(Reason::Takeover)),
            (of(Opcode::DCP_CLOSE_STREAM), none, None),
            (of(Opcode::DCP_BUFFER_ACK), none, None),
            (of(Opcode::DCP_NOOP), none, None),
            (control(control_key::ENABLE_NOOP), none, None),
            (control(control_key::CONSUMER_NAME), given, Some(Reason::Replica)),
            (of(Opcode::DCP_SEQNO_ACK), given, Some(Reason::Replica)),
            (of(Opcode::SET_VBUCKET), given, Some(Reason::Foreign)),
            (of(Opcode(0x01)), given, Some(Reason::Foreign)),
            (of(Opcode(0x04)), given, Some(Reason::Foreign)),
            (of(Opcode::DCP_MUTATION), given, Some(Reason::Foreign)),
        ];
        for (bytes, consent, wanted) in table {
            let frame = Frame::parse(&bytes).unwrap();
            let found = reason(&frame, Side::Producer, consent);
            assert_eq!(found, wanted, "{} {consent:?}", frame.opcode());
        }
    }

    #[test]
    fn a_consumer_gets_the_frames_of_a_link_alone() {
        let of = |opcode: Opcode| FrameBuilder::request(opcode).vbucket(VbId(3)).build();
        for opcode in [Opcode::DCP_MUTATION, Opcode::DCP_SNAPSHOT_MARKER, Opcode::DCP_STREAM_END] {
            let bytes = of(opcode);
            let frame = Frame::parse(&bytes).unwrap();
            assert_eq!(reason(&frame, Side::Consumer, Consent::Given), None, "{opcode}");
        }
        for opcode in [Opcode::SET_VBUCKET, Opcode(0x01), Opcode(0x04), Opcode(0x08)] {
            let bytes = of(opcode);
            let found = reason(&Frame::parse(&bytes).unwrap(), Side::Consumer, Consent::Given);
            assert_eq!(found, Some(Reason::Foreign), "{opcode}");
        }
    }

    #[test]
    fn what_is_left_out_is_not_awaited_either_and_told_once() {
        let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, mcbp::Status::SUCCESS);
        let part =
            Part { bytes: answer.opaque(Opaque(9)).build(), vb: Some(VbId(3)), is_accepted: false };
        let mut lines = vec![
            sent(control(control_key::ENABLE_NOOP)),
            sent(control(control_key::CONSUMER_NAME)),
            sent(request(stream_flags::TAKEOVER)),
            Line { n: 2, act: Act::Get(part) },
            sent(request(0)),
        ];
        let remarks = restrict(&mut lines, Side::Producer, Consent::None);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks[0].starts_with("not sent: 1 DCP_STREAM_REQ: with what"), "{remarks:?}");
        assert!(remarks[1].starts_with("not sent: 1 DCP_CONTROL consumer_name: "), "{remarks:?}");
    }
}
