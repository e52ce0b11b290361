//! The socket of a DCP connection, with a buffer for each direction and whole frames between them.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use invariant::{Broken, broken};
use log::{debug, info, warn};
use logline::value;
use mcbp::{Frame, FrameError, Header};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use crate::admission::Seat;
use crate::tls::Socket;

/// How much is read at once.
const READ_BYTES: usize = 128 * 1024;

/// Frames may share the memory of a read that brought at least this much: then the memory that a
/// few of them keep alive is at most twice their bytes.
const SHARED_BYTES_MIN: usize = READ_BYTES / 2;

/// No more is read while so many bytes of answers are queued, because the peer asks and does not
/// read. What streams have written does not count: requests that close them are to be heeded.
const ANSWER_BYTES_READ_STOP: usize = 1024 * 1024;

/// So much is written before the task yields once.
const YIELD_BYTES: u64 = 256 * 1024;

/// A buffer that grew beyond this for a large frame is not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long the last bytes of a connection may take.
const LAST_WRITE_WAIT: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer closed it.
    ByPeer,
    /// The node stops.
    Shutdown,
    /// Its user was removed or has another password.
    Revoked,
    /// Another connection of the name was opened.
    Displaced,
    Io(std::io::Error),
    Malformed(FrameError),
    Broken(Broken),
    /// This side closes it, for this reason; what is in the buffer is still written.
    Closing(String),
}

/// Which buffers hold more memory than they keep.
#[derive(Default)]
struct Grown {
    input: bool,
    out: bool,
}

/// See the module.
pub(super) struct Wire {
    name: String,
    stream: Socket,
    input: BytesMut,
    inbox: Inbox,
    /// Output to be written.
    pub(super) out: BytesMut,
    /// How much of it answers requests; an upper bound.
    answer_bytes: usize,
    written_bytes: u64,
    /// How many of them were written when the task yielded last.
    yielded_at: u64,
    /// Whether the buffers grew for a large frame.
    grown: Grown,
    /// Whether TLS may still hold some of what was written.
    unflushed: bool,
    /// Whether more is read.
    pub(super) reading: bool,
    opened: Instant,
    seat: Arc<Seat>,
    displaced: CancellationToken,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection={}", value(&self.name))
    }
}

impl Wire {
    pub(super) fn new(
        name: String,
        stream: Socket,
        input: BytesMut,
        inbox: Inbox,
        seat: Arc<Seat>,
        displaced: CancellationToken,
    ) -> Self {
        Self {
            name,
            stream,
            input,
            inbox,
            out: BytesMut::new(),
            answer_bytes: 0,
            written_bytes: 0,
            yielded_at: 0,
            grown: Grown::default(),
            unflushed: false,
            reading: true,
            opened: Instant::now(),
            seat,
            displaced,
        }
    }

    /// The machine's clock: the time since the connection was opened.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// How many bytes were written in all.
    pub(super) const fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Whether much was written since this was true last.
    pub(super) fn is_long_since_yield(&mut self) -> bool {
        let is_long = self.written_bytes - self.yielded_at >= YIELD_BYTES;
        if is_long {
            self.yielded_at = self.written_bytes;
        }
        is_long
    }

