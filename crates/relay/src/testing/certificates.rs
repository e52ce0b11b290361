//! Valid and invalid certificates for tests, and the TLS of a fake peer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::must;
use crate::tls::{pem, provider};

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validity {
    /// Now.
    Now,
    /// Until 2020.
    Past,
    /// From 2100.
    Future,
}

/// An authority that signs certificates, with its own certificate in a file.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// The file with its own certificate.
    pub file: PathBuf,
}

/// A certificate and its key, each in a file.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// Creates an authority of this name, which is also the name of its file in `folder`.
    ///
    /// # Panics
    /// If the folder is not writable.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = must("parameters", CertificateParams::new(Vec::new()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = must("a key", KeyPair::generate());
        let certificate = must("a certificate", params.self_signed(&key));
        let file = folder.join(format!("{name}.pem"));
        must("write", fs::write(&file, certificate.pem()));
        Self { issuer: Issuer::new(params, key), folder: folder.to_owned(), file }
    }

    /// Signs a certificate for `subject`, a host name or IP address.
    ///
    /// # Panics
    /// If the folder is not writable.
    #[must_use]
    pub fn sign(&self, subject: &str, validity: Validity) -> Identity {
        let mut params = must("parameters", CertificateParams::new(vec![subject.to_owned()]));
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1)),
            Validity::Past => (date_time_ymd(2010, 1, 1), date_time_ymd(2020, 1, 1)),
            Validity::Future => (date_time_ymd(2100, 1, 1), date_time_ymd(2120, 1, 1)),
        };
        params.distinguished_name.push(DnType::CommonName, subject);
        let key = must("a key", KeyPair::generate());
        let certificate = must("a certificate", params.signed_by(&key, &self.issuer));
        let file = |ending| self.folder.join(format!("{subject}-{validity:?}.{ending}"));
        let identity = Identity { certificate: file("pem"), key: file("key") };
        must("write", fs::write(&identity.certificate, certificate.pem()));
        must("write", fs::write(&identity.key, key.serialize_pem()));
        let own = fs::Permissions::from_mode(0o600);
        must("protect", fs::set_permissions(&identity.key, own));
        identity
    }
}

impl Identity {
    /// Returns a TLS server with this identity. With `clients` it requires a certificate that this
    /// authority has signed; `old` limits it to TLS 1.2.
    ///
    /// # Panics
    /// If the files were changed.
    #[must_use]
    pub fn acceptor(&self, clients: Option<&Authority>, old: bool) -> TlsAcceptor {
        let versions = if old { [&TLS12] } else { [&TLS13] };
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = must("versions", builder.with_protocol_versions(&versions));
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(must("authorities", pem::authorities(&authority.file)));
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(must("a verifier", verifier.build()))
            }
        };
        let chain = must("certificates", pem::certificates(&self.certificate));
        let key = must("a key", pem::private_key(&self.key));
        let config = must("a pair", builder.with_single_cert(chain, key));
        TlsAcceptor::from(Arc::new(config))
    }
}
