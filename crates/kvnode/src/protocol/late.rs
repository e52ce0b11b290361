//! Answers that may come in any order: a durable write that waits for replicas keeps no other
//! request of its connection waiting, if the client has negotiated that.

use std::pin::Pin;
use std::time::Instant;

use bytes::BytesMut;
use futures::stream::{FuturesUnordered, StreamExt as _};
use mcbp::{FrameBuilder, HEADER_BYTES, Header, Status};

use super::error::status_of;
use super::trace::Trace;
use crate::bucket::PendingCommit;

/// So many may wait on one connection: then its next durable write keeps others waiting.
const LATE_MAX: usize = 1024;

/// An answer that is true only once its durable write is committed.
struct Late {
    request: Header,
    commit: PendingCommit,
    /// The whole frame.
    frame: BytesMut,
    trace: Option<Trace>,
}

/// An answer that can be given now.
pub(crate) struct Given {
    pub(super) request: Header,
    pub(super) frame: BytesMut,
    pub(super) trace: Option<Trace>,
    pub(super) at: Instant,
}

/// See the module.
#[derive(Default)]
pub(super) struct LateAnswers(FuturesUnordered<Pin<Box<dyn Future<Output = Given> + Send + Sync>>>);

impl LateAnswers {
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < LATE_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(
        &mut self,
        request: Header,
        commit: PendingCommit,
        frame: BytesMut,
        trace: Option<Trace>,
    ) {
        self.0.push(Box::pin(Late { request, commit, frame, trace }.given()));
    }

    /// The next one. Safe to drop. Waits for ever while there is none.
    pub(super) async fn next(&mut self) -> Given {
        match self.0.next().await {
            Some(given) => given,
            None => std::future::pending().await,
        }
    }
}

impl Late {
    async fn given(self) -> Given {
        let Self { request, commit, mut frame, trace } = self;
        let done = commit.wait().await;
        let at = Instant::now();
        match done.map_err(|error| status_of(&error)) {
            Ok(()) => put_time(&mut frame, trace),
            Err(status) => frame = failure(&request, status),
        }
        Given { request, frame, trace, at }
    }
}

fn failure(request: &Header, status: Status) -> BytesMut {
    let mut frame = BytesMut::new();
    let answer = FrameBuilder::response(request.opcode, status).opaque(request.opaque);
    answer.write(&mut frame);
    frame
}

/// Puts the time until now into an answer that was written with an earlier one.
pub(super) fn put_time(frame: &mut [u8], trace: Option<Trace>) {
    let Some(framing) = trace.and_then(Trace::framing) else { return };
    // A quiet success has no bytes.
    let after_header = frame.get_mut(HEADER_BYTES..).and_then(|it| it.get_mut(..framing.len()));
    if let Some(place) = after_header {
        place.copy_from_slice(&framing);
    }
}
