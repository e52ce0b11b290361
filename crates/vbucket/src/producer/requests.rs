//! How a producer handles the frames of its consumer.

use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::{BufferAck, Control, StreamReq, encode_failover_log, open_flags};
use mcbp::{Frame, FrameBuilder, FrameError, Opaque, Opcode, Status, StreamEndStatus, VbId};

use super::context::Context;
use super::settings::Applied;
use super::stream::ActiveStream;
use super::turn::Source;
use super::{Effect, Effects, Producer, StreamId, answer};
use crate::stream_req::{self, ConnectionFacts, StreamRefusal};

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

    fn on_request(&mut self, frame: &Frame<'_>, now: Duration, cx: &mut Context<'_>) {
        let (opcode, opaque) = (frame.opcode(), frame.header.opaque);
        let outcome = match opcode {
            Opcode::DCP_STREAM_REQ => self.on_stream_req(frame, now, cx),
            Opcode::DCP_CLOSE_STREAM => Ok(self.on_close(frame.header.vbucket(), opaque, cx)),
            Opcode::DCP_CONTROL => Control::decode(frame).map(|c| Some(self.on_control(&c))),
            Opcode::DCP_BUFFER_ACK => BufferAck::decode(frame).map(|ack| {
                self.window.acknowledge(ack.bytes);
                None
            }),
            Opcode::DCP_GET_FAILOVER_LOG => Ok(on_failover_log(frame, cx)),
            // Acknowledges prepares; this node sends none.
            Opcode::DCP_SEQNO_ACK => Ok(None),
            Opcode::DCP_NOOP => Ok(Some(Status::SUCCESS)),
            // There is no version 0 of the error map; a real node answers a consumer like this.
            Opcode::GET_ERROR_MAP => Ok(Some(Status::KEY_ENOENT)),
            Opcode::DCP_OPEN | Opcode::DCP_ADD_STREAM => Ok(Some(Status::EINVAL)),
            Opcode::SELECT_BUCKET | Opcode::SASL_AUTH | Opcode::HELLO => {
                Ok(Some(Status::NOT_SUPPORTED))
            }
            _ => Ok(Some(Status::UNKNOWN_COMMAND)),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(status)) => answer(opcode, status, opaque, cx.out),
            Err(_malformed) => answer(opcode, Status::EINVAL, opaque, cx.out),
        }
    }

    fn on_control(&mut self, control: &Control<'_>) -> Status {
        match self.settings.apply(control, &self.options) {
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
        let facts = cx.source.facts(vb);
        let connection = ConnectionFacts {
            collections: self.options.collections,
            needs_noop: self.options.collections || self.options.has(open_flags::INCLUDE_XATTRS),
            noop: self.settings.noop,
            streaming: self.streams.contains_key(&vb),
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
        let log = encode_failover_log(facts.failover.entries());
        let frame = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::SUCCESS);
        frame.opaque(opaque).value(&log).write(cx.out);
        let id = StreamId { opaque, number: self.streams_opened };
        self.streams_opened += 1;
        self.streams.insert(vb, ActiveStream::new(vb, id, granted, &facts, now));
        cx.effects.push(Effect::Watch(vb));
        self.wake(vb);
        Ok(None)
    }

    fn on_close(&mut self, vb: VbId, opaque: Opaque, cx: &mut Context<'_>) -> Option<Status> {
        if !self.streams.contains_key(&vb) {
            return Some(Status::KEY_ENOENT);
        }
        answer(Opcode::DCP_CLOSE_STREAM, Status::SUCCESS, opaque, cx.out);
        if self.settings.end_on_close {
            self.end(vb, StreamEndStatus::CLOSED, cx);
        } else {
            self.remove(vb, cx);
        }
        None
    }

    fn on_response(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        let (opaque, status) = (frame.header.opaque, frame.header.status());
        match frame.opcode() {
            Opcode::DCP_NOOP => self.liveness.noop_answered(opaque),
            Opcode::DCP_SET_VBUCKET_STATE => {
                if let Some((vb, takeover)) = self.takeover_of(opaque) {
                    let step = takeover.state_answered(status);
                    self.carry_out(vb, step, cx);
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

    fn takeover_of(&mut self, opaque: Opaque) -> Option<(VbId, &mut super::takeover::Takeover)> {
        let mut streams = self.streams.iter_mut();
        let (vb, stream) = streams.find(|(_, stream)| stream.id.opaque == opaque)?;
        stream.takeover.as_mut().map(|takeover| (*vb, takeover))
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
