//! TLS with peers with certificates of every kind: which are accepted, and the errors of the
//! others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcbp::{Opaque, Opcode, Status, VbId};
use relay::testing::{Authority, BUCKET, FakePeer, Identity, Manner, Manners, Validity, mutation};
use relay::tls::{TlsPart, look};
use relay::{
    Connection, DcpOpen, Deadlines, Endpoint, LINK_FEATURES, LinkError, Prepared, Reconnect, Side,
    Tls, TlsFault, TlsFiles, TlsProblem,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const HOST: &str = "127.0.0.1";

/// A folder of certificates: ours and the peer's.
struct Pki {
    folder: TempDir,
    authority: Authority,
}

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        Self { folder, authority }
    }

    fn sign(&self, subject: &str) -> Identity {
        self.authority.sign(subject, Validity::Now)
    }

    fn other_authority(&self) -> Authority {
        Authority::new(self.folder.path(), "stranger")
    }
}

fn load(ca: &Path, identity: Option<&Identity>, server_name: &str) -> Tls {
    let identity = identity.map(|own| (own.certificate.as_path(), own.key.as_path()));
    Tls::load(TlsFiles { ca, identity, server_name }).unwrap()
}

async fn open(endpoint: &Endpoint) -> Result<Connection, LinkError> {
    let deadlines = Deadlines::default();
    let prepared = Prepared::connect(endpoint, Side::Producer, BUCKET, deadlines).await?;
    let open = DcpOpen {
        connection_name: "replication:alpha->beta:default",
        consumer_name: None,
        agent: "test",
        features: &LINK_FEATURES,
    };
    prepared.open(open).await
}

/// Connects with `tls` to a peer of this identity, which must fail; returns the error.
#[track_caller]
fn refused(
    tls: Tls,
    peer: &Identity,
    clients: Option<&Authority>,
    old: bool,
) -> impl Future<Output = (String, Reconnect)> {
    let acceptor = peer.acceptor(clients, old);
    async move {
        let peer = FakePeer::bind().await;
        let endpoint = peer.endpoint("alpha").with_tls(tls);
        let serve = async {
            if let Some(mut conn) = peer.accept_tls(&acceptor).await {
                conn.expect_close().await;
            }
        };
        let (opened, ()) = tokio::join!(open(&endpoint), serve);
        let error = opened.expect_err("such a peer is of no use");
        (error.fault.to_string(), error.retry())
    }
}

