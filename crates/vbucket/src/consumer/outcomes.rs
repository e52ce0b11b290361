//! How things that take time come out, and how streams end.

use bytes::BytesMut;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId, VbState};

use super::decode::Refusal;
use super::held::Held;
use super::part::Item;
use super::stream::Phase;
use super::{Consumer, Effect, Failure, Replicas, setup};
use crate::stream_req::VbFacts;

impl Consumer {
    /// An [`Effect::Apply`] ended.
    pub fn on_applied(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), Failure>,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        let Some(current) = self.current(vb, stream) else { return };
        let (landed, is_open) = (current.landed(), current.phase == Phase::Open);
        self.acks.release(landed);
        let failure = match outcome {
            Ok(()) => return self.go_on(vb, replicas, out),
            Err(failure) => failure,
        };
        // A producer that has nothing more to send would never learn of it from refused frames.
        if let Failure::Other(cause) = &failure
            && is_open
        {
            let refusal = Refusal::new(Status::EINTERNAL, cause.as_str());
            self.write_refusal(Opcode::DCP_MUTATION, stream, &refusal, out);
        }
        self.stream_failed(vb, failure, replicas, out);
    }

    /// An [`Effect::SetState`] ended.
    pub fn on_state_set(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), Failure>,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        let Some(current) = self.current(vb, stream) else { return };
        let landed = current.landed();
        self.acks.release(landed);
        let status = match &outcome {
            Ok(()) => Status::SUCCESS,
            Err(Failure::NotReplica) => Status::NOT_MY_VBUCKET,
            Err(Failure::Other(_)) => Status::EINTERNAL,
        };
        let answer = FrameBuilder::response(Opcode::DCP_SET_VBUCKET_STATE, status);
        answer.opaque(stream).write(out);
        match outcome {
            Ok(()) => self.go_on(vb, replicas, out),
            Err(failure) => self.stream_failed(vb, failure, replicas, out),
        }
    }

    /// State, history or existence of the vBucket changed. A vBucket that is no replica any more
    /// takes no stream, unless this stream made it active; neither does one that was made active
    /// and replica again, or made anew: it may have changes that the producer does not know.
    pub fn on_changed(&mut self, vb: VbId, replicas: &dyn Replicas, out: &mut BytesMut) {
        let Some(stream) = self.streams.get(&vb) else { return };
        let taken_over = stream.flags & mcbp::dcp::stream_flags::TAKEOVER != 0;
        let facts = replicas.facts(vb);
        let branch = facts.as_ref().and_then(VbFacts::newest_branch);
        let fits = match facts.map(|facts| facts.state) {
            Some(VbState::Replica | VbState::Pending) => {
                let has_history = matches!(stream.phase, Phase::Open | Phase::Draining);
                !has_history || stream.history == branch
            }
            Some(VbState::Active) => taken_over,
            Some(VbState::Dead) | None => false,
        };
        if !fits {
            self.stream_failed(vb, Failure::NotReplica, replicas, out);
        }
    }

    /// Deals with what is at the front of the stream's queue.
    pub(super) fn go_on(&mut self, vb: VbId, replicas: &dyn Replicas, out: &mut BytesMut) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        loop {
            let (after, parts) = stream.take_parts();
            if !parts.is_empty() {
                self.effects.push(Effect::Apply(vb, stream.opaque, after, parts));
            }
            match stream.take_item() {
                Some(Item::AnswerMarker) => {
                    let answer =
                        FrameBuilder::response(Opcode::DCP_SNAPSHOT_MARKER, Status::SUCCESS);
                    answer.opaque(stream.opaque).write(out);
                }
                Some(Item::State(state)) => {
                    self.effects.push(Effect::SetState(vb, stream.opaque, state));
                }
                Some(Item::Part(_)) | None => break,
            }
        }
        if stream.phase == Phase::Draining && stream.is_drained() {
            self.remove(vb, replicas, out);
        }
    }

    /// Ends a stream whose vBucket did not do what it was told. What waits is dropped: written
    /// without what failed it would leave a gap.
    fn stream_failed(
        &mut self,
        vb: VbId,
        failure: Failure,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        let (status, note) = match failure {
            Failure::NotReplica => (Status::NOT_MY_VBUCKET, "not a replica any more".to_owned()),
            Failure::Other(cause) => (Status::EINTERNAL, format!("not written: {cause}")),
        };
        self.effects.push(Effect::Note(vb, note));
        self.abandon(vb, status, replicas, out);
    }

    /// Drops a stream with what waits in it; what is being written is being written still.
    pub(super) fn abandon(
        &mut self,
        vb: VbId,
        status: Status,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        self.acks.release(stream.drop_queue());
        self.finish(vb, status, replicas, out);
    }

    /// Ends a stream: no more frames are taken, what was received is still written. The ADD_STREAM,
    /// if it waits, is answered with `status`.
    pub(super) fn finish(
        &mut self,
        vb: VbId,
        status: Status,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        if let Some(add) = stream.add.take() {
            setup::answer_add(add, status, Some(stream.opaque), out);
        }
        match stream.phase {
            // Its outcome comes with `on_history` or `on_rolled_back`, which then drain.
            Phase::TakingHistory | Phase::RollingBack => replicas.drains(vb),
            Phase::Queued | Phase::Requested => self.remove(vb, replicas, out),
            Phase::Open | Phase::Draining => {
                stream.phase = Phase::Draining;
                replicas.drains(vb);
                self.go_on(vb, replicas, out);
            }
        }
    }

    fn remove(&mut self, vb: VbId, replicas: &dyn Replicas, out: &mut BytesMut) {
        self.streams.remove(&vb);
        self.to_request.retain(|queued| *queued != vb);
        replicas.release(vb);
        self.effects.push(Effect::Unwatch(vb));
        if let Some(Held { vb, add, flags }) = self.take_held(vb) {
            self.add_stream(vb, add, flags, replicas, out);
        }
    }
}
