//! Refusals of a consumer's requests that say why, and requests of the wrong role.

use mcbp::{Datatype, Frame, FrameBuilder, Opcode, Status};
use serde_json::json;

use super::Producer;
use super::context::Context;

/// Why a request is refused.
#[derive(Clone, Copy)]
pub(super) enum Why<'a> {
    /// This text, for consumers that negotiated XERROR.
    Text(&'a str),
    /// It names a collection or scope that is not in the manifest, whose uid every consumer gets.
    Unknown(u64),
}

impl Producer {
    /// Answers a request with a status and a reason.
    pub(super) fn refuse(
        &self,
        frame: &Frame<'_>,
        status: Status,
        why: Why<'_>,
        cx: &mut Context<'_>,
    ) {
        let answer = FrameBuilder::response(frame.opcode(), status).opaque(frame.header.opaque);
        let value = match why {
            Why::Text(_) if !self.options.xerror => return answer.write(cx.out),
            Why::Text(context) => json!({ "error": { "context": context } }),
            Why::Unknown(uid) => json!({
                "error": { "context": "the manifest has no such collection or scope" },
                "manifest_uid": format!("{uid:x}"),
            }),
        };
        let datatype = if self.options.json { Datatype::JSON } else { Datatype::RAW };
        answer.datatype(datatype).value(value.to_string().as_bytes()).write(cx.out);
    }
}

/// Whether only a producer sends requests of this opcode, so that a consumer that sends one has
/// mistaken its role. kv_engine closes the connection too.
pub(super) const fn is_of_producer(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::DCP_ADD_STREAM
            | Opcode::DCP_STREAM_END
            | Opcode::DCP_SNAPSHOT_MARKER
            | Opcode::DCP_MUTATION
            | Opcode::DCP_DELETION
            | Opcode::DCP_EXPIRATION
            | Opcode::DCP_SET_VBUCKET_STATE
            | Opcode::DCP_NOOP
            | Opcode::DCP_SYSTEM_EVENT
            | Opcode::DCP_PREPARE
            | Opcode::DCP_COMMIT
            | Opcode::DCP_ABORT
    )
}
