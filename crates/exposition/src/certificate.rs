//! When a certificate expires.

use std::path::Path;

use x509_parser::pem::Pem;

/// Returns when the first of the certificates in a PEM file expires, in seconds since 1970; `None`
/// if the file cannot be read or holds none.
#[must_use]
pub fn expiry(path: &Path) -> Option<i64> {
    let text = std::fs::read(path).ok()?;
    let certificates = Pem::iter_from_buffer(&text).filter_map(Result::ok);
    let not_after = |pem: Pem| {
        let certificate = pem.parse_x509().ok()?;
        Some(certificate.validity().not_after.timestamp())
    };
    certificates.filter_map(not_after).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_has_no_expiry() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(expiry(&file), None);
        assert_eq!(expiry(Path::new("no/such/file")), None);
    }
}
