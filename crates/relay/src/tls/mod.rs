//! TLS for connections to data nodes. Certificates and keys are read from PEM files, and read again
//! at the next connection once a file has changed.
//!
//! - `pem`: certificates and keys from files; `fault`: why TLS with a peer failed
//! - `stream`: the encrypted connection, for the pumps; `session`: its state, without the socket;
//!   `incoming`: what it has received
//! - `shown`: what a peer shows in a handshake
//!
//! TLS never replaces SASL: the user is authenticated after the TLS handshake (MB-51962).

mod fault;
mod incoming;
pub mod pem;
mod session;
mod shown;
mod stream;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

use crate::reload::Reloading;

pub use fault::TlsFault;
pub use shown::{Shown, look};
pub(crate) use stream::handshake;

/// The files of a [`Tls`].
#[derive(Clone, Copy, Debug)]
pub struct TlsFiles<'a> {
    /// The authorities that may have signed the peer's certificate.
    pub ca: &'a Path,
    /// The client certificate, followed by intermediate certificates, and its key.
    pub identity: Option<(&'a Path, &'a Path)>,
    /// The name or IP address that the peer's certificate must be for.
    pub server_name: &'a str,
}

/// The TLS configuration of connections to one node. Cheap to clone; made once for all connections.
#[derive(Clone)]
pub struct Tls {
    config: Reloading<ClientConfig>,
    server_name: ServerName<'static>,
}

/// An invalid part of a [`Tls`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct TlsProblem {
    /// Which part.
    pub part: TlsPart,
    /// What is wrong, with the name of the file.
    pub text: String,
}

/// The parts of a [`Tls`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsPart {
    /// The authorities.
    Ca,
    /// Our certificate.
    Certificate,
    /// Our key.
    Key,
    /// The name in the peer's certificate.
    ServerName,
}

impl TlsPart {
    fn problem(self, text: impl Into<String>) -> TlsProblem {
        TlsProblem { part: self, text: text.into() }
    }
}

impl Tls {
    /// Reads and checks all parts.
    ///
    /// # Errors
    /// Every invalid part, not only the first.
    pub fn load(files: TlsFiles<'_>) -> Result<Self, Vec<TlsProblem>> {
        let TlsFiles { ca, identity, server_name } = files;
        let name = ServerName::try_from(server_name).map_err(|_| {
            let text = format!("{server_name:?} is no name of a host and no IP address");
            TlsPart::ServerName.problem(text)
        });
        let identity = identity.map(|(chain, key)| (chain.to_owned(), key.to_owned()));
        let ca = ca.to_owned();
        let mut files = vec![ca.clone()];
        files.extend(identity.iter().flat_map(|(chain, key)| [chain.clone(), key.clone()]));
        let load = move || {
            let identity = identity.as_ref().map(|(chain, key)| (chain.as_path(), key.as_path()));
            read(&ca, identity).map(Arc::new)
        };
        match (Reloading::read("certificates", files, load, texts), name) {
            (Ok(config), Ok(name)) => Ok(Self { config, server_name: name.to_owned() }),
            (Ok(_), Err(problem)) => Err(vec![problem]),
            (Err(problems), name) => Err(problems.into_iter().chain(name.err()).collect()),
        }
    }

    /// The same files for a node of another name: the peer's certificate must be for `host`.
    ///
    /// # Errors
    /// A [`TlsProblem`] where `host` is no name of a host and no IP address.
    pub fn for_host(&self, host: &str) -> Result<Self, TlsProblem> {
        let name = ServerName::try_from(host).map_err(|_| {
            let text = format!("{host:?} is no name of a host and no IP address");
            TlsPart::ServerName.problem(text)
        });
        Ok(Self { config: self.config.clone(), server_name: name?.to_owned() })
    }

    async fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config.refreshed().await)
    }

    /// Takes the files of `other`, for all clones of `self`. The name stays.
    pub fn adopt(&self, other: &Self) {
        self.config.adopt(&other.config);
    }

    /// The name or address that the peer's certificate must be for.
    #[must_use]
    pub fn server_name(&self) -> String {
        self.server_name.to_str().into_owned()
    }
}

fn texts(problems: Vec<TlsProblem>) -> String {
    problems.into_iter().map(|problem| problem.text).collect::<Vec<_>>().join("; ")
}

/// Reads the files and checks that they belong together.
fn read(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<ClientConfig, Vec<TlsProblem>> {
    let mut problems = Vec::new();
    let roots =
        pem::authorities(ca).map_err(|error| problems.push(TlsPart::Ca.problem(error.to_string())));
    let identity = identity.map(|(certificate, key)| {
        let chain = pem::certificates(certificate)
            .map_err(|error| problems.push(TlsPart::Certificate.problem(error.to_string())));
        let secret = pem::private_key(key)
            .map_err(|error| problems.push(TlsPart::Key.problem(error.to_string())));
        Ok::<_, ()>(Identity { chain: chain?, key: secret?, files: (certificate, key) })
    });
    let (Ok(roots), Ok(identity)) = (roots, identity.transpose()) else {
        return Err(problems);
    };
    client_config(roots, identity).map_err(|problem| vec![problem])
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// The cryptography provider of all TLS in this project.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

struct Identity<'a> {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    files: (&'a Path, &'a Path),
}

fn client_config(
    roots: RootCertStore,
    identity: Option<Identity<'_>>,
) -> Result<ClientConfig, TlsProblem> {
    let versions = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsPart::Ca.problem(error.to_string()))?;
    let trusting = versions.with_root_certificates(roots);
    let Some(Identity { chain, key, files }) = identity else {
        return Ok(trusting.with_no_client_auth());
    };
    trusting.with_client_auth_cert(chain, key).map_err(|error| identity_problem(&error, files))
}

fn identity_problem(error: &Error, (certificate, key): (&Path, &Path)) -> TlsProblem {
    let text = mismatch(error, certificate, key);
    let part = if matches!(error, Error::InvalidCertificate(_)) {
        TlsPart::Certificate
    } else {
        TlsPart::Key
    };
    part.problem(text)
}

/// Describes why a certificate and a key cannot be used together.
#[must_use]
pub fn mismatch(error: &Error, certificate: &Path, key: &Path) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        Error::InconsistentKeys(_) => {
            format!("file {key} is not the key of the certificate in {certificate}")
        }
        Error::InvalidCertificate(error) => format!("file {certificate}: no certificate: {error}"),
        error => format!("file {key} with {certificate}: {error}"),
    }
}
