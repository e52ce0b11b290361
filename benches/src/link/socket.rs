//! The blocking connections of the load, plain or with TLS, which other threads can close.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{CipherSuite, ServerConfig, ServerConnection, StreamOwned};

use crate::Fallible;

/// The deadline of anything that should happen immediately.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between attempts to connect to a process that starts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(5);

/// A stream that the load reads and writes.
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

    /// Encrypted where a configuration is given.
    pub(crate) fn accepted(tcp: TcpStream, config: Option<&Arc<ServerConfig>>) -> Fallible<Self> {
        let Some(config) = config else { return Ok(Self::plain(tcp)?) };
        tcp.set_nodelay(true)?;
        let session = ServerConnection::new(Arc::clone(config))?;
        Ok(Self { stream: Box::new(StreamOwned::new(session, tcp.try_clone()?)), tcp })
    }

    /// Connects to a process that may still be starting.
    pub(crate) fn connect(address: SocketAddr) -> Fallible<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(address) {
                Ok(tcp) => return Ok(Self::plain(tcp)?),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => sleep(ATTEMPT_PAUSE),
            }
        }
    }

    /// A handle with which another thread closes the connection and ends every wait on it.
    pub(crate) fn stopper(&self) -> io::Result<TcpStream> {
        self.tcp.try_clone()
    }

    /// Sets the timeout of every read and write.
    pub(crate) fn be_patient(&self, patience: Option<Duration>) -> io::Result<()> {
        self.tcp.set_read_timeout(patience)?;
        self.tcp.set_write_timeout(patience)
    }
}

/// A listener on a free port of this machine.
pub(crate) fn listen() -> Fallible<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A certificate for this machine, in PEM, and the TLS server configuration with it. It has one
/// version and one cipher suite, which rustls and OpenSSL both prefer: all ways use the same.
pub(crate) fn certificate() -> Fallible<(String, Arc<ServerConfig>)> {
    let names = ["127.0.0.1", "localhost"];
    let made = rcgen::generate_simple_self_signed(names.map(str::to_owned))?;
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut provider = relay::tls::provider().as_ref().clone();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_256_GCM_SHA384);
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok((made.cert.pem(), Arc::new(config)))
}
