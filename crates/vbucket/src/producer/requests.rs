//! How a producer handles the frames of its consumer.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::{
    BufferAck, Control, SeqnoAck, StreamReq, control_key, encode_failover_log, open_flags,
    stream_id,
};
use mcbp::{Frame, FrameBuilder, FrameError, Opaque, Opcode, Status, StreamEndStatus};

use super::context::Context;
use super::refusal::{Why, is_of_producer};
use super::settings::Applied;
use super::stream::{ActiveStream, StreamKey};
use super::turn::Source;
use super::{Effect, Effects, Producer, StreamId, answer};
use crate::stream_req::{self, ConnectionFacts, StreamRefusal};

/// How many streams a connection may have. Without stream ids there is one for each vBucket, of
/// which a bucket has 1,024 at most.
const STREAMS_MAX: usize = 4096;

impl Producer {
    /// Takes one frame from the consumer; returns what is to be done, in order, before
    /// [`Producer::fill`] is called.
    #[must_use]
    pub fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        now: Duration,
        source: &dyn Source,
        out: &mut BytesMut,
    ) -> Effects {
        let mut cx = Context::new(source, out);
        self.liveness.heard(now);
        if frame.header.is_request() {
            self.on_request(frame, now, &mut cx);
        } else {
            self.on_response(frame, &mut cx);
        }
        cx.effects
    }

    /// The consumer has sent something that is not for this machine, at `now`.
    pub const fn heard(&mut self, now: Duration) {
        self.liveness.heard(now);
    }

    fn on_request(&mut self, frame: &Frame<'_>, now: Duration, cx: &mut Context<'_>) {
        let (opcode, opaque) = (frame.opcode(), frame.header.opaque);
        let outcome = match opcode {
            Opcode::DCP_STREAM_REQ => self.on_stream_req(frame, now, cx),
            Opcode::DCP_CLOSE_STREAM => Ok(self.on_close(frame, cx)),
            Opcode::DCP_CONTROL => Control::decode(frame).map(|c| Some(self.on_control(&c))),
            Opcode::DCP_BUFFER_ACK => BufferAck::decode(frame).map(|ack| {
                self.window.acknowledge(ack.bytes);
                None
            }),
            Opcode::DCP_GET_FAILOVER_LOG => Ok(on_failover_log(frame, cx)),
            Opcode::DCP_SEQNO_ACK => {
                SeqnoAck::decode(frame).map(|ack| self.on_acknowledgement(frame, ack, cx))
            }
            // There is no version 0 of the error map; a real node answers a consumer like this.
            Opcode::GET_ERROR_MAP => Ok(Some(Status::KEY_ENOENT)),
            Opcode::DCP_OPEN => {
                let why = Why::Text("the connection was opened as a DCP connection before");
                return self.refuse(frame, Status::EINVAL, why, cx);
            }
            opcode if is_of_producer(opcode) => {
                cx.effects.push(Effect::Close("the consumer sent what only a producer sends"));
                return;
            }
            _ => Ok(Some(Status::UNKNOWN_COMMAND)),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(status @ (Status::UNKNOWN_COLLECTION | Status::UNKNOWN_SCOPE))) => {
                let facts = cx.source.facts(frame.header.vbucket());
                let uid = facts.map_or(0, |facts| facts.collections.uid());
                self.refuse(frame, status, Why::Unknown(uid), cx);
            }
            Ok(Some(status)) => answer(opcode, status, opaque, cx.out),
            Err(malformed) => {
                self.refuse(frame, Status::EINVAL, Why::Text(&malformed.to_string()), cx);
            }
        }
    }

    fn on_control(&mut self, control: &Control<'_>) -> Status {
        // Streams without an id could not be closed any more.
        if control.key == control_key::ENABLE_STREAM_ID.as_bytes() && !self.streams.is_empty() {
            return Status::EINVAL;
        }
        match self.settings.apply(control, &self.options) {
            Applied::Answer(Status::SUCCESS)
                if control.key == control_key::CONSUMER_NAME.as_bytes() =>
            {
                self.consumer_name = String::from_utf8_lossy(control.value).into();
                Status::SUCCESS
            }
            Applied::Answer(status) => status,
            Applied::Window(bytes) => {
                self.window.resize(bytes);
                Status::SUCCESS
            }
        }
    }

    /// Writes its answer itself, so that no frame of the stream comes before the answer (MB-25820).
    fn on_stream_req(
        &mut self,
        frame: &Frame<'_>,
        now: Duration,
        cx: &mut Context<'_>,
    ) -> Result<Option<Status>, FrameError> {
        let request = StreamReq::decode(frame)?;
        let (vb, opaque) = (frame.header.vbucket(), frame.header.opaque);
        let key = StreamKey { vb, sid: stream_req::stream_id(&request).unwrap_or(0) };
        let facts = cx.source.facts(vb);
        let connection = ConnectionFacts {
            collections: self.options.collections,
            needs_noop: self.options.collections || self.options.has(open_flags::INCLUDE_XATTRS),
            noop: self.settings.noop,
            streaming: self.streams.contains_key(&key),
            stream_ids: self.settings.stream_ids,
        };
        let granted = stream_req::check(&request, facts.as_ref(), connection);
        let (granted, facts) = match (granted, facts) {
            (Ok(granted), Some(facts)) => (granted, facts),
            (Err(StreamRefusal::Rollback(to)), _) => {
                let frame = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::ROLLBACK);
                frame.opaque(opaque).value(&to.0.to_be_bytes()).write(cx.out);
                return Ok(None);
            }
            (Err(StreamRefusal::Status(status)), _) => return Ok(Some(status)),
            (Ok(_), None) => return Ok(Some(Status::NOT_MY_VBUCKET)),
        };
        if self.streams.len() >= STREAMS_MAX {
            return Ok(Some(Status::ENOMEM));
        }
        let log = encode_failover_log(facts.failover.entries());
        let frame = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::SUCCESS);
        frame.opaque(opaque).value(&log).write(cx.out);
        let id = StreamId { sid: key.sid, opaque, number: self.streams_opened };
        self.streams_opened += 1;
        let matches_nothing = granted.filter.is_empty();
        self.streams.insert(key, ActiveStream::new(vb, id, granted, &facts, now));
        cx.effects.push(Effect::Watch(key));
        if self.settings.acknowledges() {
            cx.effects.push(Effect::Joined { vb, node: Arc::clone(&self.consumer_name) });
        }
        if matches_nothing {
            self.end(key, StreamEndStatus::FILTER_EMPTY, cx);
        } else {
            self.wake(key);
        }
        Ok(None)
    }

    /// Takes a SEQNO_ACK. It is about prepares, or the end of a snapshot, that this connection has
    /// sent: whatever else it says is no acknowledgement of this history.
    fn on_acknowledgement(
        &self,
        frame: &Frame<'_>,
        SeqnoAck { prepared }: SeqnoAck,
        cx: &mut Context<'_>,
    ) -> Option<Status> {
        let vb = frame.header.vbucket();
        if !self.settings.acknowledges() {
            return Some(Status::EINVAL);
        }
        // The stream may have ended while it was on its way.
        let stream = self.streams.get(&StreamKey { vb, sid: 0 })?;
        if prepared > stream.cursor.max(stream.granted.start) {
            return Some(Status::EINVAL);
        }
        let node = Arc::clone(&self.consumer_name);
        cx.effects.push(Effect::Acknowledged { vb, node, prepared });
        None
    }

    fn on_close(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) -> Option<Status> {
        let sid = stream_id(frame);
        if sid.is_some() != self.settings.stream_ids {
            return Some(Status::STREAM_ID_INVALID);
        }
        let key = StreamKey { vb: frame.header.vbucket(), sid: sid.unwrap_or(0) };
        if !self.streams.contains_key(&key) {
            return Some(Status::KEY_ENOENT);
        }
        answer(Opcode::DCP_CLOSE_STREAM, Status::SUCCESS, frame.header.opaque, cx.out);
        if self.settings.end_on_close {
            self.end(key, StreamEndStatus::CLOSED, cx);
        } else {
            self.remove(key, cx);
        }
        None
    }

    fn on_response(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        let (opaque, status) = (frame.header.opaque, frame.header.status());
        match frame.opcode() {
            Opcode::DCP_NOOP => self.liveness.noop_answered(opaque),
            Opcode::DCP_SET_VBUCKET_STATE => {
                if let Some((key, takeover)) = self.takeover_of(opaque) {
                    let step = takeover.state_answered(status);
                    self.carry_out(key, step, cx);
                }
            }
            Opcode::DCP_SNAPSHOT_MARKER if status.is_success() => {
                if let Some((vb, takeover)) = self.takeover_of(opaque) {
                    takeover.marker_answered();
                    self.wake(vb);
                }
            }
            opcode => self.on_plain_response(opcode, status, cx),
        }
    }

    /// A consumer answers data only to refuse it. A status about one stream is ignored: it does not
    /// concern the other streams (MB-37009), and the stream may have ended already (MB-32724).
    fn on_plain_response(&mut self, opcode: Opcode, status: Status, cx: &mut Context<'_>) {
        let one_stream = match status {
            Status::SUCCESS | Status::NOT_MY_VBUCKET => true,
            Status::DCP_STREAM_NOT_FOUND | Status::OPAQUE_NO_MATCH => self.settings.v7_status_codes,
            Status::KEY_ENOENT => {
                // For these opcodes it means that a prepare is missing (MB-36971).
                !matches!(opcode, Opcode::DCP_PREPARE | Opcode::DCP_COMMIT | Opcode::DCP_ABORT)
            }
            Status::KEY_EEXISTS => true,
            _ => false,
        };
        if !one_stream {
            cx.effects.push(Effect::Close("the consumer refused a frame of a stream"));
        }
    }

    fn takeover_of(
        &mut self,
        opaque: Opaque,
    ) -> Option<(StreamKey, &mut super::takeover::Takeover)> {
        let mut streams = self.streams.iter_mut();
        let (key, stream) = streams.find(|(_, stream)| stream.id.opaque == opaque)?;
        stream.takeover.as_mut().map(|takeover| (*key, takeover))
    }
}

fn on_failover_log(frame: &Frame<'_>, cx: &mut Context<'_>) -> Option<Status> {
    let Some(facts) = cx.source.facts(frame.header.vbucket()) else {
        return Some(Status::NOT_MY_VBUCKET);
    };
    let log = encode_failover_log(facts.failover.entries());
    let answer = FrameBuilder::response(frame.opcode(), Status::SUCCESS);
    answer.opaque(frame.header.opaque).value(&log).write(cx.out);
    None
}
