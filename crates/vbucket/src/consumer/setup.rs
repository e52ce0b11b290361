//! From ADD_STREAM to its answer: request, rollback, history.

use mcbp::dcp::{decode_failover_log, decode_rollback};
use mcbp::{Frame, Opaque, Seqno, Status, StreamEndStatus, VbId, VbState};

use super::answer::answer_add;
use super::context::Context;
use super::held::Held;
use super::stream::{PassiveStream, Phase};
use super::{Claim, Consumer, Effect, Failure};
use crate::failover::ENTRIES_MAX;

/// How often one ADD_STREAM may be sent back: once for each branch of history there can be, and
/// once to zero. A producer that asks for more asks for ever.
const ROLLBACKS_MAX: u32 = ENTRIES_MAX as u32 + 1;

/// What an ADD_STREAM is answered whose stream ended first. A stream that ended well did all that
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
    /// Takes an ADD_STREAM: queues a stream, or answers at once.
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

    /// Sends STREAM_REQ for where the vBucket stands now; again after a rollback, with the same
    /// opaque.
    pub(super) fn request(&mut self, vb: VbId, cx: &mut Context<'_>) {
        let facts = cx.replicas.facts(vb);
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        match facts.filter(|f| matches!(f.state, VbState::Replica | VbState::Pending)) {
            Some(facts) => stream.request(&facts).write(vb, stream.opaque, cx.out),
            None => self.abandon(vb, Status::NOT_MY_VBUCKET, cx),
        }
    }

    /// Takes the answer to a STREAM_REQ. One for a stream that is gone is let pass (MB-32724).
    pub(super) fn on_stream_answer(&mut self, frame: &Frame<'_>, cx: &mut Context<'_>) {
        let opaque = frame.header.opaque;
        let mut streams = self.streams.values_mut();
        let asked = |s: &&mut PassiveStream| s.opaque == opaque && s.phase == Phase::Requested;
        let Some(stream) = streams.find(asked) else { return };
        let vb = stream.vb;
        match frame.header.status() {
            Status::SUCCESS => match decode_failover_log(frame) {
                Ok(log) => {
                    stream.phase = Phase::TakingHistory;
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
            cx.effects.push(Effect::Note(vb, "rolled back again and again, given up".to_owned()));
            return self.abandon(vb, Status::ROLLBACK, cx);
        }
        stream.rolled_back();
        stream.phase = Phase::RollingBack;
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
            current.phase = Phase::Draining; // closed meanwhile
            return self.go_on(vb, cx);
        }
        current.phase = Phase::Requested;
        match outcome {
            Ok(()) => self.request(vb, cx),
            Err(failure) => self.setup_failed(vb, failure, cx),
        }
    }

    /// An [`Effect::TakeHistory`] ended. Only now is the stream open: a crash from here on leaves a
    /// vBucket that names the producer's history.
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
                current.phase = Phase::Open;
                answer_add(add, Status::SUCCESS, Some(stream), cx.out);
                // It may have changed right after it took the history over.
                self.changed(vb, cx);
                self.go_on(vb, cx);
            }
            // Answered already: the stream ended meanwhile, what it brought is still good.
            (Ok(()), None) => {
                current.phase = Phase::Draining;
                self.go_on(vb, cx);
            }
            (Err(failure), add) => {
                current.add = add;
                current.phase = Phase::Open;
                self.setup_failed(vb, failure, cx);
            }
        }
    }

    /// A vBucket that cannot be rolled back or given its history fails this one request.
    fn setup_failed(&mut self, vb: VbId, failure: Failure, cx: &mut Context<'_>) {
        let (status, note) = match failure {
            Failure::NotReplica => (Status::NOT_MY_VBUCKET, "not a replica any more".to_owned()),
            Failure::Other(cause) => (Status::EINTERNAL, cause),
        };
        cx.effects.push(Effect::Note(vb, note));
        self.abandon(vb, status, cx);
    }
}
