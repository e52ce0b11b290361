//! Requests and responses over one connection, each with a deadline, for the handshake, the client
//! and the stream reader. The pump, which must not build frames, does not use it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::{FrameBuilder, HEADER_BYTES, Header, MAX_BODY_BYTES, Magic, Opaque, Opcode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{BoxRead, BoxWrite, ConnectionStep, Fault, PeerRecorder, Response, TlsFault};

/// The size of one read: what a socket usually has, and small enough for many idle connections.
const READ_BYTES: usize = 32 * 1024;
/// The size of one read of a connection whose frames are streamed: half of what the receive buffer
/// of a peer on the same machine has.
const STREAM_READ_BYTES: usize = 256 * 1024;

/// The largest answer to a request that returns no document, in bytes: 1 MiB. The largest of those
/// in use, the seqnos of all 65,536 vBuckets, has 640 KiB. It bounds the memory of many handshakes
/// at a time.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The largest frame that may arrive while `step` is awaited, in bytes.
const fn answer_bytes_max(step: ConnectionStep) -> usize {
    match step {
        ConnectionStep::Relay
        | ConnectionStep::Request(
            Opcode::GET | Opcode::GETK | Opcode::GAT | Opcode::GET_LOCKED | Opcode::GET_REPLICA,
        ) => HEADER_BYTES + MAX_BODY_BYTES as usize,
        ConnectionStep::Connect | ConnectionStep::Tls | ConnectionStep::Request(_) => {
            ANSWER_BYTES_MAX
        }
    }
}

/// Reads whole frames from a connection. Memory grows with the bytes received, never with a length
/// that a header claims.
pub(crate) struct FrameReader {
    reader: BoxRead,
    buffer: BytesMut,
    read_bytes: usize,
}

impl FrameReader {
    /// Reads more at a time from now on.
    pub(crate) const fn stream(&mut self) {
        self.read_bytes = STREAM_READ_BYTES;
    }

    /// Returns the next frame. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, step: ConnectionStep) -> Result<Bytes, Fault> {
        loop {
            if let Some(frame) = self.buffered(step)? {
                return Ok(frame);
            }
            if self.buffer.capacity() == self.buffer.len() {
                self.grow();
            }
            let read = self.reader.read_buf(&mut self.buffer).await;
            if read.map_err(|source| Fault::broken(step, source))? == 0 {
                return Err(Fault::Closed { step, cut_off_bytes: self.buffer.len() });
            }
        }
    }

    /// Makes room to read more: of an incomplete frame up to 16 times what there is, and not beyond
    /// its end, so that little of a large frame is copied and its buffer is no larger than it.
    fn grow(&mut self) {
        let (frame, length) = (Header::peek(&self.buffer).ok().flatten(), self.buffer.len());
        let missing = frame.map_or(0, |header| header.frame_bytes().saturating_sub(length));
        let more = missing.min(15 * length);
        if more <= self.read_bytes {
            return self.buffer.reserve(self.read_bytes);
        }
        // `reserve` would make it twice as large at least.
        let mut larger = BytesMut::with_capacity(length + more);
        larger.extend_from_slice(&self.buffer);
        self.buffer = larger;
    }

    /// Returns the next frame if it was received completely.
    pub(crate) fn buffered(&mut self, step: ConnectionStep) -> Result<Option<Bytes>, Fault> {
        let header = Header::peek(&self.buffer);
        let garbage = |source| {
            let is_tls = TlsFault::is_alert(&self.buffer);
            if is_tls { Fault::Tls(TlsFault::Wanted) } else { Fault::Garbage { step, source } }
        };
        let Some(header) = header.map_err(garbage)? else {
            return Ok(None);
        };
        let (frame_bytes, max_bytes) = (header.frame_bytes(), answer_bytes_max(step));
        if frame_bytes > max_bytes {
            return Err(Fault::TooLarge { opcode: header.opcode, frame_bytes, max_bytes });
        }
        let whole = self.buffer.len() >= frame_bytes;
        Ok(whole.then(|| self.buffer.split_to(frame_bytes).freeze()))
    }
}

/// A connection on which every request waits for its response.
pub(crate) struct Exchange {
    pub(crate) frames: FrameReader,
    pub(crate) writer: BoxWrite,
    deadline: Duration,
    opaque: Opaque,
    /// Whether the node has sent a request of its own since [`Exchange::told`] returned.
    is_told: bool,
    /// Where the requests of [`Exchange::call`] and their answers are recorded.
    recorder: Option<PeerRecorder>,
}

