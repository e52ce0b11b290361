//! The session of a client connection: frames in, answers out, in order.
//!
//! All whole frames of one read are executed, then their commits are awaited together, then their
//! answers leave with one write. Nothing is read while answers wait, which bounds their memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use invariant::Broken;
use log::{debug, warn};
use logline::value;
use mcbp::{Frame, FrameError, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::blocking::on_disk;
use crate::client::Client;
use crate::command::{self, Flow};
use crate::context::Context;
use crate::dcp::{DcpOpen, Handover};
use crate::protocol::RequestError;
use crate::protocol::framing::{self, Malformed};
use crate::tls::Socket;

/// How much is read at once: many small frames, and a large one in a few hundred reads.
const READ_BYTES: usize = 64 * 1024;
/// Answers are written out beyond this even if more requests wait in the buffer.
const REPLY_BYTES_MAX: usize = 256 * 1024;
/// A read buffer that grew beyond this for a large frame is not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// How long a peer may take to read its answers before it is considered dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a session ended.
enum End {
    /// The peer left, or was asked to by its own QUIT.
    Normal,
    Io(std::io::Error),
    Malformed(FrameError),
    /// The client did not authenticate within this time.
    NotAuthenticated(Duration),
    /// The node stops.
    Shutdown,
    Broken(Broken),
    /// From here on the connection speaks DCP.
    Dcp(Box<DcpOpen>),
}

/// Why no more frames are executed for now.
enum Pause {
    /// The next frame has not arrived.
    NeedsBytes,
    /// The answers are to be written first.
    RepliesFull,
    End(End),
}

/// Serves one connection until it ends, or until it opens DCP: then the rest is for
/// [`crate::dcp::serve`].
pub(crate) async fn serve(
    mut stream: Socket,
    peer: SocketAddr,
    node: Arc<Context>,
) -> Option<Handover> {
    let shutdown = node.shutdown.clone();
    let mut buffer = BytesMut::new();
    let mut client = Client::new(node, peer);
    match run(&mut client, &mut stream, &mut buffer, &shutdown).await {
        End::Dcp(open) => return Some(Handover { stream, buffer, open: *open, peer, shutdown }),
        End::Malformed(error) => {
            warn!("malformed frame, closing peer={peer} error={}", value(error))
        }
        End::NotAuthenticated(wait) => {
            warn!("not authenticated in time, closing peer={peer} seconds={}", wait.as_secs());
        }
        End::Io(error) => debug!("connection lost peer={peer} error={}", value(error)),
        End::Broken(error) => warn!("closing a connection peer={peer} error={}", value(error)),
        End::Normal | End::Shutdown => {}
    }
    None
}

async fn run(
    client: &mut Client,
    stream: &mut Socket,
    buffer: &mut BytesMut,
    shutdown: &CancellationToken,
) -> End {
    let patience = client.node.limits.authentication;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let pause = on_disk(execute(client, buffer)).await;
        match flush(client, stream).await {
            Ok(()) => {}
            Err(end) => return end,
        }
        match pause {
            Pause::End(end) => return end,
            Pause::RepliesFull => continue,
            Pause::NeedsBytes => {}
        }
        if buffer.is_empty() && buffer.capacity() > KEPT_BUFFER_BYTES_MAX {
            *buffer = BytesMut::new();
        }
        buffer.reserve(READ_BYTES);
        let read = tokio::select! {
            () = shutdown.cancelled() => return End::Shutdown,
            () = tokio::time::sleep_until(deadline), if client.login.is_none() => {
                return End::NotAuthenticated(patience);
            }
            read = stream.read_buf(buffer) => read,
        };
        match read {
            Ok(0) => return End::Normal,
            Ok(count) => client.node.counters.bytes_read.add(count as u64),
            Err(error) => return End::Io(error),
        }
    }
}

/// Executes the whole frames at the front of `buffer`.
async fn execute(client: &mut Client, buffer: &mut BytesMut) -> Pause {
    while client.replies.bytes() < REPLY_BYTES_MAX {
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
        let frame = match Frame::parse(&bytes) {
            Ok(frame) => frame,
            Err(error) => return Pause::End(End::Malformed(error)),
        };
        match command::execute(client, frame).await {
            Flow::Next => {}
            Flow::Close => return Pause::End(End::Normal),
            Flow::Dcp(open) => return Pause::End(End::Dcp(open)),
        }
    }
    Pause::RepliesFull
}

/// Waits for the commits of what was executed, and writes the answers.
async fn flush(client: &mut Client, stream: &mut Socket) -> Result<(), End> {
    let out = client.replies.settle().await.map_err(End::Broken)?;
    if out.is_empty() {
        return Ok(());
    }
    client.node.counters.bytes_written.add(out.len() as u64);
    let written = async {
        stream.write_all(&out).await?;
        stream.flush().await
    };
    match tokio::time::timeout(WRITE_TIMEOUT, written).await {
        Ok(written) => written.map_err(End::Io),
        Err(late) => Err(End::Io(late.into())),
    }
}
