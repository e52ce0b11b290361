//! Refuses frames that cannot be stored; the first refusal ends the stream.

use bytes::BytesMut;
use mcbp::dcp::{SeqnoAdvanced, SnapshotMarker, change_seqno};
use mcbp::{Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status};

use super::context::Context;
use super::decode::FrameRefusal;
use super::effect::Refused;
use super::{Consumer, Effect};

impl Consumer {
    /// Refuses a frame of a live stream and ends that stream. Frames before it are still written;
    /// frames after it belong to no stream. The status also answers an unanswered ADD_STREAM.
    /// `last_seqno` is that of the stream.
    pub(super) fn refuse(
        &mut self,
        frame: &Frame<'_>,
        refusal: FrameRefusal,
        last_seqno: Seqno,
        cx: &mut Context<'_>,
    ) {
        let vb = frame.header.vbucket();
        self.write_refusal(frame.opcode(), frame.header.opaque, &refusal, cx.out);
        let FrameRefusal { status, reason } = refusal;
        let (opcode, seqno) = (frame.opcode(), seqno(frame));
        let refused = Refused { opcode, seqno, last_seqno, status, reason };
        cx.effects.push(Effect::Refused(vb, refused));
        self.finish(vb, status, cx);
    }

    /// Answers a frame of a stream with status and reason. The reason is where kv_engine has it.
    pub(super) fn write_refusal(
        &self,
        opcode: Opcode,
        stream: Opaque,
        FrameRefusal { status, reason }: &FrameRefusal,
        out: &mut BytesMut,
    ) {
        let value = serde_json::json!({ "error": { "context": reason } }).to_string();
        let datatype = if self.options.json { Datatype::JSON } else { Datatype::RAW };
        let answer = FrameBuilder::response(opcode, *status).opaque(stream);
        answer.datatype(datatype).value(value.as_bytes()).write(out);
    }
}

/// The seqno of a frame, if it has one that can be read; of a marker the end.
fn seqno(frame: &Frame<'_>) -> Option<Seqno> {
    match frame.opcode() {
        Opcode::DCP_SEQNO_ADVANCED => SeqnoAdvanced::decode(frame).ok().map(|body| body.seqno),
        Opcode::DCP_SNAPSHOT_MARKER => SnapshotMarker::decode(frame).ok().map(|marker| marker.end),
        _ => change_seqno(frame),
    }
}

/// Whether frames of this opcode belong to a stream, even if no such stream is known here. A real
/// consumer answers SEQNO_ADVANCED and OSO_SNAPSHOT 0x81, because no producer sends them to it.
/// Here they may be on their way when a stream ends, and a producer closes the connection upon
/// 0x81.
pub(super) const fn is_of_stream(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::DCP_MUTATION
            | Opcode::DCP_DELETION
            | Opcode::DCP_EXPIRATION
            | Opcode::DCP_SNAPSHOT_MARKER
            | Opcode::DCP_SEQNO_ADVANCED
            | Opcode::DCP_SYSTEM_EVENT
            | Opcode::DCP_SET_VBUCKET_STATE
            | Opcode::DCP_PREPARE
            | Opcode::DCP_COMMIT
            | Opcode::DCP_ABORT
            | Opcode::DCP_OSO_SNAPSHOT
            | Opcode::DCP_CACHE_TRANSFER
            | Opcode::DCP_CACHE_TRANSFER_END
    )
}

/// Whether only a consumer sends requests of this opcode, so that a producer that sends one has
/// mistaken its role. kv_engine closes the connection too.
pub(super) const fn is_of_consumer(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::DCP_STREAM_REQ
            | Opcode::DCP_GET_FAILOVER_LOG
            | Opcode::DCP_BUFFER_ACK
            | Opcode::DCP_CONTROL
            | Opcode::DCP_SEQNO_ACK
    )
}

/// Why a frame is refused that no stream takes, or not this one. The negotiation asks for none of
/// them; a producer may send them nevertheless.
pub(super) fn not_stored(opcode: Opcode) -> FrameRefusal {
    let reason = match opcode {
        Opcode::DCP_PREPARE | Opcode::DCP_COMMIT | Opcode::DCP_ABORT => {
            "durable writes were not agreed: open the consumer with a consumer_name"
        }
        _ => return FrameRefusal::new(Status::UNKNOWN_COMMAND, "the opcode is unknown"),
    };
    FrameRefusal::new(Status::NOT_SUPPORTED, reason)
}