impl Exchange {
    /// `deadline` is for each request and its response together.
    pub(crate) fn new((reader, writer): (BoxRead, BoxWrite), deadline: Duration) -> Self {
        let buffer = BytesMut::with_capacity(READ_BYTES);
        let frames = FrameReader { reader, buffer, read_bytes: READ_BYTES };
        Self { frames, writer, deadline, opaque: Opaque(0), is_told: false, recorder: None }
    }

    /// Records handshakes.
    pub(crate) fn recorded(self, recorder: Option<PeerRecorder>) -> Self {
        Self { recorder, ..self }
    }

    /// The deadline of each request.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns an opaque that no unanswered request has.
    pub(crate) const fn next_opaque(&mut self) -> Opaque {
        self.opaque = Opaque(self.opaque.0.wrapping_add(1));
        self.opaque
    }

    /// Marks the opaques up to `opaque` as used.
    pub(crate) const fn skip_to(&mut self, opaque: Opaque) {
        self.opaque = opaque;
    }

    /// Sends a request with a new opaque, and returns its response, whatever its status.
    pub(crate) async fn call(&mut self, request: FrameBuilder<'_>) -> Result<Response, Fault> {
        let step = ConnectionStep::Request(request.opcode());
        let opaque = self.next_opaque();
        let request = request.opaque(opaque).build();
        if let Some(recorder) = &self.recorder {
            recorder.asked(&request);
        }
        self.within(step, async |this| {
            let Err(fault) = this.send(&request, step).await else {
                return this.answer(step, opaque).await;
            };
            // With TLS 1.3 a client learns only now that its certificate was refused. The peer may
            // have closed the connection, but its alert can still be read.
            match this.answer(step, opaque).await {
                Err(why @ Fault::Tls(_)) => Err(why),
                _ => Err(fault),
            }
        })
        .await
    }

    /// Writes whole frames. The caller sets the deadline.
    pub(crate) async fn send(&mut self, frames: &[u8], step: ConnectionStep) -> Result<(), Fault> {
        let broken = |source| Fault::broken(step, source);
        self.writer.write_all(frames).await.map_err(broken)?;
        self.writer.flush().await.map_err(broken)
    }

    /// Returns the next frame, which must be the response to `opaque`. The caller sets the
    /// deadline.
    pub(crate) async fn response(
        &mut self,
        step: ConnectionStep,
        opaque: Opaque,
    ) -> Result<Response, Fault> {
        Response::of(self.frames.next(step).await?, step, opaque)
    }

    /// As [`Exchange::response`], and records it.
    async fn answer(&mut self, step: ConnectionStep, opaque: Opaque) -> Result<Response, Fault> {
        let mut frame = self.frames.next(step).await;
        while frame.as_ref().is_ok_and(|frame| is_of_node(frame)) {
            self.is_told = true;
            frame = self.frames.next(step).await;
        }
        if let Some(recorder) = &self.recorder {
            match &frame {
                Ok(frame) => recorder.answered(frame),
                Err(Fault::Closed { .. }) => recorder.closed(),
                Err(_) => {}
            }
        }
        Response::of(frame?, step, opaque)
    }

    /// Waits until the node has sent a request of its own, which it does only where HELLO has asked
    /// for it. Such requests need no answer. Dropping the future loses nothing.
    pub(crate) async fn told(&mut self, step: ConnectionStep) -> Result<(), Fault> {
        if !self.is_told {
            let frame = self.frames.next(step).await?;
            if !is_of_node(&frame) {
                let header = Header::peek(&frame);
                let opcode = header.ok().flatten().map_or(Opcode(0), |header| header.opcode);
                return Err(Fault::Unexpected { step, opcode });
            }
        }
        self.is_told = false;
        Ok(())
    }

    /// Runs `work` with this connection's deadline.
    pub(crate) async fn within<T>(
        &mut self,
        step: ConnectionStep,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let after = self.deadline;
        timeout(after, work(self)).await.unwrap_or(Err(Fault::TimedOut { step, after }))
    }

    /// Returns the two halves of the connection, and the bytes that were read after the last frame.
    pub(crate) fn into_parts(self) -> (BoxRead, BoxWrite, Bytes) {
        (self.frames.reader, self.writer, self.frames.buffer.freeze())
    }
}

/// Whether a whole frame is a request that the node sends to its client.
fn is_of_node(frame: &[u8]) -> bool {
    frame.first() == Some(&(Magic::ServerRequest as u8))
}
