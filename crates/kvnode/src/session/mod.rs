//! The session of a client connection: frames in, answers out, in order.
//!
//! All whole frames of one read are executed, then their commits are awaited together, then their
//! answers leave with one write. Nothing is read while answers wait, which bounds their memory.
//!
//! - `execute`: from the read buffer to the answers; `large`: requests that need memory of the
//!   account
//! - `beside`: the commands on a DCP connection
//! - `progress`: the deadlines of the socket; `end`: why a session ended

mod beside;
mod end;
mod execute;
mod large;
mod progress;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use mcbp::Header;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, sleep_until, timeout};

use self::end::End;
use self::execute::{Pause, Whole, execute};
use crate::account::FREE_BYTES;
use crate::admission::Seat;
use crate::blocking::on_disk;
use crate::client::Client;
use crate::context::Context;
use crate::dcp::Handover;
use crate::protocol::RequestError;
use crate::tls::Socket;

/// How much is read at once before the login: requests are short, and anyone can connect.
const STRANGER_READ_BYTES: usize = 4 * 1024;

/// How long a late answer is waited for while the node stops.
const LATE_STOPPING: Duration = Duration::from_secs(1);

/// How much the kernel keeps of large answers before it has sent them: enough for a fast reader,
/// and little enough that bytes move when a slow one reads.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Serves one connection until it ends, or until it opens DCP: then the rest is for
/// [`crate::dcp::serve`].
pub(crate) async fn serve(
    mut stream: Socket,
    peer: SocketAddr,
    seat: Arc<Seat>,
    node: Arc<Context>,
) -> Option<Handover> {
    let mut buffer = BytesMut::new();
    let mut client = Client::new(node, peer, seat);
    let end = run(&mut client, &mut stream, &mut buffer).await;
    if matches!(end, End::Malformed(_) | End::NotAuthenticated(_)) {
        Box::pin(progress::linger(&mut stream, &client.seat)).await;
    }
    match end {
        End::Dcp(open) => {
            client.seat.replicate();
            if client.unsent_limited {
                stream.limit_unsent(0);
            }
            client.speaks_dcp = true;
            let account = Arc::clone(&client.node.account);
            let seat = Arc::clone(&client.seat);
            let requests = Box::new(client);
            Some(Handover { stream, buffer, open: *open, peer, account, seat, requests })
        }
        end => {
            end.log(peer);
            None
        }
    }
}

/// Serves the connection to its end. What it seldom waits for is in boxes, so that thousands of
/// idle sessions stay small.
async fn run(client: &mut Client, stream: &mut Socket, buffer: &mut BytesMut) -> End {
    let mut large = None;
    loop {
        let pause = on_disk(execute(client, large.take(), buffer)).await;
        let turned = match flush(client, stream).await {
            Ok(()) => pause,
            Err(end) => return end,
        };
        let turned = match turned {
            Pause::End(End::Dcp(open)) => {
                let given = Box::pin(give_all_late(client, stream)).await;
                return given.map_or_else(|end| end, |()| End::Dcp(open));
            }
            Pause::End(end) => return end,
            Pause::RepliesFull => Ok(()),
            Pause::NeedsMemory(frame, bytes) => {
                large = Box::pin(answer_memory(client, frame, bytes)).await;
                Ok(())
            }
            Pause::Late(wait, request, error) => {
                Box::pin(late(client, wait, &request, error)).await
            }
            Pause::NeedsBytes => match large::begun(client, buffer) {
                Some(header) => Box::pin(large::read(client, stream, buffer, &header))
                    .await
                    .map(|read| large = read.map(Whole::Large)),
                None => read(client, stream, buffer).await,
            },
        };
        if let Err(end) = turned {
            return end;
        }
    }
}

/// Takes memory for the answer to `frame`, which is then executed again; or refuses it.
async fn answer_memory(client: &mut Client, frame: Bytes, bytes: usize) -> Option<Whole> {
    client.lease = client.node.account.take(bytes).await;
    if client.lease.is_some() {
        return Some(Whole::Again(frame));
    }
    large::refuse_frame(client, &frame);
    None
}

/// Answers a failed login after a while.
async fn late(
    client: &mut Client,
    wait: Duration,
    request: &Header,
    error: RequestError,
) -> Result<(), End> {
    tokio::select! {
        () = client.seat.lost().cancelled() => Err(End::of_lost(&client.seat)),
        () = sleep_until(client.login_deadline()) => Err(not_authenticated(client)),
        () = sleep(wait) => {
            client.fail(request, error);
            Ok(())
        }
    }
}

/// Reads more into `buffer`.
async fn read(client: &mut Client, stream: &mut Socket, buffer: &mut BytesMut) -> Result<(), End> {
    let stranger = client.login.is_none();
    // Many small frames, or a part of one that is not large.
    buffer.reserve(if stranger { STRANGER_READ_BYTES } else { client.free_bytes });
    let deadline = client.login_deadline();
    let read = tokio::select! {
        // First: nobody goes on with a login that has ended.
        biased;
        () = client.seat.lost().cancelled() => return last_late(client).await,
        () = sleep_until(deadline), if stranger => return Err(not_authenticated(client)),
        // Before more requests, which may come without an end.
        given = client.replies.next_late(), if client.replies.has_late() => {
            client.give(given);
            while let Some(given) = client.replies.next_late().now_or_never() {
                client.give(given);
            }
            return Ok(());
        }
        read = stream.read_buf(buffer) => read,
        () = client.maps.changed(), if !stranger => {
            client.tell_of_maps();
            return Ok(());
        }
    };
    match read {
        Ok(0) => Err(End::Normal),
        Ok(count) => {
            client.node.counters.bytes_read.add(count as u64);
            Ok(())
        }
        Err(error) => Err(End::Io(error)),
    }
}

/// Gives the answers that may come late once the node stops, which decides them at once; without
/// one the session ends.
async fn last_late(client: &mut Client) -> Result<(), End> {
    if client.seat.is_shutdown()
        && client.replies.has_late()
        && let Ok(given) = timeout(LATE_STOPPING, client.replies.next_late()).await
    {
        client.give(given);
        return Ok(());
    }
    Err(End::of_lost(&client.seat))
}

/// Writes all answers that may come late: a connection of DCP has none.
async fn give_all_late(client: &mut Client, stream: &mut Socket) -> Result<(), End> {
    while client.replies.has_late() {
        tokio::select! {
            biased;
            () = client.seat.lost().cancelled() => last_late(client).await?,
            given = client.replies.next_late() => client.give(given),
        }
    }
    flush(client, stream).await
}

fn not_authenticated(client: &Client) -> End {
    End::NotAuthenticated(client.node.limits.authentication())
}

/// Waits for the commits of what was executed, and writes the answers.
async fn flush(client: &mut Client, stream: &mut Socket) -> Result<(), End> {
    let (out, value) = client.settle().await.map_err(End::Broken)?;
    if !out.is_empty() {
        let value = value.unwrap_or_default();
        if out.len() + value.len() > FREE_BYTES && !client.unsent_limited {
            client.unsent_limited = true;
            stream.limit_unsent(UNSENT_BYTES_MAX);
        }
        client.node.counters.bytes_written.add((out.len() + value.len()) as u64);
        let lease = client.lease.as_ref();
        progress::write(stream, &out, &client.seat, lease).await?;
        progress::write(stream, &value, &client.seat, lease).await?;
        progress::next(stream.flush(), &client.seat, lease).await?;
    }
    client.lease = None;
    Ok(())
}
