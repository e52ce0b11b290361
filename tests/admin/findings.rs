//! What schemathesis found in the API, each with a test of its own: `tests/openapi` runs it, and is
//! skipped where it is not installed.

use dcp_proxy::admin::Admin;
use tokio_util::sync::CancellationToken;

use crate::http::Http;
use crate::nodes::calm;
use crate::{Served, config};

const JSON: (&str, &str) = ("Accept", "application/json");

/// It was taken for a client that has read nothing, which then got everything again.
#[tokio::test]
async fn a_last_event_id_that_is_not_text_is_refused() {
    let served = Served::start(calm()).await;
    let events = async |id: &str| {
        let headers = [JSON, ("Last-Event-ID", id)];
        served.http.ask("GET", "/api/v1/events", &headers, "").await
    };
    let answer = events("\u{84}").await;
    let said = "Last-Event-ID is not ASCII text: give the id of an event, or leave it out";
    assert_eq!((answer.status, answer.error()), (400, said));
    for id in ["", "0"] {
        assert_eq!(events(id).await.status, 200, "{id:?}");
    }
}

/// The parser of numbers takes a sign, which no revision has.
#[tokio::test]
async fn a_revision_with_a_sign_is_refused() {
    let served = Served::start(calm()).await;
    let pause = async |revision: &str| {
        let headers = [("If-Match", revision)];
        let path = "/api/v1/buckets/default/pause?dry_run=true";
        served.http.ask("POST", path, &headers, "{}").await
    };
    for revision in ["+0", "\"+0\"", "-1", "\"\"", "", "0x1", "99999999999999999999"] {
        let answer = pause(revision).await;
        assert_eq!(answer.status, 400, "{revision:?}: {answer:?}");
        assert!(answer.error().starts_with("If-Match "), "{answer:?}");
    }
    for revision in ["*", "0", "\"0\""] {
        assert_eq!(pause(revision).await.status, 200, "{revision:?}");
    }
}

/// It was answered with 401, although no token makes it a method of a probe.
#[tokio::test]
async fn a_method_that_a_probe_does_not_have_is_405_without_a_token() {
    let config = config("listen = \"127.0.0.1:0\"\ntoken = \"open sesame\"");
    let admin = Admin::start(&config.sources, &CancellationToken::new()).unwrap();
    let http = Http::to(admin.address());
    for path in ["/live", "/ready"] {
        for method in ["TRACE", "POST", "DELETE"] {
            let answer = http.ask(method, path, &[], "").await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.head.contains("\r\nallow: get, head\r\n"), "{}", answer.head);
        }
    }
    assert_eq!(http.post("/shutdown", "").await.status, 401);
    admin.stop().await;
}
