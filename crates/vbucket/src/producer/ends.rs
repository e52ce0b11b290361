//! How the streams of a producer end: with a STREAM_END, or without one if the consumer closes
//! them.

use mcbp::dcp::StreamEnd;
use mcbp::{StreamEndStatus, VbId};

use super::context::Context;
use super::stream::Origin;
use super::{Effect, Producer};

/// The bytes of the window that a STREAM_END takes, see [`mcbp::flow::charge`].
const STREAM_END_BYTES: usize = mcbp::HEADER_BYTES + 4;

impl Producer {
    /// Ends a stream with a STREAM_END, which is sent even if the window is closed (MB-31481).
    pub(super) fn end(&mut self, vb: VbId, status: StreamEndStatus, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get(&vb) else { return };
        StreamEnd { status }.write(vb, stream.id.opaque, cx.out);
        self.window.charge(STREAM_END_BYTES);
        self.remove(vb, cx);
    }

    pub(super) fn remove(&mut self, vb: VbId, cx: &mut Context<'_>) {
        self.streams.remove(&vb);
        self.ready.retain(|ready| *ready != vb);
        cx.effects.push(Effect::Unwatch(vb));
        self.release_slot(vb, cx);
    }

    pub(super) fn fail(&mut self, vb: VbId, cause: String, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get(&vb) else { return };
        let read_failed = matches!(stream.origin, Origin::Disk(_));
        let status = if stream.takeover.is_some() && !read_failed {
            StreamEndStatus::STATE_CHANGED
        } else {
            StreamEndStatus::BACKFILL_FAIL
        };
        cx.effects.push(Effect::Failed { vb, seqno: stream.cursor, cause, read_failed });
        self.end(vb, status, cx);
    }
}
