//! Answers to be written, in order. Those to durable changes wait for their commits together: the
//! changes of one read of the socket share a batch and are answered with one write.

use std::ops::Range;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use invariant::{Broken, broken};
use mcbp::{FrameBuilder, Header, Opcode, Status};

use super::error::status_of;
use super::late::{Given, LateAnswers, put_time};
use super::trace::Trace;
use crate::bucket::PendingCommit;
use crate::timings::Timings;

/// An answer that is true only once its commit has succeeded.
struct Conditional {
    commit: PendingCommit,
    /// The position of the answer in `out`; empty for a quiet success.
    range: Range<usize>,
    request: Header,
    trace: Option<Trace>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Replies {
    out: BytesMut,
    conditional: Vec<Conditional>,
    /// The value of the last answer, if it is large: it is written as it is.
    last_value: Option<Bytes>,
    /// The request that is being answered. It is none once its answer waits for a commit.
    trace: Option<Trace>,
    /// Answers may come in any order.
    unordered: bool,
    late: LateAnswers,
}

impl Replies {
    /// A request begins; `traced` says whether its answers tell how long it took, `unordered`
    /// whether they may come later than those of other requests.
    pub(crate) fn begin(&mut self, traced: bool, unordered: bool) {
        self.trace = Some(Trace::begin(traced));
        self.unordered = unordered;
    }

    /// The request has been executed: unless it waits for a commit, it has taken so long.
    pub(crate) fn end(&mut self, opcode: Opcode, timings: &Timings) {
        if let Some(trace) = self.trace.take() {
            timings.observe(opcode, trace.until(Instant::now()));
        }
    }

    /// Adds an answer that is true already, or what no request asked for.
    pub(crate) fn send(&mut self, frame: &FrameBuilder<'_>) {
        match self.trace.and_then(Trace::framing) {
            None => frame.write(&mut self.out),
            Some(framing) => frame.framing(&framing).write(&mut self.out),
        }
    }

    /// Adds the answer to `request`: once `commit` has succeeded, or at once without one. Without
    /// a frame a success stays unanswered.
    pub(crate) fn answer(
        &mut self,
        request: &Header,
        commit: Option<PendingCommit>,
        frame: Option<&FrameBuilder<'_>>,
    ) {
        let start = self.out.len();
        if let Some(frame) = frame {
            self.send(frame);
        }
        self.await_commit(start, request, commit);
    }

    /// Adds the answer to `request` with a value that is not copied. No other answer may be added
    /// before this one is written.
    pub(crate) fn answer_with(
        &mut self,
        request: &Header,
        commit: Option<PendingCommit>,
        frame: &FrameBuilder<'_>,
        value: Bytes,
    ) {
        let start = self.out.len();
        let frame = frame.value(&value);
        match self.trace.and_then(Trace::framing) {
            None => frame.write_front(&mut self.out),
            Some(framing) => frame.framing(&framing).write_front(&mut self.out),
        }
        self.await_commit(start, request, commit);
        self.last_value = Some(value);
    }

    /// What was added from `start` on is true only once `commit` has succeeded.
    fn await_commit(&mut self, start: usize, request: &Header, commit: Option<PendingCommit>) {
        if let Some(commit) = commit.filter(|commit| !commit.is_answered_before()) {
            if commit.is_of_durable_write() && self.unordered && self.late.has_room() {
                let frame = self.out.split_off(start);
                return self.late.add(*request, commit, frame, self.trace.take());
            }
            let (range, trace) = (start..self.out.len(), self.trace.take());
            self.conditional.push(Conditional { commit, range, request: *request, trace });
        }
    }

    /// Whether an answer waits for its commit.
    pub(crate) const fn awaits_commit(&self) -> bool {
        !self.conditional.is_empty()
    }

    /// Whether answers wait that may come in any order.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// The next of them that can be given. Safe to drop.
    pub(crate) async fn next_late(&mut self) -> Given {
        self.late.next().await
    }

    /// Adds it to the bytes to write.
    pub(crate) fn give(&mut self, given: Given, timings: &Timings) {
        if let Some(trace) = given.trace {
            timings.observe(given.request.opcode, trace.until(given.at));
        }
        self.out.unsplit(given.frame);
    }

    /// Whether they are to be written before another answer is added.
    pub(crate) const fn is_complete(&self) -> bool {
        self.last_value.is_some()
    }

    /// How many bytes are waiting.
    pub(crate) fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Waits for all commits and returns the bytes to write, and a large value after them. An
    /// answer whose commit failed is replaced by the failure.
    pub(crate) async fn settle(
        &mut self,
        timings: &Timings,
    ) -> Result<(BytesMut, Option<Bytes>), Broken> {
        let mut value = self.last_value.take();
        let conditional = std::mem::take(&mut self.conditional);
        let mut failed = Vec::new();
        let mut last: Option<(PendingCommit, Status, Instant)> = None;
        for Conditional { commit, range, request, trace } in conditional {
            let known = last.as_ref().filter(|(same, ..)| same.is_same(&commit));
            let (status, at) = match known {
                Some((_, status, at)) => (*status, *at),
                None => {
                    let done = commit.wait().await;
                    (done.map_or_else(|e| status_of(&e), |()| Status::SUCCESS), Instant::now())
                }
            };
            last = Some((commit, status, at));
            if let Some(trace) = trace {
                timings.observe(request.opcode, trace.until(at));
                self.tell_time(&range, trace);
            }
            if status != Status::SUCCESS {
                failed.push((range, request, status));
            }
        }
        let out = self.out.split();
        if failed.is_empty() {
            return Ok((out, value));
        }
        // The value belongs to the last answer.
        if failed.last().is_some_and(|(range, ..)| range.end == out.len()) {
            value = None;
        }
        Ok((with_failures(&out, &failed)?, value))
    }
}

impl Replies {
    /// Puts the time until now into an answer, which was written with an earlier one.
    fn tell_time(&mut self, range: &Range<usize>, trace: Trace) {
        if let Some(frame) = self.out.get_mut(range.clone()) {
            put_time(frame, Some(trace));
        }
    }
}

/// Returns `out` with the failure in the place of each answer in `failed`.
fn with_failures(
    out: &[u8],
    failed: &[(Range<usize>, Header, Status)],
) -> Result<BytesMut, Broken> {
    let outside = |at: usize| broken!("an answer at byte {at} of {} bytes", out.len());
    let mut patched = BytesMut::with_capacity(out.len());
    let mut from = 0;
    for (range, request, status) in failed {
        let before = out.get(from..range.start).ok_or_else(|| outside(range.start))?;
        patched.extend_from_slice(before);
        let answer = FrameBuilder::response(request.opcode, *status);
        answer.opaque(request.opaque).write(&mut patched);
        from = range.end;
    }
    patched.extend_from_slice(out.get(from..).ok_or_else(|| outside(from))?);
    Ok(patched)
}
