//! A frame in a few words: the name of its opcode, and the numbers that a reader looks for.
//!
//! No key, value or name of a document is among them, so that the words need no redaction.

use mcbp::dcp::{
    self, AddStream, Control, Open, SeqnoAck, SeqnoAdvanced, SetVbucketState, SnapshotMarker,
    StreamEnd, StreamReq,
};
use mcbp::{Frame, Opcode, Seqno, Status};

/// Returns the frame in a few words, e.g. `DCP_MUTATION vb:3 seqno:17` or
/// `DCP_STREAM_REQ_RESPONSE Rollback (0x23) to:5`.
#[must_use]
pub fn what(frame: &Frame<'_>) -> String {
    let opcode = frame.opcode();
    if !frame.header.is_request() {
        return response(frame);
    }
    if !opcode.is_dcp() {
        return opcode.to_string();
    }
    let fields = match opcode {
        Opcode::DCP_NOOP | Opcode::DCP_BUFFER_ACK => return opcode.to_string(),
        Opcode::DCP_OPEN | Opcode::DCP_CONTROL => {
            return [opcode.to_string(), connection(frame)].join(" ").trim_end().to_owned();
        }
        _ => stream(frame),
    };
    let vb = frame.header.vbucket();
    format!("{opcode} vb:{} {fields}", vb.0).trim_end().to_owned()
}

fn response(frame: &Frame<'_>) -> String {
    let (opcode, status) = (frame.opcode(), frame.header.status());
    match (opcode, status) {
        (_, Status::SUCCESS) => format!("{opcode}_RESPONSE"),
        (Opcode::DCP_STREAM_REQ, Status::ROLLBACK) => match dcp::decode_rollback(frame) {
            Ok(Seqno(to)) => format!("{opcode}_RESPONSE {status} to:{to}"),
            Err(_) => format!("{opcode}_RESPONSE {status}"),
        },
        _ => format!("{opcode}_RESPONSE {status}"),
    }
}

/// What a frame about a whole connection says.
fn connection(frame: &Frame<'_>) -> String {
    if let Ok(open) = Open::decode(frame)
        && frame.opcode() == Opcode::DCP_OPEN
    {
        return format!("flags:{:#x}", open.flags);
    }
    match Control::decode(frame) {
        Ok(control) if frame.opcode() == Opcode::DCP_CONTROL => format!(
            "{}={}",
            String::from_utf8_lossy(control.key),
            String::from_utf8_lossy(control.value)
        ),
        _ => String::new(),
    }
}

/// What a frame about a stream says.
fn stream(frame: &Frame<'_>) -> String {
    if let Some(Seqno(seqno)) = dcp::change_seqno(frame) {
        return format!("seqno:{seqno}");
    }
    let text = match frame.opcode() {
        Opcode::DCP_ADD_STREAM => {
            AddStream::decode(frame).map(|add| format!("flags:{:#x}", add.flags))
        }
        Opcode::DCP_STREAM_REQ => StreamReq::decode(frame)
            .map(|request| format!("from:{} uuid:{:016x}", request.start.0, request.uuid.0)),
        Opcode::DCP_STREAM_END => StreamEnd::decode(frame).map(|end| end.status.to_string()),
        Opcode::DCP_SNAPSHOT_MARKER => SnapshotMarker::decode(frame)
            .map(|marker| format!("{}-{} flags:{:#x}", marker.start.0, marker.end.0, marker.flags)),
        Opcode::DCP_SET_VBUCKET_STATE => {
            SetVbucketState::decode(frame).map(|set| set.state.name().to_owned())
        }
        Opcode::DCP_SEQNO_ACK => {
            SeqnoAck::decode(frame).map(|ack| format!("seqno:{}", ack.prepared.0))
        }
        Opcode::DCP_SEQNO_ADVANCED => {
            SeqnoAdvanced::decode(frame).map(|advanced| format!("seqno:{}", advanced.seqno.0))
        }
        _ => Ok(String::new()),
    };
    text.unwrap_or_else(|error| format!("({error})"))
}
