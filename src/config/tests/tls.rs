//! Certificates: where they are, and what is said about wrong ones.

use super::*;

/// Good files for `tls`, in a folder with the configuration.
pub(super) fn certificates() -> (tempfile::TempDir, relay::testing::Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = relay::testing::Authority::new(folder.path(), "ca");
    for subject in ["me", "other"] {
        let identity = authority.sign(subject, relay::testing::Validity::Now);
        std::fs::rename(identity.certificate, folder.path().join(format!("{subject}.pem")))
            .unwrap();
        std::fs::rename(identity.key, folder.path().join(format!("{subject}.key"))).unwrap();
    }
    (folder, authority)
}

fn with_tls(tls: &str) -> String {
    GOOD.replace("\"[::1]:11210\"\n", &format!("\"[::1]:11210\"\ntls = {tls}\n"))
}

#[test]
fn tls_takes_its_files_from_beside_the_configuration_and_its_name_from_the_address() {
    let (folder, _authority) = certificates();
    let path = folder.path().join("proxy.toml");
    for (tls, name) in [
        (r#"{ ca = "ca.pem" }"#, "::1"),
        (
            r#"{ ca = "ca.pem", certificate = "me.pem", key = "me.key", server_name = "gamma" }"#,
            "gamma",
        ),
    ] {
        let config = parse_at(&path, &with_tls(tls)).unwrap();
        let [Node::Remote(alpha), Node::Remote(gamma)] = config.producers.as_slice() else {
            panic!("{:?}", config.producers)
        };
        assert!(alpha.tls.is_none());
        assert_eq!(gamma.tls.as_ref().unwrap().server_name(), name);
        assert!(config.to_string().contains(&format!("over TLS as {name}")), "{config}");
    }
}

#[test]
fn each_wrong_part_of_tls_is_named() {
    let (folder, _authority) = certificates();
    let path = folder.path().join("proxy.toml");
    let place = format!("{}/", folder.path().display());
    for (tls, want) in [
        ("{}", "tls.ca: is missing: give the file of the certificate authorities to trust"),
        (
            r#"{ ca = "ca.pem", key = "me.key" }"#,
            "tls.certificate: is missing: give both it and the key, or neither",
        ),
        (
            r#"{ ca = "ca.pem", certificate = "me.pem" }"#,
            "tls.key: is missing: give both it and the certificate, or neither",
        ),
        (
            r#"{ ca = "no.pem" }"#,
            "tls.ca: file no.pem could not be read: No such file or directory (os error 2)",
        ),
        (r#"{ ca = "me.key" }"#, "tls.ca: file me.key holds no certificate in PEM form"),
        (
            r#"{ ca = "ca.pem", certificate = "me.pem", key = "other.key" }"#,
            "tls.key: file other.key is not the key of the certificate in me.pem",
        ),
        (
            r#"{ ca = "ca.pem", server_name = "a b" }"#,
            "tls.server_name: \"a b\" is no name of a host and no IP address",
        ),
    ] {
        let said = parse_at(&path, &with_tls(tls)).unwrap_err().to_string().replace(&place, "");
        assert!(said.starts_with("proxy.toml:14:"), "{said}");
        assert!(said.ends_with(&format!(": producer \"gamma\": {want}")), "{said}");
    }
    let said = parse_at(&path, &with_tls("{ cert = 1 }")).unwrap_err().to_string();
    let want = "tls.cert: unknown key: give one of ca, certificate, key, server_name";
    assert!(said.contains(want), "{said}");
}
