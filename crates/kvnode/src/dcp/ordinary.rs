//! Requests on a DCP connection that are not DCP's, such as GET_ALL_VB_SEQNOS, STAT and NOOP.
//!
//! They are executed in order by the commands of ordinary connections, while the streams go on: one
//! that waits for a commit or for the disk holds up only those after it. What was executed together
//! is answered together, and nothing more is executed before those answers are written: this
//! bounds the memory of a peer that asks and does not read.

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use mcbp::{Frame, FrameBuilder, Opcode};

use super::still::Still;

/// No more is read while this many bytes of requests wait to be executed.
const QUEUED_BYTES_MAX: usize = 64 * 1024;

/// The largest request that is executed. Nobody stores large documents over a DCP connection, and
/// the memory of such a request is not in the account of connections.
pub(super) const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Executes the requests of one connection.
pub(crate) trait Requests: Send {
    /// Executes the whole frames in `requests` in order, as far as there is room for answers.
    fn execute(self: Box<Self>, requests: BytesMut) -> BoxFuture<'static, Executed>;

    /// The answers were written: their memory is free.
    fn written(&mut self);

    /// Whether others wait for the memory of the answers.
    fn is_wanted(&self) -> bool;
}

/// What came of requests.
pub(crate) struct Executed {
    /// To execute the next ones with.
    pub(crate) requests: Box<dyn Requests>,
    /// The answers, and a large value after them.
    pub(crate) answers: (BytesMut, Option<Bytes>),
    /// The requests that were not executed yet.
    pub(crate) rest: BytesMut,
    /// The connection ends: by the peer's own wish, or for this reason.
    pub(crate) end: Option<Result<(), String>>,
}

enum State {
    Idle(Box<dyn Requests>),
    Busy(BoxFuture<'static, Executed>),
    /// Until so many bytes were written to the connection.
    Writing(Box<dyn Requests>, u64, Still),
    Gone,
}

/// See the module.
pub(super) struct Ordinary {
    state: State,
    queue: BytesMut,
}

impl Ordinary {
    pub(super) fn new(requests: Box<dyn Requests>) -> Self {
        Self { state: State::Idle(requests), queue: BytesMut::new() }
    }

    /// Whether a frame is executed here. The GET_ERROR_MAP that begins the negotiation of a
    /// consumer, for version 0, belongs to DCP.
    pub(super) fn takes(frame: &Frame<'_>) -> bool {
        let negotiates = frame.opcode() == Opcode::GET_ERROR_MAP && frame.value == [0, 0];
        frame.header.is_request() && !frame.opcode().is_dcp() && !negotiates
    }

    /// Queues a request.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        FrameBuilder::from_frame(frame).write(&mut self.queue);
    }

    /// Whether more requests may be read.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < QUEUED_BYTES_MAX
    }

    /// Has queued requests executed, once the answers to those before them are written.
    /// `written_bytes` is what was written to the connection in all.
    pub(super) fn go_on(&mut self, written_bytes: u64) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Writing(mut requests, until, _) if written_bytes >= until => {
                requests.written();
                State::Idle(requests)
            }
            state => state,
        };
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(requests) if !self.queue.is_empty() => {
                State::Busy(requests.execute(std::mem::take(&mut self.queue)))
            }
            state => state,
        };
    }

    /// Waits for what is being executed; for ever if nothing is. Safe to drop.
    pub(super) async fn executed(&mut self) -> Executed {
        match &mut self.state {
            State::Busy(executing) => executing.await,
            State::Idle(_) | State::Writing(..) | State::Gone => std::future::pending().await,
        }
    }

    /// Takes what was executed: appends the answers to `out`, of which `written_bytes` were written
    /// in all before. Returns the end of the connection, if this is it.
    pub(super) fn answer(
        &mut self,
        executed: Executed,
        written_bytes: u64,
        out: &mut BytesMut,
    ) -> Option<Result<(), String>> {
        let Executed { requests, answers: (answers, value), mut rest, end } = executed;
        out.extend_from_slice(&answers);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
        rest.extend_from_slice(&self.queue);
        self.queue = rest;
        let until = written_bytes + out.len() as u64;
        self.state = State::Writing(requests, until, Still::begin(written_bytes));
        end
    }

    /// Returns why the peer is given up, if it does not read the answers that it has asked for, and
    /// holds their memory. To be called now and then.
    pub(super) fn stalled(&mut self, written_bytes: u64) -> Option<String> {
        let State::Writing(requests, until, still) = &mut self.state else { return None };
        let seconds = still.look(written_bytes, requests.is_wanted())?.as_secs();
        let left = until.saturating_sub(written_bytes);
        Some(format!("no byte taken in {seconds} s of answers, {left} bytes wait"))
    }
}
