//! Fake data nodes that behave as a test tells them. For tests only: they panic.
//!
//! A [`FakePeer`] listens on a free port. [`FakePeer::accept`] accepts the next connection and
//! plays the handshake as [`Manners`] say. The test then drives the returned [`FakeConn`] frame by
//! frame: a slow, silent or broken peer is a test that waits, does nothing or sends garbage.

mod certificates;

use std::fmt::Debug;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::Open;
use mcbp::{Feature, Frame, FrameBuilder, Header, Opcode, Status, VbId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use certificates::{Authority, Identity, Validity};

use crate::{Endpoint, Secret};

/// The user and password that a fake peer accepts.
pub const CREDENTIALS: (&str, &str) = ("@proxy", "correct horse");
/// The only bucket of a fake peer.
pub const BUCKET: &str = "default";
/// The SASL mechanisms of a real node.
const MECHANISMS: &str = "PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1";
/// How long a test waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a fake peer misbehaves at a request of the handshake.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Never answers.
    Silence,
    /// Closes the connection.
    HangUp,
    /// Sends this instead of an answer.
    Raw(Vec<u8>),
    /// Answers with this status.
    Refuse(Status),
}

/// How a fake peer behaves in the handshake; by default correctly.
#[derive(Clone, Debug)]
pub struct Manners {
    /// The request at which it misbehaves, and how; then the handshake is over.
    pub bad_at: Option<(Opcode, Manner)>,
    /// Its SASL mechanisms, which it lists after it has refused SASL_AUTH; `None` to close the
    /// connection instead.
    pub mechanisms: Option<&'static str>,
    /// The features that it grants if requested.
    pub features: Vec<Feature>,
    /// The last request of the handshake: DCP_OPEN, or SELECT_BUCKET for a plain client.
    pub last: Opcode,
}

impl Default for Manners {
    fn default() -> Self {
        let features = vec![Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON];
        Self { bad_at: None, mechanisms: Some(MECHANISMS), features, last: Opcode::DCP_OPEN }
    }
}

impl Manners {
    /// Misbehaves at `opcode`.
    #[must_use]
    pub fn bad_at(opcode: Opcode, manner: Manner) -> Self {
        Self { bad_at: Some((opcode, manner)), ..Self::default() }
    }

    /// Correct behaviour towards a [`crate::Client`] that selects a bucket.
    #[must_use]
    pub fn for_client() -> Self {
        Self { last: Opcode::SELECT_BUCKET, ..Self::default() }
    }
}

/// A listener on a free loopback port.
#[derive(Debug)]
pub struct FakePeer {
    listener: TcpListener,
}

impl FakePeer {
    /// Listens.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn bind() -> Self {
        Self { listener: must("bind", TcpListener::bind("127.0.0.1:0").await) }
    }

    /// Its endpoint, with the right password.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Endpoint {
        let address = must("local address", self.listener.local_addr());
        let (username, password) = CREDENTIALS;
        Endpoint::new(name, address.to_string(), username, Secret::new(password))
    }

    /// Accepts the next connection and plays the handshake.
    ///
    /// # Panics
    /// If there is none in time, or it is closed during the handshake unexpectedly.
    pub async fn accept(&self, manners: &Manners) -> FakeConn {
        let mut conn = self.accept_raw().await;
        conn.handshake(manners).await;
        conn
    }

    /// Accepts the next connection, without the handshake.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn accept_raw(&self) -> FakeConn {
        FakeConn::over(self.next().await)
    }

    /// Accepts the next connection with TLS, without the handshake; `None` if TLS fails, after the
    /// other side got its alert.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn accept_tls(&self, acceptor: &TlsAcceptor) -> Option<FakeConn> {
        let stream = self.next().await;
        let accepting = timeout(PATIENCE, acceptor.accept(stream).into_fallible()).await;
        match must("TLS in time", accepting) {
            Ok(stream) => Some(FakeConn::over(stream)),
            Err((_, stream)) => {
                // Closing with unread bytes would reset the connection before the alert is read.
                let mut conn = FakeConn::over(stream);
                conn.finish().await;
                None
            }
        }
    }

    async fn next(&self) -> TcpStream {
        let accepted =
            must("a connection in time", timeout(PATIENCE, self.listener.accept()).await);
        let (stream, _) = must("accept", accepted);
        must("nodelay", stream.set_nodelay(true));
        stream
    }
}

/// The connection of a fake peer, plain or encrypted.
trait Duplex: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
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
}

