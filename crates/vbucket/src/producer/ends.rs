//! How the streams of a producer end: with a STREAM_END, or without one if the consumer closes
//! them.

use mcbp::StreamEndStatus;
use mcbp::dcp::{STREAM_ID_BYTES, StreamEnd, push_stream_id};

use super::context::Context;
use super::stream::{Origin, StreamKey};
use super::{Effect, Producer};

/// The bytes of the window that a STREAM_END takes, see [`mcbp::flow::charge`].
const STREAM_END_BYTES: usize = mcbp::HEADER_BYTES + 4;

impl Producer {
    /// Ends a stream with a STREAM_END, which is sent even if the window is closed (MB-31481).
    pub(super) fn end(&mut self, key: StreamKey, status: StreamEndStatus, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get(&key) else { return };
        let from = cx.out.len();
        StreamEnd { status }.write(key.vb, stream.id.opaque, cx.out);
        self.window.charge(STREAM_END_BYTES);
        if key.sid != 0 {
            push_stream_id(cx.out, from, key.sid);
            self.window.charge(STREAM_ID_BYTES);
        }
        self.remove(key, cx);
    }

    pub(super) fn remove(&mut self, key: StreamKey, cx: &mut Context<'_>) {
        self.streams.remove(&key);
        self.ready.retain(|ready| *ready != key);
        cx.effects.push(Effect::Unwatch(key));
        self.release_slot(key, cx);
    }

    pub(super) fn fail(&mut self, key: StreamKey, cause: String, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get(&key) else { return };
        let read_failed = matches!(stream.origin, Origin::Disk(_));
        let status = if stream.takeover.is_some() && !read_failed {
            StreamEndStatus::STATE_CHANGED
        } else {
            StreamEndStatus::BACKFILL_FAIL
        };
        cx.effects.push(Effect::Failed { vb: key.vb, seqno: stream.cursor, cause, read_failed });
        self.end(key, status, cx);
    }
}
