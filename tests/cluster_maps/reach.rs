//! How the nodes of a cluster are found and reached: SRV records, alternate addresses, TLS.

use mcbp::VbId;
use relay::testing::{Authority, Identity, Validity};
use relay::{Tls, TlsFiles};
use serde_json::json;

use crate::common::{
    Config, DataNode, Documents, NameServer, PATIENCE, Sidecar, connect, same_documents,
};
use crate::{VBUCKETS, followed, following, hosts, tell, tell_hosts};

#[tokio::test]
async fn nodes_are_found_by_srv_records_however_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (alpha, beta, copy, dns) = tokio::join!(
        DataNode::start(folder, "alpha", "active", VBUCKETS),
        DataNode::start(folder, "beta", "active", VBUCKETS),
        DataNode::start(folder, "copy", "replica", VBUCKETS),
        NameServer::start(),
    );
    tell(&[&alpha, &beta], 1, [0, 0, 0, 0, 1, 1, 1, 1]).await;
    for node in [&alpha, &beta] {
        let mut documents = node.documents().await;
        for number in 0..50 {
            documents.set(&format!("doc-{number}"), "1").await;
        }
    }
    // Nobody listens at this target.
    let name = "_couchbase._tcp.cb.example";
    dns.set(name, &[(1, 1, "localhost")]);
    let cluster = format!("address = \"couchbase://cb.example\"\nresolver = \"{}\"", dns.address());
    let mut sidecar = Sidecar::start(folder, &Config::following(&copy.endpoint(), &cluster));
    let log = &sidecar.process;
    log.logs(&["DNS SRV records name nodes", name, "nodes=localhost:1"]).await;
    log.logs(&["cluster map cannot be read", "node=localhost:1"]).await;
    assert_eq!(dns.answers_over_tcp(), 0);
    // New records, which an answer over UDP has no room for.
    let mut records = vec![(2, 1, "localhost"); 30];
    records.push((1, alpha.address().port(), "localhost"));
    dns.set(name, &records);
    followed(PATIENCE, &alpha, &copy, 0..4).await;
    followed(PATIENCE, &beta, &copy, 4..8).await;
    same_documents(&alpha.endpoint(), &copy.endpoint(), (0..4).map(VbId)).await;
    same_documents(&beta.endpoint(), &copy.endpoint(), (4..8).map(VbId)).await;
    assert!(dns.answers_over_tcp() > 0);
    let both = format!("nodes=localhost:{},localhost:1", alpha.address().port());
    log.logs(&["DNS SRV records name nodes", &both]).await;
    log.assert_quiet(&["cluster map cannot be read", "unencrypted"]);
    sidecar.stop().await;
}

/// The nodes of a cluster that is seen from outside have other addresses among themselves.
#[tokio::test]
async fn alternate_addresses_are_those_of_all_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (alpha, beta, copy) = tokio::join!(
        DataNode::start(folder, "alpha", "active", VBUCKETS),
        DataNode::start(folder, "beta", "active", VBUCKETS),
        DataNode::start(folder, "copy", "replica", VBUCKETS),
    );
    let mut outside = hosts(&[&alpha, &beta]);
    for host in &mut outside {
        let external = json!({ "hostname": "127.0.0.1", "ports": host["services"] });
        // There is no such host, nor such a port.
        let inside = json!({ "hostname": "inside.invalid", "services": { "kv": 1 } });
        *host = inside;
        host["alternateAddresses"] = json!({ "external": external });
    }
    outside[1]["hostname"] = json!("beta.invalid");
    tell_hosts(&[&alpha, &beta], &outside, 1, [0, 0, 0, 0, 1, 1, 1, 1]).await;
    for node in [&alpha, &beta] {
        let mut documents = node.documents().await;
        for number in 0..50 {
            documents.set(&format!("doc-{number}"), "1").await;
        }
    }
    let address = format!("couchbase://{}", alpha.address());
    let mut sidecar = Sidecar::start(folder, &following(&copy, &address));
    followed(PATIENCE, &alpha, &copy, 0..4).await;
    followed(PATIENCE, &beta, &copy, 4..8).await;
    same_documents(&alpha.endpoint(), &copy.endpoint(), (0..4).map(VbId)).await;
    same_documents(&beta.endpoint(), &copy.endpoint(), (4..8).map(VbId)).await;
    sidecar.process.assert_quiet(&[]);
    sidecar.stop().await;
    // Without them nobody is found.
    let cluster = format!("address = {address:?}\nnetwork = \"default\"");
    let mut sidecar = Sidecar::start(folder, &Config::following(&copy.endpoint(), &cluster));
    sidecar.process.logs(&["inside.invalid:1"]).await;
    sidecar.stop().await;
}

/// The certificate of a node must be for the host by which the map or the address names it.
#[tokio::test]
async fn a_cluster_with_tls_is_followed_by_the_names_in_its_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let authority = Authority::new(folder, "authority");
    let Identity { certificate, key } = authority.sign("localhost", Validity::Now);
    let files = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let (alpha, copy) = tokio::join!(
        DataNode::start_with(folder, "alpha", "active", VBUCKETS, &files),
        DataNode::start(folder, "copy", "replica", VBUCKETS),
    );
    let ca = &authority.file;
    let tls = Tls::load(TlsFiles { ca, identity: None, server_name: "localhost" }).unwrap();
    let endpoint = alpha.endpoint().with_tls(tls);
    let mut documents = Documents::new(connect(&endpoint).await.unwrap(), VBUCKETS);
    for number in 0..50 {
        documents.set(&format!("doc-{number}"), "1").await;
    }
    let port = alpha.address().port();
    let follow = |host: &str, more: &str| {
        let address = format!("couchbases://{host}:{port}");
        let cluster = format!("address = {address:?}\ntls = {{ ca = {ca:?}{more} }}");
        Sidecar::start(folder, &Config::following(&copy.endpoint(), &cluster))
    };
    let mut sidecar = follow("127.0.0.1", "");
    let wrong = "certificate for localhost, not for 127.0.0.1";
    sidecar.process.logs(&["cluster map cannot be read", wrong]).await;
    sidecar.stop().await;
    for (host, more) in [("localhost", ""), ("127.0.0.1", ", server_name = \"localhost\"")] {
        documents.set(host, "1").await;
        let mut sidecar = follow(host, more);
        same_documents(&endpoint, &copy.endpoint(), (0..VBUCKETS).map(VbId)).await;
        sidecar.process.assert_quiet(&[]);
        sidecar.stop().await;
    }
}
