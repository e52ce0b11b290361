//! One connection of a fake peer, which a test drives frame by frame.

use std::fmt::Debug;
use std::io;

use bytes::{Bytes, BytesMut};
use mcbp::{Feature, FrameBuilder, Header, Opcode, Status};
use scram::Challenged;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{PATIENCE, must, view};

/// The connection of a fake peer, plain or encrypted.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Duplex for S {}

/// The fields of a DCP_OPEN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// See [`mcbp::dcp::open_flags`].
    pub flags: u32,
    /// The name of the connection.
    pub name: String,
    /// The JSON value, or an empty string.
    pub value: String,
}

/// The fake peer's end of a connection.
#[derive(Debug)]
pub struct FakeConn {
    stream: Option<Box<dyn Duplex>>,
    buffer: BytesMut,
    /// The features that HELLO requested.
    pub asked: Vec<Feature>,
    /// The DCP_OPEN of the handshake.
    pub opened: Option<Opened>,
    /// A login that waits for its second step.
    pub(super) challenged: Option<Challenged>,
}

impl FakeConn {
    pub(super) fn over(stream: impl Duplex + 'static) -> Self {
        let (stream, buffer) = (Some(Box::new(stream) as Box<dyn Duplex>), BytesMut::new());
        Self { stream, buffer, asked: Vec::new(), opened: None, challenged: None }
    }

    /// Sends nothing more, and waits until the other side has closed.
    pub(super) async fn finish(&mut self) {
        let Some(stream) = self.stream.as_mut() else { return };
        let _gone = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    }

    /// Returns the next frame, or `None` once the other side has closed.
    ///
    /// # Panics
    /// If nothing is received in time, or bytes that are not a frame.
    pub async fn recv(&mut self) -> Option<Bytes> {
        must("a frame in time", timeout(PATIENCE, self.next()).await)
    }

    async fn next(&mut self) -> Option<Bytes> {
        let stream = self.stream.as_mut()?;
        loop {
            if let Some(header) = must("a frame", Header::peek(&self.buffer))
                && self.buffer.len() >= header.frame_bytes()
            {
                return Some(self.buffer.split_to(header.frame_bytes()).freeze());
            }
            // An error counts as an end: the other side has gone.
            if stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Returns the next frame, which must be of `opcode`.
    ///
    /// # Panics
    /// If it is not, or nothing is received in time.
    pub async fn expect(&mut self, opcode: Opcode) -> Bytes {
        match self.recv().await {
            Some(frame) if view(&frame).opcode() == opcode => frame,
            other => panic!("{opcode} was expected, came: {:?}", other.as_deref().map(view)),
        }
    }

    /// Waits until the other side closes; ignores further frames.
    ///
    /// # Panics
    /// If it does not close in time.
    pub async fn expect_close(&mut self) {
        while self.recv().await.is_some() {}
    }

    /// Sends one frame.
    ///
    /// # Panics
    /// If the connection is closed.
    pub async fn send(&mut self, frame: FrameBuilder<'_>) {
        self.send_raw(&frame.build()).await;
    }

    /// Sends any bytes.
    ///
    /// # Panics
    /// If the connection is closed.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let Some(stream) = self.stream.as_mut() else { panic!("the connection is closed") };
        let sent = timeout(PATIENCE, stream.write_all(bytes)).await;
        must("send", must("room to send in time", sent));
        must("flush", stream.flush().await);
    }

    /// Sends any bytes; an error says that the connection is closed.
    ///
    /// # Errors
    /// The OS error.
    pub async fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(bytes).await?;
        stream.flush().await
    }

    /// Sends the same bytes again and again until the other side closes, or stops reading for as
    /// long as a test waits.
    pub async fn flood(&mut self, bytes: &[u8]) {
        let Some(stream) = self.stream.as_mut() else { return };
        while let Ok(Ok(())) = timeout(PATIENCE, stream.write_all(bytes)).await {}
    }

    /// Answers a request with only a status.
    ///
    /// # Panics
    /// As [`FakeConn::send`].
    pub async fn answer(&mut self, request: &[u8], status: Status) {
        self.answer_with(request, status, &[], &[]).await;
    }

    /// Answers a request.
    ///
    /// # Panics
    /// As [`FakeConn::send`].
    pub async fn answer_with(
        &mut self,
        request: &[u8],
        status: Status,
        extras: &[u8],
        value: &[u8],
    ) {
        let header = view(request).header;
        let frame = FrameBuilder::response(header.opcode, status).opaque(header.opaque);
        self.send(frame.extras(extras).value(value)).await;
    }

    /// Closes the connection.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }
}
