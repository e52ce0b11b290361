//! How a consumer handles incoming frames, of the proxy and of the producer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{AddStream, StreamEnd};
use mcbp::{Frame, Opcode, Status, VbId, flow};

use super::answer::{answer, answer_add};
use super::context::Context;
use super::decode::{DecodeOptions, FrameRefusal};
use super::negotiation::Answered;
use super::refusal::{is_of_consumer, is_of_stream};
use super::setup::status_of_end;
use super::stream::{PassiveStream, StreamPhase};
use super::taken::{Taken, take, take_in_oso};
use super::{Consumer, Effect, Effects, Replicas};
use crate::stream_req;

impl Consumer {
    /// Takes one frame; returns what is to be done, in order. [`Consumer::settle`] is to follow the
    /// last frame of a read.
    ///
    /// `memory` is the memory that holds the frame, if rows may keep it instead of a copy. Rows of
    /// a disk snapshot do: they are dropped once they are on disk.
    #[must_use]
    pub fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        memory: Option<&Bytes>,
        now: Duration,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) -> Effects {
        let mut cx = Context::new(replicas, out);
        self.liveness.heard(now);
        if !self.closing {
            self.take_frame(frame, memory, &mut cx);
        }
        cx.effects
    }

    /// The producer has sent something that is not for this machine, at `now`.
    pub const fn heard(&mut self, now: Duration) {
        self.liveness.heard(now);
    }

    fn take_frame(&mut self, frame: &Frame<'_>, memory: Option<&Bytes>, cx: &mut Context<'_>) {
        if !frame.header.is_request() {
            return self.on_response(frame, cx);
        }
        let (opcode, vb) = (frame.opcode(), frame.header.vbucket());
        match opcode {
            Opcode::DCP_STREAM_END => self.on_end(frame, cx),
            Opcode::DCP_NOOP => answer(frame, Status::SUCCESS, cx.out),
            Opcode::DCP_ADD_STREAM => match AddStream::decode(frame) {
                Ok(add) if stream_req::knows(add.flags) => {
                    self.add_stream(vb, frame.header.opaque, add.flags, cx);
                }
                Ok(add) => {
                    self.refuse_request(frame, format!("unknown flags {:#x}", add.flags), cx)
                }
                Err(malformed) => self.refuse_request(frame, malformed.to_string(), cx),
            },
            Opcode::DCP_CLOSE_STREAM => self.on_close(frame, cx),
            Opcode::DCP_OPEN => {
                let reason = "the connection was opened as a DCP connection before";
                self.refuse_request(frame, reason.to_owned(), cx);
            }
            opcode if is_of_consumer(opcode) => {
                self.close(format!("the producer sent {opcode}, which only a consumer sends"), cx);
            }
            _ if is_of_stream(opcode) || self.current(vb, frame.header.opaque).is_some() => {
                self.on_stream_frame(frame, memory, cx);
            }
            _ => answer(frame, Status::UNKNOWN_COMMAND, cx.out),
        }
    }

    /// Answers a request that is of no stream with EINVAL.
    fn refuse_request(&self, frame: &Frame<'_>, reason: String, cx: &mut Context<'_>) {
        let refusal = FrameRefusal::new(Status::EINVAL, reason);
        self.write_refusal(frame.opcode(), frame.header.opaque, &refusal, cx.out);
    }

    fn on_response(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        match frame.opcode() {
            Opcode::DCP_STREAM_REQ => self.on_stream_answer(frame, cx),
            Opcode::GET_ERROR_MAP | Opcode::DCP_CONTROL => {
                let (opaque, status) = (frame.header.opaque, frame.header.status());
                match self.negotiation.on_answer(opaque, status, &mut self.counter, cx.out) {
                    Answered::Next => {}
                    Answered::NotMine => self
                        .close("the producer answered a request that was not sent".to_owned(), cx),
                    Answered::Fatal(reason) => self.close(reason.to_owned(), cx),
                }
            }
            // Old producers answer BUFFER_ACK and SEQNO_ACK.
            _ => {}
        }
    }

    /// Takes a frame of a stream. Its bytes are counted exactly once, whatever is done with it
    /// (MB-60468).
    ///
    /// The first frame of a live stream that is refused ends that stream. If a later frame were
    /// accepted, it would hide the gap: high seqnos would be equal, documents would differ.
    fn on_stream_frame(&mut self, frame: &Frame<'_>, memory: Option<&Bytes>, cx: &mut Context<'_>) {
        let charge = flow::charge(&frame.header);
        let vb = frame.header.vbucket();
        let taken = match self.streams.get_mut(&vb).filter(|stream| stream.takes_frames()) {
            Some(stream) if stream.opaque == frame.header.opaque => {
                let memory = memory.filter(|_| stream.next_is_from_disk());
                let collections = self.options.collections;
                let (unix_s, cas_max) = (self.unix_s, self.cas_max);
                let sync_writes = self.negotiation.has_sync_writes();
                let options = DecodeOptions { collections, unix_s, cas_max, sync_writes, memory };
                let taken = if stream.is_in_oso() {
                    // Half of the window: the other streams go on with the rest.
                    let half = self.acks.window_bytes() as usize / 2;
                    let room = half.saturating_sub(self.oso_bytes);
                    take_in_oso(stream, frame, charge, room, options)
                } else {
                    take(stream, frame, charge, options)
                };
                taken.map_err(|refusal| (refusal, stream.last_seqno))
            }
            stream => {
                let v7 = self.negotiation.has_v7_status_codes();
                let status = match (stream.is_some(), v7) {
                    (false, true) => Status::DCP_STREAM_NOT_FOUND,
                    (false, false) => Status::KEY_ENOENT,
                    (true, true) => Status::OPAQUE_NO_MATCH,
                    (true, false) => Status::KEY_EEXISTS,
                };
                self.acks.free(charge);
                return answer(frame, status, cx.out);
            }
        };
        match taken {
            // Written once all frames of the read are taken, so that rows are written in few large
            // parts.
            Ok(Taken::Queued) => {
                self.acks.hold(charge);
                self.touch(vb);
            }
            Ok(Taken::Aside) => {
                self.acks.hold(charge);
                self.oso_bytes += charge;
            }
            Ok(Taken::OsoEnd(bytes)) => {
                self.acks.free(charge);
                self.oso_bytes -= bytes;
                self.touch(vb);
            }
            Ok(Taken::Done) => self.acks.free(charge),
            Err((refusal, last_seqno)) => {
                self.acks.free(charge);
                self.refuse(frame, refusal, last_seqno, cx);
            }
        }
    }

    fn touch(&mut self, vb: VbId) {
        if self.touched.last() != Some(&vb) {
            self.touched.push(vb);
        }
    }

    /// Takes a STREAM_END, which is never answered. One of an older stream is ignored (MB-34951).
    fn on_end(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        self.acks.free(flow::charge(&frame.header));
        let (vb, opaque) = (frame.header.vbucket(), frame.header.opaque);
        let Some(stream) = self.streams.get(&vb).filter(|stream| stream.takes_frames()) else {
            return;
        };
        if stream.opaque == opaque {
            let at = stream.last_seqno;
            let (status, how) = match StreamEnd::decode(frame) {
                Ok(StreamEnd { status }) => (status_of_end(status), status.to_string()),
                Err(error) => (Status::ETMPFAIL, error.to_string()),
            };
            cx.effects.push(Effect::Note(vb, format!("ended by the producer: {how} at {at}")));
            self.finish(vb, status, cx);
        }
    }

    fn on_close(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        let vb = frame.header.vbucket();
        let live = self.streams.get(&vb).is_some_and(PassiveStream::is_live);
        if let Some(held) = self.take_held(vb) {
            answer_add(held.add, Status::KEY_ENOENT, None, cx.out);
        } else if live {
            // What was received and is not being written is dropped, so that the seqno does not
            // advance after the close.
            self.abandon(vb, Status::KEY_ENOENT, cx);
        } else if self.negotiation.has_v7_status_codes() {
            return answer(frame, Status::DCP_STREAM_NOT_FOUND, cx.out);
        } else {
            return answer(frame, Status::KEY_ENOENT, cx.out);
        }
        answer(frame, Status::SUCCESS, cx.out);
    }
}

impl PassiveStream {
    /// Whether frames of this stream are taken.
    fn takes_frames(&self) -> bool {
        match self.phase {
            StreamPhase::Open => true,
            // While the ADD_STREAM is unanswered, the stream has not ended.
            StreamPhase::TakingHistory => self.add.is_some(),
            StreamPhase::Queued
            | StreamPhase::Requested
            | StreamPhase::RollingBack
            | StreamPhase::Draining => false,
        }
    }

    /// Whether the stream was neither ended nor closed.
    pub(super) fn is_live(&self) -> bool {
        self.takes_frames() || (self.add.is_some() && self.phase != StreamPhase::Draining)
    }
}
