//! Fake data nodes that behave as a test tells them. For tests only: they panic.
//!
//! A [`FakePeer`] listens on a free port. [`FakePeer::accept`] accepts the next connection and
//! plays the handshake as [`Manners`] say. The test then drives the returned [`FakeConn`] frame by
//! frame: a slow, silent or broken peer is a test that waits, does nothing or sends garbage.

mod certificates;
mod conn;
mod manners;

use std::fmt::Debug;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, VbId};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use self::certificates::{Authority, Identity, Validity};
pub use self::conn::{FakeConn, Opened};
pub use self::manners::{Manner, Manners};

use crate::{Endpoint, Secret};

/// The user and password that a fake peer accepts.
pub const CREDENTIALS: (&str, &str) = ("dcp-proxy", "correct horse");
/// The only bucket of a fake peer.
pub const BUCKET: &str = "default";
/// How long a test waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

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
