//! The outcomes of effects, and how streams end.

use bytes::BytesMut;
use mcbp::dcp::SeqnoAck;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId, VbState};

use super::answer::answer_add;
use super::context::Context;
use super::decode::FrameRefusal;
use super::held::Held;
use super::part::Item;
use super::stream::StreamPhase;
use super::{Consumer, Effect, Failure};

impl Consumer {
    /// An [`Effect::Apply`] ended.
    pub(super) fn applied(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), Failure>,
        cx: &mut Context<'_>,
    ) {
        let Some(current) = self.current(vb, stream) else { return };
        let is_open = current.phase == StreamPhase::Open;
        match current.landed() {
            Ok(bytes) => self.acks.release(bytes),
            Err(broken) => return self.close(broken.to_string(), cx),
        }
        let failure = match outcome {
            Ok(()) => {
                self.acknowledge_prepares(vb, cx.out);
                return self.go_on(vb, cx);
            }
            Err(failure) => failure,
        };
        // The failure is reported at once: a producer with nothing more to send would never learn
        // of it by a refused frame.
        if let Failure::Other(cause) = &failure
            && is_open
        {
            let refusal = FrameRefusal::new(Status::EINTERNAL, cause.as_str());
            self.write_refusal(Opcode::DCP_MUTATION, stream, &refusal, cx.out);
        }
        self.stream_failed(vb, failure, cx);
    }

    /// Acknowledges the prepares of the snapshots that are complete on disk now, while the stream
    /// is open.
    pub(super) fn acknowledge_prepares(&mut self, vb: VbId, out: &mut BytesMut) {
        if !self.negotiation.has_sync_writes() {
            return;
        }
        if let Some(stream) = self.streams.get_mut(&vb)
            && stream.phase == StreamPhase::Open
            && let Some(prepared) = stream.take_acknowledgement()
        {
            SeqnoAck { prepared }.write(vb, stream.opaque, out);
        }
    }

    /// An [`Effect::SetState`] ended.
    pub(super) fn state_set(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), Failure>,
        cx: &mut Context<'_>,
    ) {
        let Some(current) = self.current(vb, stream) else { return };
        match current.landed() {
            Ok(bytes) => self.acks.release(bytes),
            Err(broken) => return self.close(broken.to_string(), cx),
        }
        let status = match &outcome {
            Ok(()) => Status::SUCCESS,
            Err(Failure::NotReplica) => Status::NOT_MY_VBUCKET,
            Err(Failure::Other(_)) => Status::EINTERNAL,
        };
        let answer = FrameBuilder::response(Opcode::DCP_SET_VBUCKET_STATE, status);
        answer.opaque(stream).write(cx.out);
        match outcome {
            Ok(()) => self.go_on(vb, cx),
            Err(failure) => self.stream_failed(vb, failure, cx),
        }
    }

    /// State, history or existence of the vBucket changed. The stream ends if the vBucket is no
    /// longer a replica, unless this stream made it active. It also ends if the vBucket was active
    /// in between or was created anew: it may have changes that the producer does not have.
    pub(super) fn changed(&mut self, vb: VbId, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get(&vb) else { return };
        let taken_over = stream.flags & mcbp::dcp::stream_flags::TAKEOVER != 0;
        let facts = cx.replicas.facts(vb);
        let branch = facts.as_ref().map(|facts| facts.failover.newest().uuid);
        let fits = match facts.map(|facts| facts.state) {
            Some(VbState::Replica | VbState::Pending) => {
                let has_history = matches!(stream.phase, StreamPhase::Open | StreamPhase::Draining);
                !has_history || stream.history == branch
            }
            Some(VbState::Active) => taken_over,
            Some(VbState::Dead) | None => false,
        };
        if !fits {
            self.stream_failed(vb, Failure::NotReplica, cx);
        }
    }

    /// Processes what is at the front of the stream's queue.
    pub(super) fn go_on(&mut self, vb: VbId, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        loop {
            let (after, parts) = stream.take_parts();
            if !parts.is_empty() {
                cx.effects.push(Effect::Apply(vb, stream.opaque, after, parts));
            }
            match stream.take_item() {
                Some(Item::AnswerMarker) => {
                    let answer =
                        FrameBuilder::response(Opcode::DCP_SNAPSHOT_MARKER, Status::SUCCESS);
                    answer.opaque(stream.opaque).write(cx.out);
                }
                Some(Item::State(state)) => {
                    cx.effects.push(Effect::SetState(vb, stream.opaque, state));
                }
                Some(Item::Part(_)) | None => break,
            }
        }
        if stream.phase == StreamPhase::Draining && stream.is_drained() {
            self.remove(vb, cx);
        }
    }

    /// Ends a stream of which an effect failed. What is queued is dropped: written without what
    /// failed it would leave a gap.
    fn stream_failed(&mut self, vb: VbId, failure: Failure, cx: &mut Context<'_>) {
        let (status, note) = match failure {
            Failure::NotReplica => (Status::NOT_MY_VBUCKET, "no longer a replica".to_owned()),
            Failure::Other(cause) => (Status::EINTERNAL, format!("not written: {cause}")),
        };
        cx.effects.push(Effect::Note(vb, note));
        self.abandon(vb, status, cx);
    }

    /// Ends a stream and drops what is queued. Writes in progress continue.
    pub(super) fn abandon(&mut self, vb: VbId, status: Status, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        self.acks.release(stream.drop_queue());
        self.finish(vb, status, cx);
    }

    /// Ends a stream: no more frames are taken, what was received is still written. An unanswered
    /// ADD_STREAM is answered with `status`.
    pub(super) fn finish(&mut self, vb: VbId, status: Status, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        // Without its end an OSO snapshot is incomplete.
        let dropped = stream.drop_oso();
        self.oso_bytes -= dropped;
        self.acks.release(dropped);
        if let Some(add) = stream.add.take() {
            answer_add(add, status, Some(stream.opaque), cx.out);
        }
        match stream.phase {
            // It drains from `Event::HistoryTaken` or `Event::RolledBack` on.
            StreamPhase::TakingHistory | StreamPhase::RollingBack => cx.replicas.drains(vb),
            StreamPhase::Queued | StreamPhase::Requested => self.remove(vb, cx),
            StreamPhase::Open | StreamPhase::Draining => {
                stream.phase = StreamPhase::Draining;
                cx.replicas.drains(vb);
                self.go_on(vb, cx);
            }
        }
    }

    fn remove(&mut self, vb: VbId, cx: &mut Context<'_>) {
        self.streams.remove(&vb);
        self.to_request.retain(|queued| *queued != vb);
        cx.replicas.release(vb);
        cx.effects.push(Effect::Unwatch(vb));
        if let Some(Held { vb, add, flags }) = self.take_held(vb) {
            self.add_stream(vb, add, flags, cx);
        }
    }
}
