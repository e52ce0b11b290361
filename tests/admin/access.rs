//! Access control, and the answers to wrong requests.

use dcp_proxy::admin::{Admin, AdminError};
use tokio_util::sync::CancellationToken;

use crate::http::Http;
use crate::nodes::calm;
use crate::{REPLICATIONS, Served, config};

const TOKEN: &str = "Bearer open sesame";

fn guarded() -> (Admin, Http) {
    let config = config("listen = \"127.0.0.1:0\"\ntoken = \"open sesame\"");
    let admin = Admin::start(&config.sources, &CancellationToken::new()).unwrap();
    let http = Http::to(admin.address());
    (admin, http)
}

#[tokio::test]
async fn without_the_token_only_the_probes_are_answered_and_tell_nothing() {
    let (admin, http) = guarded();
    assert_eq!(http.get("/live").await.status, 200);
    let ready = http.get("/ready").await;
    assert_eq!((ready.status, ready.error()), (503, "not ready: send the token to see why"));
    let all = [
        ("GET", "/config"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/replications"),
        ("PUT", REPLICATIONS),
        ("POST", "/shutdown"),
        ("GET", "/nothing"),
    ];
    for (method, path) in all {
        for given in [None, Some("Bearer open sesam"), Some("Bearer "), Some("Basic open sesame")] {
            let headers: Vec<_> = given.map(|given| ("Authorization", given)).into_iter().collect();
            let answer = http.ask(method, path, &headers, "").await;
            assert_eq!(answer.status, 401, "{method} {path} with {given:?}");
            assert!(answer.error().starts_with("the admin token is missing or wrong"));
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
    }
    admin.stop().await;
}

#[tokio::test]
async fn with_the_token_everything_is_answered() {
    let (admin, http) = guarded();
    let trusted = [("Authorization", TOKEN)];
    let ready = http.ask("GET", "/ready", &trusted, "").await;
    assert_eq!(ready.error(), "not ready: replication has not started yet");
    assert_eq!(http.ask("GET", "/config", &trusted, "").await.status, 200);
    assert_eq!(http.ask("GET", "/nothing", &trusted, "").await.status, 404);
    let any_case = [("authorization", "bearer open sesame")];
    assert_eq!(http.ask("GET", "/api/v1/status", &any_case, "").await.status, 200);
    admin.stop().await;
}

/// Paths that need a token on loopback too, each with a method that changes something.
const CHANGES: [(&str, &str); 12] = [
    ("PUT", REPLICATIONS),
    ("PATCH", REPLICATIONS),
    ("POST", "/api/v1/buckets/default/replications/remove"),
    ("POST", "/api/v1/buckets/default/pause"),
    ("POST", "/api/v1/buckets/default/resume"),
    ("POST", "/api/v1/buckets/default/restart"),
    ("POST", "/api/v1/buckets/default/takeover"),
    ("DELETE", "/api/v1/buckets/default/vbuckets/1/replication"),
    ("POST", "/api/v1/desired/discard"),
    ("PUT", "/log-level"),
    ("POST", "/reload"),
    ("POST", "/shutdown"),
];

#[tokio::test]
async fn on_loopback_every_change_needs_the_session_token_and_no_read_does() {
    let served = Served::start(calm()).await;
    let (open, token) = (Http::to(served.admin.address()), served.http.token().unwrap());
    let scheme = format!("Basic {token}");
    let cut = format!("Bearer {}", &token[..63]);
    let (longer, bare) = (format!("Bearer {token}0"), token.to_owned());
    let wrong = ["Bearer ", "Bearer 0", &scheme, &cut, &longer, &bare];
    for (method, path) in CHANGES.into_iter().chain([("OPTIONS", "/metrics"), ("POST", "/nothing")])
    {
        for given in [None].into_iter().chain(wrong.map(Some)) {
            let headers: Vec<_> = given.map(|given| ("Authorization", given)).into_iter().collect();
            let answer = open.ask(method, path, &headers, "{}").await;
            assert_eq!(answer.status, 401, "{method} {path} with {given:?}: {answer:?}");
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
            let file = served.configured.state().join("session.json");
            assert!(answer.error().contains(file.to_str().unwrap()), "{}", answer.error());
        }
    }
    assert!(!served.stop.is_cancelled());
    // What a read sends without need is not judged, but told.
    for (given, accepted) in [(cut, false), (format!("Bearer {token}"), true)] {
        let headers = [("Authorization", given.as_str())];
        let answer = open.ask("GET", "/api/v1/overview", &headers, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["token"]["accepted"], accepted, "{given}");
    }
    let trusted = [("Authorization", format!("Bearer {token}"))];
    let trusted = [(trusted[0].0, trusted[0].1.as_str())];
    let answer = open.ask("POST", "/shutdown", &trusted, "").await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_page_that_has_the_token_and_is_of_another_site_is_refused_all_the_same() {
    let served = Served::start(calm()).await;
    let token = format!("Bearer {}", served.http.token().unwrap());
    for (name, value) in [("Origin", "https://evil.example"), ("Host", "evil.example")] {
        let headers = [("Authorization", token.as_str()), (name, value)];
        let answer = served.http.ask("POST", "/shutdown", &headers, "").await;
        assert_eq!(answer.status, 403, "{name}: {answer:?}");
    }
    assert!(!served.stop.is_cancelled());
}

#[tokio::test]
async fn where_a_token_is_configured_the_session_has_none() {
    let config = config("listen = \"127.0.0.1:0\"\ntoken = \"open sesame\"");
    let admin = Admin::start(&config.sources, &CancellationToken::new()).unwrap();
    assert_eq!(config.token(), None);
    let text = std::fs::read_to_string(config.state().join("session.json")).unwrap();
    assert!(text.contains(&format!("http://{}", admin.address())), "{text}");
    let url = format!("http://{}/#token=open%20sesame", admin.address());
    assert_eq!(admin.dashboard_url(), url);
    let http = Http::to(admin.address());
    let trusted = [("Authorization", TOKEN)];
    let answer = http.ask("GET", "/api/v1/overview", &trusted, "").await;
    let token = serde_json::json!({ "kind": "configured", "accepted": true });
    assert_eq!(answer.body["token"], token, "{answer:?}");
    admin.stop().await;
    assert!(!config.state().join("session.json").exists(), "removed at a clean stop");
}

#[tokio::test]
async fn on_loopback_another_name_for_this_machine_is_refused() {
    let served = Served::start(calm()).await;
    for host in ["localhost", "LOCALHOST:4870", "127.0.0.1:1", "127.1.2.3", "[::1]:4870"] {
        assert_eq!(served.http.ask("GET", "/live", &[("Host", host)], "").await.status, 200);
    }
    for host in ["evil.example", "evil.example:4870", "localhost.evil.example", "10.0.0.1", ""] {
        let answer = served.http.ask("GET", "/api/v1/status", &[("Host", host)], "").await;
        assert_eq!(answer.status, 403, "{host:?}");
        assert!(answer.error().contains("ask for 127.0.0.1 or localhost"), "{}", answer.error());
    }
}

#[tokio::test]
async fn a_page_of_another_site_may_not_ask() {
    let served = Served::start(calm()).await;
    let own = served.http.url();
    assert_eq!(served.http.ask("GET", "/live", &[("Origin", &own)], "").await.status, 200);
    for origin in ["https://evil.example", "http://127.0.0.1:1", "null"] {
        let answer = served.http.ask("POST", "/shutdown", &[("Origin", origin)], "").await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    assert!(!served.stop.is_cancelled());
}

#[tokio::test]
async fn whatever_is_wrong_is_said_in_json() {
    let served = Served::start(calm()).await;
    let unknown = served.http.get("/api/v2/status").await;
    assert_eq!((unknown.status, unknown.error()), (404, "no such path: /api/v2/status"));
    let methods = [
        ("POST", "/live", "GET"),
        ("GET", "/shutdown", "POST"),
        ("DELETE", "/log-level", "GET, PUT"),
        ("POST", REPLICATIONS, "PUT, PATCH"),
        ("GET", "/api/v1/buckets/default/vbuckets/1/takeover", "POST"),
    ];
    for (method, path, allow) in methods {
        let answer = served.http.ask(method, path, &[], "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.head.contains(&format!("allow: {}", allow.to_lowercase())));
        assert!(answer.error().ends_with(&format!("use {allow}")), "{}", answer.error());
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let served = Served::start(calm()).await;
    let long = format!(r#"{{"alpha": "{}"}}"#, "0,".repeat(40_000));
    let answer = served.http.put(REPLICATIONS, &long).await;
    assert_eq!(
        (answer.status, answer.error()),
        (413, "the body is too long: give at most 65536 bytes")
    );
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_change() {
    let served = Served::start(calm()).await;
    let listen = served.admin.address();
    let config = config(&format!("listen = \"{listen}\""));
    let error = Admin::start(&config.sources, &CancellationToken::new()).err().unwrap();
    assert!(matches!(error, AdminError::Listen { .. }));
    let said = error.to_string();
    assert!(said.starts_with(&format!("the admin API could not listen on {listen}: ")), "{said}");
    assert!(said.ends_with("give another [admin] listen"), "{said}");
}
