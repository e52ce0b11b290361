//! Replication from a data node that requires TLS with client certificates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{Config, DataNode, Documents, Process, Sidecar, same_documents, until};
use mcbp::VbId;
use relay::testing::{Authority, Identity, Validity};
use relay::{Client, Deadlines, Endpoint, Login, Secret, Tls, TlsFiles};

const VBUCKETS: u16 = 8;

/// A data node `alpha` with TLS, and the certificates to connect to it.
struct Encrypted {
    _process: Process,
    endpoint: Endpoint,
    authority: Authority,
    client: Identity,
}

impl Encrypted {
    async fn start(folder: &Path) -> Self {
        let authority = Authority::new(folder, "authority");
        let server = authority.sign("alpha.example", Validity::Now);
        let client = authority.sign("sidecar.example", Validity::Now);
        std::fs::write(folder.join("alpha.password"), "correct horse").unwrap();
        let mut command = common::command(folder, "alpha", "active", VBUCKETS, 0);
        command.arg("--tls-cert").arg(&server.certificate).arg("--tls-key").arg(&server.key);
        command.arg("--tls-client-ca").arg(&authority.file);
        let process = Process::start("alpha", folder, &mut command);
        let port: u16 = until("the port is told", async || {
            let text = std::fs::read_to_string(folder.join("alpha.port")).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        })
        .await;
        process.logs(&["bucket is ready"]).await;
        let tls = Tls::load(TlsFiles {
            ca: &authority.file,
            identity: Some((&client.certificate, &client.key)),
            server_name: "alpha.example",
        });
        let password = Secret::new("correct horse");
        let endpoint = Endpoint::new("alpha", format!("127.0.0.1:{port}"), "dcp-proxy", password)
            .with_tls(tls.unwrap());
        Self { _process: process, endpoint, authority, client }
    }

    async fn client(&self) -> Client {
        let deadlines = Deadlines::default();
        let login = Login { bucket: Some("default"), agent: "test", features: &[], deadlines };
        Client::connect(&self.endpoint, login).await.unwrap()
    }

    /// The configuration of a sidecar between `alpha` and `beta`, with this as `tls`.
    fn config(&self, beta: &DataNode, tls: &str) -> Config {
        let config = Config::new(&beta.endpoint(), &self.endpoint, "0-7");
        let producer = "[[producer]]\n";
        Config::text(config.as_str().replace(producer, &format!("{producer}tls = {tls}\n")))
    }
}

#[tokio::test]
async fn documents_pass_an_encrypted_link_large_ones_too() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = Encrypted::start(folder.path()).await;
    let beta = DataNode::start(folder.path(), "beta", "replica", VBUCKETS).await;
    let mut documents = Documents::new(alpha.client().await, VBUCKETS);
    for number in 0..100 {
        documents.set(&format!("key-{number}"), &"x".repeat(number * 100)).await;
    }
    documents.set("large", &"y".repeat(5_000_000)).await;
    let Identity { certificate, key } = &alpha.client;
    let tls = format!(
        "{{ ca = {:?}, certificate = {certificate:?}, key = {key:?}, \
         server_name = \"alpha.example\" }}",
        alpha.authority.file
    );
    let mut sidecar = Sidecar::start(folder.path(), &alpha.config(&beta, &tls));
    same_documents(&alpha.endpoint, &beta.endpoint(), (0..VBUCKETS).map(VbId)).await;
    sidecar.process.assert_quiet(&[]);
    sidecar.stop().await;
}

#[tokio::test]
async fn a_link_without_the_certificate_that_is_asked_for_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = Encrypted::start(folder.path()).await;
    let beta = DataNode::start(folder.path(), "beta", "replica", VBUCKETS).await;
    let ca = alpha.authority.file.display().to_string();
    for (tls, said) in [
        (
            format!("{{ ca = {ca:?}, server_name = \"alpha.example\" }}"),
            "requires a client certificate: configure certificate and key",
        ),
        (
            format!("{{ ca = {ca:?} }}"),
            "shows a certificate for alpha.example, not for 127.0.0.1: see address and server_name",
        ),
    ] {
        let mut sidecar = Sidecar::start(folder.path(), &alpha.config(&beta, &tls));
        sidecar.process.logs(&["producer alpha at", said]).await;
        sidecar.stop().await;
    }
    let mut sidecar =
        Sidecar::start(folder.path(), &Config::new(&beta.endpoint(), &alpha.endpoint, "0-7"));
    let said = "speaks TLS on this port: give it tls, or its plain port";
    sidecar.process.logs(&["producer alpha at", said]).await;
    sidecar.stop().await;
}