    /// Calls `each` with every whole frame that was read, the memory that it lies in if that may be
    /// kept, and the buffer for its answers.
    pub(super) fn frames(
        &mut self,
        mut each: impl FnMut(&Frame<'_>, Option<&Bytes>, &mut BytesMut),
    ) -> Result<(), Ended> {
        self.grown.input |= self.input.len() > KEPT_BUFFER_BYTES_MAX;
        let (whole_bytes, lost) = whole_frames(&self.input);
        let read = self.input.split_to(whole_bytes).freeze();
        let memory = (whole_bytes >= SHARED_BYTES_MIN).then_some(&read);
        let mut rest = read.as_ref();
        let before = self.out.len();
        while !rest.is_empty() {
            let frame = Frame::parse(rest).map_err(Ended::Malformed)?;
            each(&frame, memory, &mut self.out);
            let frame_bytes = frame.header.frame_bytes();
            let short = || broken!("a frame of {frame_bytes} in {} bytes", rest.len());
            rest = rest.get(frame_bytes..).ok_or_else(short).map_err(Ended::Broken)?;
        }
        self.answer_bytes += self.out.len() - before;
        lost.map_or(Ok(()), |error| Err(Ended::Malformed(error)))
    }

    /// Waits until something was read or written, or the connection ends. Safe to drop at any wait.
    pub(super) async fn moved(&mut self) -> Result<(), Ended> {
        self.answer_bytes = self.answer_bytes.min(self.out.len());
        let mut may_read = self.reading && self.answer_bytes < ANSWER_BYTES_READ_STOP;
        if may_read {
            shrink(&mut self.input, &mut self.grown.input);
            may_read = self.inbox.may_read(&mut self.input);
            self.input.reserve(if may_read { READ_BYTES } else { 0 });
            if let Some(reason) = self.inbox.stalled(self.input.len()) {
                return Err(Ended::Closing(reason));
            }
        }
        shrink(&mut self.out, &mut self.grown.out);
        let Self { stream, input, inbox, out, unflushed, written_bytes, .. } = self;
        let moved = poll_fn(|cx| {
            // Each direction has a turn every time, so that neither starves the other.
            let queued = out.len();
            let written = poll_out(stream, out, unflushed, cx)?;
            *written_bytes += (queued - out.len()) as u64;
            let read = if may_read { poll_in(stream, input, cx)? } else { Poll::Pending };
            if written.is_ready() { written.map(Ok) } else { read.map(Ok) }
        });
        tokio::select! {
            () = self.seat.lost().cancelled() => Err(match self.seat.is_revoked() {
                true => Ended::Revoked,
                false => Ended::Shutdown,
            }),
            () = self.displaced.cancelled() => Err(Ended::Displaced),
            moved = moved => moved,
            () = inbox.granted() => Ok(()),
        }
    }

    /// Logs why the connection ended, writes what is still of use to the peer, and closes.
    pub(super) async fn close(&mut self, ended: Ended) {
        match &ended {
            Ended::ByPeer => info!("dcp connection closed by its peer {self}"),
            Ended::Shutdown => debug!("dcp connection closed, the node stops {self}"),
            Ended::Revoked => {
                info!("dcp connection closed, its user is gone or has another password {self}")
            }
            Ended::Displaced => info!("dcp connection displaced by another of its name {self}"),
            Ended::Io(error) => info!("dcp connection lost {self} error={}", value(error)),
            Ended::Malformed(error) => {
                warn!("malformed frame, closing {self} error={}", value(error))
            }
            Ended::Broken(error) => warn!("closing a dcp connection {self} error={}", value(error)),
            Ended::Closing(reason) => {
                warn!("closing a dcp connection {self} reason={}", value(reason))
            }
        }
        // A peer that has ended only its own side still reads what it was refused.
        if matches!(ended, Ended::Closing(_) | Ended::ByPeer) {
            let last = async {
                self.stream.write_all_buf(&mut self.out).await?;
                self.stream.flush().await
            };
            let _lost = tokio::time::timeout(LAST_WRITE_WAIT, last).await;
        }
        // The deadline is for a TLS peer that reads nothing.
        let _gone = tokio::time::timeout(LAST_WRITE_WAIT, self.stream.shutdown()).await;
    }
}

/// Returns how many bytes at the front are whole frames, and the error of the header after them.
fn whole_frames(input: &[u8]) -> (usize, Option<FrameError>) {
    let mut rest = input;
    let error = loop {
        match Header::peek(rest) {
            Ok(Some(header)) => match rest.get(header.frame_bytes()..) {
                Some(after) => rest = after,
                None => break None,
            },
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    (input.len() - rest.len(), error)
}

/// Frees the memory of a buffer once a large frame has left it. What came after that is copied.
fn shrink(buffer: &mut BytesMut, grown: &mut bool) {
    *grown |= buffer.len() > KEPT_BUFFER_BYTES_MAX;
    if *grown && buffer.len() < READ_BYTES {
        (*buffer, *grown) = (BytesMut::from(buffer.as_ref()), false);
    }
}

/// Writes some of `out`. Ready once bytes have left it. Flushes what TLS holds.
fn poll_out(
    stream: &mut Socket,
    out: &mut BytesMut,
    unflushed: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Ended>> {
    if !out.is_empty() {
        let count = ready!(Pin::new(stream).poll_write(cx, out)).map_err(Ended::Io)?;
        out.advance(count);
        *unflushed = true;
        return Poll::Ready(Ok(()));
    }
    if *unflushed {
        ready!(Pin::new(stream).poll_flush(cx)).map_err(Ended::Io)?;
        *unflushed = false;
    }
    Poll::Pending
}

fn poll_in(
    stream: &mut Socket,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Ended>> {
    match ready!(poll_read_buf(Pin::new(stream), cx, input)) {
        Ok(0) => Poll::Ready(Err(Ended::ByPeer)),
        Ok(_) => Poll::Ready(Ok(())),
        Err(error) => Poll::Ready(Err(Ended::Io(error))),
    }
}
