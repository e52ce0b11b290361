//! Handles a consumer's error answer to a frame of data: the stream of that vBucket is over, and
//! its copy may have a gap. Other vBuckets are not affected.
//!
//! A real node that refuses a row keeps the stream and takes the rows after it, so that seqnos are
//! equal in the end and documents are not. The answer to our CLOSE_STREAM tells the two cases
//! apart: a consumer that has no stream any more, although the producer did not end it, has taken
//! nothing after the refused row.

use mcbp::{Opaque, Opcode, Status, VbId};

use super::closing::was_none;
use super::ledger::Ledger;
use super::stream::{Request, Unanswered};
use super::{
    ConsumerMachine, Effect, Effects, ErrorAnswer, Note, Reason, Settled, Side, VbError, Verdict,
};

/// Bound on the kinds of error answers that are reported from one link.
const KINDS_MAX: usize = 64;

/// The state of the stream that a refusal concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    Open,
    Adding,
    Closing,
    /// The stream of the running takeover.
    Takeover,
    /// The stream has ended.
    Gone,
}

/// Returns the reason for the end of the stream.
const fn reason(opcode: Opcode, status: Status) -> Reason {
    let is_gone = match status {
        Status::DCP_STREAM_NOT_FOUND | Status::OPAQUE_NO_MATCH | Status::NOT_MY_VBUCKET => true,
        // A consumer without v7 status codes answers these for an unknown stream. For a prepared
        // write they concern the key.
        Status::KEY_ENOENT | Status::KEY_EEXISTS => {
            !matches!(opcode, Opcode::DCP_PREPARE | Opcode::DCP_COMMIT | Opcode::DCP_ABORT)
        }
        _ => false,
    };
    if is_gone {
        Reason::StreamGone { opcode, status }
    } else {
        Reason::RowRefused { opcode, status }
    }
}

impl ConsumerMachine {
    /// Handles the refusal of a frame of data. It is withheld from the producer, which would close
    /// the connection with all its streams.
    pub(super) fn data_refused(
        &mut self,
        opaque: Opaque,
        opcode: Opcode,
        status: Status,
        fx: &mut Effects,
    ) -> Verdict {
        let Some((vb, holder, request)) = self.holder(opaque) else {
            let side = Side::Consumer;
            self.ledger.note_error(ErrorAnswer { side, opcode, status, opaque }, fx);
            return Verdict::Forward;
        };
        let reason = reason(opcode, status);
        let is_gap = matches!(reason, Reason::RowRefused { .. });
        let is_news = is_gap && self.ledger.mark_incomplete(vb, request, fx);
        let error = VbError { vb, side: Side::Consumer, reason };
        match holder {
            Holder::Open => {
                self.ledger.open.remove(&vb);
                self.ledger.remember_older(vb, Some(request));
                let both = [Side::Consumer, Side::Producer];
                let close = self.ledger.abandon(vb, &both, fx);
                self.ledger.expect_gap_answer(close, vb, is_news);
                self.open_stream_ended(error, fx);
            }
            Holder::Adding => {
                let has_ended = self.ledger.adding.get(&vb).is_some_and(|entry| entry.finished);
                let close = self.ledger.close_adding(vb, fx);
                self.ledger.expect_gap_answer(close, vb, is_news && !has_ended);
                self.settle(Some(Settled::Failed(error)), fx);
            }
            Holder::Takeover => {
                let close = self.give_up_takeover(error, fx);
                self.ledger.expect_gap_answer(close, vb, is_news);
            }
            Holder::Closing => {
                if let Some(entry) = self.ledger.closing.get_mut(&vb) {
                    entry.refused = is_gap.then_some(error);
                    let attempt = entry.attempt;
                    self.ledger.expect_gap_answer(attempt, vb, is_news);
                }
            }
            Holder::Gone => {}
        }
        Verdict::Withhold
    }

    fn holder(&self, opaque: Opaque) -> Option<(VbId, Holder, Request)> {
        let ledger = &self.ledger;
        let open = ledger.open.iter().map(|(&vb, s)| (vb, Holder::Open, s.request));
        let adding = ledger.adding.iter().map(|(&vb, e)| (vb, Holder::Adding, e.request));
        let closing = ledger.closing.iter().map(|(&vb, entry)| {
            (vb, Holder::Closing, entry.stream.and_then(|stream| stream.request))
        });
        let takeover = self.phase.takeover();
        let takeover = takeover.and_then(|takeover| Some((takeover.vb, takeover.added?)));
        let takeover = takeover.map(|(vb, stream)| (vb, Holder::Takeover, stream.request));
        let mut live = open
            .chain(adding)
            .chain(closing)
            .chain(takeover)
            .filter_map(|(vb, holder, request)| Some((vb, holder, request?)))
            .filter(|(_, _, request)| request.opaque == opaque);
        let gone = || ledger.gone(opaque).map(|(vb, request)| (vb, Holder::Gone, request));
        live.next().or_else(gone)
    }
}

impl Ledger {
    /// Records that a copy may have a gap after the start of this stream. Returns false where a gap
    /// was known already.
    fn mark_incomplete(&mut self, vb: VbId, request: Request, fx: &mut Effects) -> bool {
        let known = self.incomplete.get(&vb).copied();
        if known.is_some_and(|known| known <= request.start) {
            return false;
        }
        self.incomplete.insert(vb, request.start);
        fx.push(Effect::Incomplete(vb, request.start));
        known.is_none()
    }

    /// Records that a copy has no gap.
    pub(super) fn mark_complete(&mut self, vb: VbId, fx: &mut Effects) {
        if self.incomplete.remove(&vb).is_some() {
            fx.push(Effect::Complete(vb));
        }
    }

    /// Reports an error answer that is forwarded, unless one of its kind was reported before: a
    /// node may repeat it for every frame.
    pub(super) fn note_error(&mut self, answer: ErrorAnswer, fx: &mut Effects) {
        let kind = (answer.side, answer.opcode, answer.status);
        if self.noted.len() < KINDS_MAX && self.noted.insert(kind) {
            fx.push(Effect::Note(Note::ErrorAnswer(answer)));
        }
    }

    fn expect_gap_answer(&mut self, close: Opaque, vb: VbId, is_news: bool) {
        if is_news {
            self.remember_unanswered(close, Unanswered { vb, may_ask: false, shows_gap: true });
        }
    }

    /// Handles the consumer's answer to a CLOSE_STREAM that may have been sent because of a
    /// refusal.
    pub(super) fn note_gap_answer(&mut self, close: Opaque, status: Status, fx: &mut Effects) {
        let answered = self.unanswered.remove(&close);
        if let Some(Unanswered { vb, shows_gap: true, .. }) = answered
            && was_none(status)
        {
            self.mark_complete(vb, fx);
        }
    }
}