impl FakeConn {
    fn over(stream: impl Duplex + 'static) -> Self {
        let (stream, buffer) = (Some(Box::new(stream) as Box<dyn Duplex>), BytesMut::new());
        Self { stream, buffer, asked: Vec::new(), opened: None }
    }

    /// Sends nothing more, and waits until the other side has closed.
    async fn finish(&mut self) {
        let Some(stream) = self.stream.as_mut() else { return };
        let _gone = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    }

    /// Plays the handshake as `manners` say, like [`FakePeer::accept`].
    ///
    /// # Panics
    /// If the other side closes during it.
    pub async fn greet(&mut self, manners: &Manners) {
        self.handshake(manners).await;
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

    async fn handshake(&mut self, manners: &Manners) {
        loop {
            let Some(bytes) = self.recv().await else { panic!("left during the handshake") };
            let request = view(&bytes);
            if let Some((opcode, manner)) = &manners.bad_at
                && request.opcode() == *opcode
            {
                match manner {
                    Manner::Silence => {}
                    Manner::HangUp => self.hang_up(),
                    Manner::Raw(junk) => self.send_raw(junk).await,
                    Manner::Refuse(status) => {
                        self.answer(&bytes, *status).await;
                        self.tell_mechanisms(*opcode, manners).await;
                    }
                }
                return;
            }
            let (status, value) = self.well_mannered(&request, manners);
            self.answer_with(&bytes, status, &[], &value).await;
            if !status.is_success() {
                self.tell_mechanisms(request.opcode(), manners).await;
                return;
            }
            if request.opcode() == manners.last {
                return;
            }
        }
    }

    /// Answers the request that follows a refused SASL_AUTH.
    async fn tell_mechanisms(&mut self, refused: Opcode, manners: &Manners) {
        if refused != Opcode::SASL_AUTH {
            return;
        }
        let asked = self.expect(Opcode::SASL_LIST_MECHS).await;
        match manners.mechanisms {
            Some(names) => {
                self.answer_with(&asked, Status::SUCCESS, &[], names.as_bytes()).await;
            }
            None => self.hang_up(),
        }
    }

    fn well_mannered(&mut self, request: &Frame<'_>, manners: &Manners) -> (Status, Vec<u8>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match request.opcode() {
            Opcode::SASL_AUTH => {
                let (username, password) = CREDENTIALS;
                let right = request.value == ["", username, password].join("\0").as_bytes();
                (if right { Status::SUCCESS } else { Status::AUTH_ERROR }, Vec::new())
            }
            Opcode::SELECT_BUCKET if request.key == BUCKET.as_bytes() => {
                (Status::SUCCESS, Vec::new())
            }
            Opcode::SELECT_BUCKET => (Status::KEY_ENOENT, Vec::new()),
            Opcode::HELLO => {
                let mut granted = must("a HELLO", Feature::decode_list(request));
                self.asked.clone_from(&granted);
                granted.retain(|feature| manners.features.contains(feature));
                (Status::SUCCESS, Feature::encode_list(&granted))
            }
            Opcode::DCP_OPEN => {
                let open = must("a DCP_OPEN", Open::decode(request));
                let (name, value) = (text(open.name), text(open.value));
                self.opened = Some(Opened { flags: open.flags, name, value });
                (Status::SUCCESS, Vec::new())
            }
            _ => (Status::UNKNOWN_COMMAND, Vec::new()),
        }
    }
}

/// Parses the frame in `bytes`.
///
/// # Panics
/// If it is not a frame.
#[must_use]
pub fn view(bytes: &[u8]) -> Frame<'_> {
    must("a frame", Frame::parse(bytes))
}

/// Returns a mutation as a producer sends it, with a value of `value_bytes`; the seqno determines
/// the bytes of the value.
#[must_use]
pub fn mutation(vb: VbId, opaque: mcbp::Opaque, seqno: u64, value_bytes: usize) -> Bytes {
    let key = format!("\0key-{seqno}");
    let fill = seqno.to_le_bytes().first().copied().unwrap_or_default();
    let target = mcbp::dcp::Target { vb, opaque, cas: seqno, datatype: mcbp::Datatype::RAW };
    let mutation = mcbp::dcp::Mutation {
        seqno: mcbp::Seqno(seqno),
        rev: 1,
        flags: 0,
        expiry: 0,
        lock_time: 0,
        nru: 0,
    };
    let mut out = BytesMut::new();
    mutation.write(target, key.as_bytes(), &vec![fill; value_bytes], &mut out);
    out.freeze()
}

fn must<T, E: Debug>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}