#[tokio::test]
async fn mb_47905_mb_51962_a_link_logs_in_over_tls_also_with_a_client_certificate() {
    let pki = Pki::new();
    let (server, client) = (pki.sign("alpha.example"), pki.sign("beta.example"));
    for old in [false, true] {
        let acceptor = server.acceptor(Some(&pki.authority), old);
        let peer = FakePeer::bind().await;
        let tls = load(&pki.authority.file, Some(&client), "alpha.example");
        let endpoint = peer.endpoint("alpha").with_tls(tls);
        let document = mutation(VbId(1), Opaque(7), 1, 3_000_000);
        let serve = async {
            let mut conn = peer.accept_tls(&acceptor).await.expect("TLS");
            // The handshake fails where SASL is left out.
            conn.greet(&Manners::default()).await;
            conn.send_raw(&document).await;
            conn.hang_up();
        };
        let receive = async {
            let mut connection = open(&endpoint).await.unwrap();
            let mut bytes = connection.leftover.to_vec();
            connection.reader.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let (received, ()) = tokio::join!(receive, serve);
        assert!(received == document, "{} of {} bytes", received.len(), document.len());
    }
}

#[tokio::test]
async fn each_bad_certificate_of_a_peer_is_called_what_it_is() {
    let pki = Pki::new();
    let stranger = pki.other_authority();
    let elsewhere = tempfile::tempdir().unwrap();
    let namesake = Authority::new(elsewhere.path(), "authority");
    let good = pki.sign(HOST);
    let ours = |name| load(&pki.authority.file, None, name);
    let table = [
        (
            ours(HOST),
            stranger.sign("a.example", Validity::Now),
            "shows a certificate that no authority of the ca file has signed",
        ),
        (
            ours(HOST),
            namesake.sign("b.example", Validity::Now),
            "shows a certificate that no authority of the ca file has signed",
        ),
        (
            ours(HOST),
            pki.authority.sign(HOST, Validity::Past),
            "shows a certificate that has expired ",
        ),
        (
            ours(HOST),
            pki.authority.sign(HOST, Validity::Future),
            "shows a certificate that is not yet valid for ",
        ),
        (
            ours("alpha.example"),
            pki.sign("gamma.example"),
            "shows a certificate for gamma.example, not for alpha.example: see address and \
             server_name",
        ),
        (
            ours("::1"),
            good,
            "shows a certificate for 127.0.0.1, not for ::1: see address and server_name",
        ),
    ];
    for (tls, peer, want) in table {
        let (text, retry) = refused(tls, &peer, None, false).await;
        assert!(text.starts_with(want), "{text}");
        assert_eq!(retry, Reconnect::Slowly, "{text}");
    }
}

#[tokio::test]
async fn a_refusal_of_our_certificate_is_reported() {
    let pki = Pki::new();
    let stranger = pki.other_authority();
    let server = pki.sign(HOST);
    let expired = pki.authority.sign("old.example", Validity::Past);
    let unknown = stranger.sign("b.example", Validity::Now);
    let with = |identity| load(&pki.authority.file, identity, HOST);
    let table = [
        (with(None), false, "requires a client certificate: configure certificate and key"),
        (with(Some(&expired)), false, "refuses our client certificate (CertificateExpired)"),
        (with(Some(&unknown)), false, "refuses our client certificate (UnknownCA)"),
        (with(Some(&expired)), true, "refuses our client certificate (CertificateExpired)"),
    ];
    for (tls, old, want) in table {
        let (text, retry) = refused(tls, &server, Some(&pki.authority), old).await;
        assert_eq!((text.as_str(), retry), (want, Reconnect::Slowly));
    }
}

#[tokio::test]
async fn the_wrong_port_is_named_as_such() {
    let pki = Pki::new();
    let tls = load(&pki.authority.file, None, HOST);
    let peer = FakePeer::bind().await;
    let encrypted = peer.endpoint("alpha").with_tls(tls.clone());

    // A data node closes at the first byte that is no magic.
    let plain = async { peer.accept_raw().await.hang_up() };
    let (opened, ()) = tokio::join!(open(&encrypted), plain);
    let error = opened.expect_err("no TLS there");
    let want = "closed the connection during the TLS handshake: is this its TLS port?";
    assert_eq!((error.fault.to_string().as_str(), error.retry()), (want, Reconnect::AfterBackoff));

    let chatty = async {
        let mut conn = peer.accept_raw().await;
        conn.send_raw(b"220 mail.example ready\r\n").await;
        conn
    };
    let (opened, _conn) = tokio::join!(open(&encrypted), chatty);
    let error = opened.expect_err("no TLS there");
    let want = "does not speak TLS on this port: give its TLS port, or leave tls out";
    assert_eq!((error.fault.to_string().as_str(), error.retry()), (want, Reconnect::Slowly));

    let acceptor = pki.sign(HOST).acceptor(None, false);
    let endpoint = peer.endpoint("alpha");
    let (opened, _none) = tokio::join!(open(&endpoint), peer.accept_tls(&acceptor));
    let error = opened.expect_err("TLS there");
    let want = "speaks TLS on this port: give it tls, or its plain port";
    assert_eq!((error.fault.to_string().as_str(), error.retry()), (want, Reconnect::Slowly));
}

#[tokio::test]
async fn a_peer_that_is_silent_during_the_tls_handshake_has_a_deadline() {
    let pki = Pki::new();
    let peer = FakePeer::bind().await;
    let tls = load(&pki.authority.file, None, HOST);
    let endpoint = peer.endpoint("alpha").with_tls(tls);
    let connect = Duration::from_millis(200);
    let deadlines = Deadlines { connect, ..Deadlines::default() };
    let (opened, _conn) = tokio::join!(
        Prepared::connect(&endpoint, Side::Producer, BUCKET, deadlines),
        peer.accept_raw()
    );
    let error = opened.expect_err("silence");
    assert_eq!(error.fault.to_string(), "the TLS handshake had no answer within 200ms");
}

#[tokio::test]
async fn a_wrong_password_is_reported_over_tls_as_well() {
    let pki = Pki::new();
    let acceptor = pki.sign(HOST).acceptor(None, false);
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha").with_tls(load(&pki.authority.file, None, HOST));
    let serve = async {
        let mut conn = peer.accept_tls(&acceptor).await.expect("TLS");
        let manners = Manners::bad_at(Opcode::SASL_AUTH, Manner::Refuse(Status::AUTH_ERROR));
        conn.greet(&manners).await;
    };
    let (opened, ()) = tokio::join!(open(&endpoint), serve);
    assert!(opened.expect_err("refused").to_string().contains("check username and password"));
}

/// The errors about files, with the folder left out.
fn problems(pki: &Pki, files: TlsFiles<'_>) -> Vec<(TlsPart, String)> {
    let folder = format!("{}/", pki.folder.path().display());
    let bare = |TlsProblem { part, text }| (part, text.replace(&folder, ""));
    Tls::load(files).expect_err("such files are of no use").into_iter().map(bare).collect()
}

#[test]
fn bad_files_are_named_all_at_once() {
    let pki = Pki::new();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = pki.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (one, other) = (pki.sign("one.example"), pki.sign("other.example"));
    let ca = pki.authority.file.as_path();
    let (none, empty) = (pki.folder.path().join("none.pem"), file("empty.pem", ""));
    let cut = file("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let junk = file("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");

    let files = TlsFiles { ca: &none, identity: Some((&empty, &cut)), server_name: "no name" };
    let said = problems(&pki, files);
    let want = [
        (TlsPart::Ca, "file none.pem could not be read: No such file or directory (os error 2)"),
        (TlsPart::Certificate, "file empty.pem holds no certificate in PEM form"),
        (TlsPart::Key, "file cut.pem is damaged: "),
        (TlsPart::ServerName, "\"no name\" is no name of a host and no IP address"),
    ];
    assert_eq!(said.len(), want.len(), "{said:?}");
    for ((part, text), (want_part, want_text)) in said.iter().zip(want) {
        assert!(*part == want_part && text.starts_with(want_text), "{part:?}: {text}");
    }

    let said = problems(&pki, TlsFiles { ca: &junk, identity: None, server_name: HOST });
    assert!(said[0].1.starts_with("file junk.pem: no certificate: "), "{said:?}");
    let identity = Some((one.certificate.as_path(), other.key.as_path()));
    let said = problems(&pki, TlsFiles { ca, identity, server_name: HOST });
    let want = "file other.example-Now.key is not the key of the certificate in \
                one.example-Now.pem";
    assert_eq!(said, [(TlsPart::Key, want.to_owned())]);
    let identity = Some((one.certificate.as_path(), one.certificate.as_path()));
    let said = problems(&pki, TlsFiles { ca, identity, server_name: HOST });
    let want = "file one.example-Now.pem holds no private key (without a passphrase) in PEM form";
    assert_eq!(said, [(TlsPart::Key, want.to_owned())]);
}

#[test]
fn a_tls_is_printed_without_its_key() {
    let pki = Pki::new();
    let tls = load(&pki.authority.file, Some(&pki.sign("a.example")), HOST);
    assert_eq!(tls.server_name(), HOST);
    assert!(format!("{tls:?}").len() < 100, "{tls:?}");
}

#[tokio::test]
async fn a_look_shows_version_and_chain_or_why_there_is_no_tls() {
    let pki = Pki::new();
    for (old, version) in [(false, "TLS 1.3"), (true, "TLS 1.2")] {
        let acceptor = pki.sign(HOST).acceptor(None, old);
        let peer = FakePeer::bind().await;
        let tls = load(&pki.authority.file, None, HOST);
        let stream = TcpStream::connect(&peer.endpoint("alpha").address).await.unwrap();
        let (shown, _conn) = tokio::join!(look(&tls, stream), peer.accept_tls(&acceptor));
        let shown = shown.unwrap();
        assert_eq!((shown.version, shown.chain.len()), (version, 1));
        assert_eq!(shown.chain[0][0], 0x30, "a DER sequence");
    }
    let acceptor = pki.authority.sign(HOST, Validity::Past).acceptor(None, false);
    let peer = FakePeer::bind().await;
    let tls = load(&pki.authority.file, None, HOST);
    let stream = TcpStream::connect(&peer.endpoint("alpha").address).await.unwrap();
    let (shown, _conn) = tokio::join!(look(&tls, stream), peer.accept_tls(&acceptor));
    let error = shown.unwrap_err();
    assert!(matches!(error, TlsFault::Expired { ago: Some(_) }), "{error}");
}
