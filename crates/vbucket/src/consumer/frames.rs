//! What a consumer does with the frames that come in, from the proxy and from the producer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    AddStream, SeqnoAdvanced, SetVbucketState, SnapshotMarker, StreamEnd, SystemEvent, stream_flags,
};
use mcbp::{Frame, FrameBuilder, FrameError, Opcode, Status, StreamEndStatus, VbId, VbState, flow};

use super::decode::{self, BadRow, Making};
use super::negotiation::Outcome;
use super::setup::{answer_add, status_of_end};
use super::stream::{Item, PassiveStream, Phase};
use super::{Consumer, Effect, Replicas};

/// What became of a frame of a stream.
enum Taken {
    /// It is in the queue, with its charge.
    Queued,
    /// It was dealt with at once: its bytes are free.
    Done,
    /// It was refused.
    Refused(Status),
}

impl From<BadRow> for Taken {
    fn from(BadRow(status): BadRow) -> Self {
        Self::Refused(status)
    }
}

impl Consumer {
    /// Takes one frame. [`Consumer::settle`] is to follow the last one of a read.
    ///
    /// `memory` is what the frame was read into, where rows may keep that instead of a copy: those
    /// of a disk snapshot do, which nobody holds once they are on disk.
    pub fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        memory: Option<&Bytes>,
        now: Duration,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        self.liveness.heard(now);
        if self.closing {
            return;
        }
        if !frame.header.is_request() {
            return self.on_response(frame, replicas, out);
        }
        let (opcode, vb) = (frame.opcode(), frame.header.vbucket());
        match opcode {
            Opcode::DCP_MUTATION
            | Opcode::DCP_DELETION
            | Opcode::DCP_EXPIRATION
            | Opcode::DCP_SNAPSHOT_MARKER
            | Opcode::DCP_SEQNO_ADVANCED
            | Opcode::DCP_SYSTEM_EVENT
            | Opcode::DCP_SET_VBUCKET_STATE => self.on_stream_frame(frame, memory, out),
            Opcode::DCP_STREAM_END => self.on_end(frame, replicas, out),
            Opcode::DCP_NOOP => answer(frame, Status::SUCCESS, out),
            Opcode::DCP_ADD_STREAM => match AddStream::decode(frame) {
                Ok(add) => self.add_stream(vb, frame.header.opaque, add.flags, replicas, out),
                Err(_) => answer_add(frame.header.opaque, Status::EINVAL, None, out),
            },
            Opcode::DCP_CLOSE_STREAM => self.on_close(frame, replicas, out),
            Opcode::DCP_PREPARE | Opcode::DCP_COMMIT | Opcode::DCP_ABORT => {
                answer(frame, Status::NOT_SUPPORTED, out);
                self.close(format!("{vb}: {opcode} came, this node keeps no durable writes"), out);
            }
            Opcode::DCP_OSO_SNAPSHOT
            | Opcode::DCP_CACHE_TRANSFER
            | Opcode::DCP_CACHE_TRANSFER_END => {
                self.acks.free(flow::charge(&frame.header));
                answer(frame, Status::NOT_SUPPORTED, out);
            }
            Opcode::DCP_OPEN | Opcode::DCP_STREAM_REQ | Opcode::DCP_CONTROL => {
                answer(frame, Status::EINVAL, out);
            }
            _ => answer(frame, Status::UNKNOWN_COMMAND, out),
        }
    }

    fn on_response(&mut self, frame: &Frame<'_>, replicas: &dyn Replicas, out: &mut BytesMut) {
        match frame.opcode() {
            Opcode::DCP_STREAM_REQ => self.on_stream_answer(frame, replicas, out),
            Opcode::GET_ERROR_MAP | Opcode::DCP_CONTROL => {
                let (opaque, status) = (frame.header.opaque, frame.header.status());
                match self.negotiation.on_answer(opaque, status, &mut self.counter, out) {
                    Outcome::Next => {}
                    Outcome::NotMine => self.close("an answer came to no question".to_owned(), out),
                    Outcome::Fatal(reason) => self.close(reason.to_owned(), out),
                }
            }
            // A producer of older days answers BUFFER_ACK and SEQNO_ACK.
            _ => {}
        }
    }

    /// A frame of a stream: its bytes are counted exactly once, wherever it ends (MB-60468).
    fn on_stream_frame(&mut self, frame: &Frame<'_>, memory: Option<&Bytes>, out: &mut BytesMut) {
        let charge = flow::charge(&frame.header);
        let v7 = self.negotiation.has_v7_status_codes();
        let vb = frame.header.vbucket();
        let taken = match self.streams.get_mut(&vb).filter(|stream| stream.takes_frames()) {
            None if v7 => Taken::Refused(Status::DCP_STREAM_NOT_FOUND),
            None => Taken::Refused(Status::KEY_ENOENT),
            Some(stream) if stream.opaque != frame.header.opaque => {
                let mismatch = if v7 { Status::OPAQUE_NO_MATCH } else { Status::KEY_EEXISTS };
                Taken::Refused(mismatch)
            }
            Some(stream) => {
                let memory = memory.filter(|_| stream.next_is_from_disk());
                let collections = self.options.collections;
                let making = Making { collections, unix_s: self.unix_s, memory };
                take(stream, frame, charge, making).unwrap_or(Taken::Refused(Status::EINVAL))
            }
        };
        match taken {
            // Written once the whole read is dealt with, so that rows go in few large parts.
            Taken::Queued => {
                self.acks.hold(charge);
                self.touch(vb);
            }
            Taken::Done => self.acks.free(charge),
            Taken::Refused(status) => {
                self.acks.free(charge);
                answer(frame, status, out);
            }
        }
    }

    fn touch(&mut self, vb: VbId) {
        if self.touched.last() != Some(&vb) {
            self.touched.push(vb);
        }
    }

    /// The end of a stream, which is never answered. One of an older stream is stale (MB-34951).
    fn on_end(&mut self, frame: &Frame<'_>, replicas: &dyn Replicas, out: &mut BytesMut) {
        self.acks.free(flow::charge(&frame.header));
        let (vb, opaque) = (frame.header.vbucket(), frame.header.opaque);
        let status = StreamEnd::decode(frame).map_or(StreamEndStatus::CLOSED, |end| end.status);
        let Some(stream) = self.streams.get(&vb).filter(|stream| stream.takes_frames()) else {
            return;
        };
        if stream.opaque == opaque {
            let at = stream.last_seqno;
            self.effects.push(Effect::Note(vb, format!("ended by the producer: {status} at {at}")));
            self.finish(vb, status_of_end(status), replicas, out);
        }
    }

    fn on_close(&mut self, frame: &Frame<'_>, replicas: &dyn Replicas, out: &mut BytesMut) {
        let vb = frame.header.vbucket();
        let live = self.streams.get(&vb).is_some_and(PassiveStream::is_live);
        let held = self.held.iter().position(|held| held.vb == vb);
        if let Some(held) = held.and_then(|at| self.held.remove(at)) {
            answer_add(held.add, Status::KEY_ENOENT, None, out);
        } else if live {
            // Nothing that was received and is not being written counts any more, so that nobody's
            // position moves on behind the close.
            self.abandon(vb, Status::KEY_ENOENT, replicas, out);
        } else if self.negotiation.has_v7_status_codes() {
            return answer(frame, Status::DCP_STREAM_NOT_FOUND, out);
        } else {
            return answer(frame, Status::KEY_ENOENT, out);
        }
        answer(frame, Status::SUCCESS, out);
    }
}

