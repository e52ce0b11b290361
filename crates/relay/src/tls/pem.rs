//! Certificates and keys from PEM files. Errors name the file and what is wrong with it.

use std::io;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, RootCertStore};

/// Why a PEM file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file is missing or not readable.
    #[error("file {} could not be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The OS error.
        source: io::Error,
    },
    /// The file contains nothing of the kind.
    #[error("file {} holds no {what} in PEM form", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The file begins as PEM and is invalid after that.
    #[error("file {} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: pem::Error,
    },
    /// What is encoded in the file is not the certificate of an authority.
    #[error("file {}: no certificate: {source}", path.display())]
    NotACertificate {
        /// The file.
        path: PathBuf,
        /// The error of rustls.
        source: Error,
    },
}

/// Reads all certificates of a file, at least one, in their order.
///
/// # Errors
/// [`PemError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let what = "certificate";
    let wrong = |error| explain(path, what, error);
    let found = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(found) }
}

/// Reads the authorities of a file: its certificates, as those that are trusted.
///
/// # Errors
/// [`PemError`].
pub fn authorities(path: &Path) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let wrong = |source| PemError::NotACertificate { path: path.to_owned(), source };
        roots.add(certificate).map_err(wrong)?;
    }
    Ok(roots)
}

/// Reads the first private key of a file.
///
/// # Errors
/// [`PemError`].
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| explain(path, "private key (without a passphrase)", error))
}

fn explain(path: &Path, what: &'static str, error: pem::Error) -> PemError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => PemError::Unreadable { path, source },
        pem::Error::NoItemsFound => PemError::Empty { path, what },
        source => PemError::Damaged { path, source },
    }
}
