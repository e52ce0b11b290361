//! The connections of the load: plain or encrypted, blocking, each with a way to end it from afar.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Outcome;

/// How long anything may take that happens at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between attempts to reach a process that starts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(5);

/// What the load reads and writes.
pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A connection.
pub(crate) struct Socket {
    pub(crate) stream: Box<dyn Stream>,
    tcp: TcpStream,
}

impl Socket {
    pub(crate) fn plain(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        Ok(Self { stream: Box::new(tcp.try_clone()?), tcp })
    }

    pub(crate) fn encrypted(tcp: TcpStream, config: &Arc<ServerConfig>) -> Outcome<Self> {
        tcp.set_nodelay(true)?;
        let session = ServerConnection::new(Arc::clone(config))?;
        Ok(Self { stream: Box::new(StreamOwned::new(session, tcp.try_clone()?)), tcp })
    }

    /// Connects to a process that may still be starting.
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(address) {
                Ok(tcp) => return Ok(Self::plain(tcp)?),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => sleep(ATTEMPT_PAUSE),
            }
        }
    }

    /// What ends the connection, and every wait on it, from another thread.
    pub(crate) fn stopper(&self) -> io::Result<TcpStream> {
        self.tcp.try_clone()
    }

    /// A limit for every single read and write.
    pub(crate) fn be_patient(&self, patience: Option<Duration>) -> io::Result<()> {
        self.tcp.set_read_timeout(patience)?;
        self.tcp.set_write_timeout(patience)
    }
}

/// A listener on a free port of this machine.
pub(crate) fn listen() -> Outcome<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A certificate for this machine, in PEM, and the side of TLS that shows it.
pub(crate) fn certificate() -> Outcome<(String, Arc<ServerConfig>)> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok((made.cert.pem(), Arc::new(config)))
}
