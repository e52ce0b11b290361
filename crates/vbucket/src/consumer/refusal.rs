//! How a frame that cannot be stored ends its stream.

use bytes::BytesMut;
use mcbp::dcp::{Abort, Commit, SnapshotMarker};
use mcbp::{Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status};

use super::decode::Refusal;
use super::effect::Refused;
use super::{Consumer, Effect, Replicas};

impl Consumer {
    /// Refuses a frame of a live stream and ends that stream: what came before it is still
    /// written, what comes after it is not known to any stream. The status also answers the
    /// ADD_STREAM, if that waits.
    pub(super) fn refuse(
        &mut self,
        frame: &Frame<'_>,
        refusal: Refusal,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        let vb = frame.header.vbucket();
        self.write_refusal(frame.opcode(), frame.header.opaque, &refusal, out);
        let Refusal { status, reason } = refusal;
        let last_seqno = self.streams.get(&vb).map_or(Seqno::ZERO, |stream| stream.last_seqno);
        let (opcode, seqno) = (frame.opcode(), seqno(frame));
        let refused = Refused { opcode, seqno, last_seqno, status, reason };
        self.effects.push(Effect::Refused(vb, refused));
        self.finish(vb, status, replicas, out);
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

/// Answers a request with nothing but a status.
pub(super) fn answer(frame: &Frame<'_>, status: Status, out: &mut BytesMut) {
    FrameBuilder::response(frame.opcode(), status).opaque(frame.header.opaque).write(out);
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
