//! The stream id of a DCP frame: which of several streams of one vBucket the frame belongs to.
//!
//! It is a frame information in the framing extras, of three bytes: `22`, then the id. A consumer
//! chooses the ids in STREAM_REQ, after the control `enable_stream_id`. Source:
//! `dcp/documentation/concepts.md` of couchbase/kv_engine; capture 13.

use bytes::BytesMut;

use crate::framing::{self, DCP_STREAM_ID};
use crate::{Frame, HEADER_BYTES, Header, Magic};

/// The bytes of the frame information, which a frame with a stream id has in addition.
pub const STREAM_ID_BYTES: usize = 3;

/// Adds the stream id to the last frame of `out`, which begins at byte `from`. A frame that is no
/// plain request (magic 0x80) is left as it is, so that none gets an id twice.
pub fn push_stream_id(out: &mut BytesMut, from: usize, sid: u16) {
    let Some(Ok(Some(header))) = out.get(from..).map(Header::peek) else { return };
    if header.magic != Magic::ClientRequest {
        return;
    }
    let [high, low] = sid.to_be_bytes();
    out.extend_from_slice(&[0x22, high, low]);
    let marked = Header {
        magic: Magic::AltClientRequest,
        framing_bytes: 3,
        body_bytes: header.body_bytes.saturating_add(3),
        ..header
    };
    if let Some(frame) = out.get_mut(from..)
        && let Some((head, body)) = frame.split_first_chunk_mut::<HEADER_BYTES>()
    {
        *head = marked.encode();
        body.rotate_right(STREAM_ID_BYTES);
    }
}

/// The stream id of a frame, where it has one.
#[must_use]
pub fn stream_id(frame: &Frame<'_>) -> Option<u16> {
    let mut infos = framing::iter(frame.framing).filter_map(Result::ok);
    let info = infos.find(|info| info.id == DCP_STREAM_ID)?;
    info.value.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcp::StreamEnd;
    use crate::{Opaque, Opcode, StreamEndStatus, VbId, flow};

    #[test]
    fn a_frame_gets_its_stream_id_once_and_is_charged_for_it() {
        let mut out = BytesMut::from(&b"before"[..]);
        StreamEnd { status: StreamEndStatus::OK }.write(VbId(7), Opaque(9), &mut out);
        push_stream_id(&mut out, 6, 0x1170);
        push_stream_id(&mut out, 6, 1);
        assert_eq!(&out[..6], b"before");
        let frame = Frame::parse(&out[6..]).unwrap();
        assert_eq!(frame.framing, [0x22, 0x11, 0x70]);
        assert_eq!((frame.opcode(), frame.extras), (Opcode::DCP_STREAM_END, &[0; 4][..]));
        assert_eq!((frame.header.vbucket(), frame.header.opaque), (VbId(7), Opaque(9)));
        assert_eq!(stream_id(&frame), Some(0x1170));
        assert_eq!(flow::charge(&frame.header), 31);
    }

    #[test]
    fn a_frame_without_framing_has_no_stream_id() {
        let mut out = BytesMut::new();
        StreamEnd { status: StreamEndStatus::OK }.write(VbId(7), Opaque(9), &mut out);
        assert_eq!(stream_id(&Frame::parse(&out).unwrap()), None);
    }
}
