//! From ADD_STREAM to its answer: STREAM_REQ, rollback, failover table.

use mcbp::dcp::{decode_failover_log, decode_rollback};
use mcbp::{Frame, Opaque, Seqno, Status, StreamEndStatus, VbId, VbState};

use super::answer::answer_add;
use super::context::Context;
use super::held::Held;
use super::stream::{PassiveStream, StreamPhase};
use super::{Claim, Consumer, Effect, Failure};
use crate::failover::ENTRIES_MAX;

/// How many rollbacks one ADD_STREAM may cause: one for each branch of history that there can be,
/// and one to zero. A producer that asks for more would never stop.
const ROLLBACKS_MAX: u32 = ENTRIES_MAX as u32 + 1;

/// The answer to an ADD_STREAM whose stream ended before. A stream that ended with Ok did all that
/// was asked for.
pub(super) const fn status_of_end(end: StreamEndStatus) -> Status {
    match end {
        StreamEndStatus::OK => Status::SUCCESS,
        StreamEndStatus::STATE_CHANGED => Status::NOT_MY_VBUCKET,
        StreamEndStatus::BACKFILL_FAIL => Status::EINTERNAL,
        StreamEndStatus::ROLLBACK => Status::ROLLBACK,
        StreamEndStatus::LOST_PRIVILEGES => Status::EACCESS,
        _ => Status::ETMPFAIL,
    }
}

impl Consumer {
    /// Takes an ADD_STREAM: queues a stream for STREAM_REQ, holds it, or refuses it.
    pub(super) fn add_stream(&mut self, vb: VbId, add: Opaque, flags: u32, cx: &mut Context<'_>) {
        let state = cx.replicas.facts(vb).map(|facts| facts.state);
        if !matches!(state, Some(VbState::Replica | VbState::Pending)) {
            return answer_add(add, Status::NOT_MY_VBUCKET, None, cx.out);
        }
        match self.streams.get(&vb) {
            Some(stream) if !stream.is_live() => return self.hold(Held { vb, add, flags }, cx),
            Some(_) => return answer_add(add, Status::KEY_EEXISTS, None, cx.out),
            None if self.held.iter().any(|held| held.vb == vb) => {
                return answer_add(add, Status::KEY_EEXISTS, None, cx.out);
            }
            None => match cx.replicas.claim(vb) {
                Claim::Taken => {}
                Claim::Streamed => return answer_add(add, Status::KEY_EEXISTS, None, cx.out),
                Claim::Draining => return self.hold(Held { vb, add, flags }, cx),
            },
        }
        let opaque = self.counter.next_opaque();
        self.streams.insert(vb, PassiveStream::new(vb, opaque, add, flags));
        self.to_request.push_back(vb);
        cx.effects.push(Effect::Watch(vb));
    }

    /// Sends STREAM_REQ from the seqno of the vBucket; again after a rollback, with the same
    /// opaque.
    pub(super) fn request(&mut self, vb: VbId, cx: &mut Context<'_>) {
        let facts = cx.replicas.facts(vb);
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        match facts.filter(|f| matches!(f.state, VbState::Replica | VbState::Pending)) {
            Some(facts) => {
                let prepared = cx.replicas.prepared(vb);
                stream.request(&facts, prepared).write(vb, stream.opaque, cx.out);
            }
            None => self.abandon(vb, Status::NOT_MY_VBUCKET, cx),
        }
    }

    /// Takes the answer to a STREAM_REQ. One for a stream that has ended is ignored (MB-32724).
    pub(super) fn on_stream_answer(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        let opaque = frame.header.opaque;
        let mut streams = self.streams.values_mut();
        let asked =
            |s: &&mut PassiveStream| s.opaque == opaque && s.phase == StreamPhase::Requested;
        let Some(stream) = streams.find(asked) else { return };
        let vb = stream.vb;
        match frame.header.status() {
            Status::SUCCESS => match decode_failover_log(frame) {
                Ok(log) => {
                    stream.phase = StreamPhase::TakingHistory;
                    stream.history = log.first().map(|newest| newest.uuid);
                    cx.effects.push(Effect::TakeHistory(vb, opaque, log));
                }
                Err(_) => self.abandon(vb, Status::EINVAL, cx),
            },
            Status::ROLLBACK => match decode_rollback(frame) {
                Ok(to) => self.on_rollback(vb, to, cx),
                Err(_) => self.abandon(vb, Status::EINVAL, cx),
            },
            refused => {
                cx.effects.push(Effect::Note(vb, format!("the producer answered {refused}")));
                self.abandon(vb, refused, cx);
            }
        }
    }

    fn on_rollback(&mut self, vb: VbId, to: Seqno, cx: &mut Context<'_>) {
        let facts = cx.replicas.facts(vb);
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        if to == Seqno::ZERO && facts.is_some_and(|facts| stream.try_older_branch(&facts)) {
            return self.request(vb, cx);
        }
        if stream.rollbacks >= ROLLBACKS_MAX {
            cx.effects.push(Effect::Note(vb, format!("given up after {ROLLBACKS_MAX} rollbacks")));
            return self.abandon(vb, Status::ROLLBACK, cx);
        }
        stream.rolled_back();
        stream.phase = StreamPhase::RollingBack;
        cx.effects.push(Effect::Rollback(vb, stream.opaque, to));
    }

    /// An [`Effect::Rollback`] ended.
    pub(super) fn rolled_back(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), Failure>,
        cx: &mut Context<'_>,
    ) {
        let Some(current) = self.current(vb, stream) else { return };
        if current.add.is_none() {
            current.phase = StreamPhase::Draining; // closed in the meantime
            return self.go_on(vb, cx);
        }
        current.phase = StreamPhase::Requested;
        match outcome {
            Ok(()) => self.request(vb, cx),
            Err(failure) => self.setup_failed(vb, failure, cx),
        }
    }

    /// An [`Effect::TakeHistory`] ended. Only now is the stream open: after a crash from here on
    /// the vBucket has the producer's failover table.
    pub(super) fn history_taken(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), Failure>,
        cx: &mut Context<'_>,
    ) {
        let Some(current) = self.current(vb, stream) else { return };
        match (outcome, current.add.take()) {
            (Ok(()), Some(add)) => {
                current.phase = StreamPhase::Open;
                answer_add(add, Status::SUCCESS, Some(stream), cx.out);
                self.acknowledge_prepares(vb, cx.out);
                // The vBucket may have changed right after it took over the failover table.
                self.changed(vb, cx);
                self.go_on(vb, cx);
            }
            // The ADD_STREAM was answered because the stream has ended. What was received is valid.
            (Ok(()), None) => {
                current.phase = StreamPhase::Draining;
                self.go_on(vb, cx);
            }
            (Err(failure), add) => {
                current.add = add;
                current.phase = StreamPhase::Open;
                self.setup_failed(vb, failure, cx);
            }
        }
    }

    /// Answers an ADD_STREAM whose vBucket could not be rolled back or given the failover table.
    fn setup_failed(&mut self, vb: VbId, failure: Failure, cx: &mut Context<'_>) {
        let (status, note) = match failure {
            Failure::NotReplica => (Status::NOT_MY_VBUCKET, "no longer a replica".to_owned()),
            Failure::Other(cause) => (Status::EINTERNAL, cause),
        };
        cx.effects.push(Effect::Note(vb, note));
        self.abandon(vb, status, cx);
    }
}
