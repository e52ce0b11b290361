//! Executes the frames of a read buffer, up to the first one that has to wait for something.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, Header, Status};
use tokio::task::coop::consume_budget;

use super::end::End;
use super::large::{self, Large};
use crate::account::Lease;
use crate::blocking::leave_worker;
use crate::client::Client;
use crate::command::{self, Flow};
use crate::protocol::RequestError;
use crate::protocol::framing::{self, Malformed};

/// Answers beyond this are written out even if more requests wait in the buffer.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// So many requests are a step of a task's turn, after 128 of which others have the worker: a
/// client whose requests never end would keep it for long. Changes are a step each already.
const REQUESTS_A_STEP: usize = 4;

/// Why no more frames are executed for now.
pub(super) enum Pause {
    /// The next frame has not arrived.
    NeedsBytes,
    /// The answers are to be written first.
    RepliesFull,
    /// This request is executed once its answer has so many bytes of memory.
    NeedsMemory(Bytes, usize),
    /// A failed login is answered after this time.
    Late(Duration, Header, RequestError),
    End(End),
}

/// A request that is executed before those in the read buffer.
pub(super) enum Whole {
    Large(Large),
    /// Its answer has memory now.
    Again(Bytes),
}

/// Executes `first`, and then the whole frames at the front of `buffer`.
pub(super) async fn execute(
    client: &mut Client,
    first: Option<Whole>,
    buffer: &mut BytesMut,
) -> Pause {
    client.free_bytes = client.node.account.free_bytes(client.seat.seated());
    if first.is_some() {
        // To inflate, check and join what is large takes long.
        leave_worker(false).await;
    }
    match first {
        None => {}
        // The memory of a large request is given back once it is executed: what it stores is in
        // the commit queue then, and counted there.
        Some(Whole::Large(Large { frame, lease })) => {
            let pause = execute_one(client, &frame, true).await;
            drop(lease);
            match pause {
                None => {}
                Some(Pause::NeedsMemory(frame, _)) => large::refuse_frame(client, &frame),
                Some(pause) => return pause,
            }
        }
        Some(Whole::Again(frame)) => {
            if let Some(pause) = execute_one(client, &frame, false).await {
                return pause;
            }
        }
    }
    let mut executed = 0_usize;
    while has_room(client) {
        let bytes = match framing::next(buffer, client.login.is_some()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Pause::NeedsBytes,
            Err(Malformed { error, request }) => {
                if let Some(request) = request {
                    client.fail(&request, RequestError::new(Status::EINVAL, error));
                }
                return Pause::End(End::Malformed(error));
            }
        };
        executed += 1;
        if executed.is_multiple_of(REQUESTS_A_STEP) {
            consume_budget().await;
        }
        if let Some(pause) = execute_one(client, &bytes, false).await {
            return pause;
        }
    }
    Pause::RepliesFull
}

/// Executes a frame; `kept` says whether its memory may be kept for what it stores.
async fn execute_one(client: &mut Client, bytes: &Bytes, kept: bool) -> Option<Pause> {
    let frame = match Frame::parse(bytes) {
        Ok(frame) => frame,
        Err(error) => return Some(Pause::End(End::Malformed(error))),
    };
    let header = frame.header;
    if !header.is_request() {
        return None;
    }
    match command::execute(client, frame, kept.then_some(bytes)).await {
        Flow::Next => None,
        Flow::Close => Some(Pause::End(End::Normal)),
        Flow::Memory(need) => Some(Pause::NeedsMemory(bytes.clone(), need)),
        Flow::Late(wait, error) => Some(Pause::Late(wait, header, error)),
        Flow::Dcp(open) => Some(Pause::End(End::Dcp(open))),
    }
}

/// Whether another answer may be added before those that wait are written.
fn has_room(client: &mut Client) -> bool {
    let waiting = client.replies.bytes();
    if client.replies.is_complete() {
        return false;
    }
    if waiting < client.free_bytes {
        return true;
    }
    if waiting < REPLY_BYTES_MAX && client.lease.is_none() {
        client.lease = client.node.account.try_take(REPLY_BYTES_MAX);
    }
    // It may have been taken for one answer, which has it for itself.
    let leased = client.lease.as_ref().map_or(0, Lease::bytes);
    waiting < leased.min(REPLY_BYTES_MAX)
}
