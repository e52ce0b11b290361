//! What a peer shows in a TLS handshake, for diagnosis: a link does not look at it.

use tokio::net::TcpStream;
use tokio_rustls::rustls::ProtocolVersion;

use super::{Tls, TlsFault};

/// The result of a handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The protocol version, such as `TLS 1.3`.
    pub version: &'static str,
    /// The peer's certificate and its intermediate certificates, each in DER form.
    pub chain: Vec<Vec<u8>>,
}

/// Performs the handshake of [`Tls`] over `stream`, with its checks of name, chain and validity,
/// and returns what the peer showed. The connection is closed. The caller sets the deadline.
///
/// With TLS 1.3 a peer may refuse our certificate after this has succeeded.
///
/// # Errors
/// A [`TlsFault`].
pub async fn look(tls: &Tls, stream: TcpStream) -> Result<Shown, TlsFault> {
    let connecting = tls.connector().await.connect(tls.server_name.clone(), stream);
    let stream = connecting.await.map_err(TlsFault::of_handshake)?;
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "an unknown version of TLS",
    };
    let chain = session.peer_certificates().unwrap_or_default();
    Ok(Shown { version, chain: chain.iter().map(|certificate| certificate.to_vec()).collect() })
}
