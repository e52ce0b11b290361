//! Requests and responses over one connection, each with a deadline: what the handshake, the
//! client and the stream reader share. Never used by the pump, which must not build frames.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::{FrameBuilder, Header, Opaque};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{BoxRead, BoxWrite, Fault, Response, Step, TlsFault};

/// Room for one read: a socket's usual fill, small enough for many idle connections.
const READ_BYTES: usize = 32 * 1024;

/// Takes whole frames off a connection. Memory grows with what has come, never with a claim.
pub(crate) struct FrameReader {
    reader: BoxRead,
    buffer: BytesMut,
}

impl FrameReader {
    /// The next frame. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, step: Step) -> Result<Bytes, Fault> {
        loop {
            if let Some(frame) = self.buffered(step)? {
                return Ok(frame);
            }
            if self.buffer.capacity() == self.buffer.len() {
                self.buffer.reserve(READ_BYTES);
            }
            let read = self.reader.read_buf(&mut self.buffer).await;
            if read.map_err(|source| Fault::broken(step, source))? == 0 {
                return Err(Fault::Closed { step, cut_off_bytes: self.buffer.len() });
            }
        }
    }

    /// The next frame if all of it has come already.
    pub(crate) fn buffered(&mut self, step: Step) -> Result<Option<Bytes>, Fault> {
        let header = Header::peek(&self.buffer);
        let garbage = |source| {
            let is_tls = TlsFault::is_alert(&self.buffer);
            if is_tls { Fault::Tls(TlsFault::Wanted) } else { Fault::Garbage { step, source } }
        };
        let Some(header) = header.map_err(garbage)? else {
            return Ok(None);
        };
        let whole = self.buffer.len() >= header.frame_bytes();
        Ok(whole.then(|| self.buffer.split_to(header.frame_bytes()).freeze()))
    }
}

/// A connection on which every request waits for its response.
pub(crate) struct Exchange {
    pub(crate) frames: FrameReader,
    pub(crate) writer: BoxWrite,
    deadline: Duration,
    opaque: Opaque,
}

impl Exchange {
    /// `deadline` is for each request and its response together.
    pub(crate) fn new((reader, writer): (BoxRead, BoxWrite), deadline: Duration) -> Self {
        let frames = FrameReader { reader, buffer: BytesMut::with_capacity(READ_BYTES) };
        Self { frames, writer, deadline, opaque: Opaque(0) }
    }

    /// The deadline of each request.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// An opaque that no request in flight has.
    pub(crate) const fn next_opaque(&mut self) -> Opaque {
        self.opaque = Opaque(self.opaque.0.wrapping_add(1));
        self.opaque
    }

    /// Says that opaques up to `opaque` have been used.
    pub(crate) const fn skip_to(&mut self, opaque: Opaque) {
        self.opaque = opaque;
    }

    /// Sends a request, with an opaque of its own, and waits for the response, whatever its
    /// status.
    pub(crate) async fn call(&mut self, request: FrameBuilder<'_>) -> Result<Response, Fault> {
        let step = Step::Request(request.opcode());
        let opaque = self.next_opaque();
        let request = request.opaque(opaque).build();
        self.within(step, async |this| {
            let Err(fault) = this.send(&request, step).await else {
                return this.response(step, opaque).await;
            };
            // TLS 1.3 tells a client only now that its certificate is no good, and may have
            // closed the connection since: its alert is there to be read all the same.
            match this.response(step, opaque).await {
                Err(why @ Fault::Tls(_)) => Err(why),
                _ => Err(fault),
            }
        })
        .await
    }

    /// Writes whole frames. The caller brings the deadline.
    pub(crate) async fn send(&mut self, frames: &[u8], step: Step) -> Result<(), Fault> {
        let broken = |source| Fault::broken(step, source);
        self.writer.write_all(frames).await.map_err(broken)?;
        self.writer.flush().await.map_err(broken)
    }

    /// The next frame, which must be the response to `opaque`. The caller brings the deadline.
    pub(crate) async fn response(&mut self, step: Step, opaque: Opaque) -> Result<Response, Fault> {
        Response::of(self.frames.next(step).await?, step, opaque)
    }

    /// Runs `work` under this connection's deadline.
    pub(crate) async fn within<T>(
        &mut self,
        step: Step,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let after = self.deadline;
        timeout(after, work(self)).await.unwrap_or(Err(Fault::TimedOut { step, after }))
    }

    /// Takes the connection apart: its halves, and what was read beyond the last frame.
    pub(crate) fn into_parts(self) -> (BoxRead, BoxWrite, Bytes) {
        (self.frames.reader, self.writer, self.frames.buffer.freeze())
    }
}
