//! Logins whose tokens expire, and TLS.

use std::path::Path;
use std::time::Duration;

use etcdmaps::EtcdTls;
use relay::Secret;
use relay::testing::{Authority, Identity, Validity};

use super::common::Etcd;
use super::{KEY, STATUS, Sidecar, config, report};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_renewed_when_its_token_expires() {
    let Some(mut etcd) = Etcd::start_with(&["--auth-token-ttl=1"]).await else { return };
    let grants = [("READ", "/t/maps/beta/"), ("READWRITE", "/t/status/beta/")];
    etcd.require_login("beta", "secret", &grants);
    let mut wrong = config(&[etcd.endpoint()]);
    wrong.login = Some(("beta".to_owned(), Secret::new("wrong")));
    let (_, error) = Sidecar::start(wrong).until_away().await;
    assert!(error.contains("invalid user ID or password: see username and password"), "{error}");
    let (_, error) = Sidecar::start(config(&[etcd.endpoint()])).until_away().await;
    assert!(error.contains("etcd has authentication on: give username"), "{error}");

    let mut right = config(&[etcd.endpoint()]);
    right.login = Some(("beta".to_owned(), Secret::new("secret")));
    let mut sidecar = Sidecar::start(right.clone());
    sidecar.until_connected().await;
    let begin = tokio::time::Instant::now();
    let mut revision = 0;
    while begin.elapsed() < Duration::from_secs(4) {
        revision += 1;
        sidecar.maps.report("default", report(revision));
        etcd.login("secret");
        etcd.value(STATUS, |it| it["revision"] == revision).await;
    }
    etcd.login("secret");
    let at = etcd.put(KEY, r#"{"alpha":"3"}"#);
    assert_eq!(sidecar.until_map(at).await, "3");
    sidecar.maps.stop().await;

    right.prefix = "/elsewhere".to_owned();
    let (_, error) = Sidecar::start(right).until_away().await;
    assert!(error.contains("permission denied: grant the user read of"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let server = authority.sign("etcd.example", Validity::Now);
    let client = authority.sign("sidecar.example", Validity::Now);
    let Some(etcd) = Etcd::with_tls(&authority, &server).await else { return };
    let with = |ca: &Path, identity: Option<&Identity>, name: Option<&str>| {
        let identity = identity.map(|it| (it.certificate.clone(), it.key.clone()));
        let server_name = name.map(str::to_owned);
        let mut config = config(&[etcd.tls_endpoint()]);
        config.tls = Some(EtcdTls { ca: ca.to_owned(), identity, server_name });
        config
    };
    let name = Some("etcd.example");
    let good = with(&authority.file, Some(&client), name);
    let mut sidecar = Sidecar::start(good);
    sidecar.until_connected().await;
    let at = etcd.put(KEY, r#"{"alpha":"3"}"#);
    assert_eq!(sidecar.until_map(at).await, "3");
    sidecar.maps.stop().await;

    let stranger = Authority::new(folder.path(), "stranger");
    for (config, why) in [
        (with(&stranger.file, Some(&client), name), "UnknownIssuer"),
        (with(&authority.file, Some(&client), None), "certificate"),
        (with(&folder.path().join("none.pem"), None, name), "none.pem"),
    ] {
        let (_, error) = Sidecar::start(config).until_away().await;
        assert!(error.contains(why), "{why}: {error}");
    }
    // In TLS 1.3 the server's refusal of a client may come after the first request.
    let (_, error) = Sidecar::start(with(&authority.file, None, name)).until_away().await;
    assert!(!error.is_empty());
}
