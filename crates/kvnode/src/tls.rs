//! TLS of the listener, and a socket that may use it. A plain connection pays one comparison for
//! each call.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use relay::Reloading;
use relay::tls::{mismatch, pem, provider};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::server::TlsStream;

/// How long a client whose handshake failed may take to read the alert and to close.
const ALERT_WAIT: Duration = Duration::from_secs(1);

/// The certificate of the listener, and which certificates it asks clients for. Its files are read
/// again once they have changed; clones share them.
#[derive(Clone, Debug)]
pub struct Tls(Reloading<ServerConfig>);

impl Tls {
    /// Reads PEM files: the certificate (followed by its intermediate certificates), its key, and
    /// the authorities that sign clients' certificates, if clients must present one.
    ///
    /// # Errors
    /// What is wrong, as text, with the name of the file.
    pub fn load(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, String> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let client_ca = client_ca.map(Path::to_owned);
        let mut files = vec![certificate.clone(), key.clone()];
        files.extend(client_ca.clone());
        let load = move || server_config(&certificate, &key, client_ca.as_deref()).map(Arc::new);
        Reloading::read("certificates", files, load, |text| text).map(Self)
    }

    /// Takes the files of `other`, for all clones of `self`.
    pub(crate) fn adopt(&self, other: &Self) {
        self.0.adopt(&other.0);
    }

    /// Does the handshake, for which the caller sets a deadline. A client that fails gets an alert.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Socket> {
        let acceptor = TlsAcceptor::from(self.0.refreshed().await);
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
            Err((error, stream)) => {
                let _late = tokio::time::timeout(ALERT_WAIT, until_closed(stream)).await;
                Err(error)
            }
        }
    }
}

/// Reads the files and checks that they belong together.
fn server_config(
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<ServerConfig, String> {
    let text = |error: pem::PemError| error.to_string();
    let chain = pem::certificates(certificate).map_err(text)?;
    let secret = pem::private_key(key).map_err(text)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(pem::authorities(path).map_err(text)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = verifier.build();
            let wrong = |error| format!("file {}: {error}", path.display());
            builder.with_client_cert_verifier(verifier.map_err(wrong)?)
        }
    };
    builder.with_single_cert(chain, secret).map_err(|error| mismatch(&error, certificate, key))
}

/// Waits until the other side has closed. If bytes were left unread, closing would send a reset,
/// which can overtake the alert.
async fn until_closed(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A connection, plain or encrypted.
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// See [`relay::limit_unsent`].
    pub(crate) fn limit_unsent(&self, bytes: u32) {
        match self {
            Self::Plain(stream) => relay::limit_unsent(stream, bytes),
            Self::Tls(stream) => relay::limit_unsent(stream.get_ref().0, bytes),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, room),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, room),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