impl PassiveStream {
    /// Whether the producer may send on this stream.
    fn takes_frames(&self) -> bool {
        match self.phase {
            Phase::Open => true,
            // An unanswered ADD_STREAM: the stream was not ended meanwhile.
            Phase::TakingHistory => self.add.is_some(),
            Phase::Queued | Phase::Requested | Phase::RollingBack | Phase::Draining => false,
        }
    }

    /// Whether the stream was neither ended nor closed.
    pub(super) fn is_live(&self) -> bool {
        self.takes_frames() || (self.add.is_some() && self.phase != Phase::Draining)
    }
}

/// Queues a frame of a live stream.
fn take(
    stream: &mut PassiveStream,
    frame: &Frame<'_>,
    charge: usize,
    making: Making<'_>,
) -> Result<Taken, FrameError> {
    let queued = match frame.opcode() {
        Opcode::DCP_SNAPSHOT_MARKER => {
            let good = stream.on_marker(&SnapshotMarker::decode(frame)?);
            return Ok(if good { Taken::Done } else { Taken::Refused(Status::ERANGE) });
        }
        Opcode::DCP_SET_VBUCKET_STATE => {
            let state = SetVbucketState::decode(frame)?.state;
            // Nobody but who was asked to take over may become active.
            let takeover = stream.flags & stream_flags::TAKEOVER != 0;
            if !takeover || !matches!(state, VbState::Pending | VbState::Active) {
                return Ok(Taken::Refused(Status::EINVAL));
            }
            stream.push(Item::State(state), charge);
            true
        }
        Opcode::DCP_SEQNO_ADVANCED => {
            stream.push_advance(SeqnoAdvanced::decode(frame)?.seqno, charge)
        }
        // Collections are not kept here; the event moves the vBucket on all the same.
        Opcode::DCP_SYSTEM_EVENT => stream.push_advance(SystemEvent::decode(frame)?.seqno, charge),
        _ => match decode::row(frame, making) {
            Ok(row) => stream.push_row(row, charge),
            Err(bad) => return Ok(bad.into()),
        },
    };
    Ok(if queued { Taken::Queued } else { Taken::Refused(Status::ERANGE) })
}

fn answer(frame: &Frame<'_>, status: Status, out: &mut BytesMut) {
    FrameBuilder::response(frame.opcode(), status).opaque(frame.header.opaque).write(out);
}
