//! One client connection: frames in, answers out, in order.
//!
//! All whole frames of one read are carried out, then their commits are awaited together, then
//! their answers leave with one write. Nothing is read while answers wait: that is the bound.

mod fail;
mod features;
mod framer;
mod replies;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use log::{debug, warn};
use mcbp::{Datatype, Frame, FrameBuilder, FrameError, Header, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

pub(crate) use fail::Fail;
pub(crate) use features::Features;
use framer::Broken;
pub(crate) use replies::Replies;
pub(crate) use request::Request;

use crate::bucket::Bucket;
use crate::command::{self, Flow};
use crate::node::Shared;
use crate::tls::Socket;

/// How much is read at once: many small frames, and a large one in a few hundred reads.
const READ_BYTES: usize = 64 * 1024;
/// Answers are written out beyond this even if more requests wait in the buffer.
const REPLY_BYTES_MAX: usize = 256 * 1024;
/// A read buffer that grew beyond this for a large frame is not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// How long a peer may take to read its answers before it is taken for dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that has sent DCP_OPEN, on its way to [`crate::dcp::serve`].
pub(crate) struct DcpHandover {
    /// The socket; nothing is owed to the peer on it but the answer to `open`.
    pub(crate) stream: Socket,
    /// What was read behind `open`.
    pub(crate) buffer: BytesMut,
    /// The whole DCP_OPEN frame, not yet answered.
    pub(crate) open: Bytes,
    /// The bucket that was selected; warm-up has ended.
    pub(crate) bucket: Arc<Bucket>,
    /// What HELLO negotiated.
    pub(crate) features: Features,
    /// Who authenticated.
    pub(crate) user: String,
    /// Who it is, for the log.
    pub(crate) peer: SocketAddr,
    /// Cancelled when the node stops.
    pub(crate) shutdown: CancellationToken,
}

/// What a connection has come to be, and its answers.
pub(crate) struct Session {
    pub(crate) node: Arc<Shared>,
    pub(crate) peer: SocketAddr,
    pub(crate) user: Option<String>,
    pub(crate) bucket: Option<Arc<Bucket>>,
    pub(crate) features: Features,
    pub(crate) replies: Replies,
}

/// Why a connection ended.
enum End {
    /// The peer left, or was asked to by its own QUIT.
    Normal,
    Io(std::io::Error),
    Malformed(FrameError),
    NotAuthenticated,
    /// The node stops.
    Shutdown,
    /// It is a DCP connection from here on.
    Dcp {
        open: Bytes,
        bucket: Arc<Bucket>,
        user: String,
    },
}

/// Why no more frames were carried out.
enum Step {
    /// The next frame has not arrived.
    NeedsBytes,
    /// The answers are to be written first.
    RepliesFull,
    End(End),
}

/// Serves one connection to its end.
pub(crate) async fn serve(mut stream: Socket, peer: SocketAddr, node: Arc<Shared>) {
    let shutdown = node.shutdown.clone();
    let mut buffer = BytesMut::new();
    let mut session = Session {
        node,
        peer,
        user: None,
        bucket: None,
        features: Features::default(),
        replies: Replies::default(),
    };
    match session.run(&mut stream, &mut buffer, &shutdown).await {
        End::Dcp { open, bucket, user } => {
            let features = session.features;
            drop(session);
            let handover =
                DcpHandover { stream, buffer, open, bucket, features, user, peer, shutdown };
            crate::dcp::serve(handover).await;
        }
        End::Malformed(error) => warn!("malformed frame, closing peer={peer} error={error}"),
        End::NotAuthenticated => warn!("closing an idle unauthenticated connection peer={peer}"),
        End::Io(error) => debug!("connection lost peer={peer} error={error}"),
        End::Normal | End::Shutdown => {}
    }
}

impl Session {
    async fn run(
        &mut self,
        stream: &mut Socket,
        buffer: &mut BytesMut,
        shutdown: &CancellationToken,
    ) -> End {
        let deadline = tokio::time::Instant::now() + self.node.limits.authentication;
        loop {
            let step = crate::on_disk(self.carry_out(buffer)).await;
            if let Err(error) = self.flush(stream).await {
                return End::Io(error);
            }
            match step {
                Step::End(end) => return end,
                Step::RepliesFull => continue,
                Step::NeedsBytes => {}
            }
            if buffer.is_empty() && buffer.capacity() > KEPT_BUFFER_BYTES_MAX {
                *buffer = BytesMut::new();
            }
            buffer.reserve(READ_BYTES);
            let read = tokio::select! {
                () = shutdown.cancelled() => return End::Shutdown,
                () = tokio::time::sleep_until(deadline), if self.user.is_none() => {
                    return End::NotAuthenticated;
                }
                read = stream.read_buf(buffer) => read,
            };
            match read {
                Ok(0) => return End::Normal,
                Ok(count) => self.node.counters.bytes_read.add(count as u64),
                Err(error) => return End::Io(error),
            }
        }
    }

    /// Carries out whole frames at the front of `buffer`.
    async fn carry_out(&mut self, buffer: &mut BytesMut) -> Step {
        while self.replies.bytes() < REPLY_BYTES_MAX {
            let bytes = match framer::next(buffer, self.user.is_some()) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Step::NeedsBytes,
                Err(Broken { error, request }) => {
                    if let Some(request) = request {
                        self.fail(&request, &Fail::new(Status::EINVAL, error));
                    }
                    return Step::End(End::Malformed(error));
                }
            };
            // The framer has parsed the header: the rest cannot fail.
            let Ok(frame) = Frame::parse(&bytes) else { continue };
            match command::handle(self, frame).await {
                Flow::Next => {}
                Flow::Close => return Step::End(End::Normal),
                Flow::Dcp { bucket, user } => {
                    return Step::End(End::Dcp { open: bytes.clone(), bucket, user });
                }
            }
        }
        Step::RepliesFull
    }

    async fn flush(&mut self, stream: &mut Socket) -> std::io::Result<()> {
        let out = self.replies.settle().await;
        if out.is_empty() {
            return Ok(());
        }
        self.node.counters.bytes_written.add(out.len() as u64);
        let written = async {
            stream.write_all(&out).await?;
            stream.flush().await
        };
        tokio::time::timeout(WRITE_TIMEOUT, written).await?
    }

    /// Adds the answer to a request that failed.
    pub(crate) fn fail(&mut self, request: &Header, fail: &Fail) {
        let Fail { status, context, ticket } = fail;
        let answer = FrameBuilder::response(request.opcode, *status).opaque(request.opaque);
        if let Some(ticket) = ticket {
            return self.replies.promise(request, ticket.clone(), Some(&answer));
        }
        if context.is_empty() || !self.features.xerror {
            return self.replies.send(&answer);
        }
        debug!("request failed peer={} status={status} context={context}", self.peer);
        let body = serde_json::json!({ "error": { "context": context } }).to_string();
        let datatype = if self.features.json { Datatype::JSON } else { Datatype::RAW };
        self.replies.send(&answer.datatype(datatype).value(body.as_bytes()));
    }
}
