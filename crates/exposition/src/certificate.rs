//! When a certificate expires.

use std::path::Path;

use x509_parser::pem::Pem;

/// Returns when a certificate in DER form expires, in seconds since 1970; `None` if it is none.
#[must_use]
pub fn expiry_of(der: &[u8]) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Returns when the first of the certificates in a PEM file expires, in seconds since 1970; `None`
/// if the file cannot be read or holds none.
#[must_use]
pub fn expiry(path: &Path) -> Option<i64> {
    let text = std::fs::read(path).ok()?;
    let certificates = Pem::iter_from_buffer(&text).filter_map(Result::ok);
    certificates.filter_map(|pem| expiry_of(&pem.contents)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_has_no_expiry() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(expiry(&file), None);
        assert_eq!(expiry(Path::new("no/such/file")), None);
        assert_eq!(expiry_of(b"no certificate"), None);
    }
}
