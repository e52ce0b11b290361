//! What is compared of a frame: a few words, which are equal where the frames mean the same.
//!
//! Opaques, CAS, uuids, times, names of connections and texts of errors always differ from run to
//! run and are left out.

use mcbp::dcp::{
    self, AddStream, SeqnoAck, SeqnoAdvanced, SetVbucketState, SnapshotMarker, StreamEnd,
    StreamReq, control_key,
};
use mcbp::{Frame, Opcode, Seqno, Side, Status, VbId};
use replica::link::DATA_OPCODES;

/// How much of a frame is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum)]
pub enum Compare {
    /// Which streams open, are refused, roll back, change state and end; not the documents: for a
    /// node that has others.
    Control,
    /// Also which frames carry the documents, and how they are laid out.
    #[default]
    Layout,
    /// Also every seqno.
    Seqnos,
}

/// Returns the words for a frame; `None` for one that is not compared: those that a node sends when
/// it likes, and documents where they are left out.
pub(crate) fn shape(frame: &Frame<'_>, compare: Compare) -> Option<String> {
    let (opcode, is_request) = (frame.opcode(), frame.header.is_request());
    let is_of_flow = opcode == Opcode::DCP_CONTROL
        && frame.key == control_key::CONNECTION_BUFFER_SIZE.as_bytes();
    if matches!(opcode, Opcode::DCP_NOOP | Opcode::DCP_BUFFER_ACK) || is_of_flow {
        return None;
    }
    if is_request && DATA_OPCODES.contains(&opcode) && opcode != Opcode::DCP_STREAM_END {
        return (compare > Compare::Control).then(|| data(frame, compare));
    }
    if opcode == Opcode::DCP_SEQNO_ACK {
        return (compare == Compare::Seqnos).then(|| data(frame, compare));
    }
    let status = frame.header.status();
    if !is_request {
        let answer = format!("{opcode}_RESPONSE {}", in_words(status));
        let is_rollback = opcode == Opcode::DCP_STREAM_REQ && status == Status::ROLLBACK;
        return Some(match dcp::decode_rollback(frame) {
            Ok(Seqno(to)) if is_rollback && compare == Compare::Seqnos => {
                format!("{answer} to:{to}")
            }
            _ => answer,
        });
    }
    let detail = match opcode {
        Opcode::DCP_ADD_STREAM => {
            AddStream::decode(frame).map(|add| format!("flags:{:#x}", add.flags))
        }
        Opcode::DCP_STREAM_REQ => StreamReq::decode(frame).map(|request| {
            let from = (compare == Compare::Seqnos).then(|| format!(" from:{}", request.start.0));
            format!("flags:{:#x}{}", request.flags, from.unwrap_or_default())
        }),
        Opcode::DCP_STREAM_END => StreamEnd::decode(frame).map(|end| end.status.to_string()),
        Opcode::DCP_SET_VBUCKET_STATE => {
            SetVbucketState::decode(frame).map(|set| set.state.name().to_owned())
        }
        Opcode::DCP_CONTROL => Ok(String::from_utf8_lossy(frame.key).into_owned()),
        _ => Ok(String::new()),
    };
    let detail = detail.unwrap_or_else(|error| format!("({error})"));
    let vb = vb_of_request(frame).map_or_else(String::new, |vb| format!(" {vb}"));
    Some(format!("{opcode}{vb} {detail}").trim_end().to_owned())
}

/// A status, and its number.
fn in_words(status: Status) -> String {
    format!("{status} ({:#04x})", status.0)
}

/// A frame with a document or about a snapshot: the lengths of what has one form, and datatypes.
fn data(frame: &Frame<'_>, compare: Compare) -> String {
    let (opcode, vb) = (frame.opcode(), frame.header.vbucket());
    let mut text = format!("{opcode} {vb} extras:{} bytes", frame.extras.len());
    if opcode == Opcode::DCP_SNAPSHOT_MARKER && !frame.value.is_empty() {
        text += &format!(" value:{} bytes", frame.value.len());
    }
    if frame.header.datatype.0 != 0 {
        text += &format!(" datatype:{}", frame.header.datatype.0);
    }
    if compare == Compare::Seqnos {
        let marker = SnapshotMarker::decode(frame).ok();
        let marker = marker.filter(|_| opcode == Opcode::DCP_SNAPSHOT_MARKER);
        let other = match opcode {
            Opcode::DCP_SEQNO_ACK => SeqnoAck::decode(frame).ok().map(|ack| ack.prepared),
            Opcode::DCP_SEQNO_ADVANCED => SeqnoAdvanced::decode(frame).ok().map(|it| it.seqno),
            _ => dcp::change_seqno(frame),
        };
        match (marker, other) {
            (Some(marker), _) => text += &format!(" {}-{}", marker.start.0, marker.end.0),
            (None, Some(seqno)) => text += &format!(" seqno:{}", seqno.0),
            (None, None) => {}
        }
    }
    text
}

/// The vBucket of a request that is about one; `None` for a request about the whole connection.
pub(crate) fn vb_of_request(frame: &Frame<'_>) -> Option<VbId> {
    let whole = matches!(
        frame.opcode(),
        Opcode::DCP_OPEN | Opcode::DCP_CONTROL | Opcode::DCP_NOOP | Opcode::DCP_BUFFER_ACK
    );
    (frame.opcode().is_dcp() && frame.header.is_request() && !whole).then(|| frame.header.vbucket())
}

/// Which peer a frame is expected of, for messages.
pub(crate) const fn name(side: Side) -> &'static str {
    match side {
        Side::Consumer => "consumer",
        Side::Producer => "producer",
    }
}
