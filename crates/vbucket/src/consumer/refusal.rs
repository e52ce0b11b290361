//! How a frame that cannot be stored ends its stream.

use bytes::BytesMut;
use mcbp::dcp::{Abort, Commit, SnapshotMarker};
use mcbp::{Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status};

use super::context::Context;
use super::decode::Refusal;
use super::effect::Refused;
use super::{Consumer, Effect};

impl Consumer {
    /// Refuses a frame of a live stream and ends that stream: what came before it is still
    /// written, what comes after it is not known to any stream. The status also answers the
    /// ADD_STREAM, if that waits.
    pub(super) fn refuse(&mut self, frame: &Frame<'_>, refusal: Refusal, cx: &mut Context<'_>) {
        let vb = frame.header.vbucket();
        self.write_refusal(frame.opcode(), frame.header.opaque, &refusal, cx.out);
        let Refusal { status, reason } = refusal;
        let last_seqno = self.streams.get(&vb).map_or(Seqno::ZERO, |stream| stream.last_seqno);
        let (opcode, seqno) = (frame.opcode(), seqno(frame));
        let refused = Refused { opcode, seqno, last_seqno, status, reason };
        cx.effects.push(Effect::Refused(vb, refused));
        self.finish(vb, status, cx);
    }

    /// Answers a frame of a stream with status and reason, which stands where kv_engine has it.
    pub(super) fn write_refusal(
        &self,
        opcode: Opcode,
        stream: Opaque,
        Refusal { status, reason }: &Refusal,
        out: &mut BytesMut,
    ) {
        let value = serde_json::json!({ "error": { "context": reason } }).to_string();
        let datatype = if self.options.json { Datatype::JSON } else { Datatype::RAW };
        let answer = FrameBuilder::response(opcode, *status).opaque(stream);
        answer.datatype(datatype).value(value.as_bytes()).write(out);
    }
}

/// The seqno that a frame carries, where it is whole enough to tell; of a marker the end.
fn seqno(frame: &Frame<'_>) -> Option<Seqno> {
    match frame.opcode() {
        Opcode::DCP_MUTATION
        | Opcode::DCP_DELETION
        | Opcode::DCP_EXPIRATION
        | Opcode::DCP_SYSTEM_EVENT
        | Opcode::DCP_PREPARE
        | Opcode::DCP_SEQNO_ADVANCED => {
            frame.extras.first_chunk().map(|seqno| Seqno(u64::from_be_bytes(*seqno)))
        }
        Opcode::DCP_COMMIT => Commit::decode(frame).ok().map(|commit| commit.committed),
        Opcode::DCP_ABORT => Abort::decode(frame).ok().map(|abort| abort.aborted),
        Opcode::DCP_SNAPSHOT_MARKER => SnapshotMarker::decode(frame).ok().map(|marker| marker.end),
        _ => None,
    }
}

/// Whether a frame with this opcode is about a stream, also one that is not known here.
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

/// Why a frame that is neither a document nor moves the stream on is refused. None of these are
/// asked for in the negotiation; a producer may send them all the same.
pub(super) fn not_stored(opcode: Opcode) -> Refusal {
    let reason = match opcode {
        Opcode::DCP_PREPARE | Opcode::DCP_COMMIT | Opcode::DCP_ABORT => {
            "durable writes are not stored"
        }
        Opcode::DCP_SYSTEM_EVENT => "collections are not stored",
        Opcode::DCP_OSO_SNAPSHOT => "snapshots out of seqno order are not stored",
        Opcode::DCP_CACHE_TRANSFER | Opcode::DCP_CACHE_TRANSFER_END => {
            "cache transfers are not stored"
        }
        _ => return Refusal::new(Status::UNKNOWN_COMMAND, "the opcode is unknown"),
    };
    Refusal::new(Status::NOT_SUPPORTED, reason)
}
