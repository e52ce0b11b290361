//! The requests that read, at every phase of the process.

use dcp_proxy::admin::Admin;
use mcbp::{Opaque, Status, StreamEndStatus};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::http::Http;
use crate::nodes::{brisk, calm};
use crate::{REPLICATIONS, Served, config};

#[tokio::test]
async fn before_replication_starts_it_lives_and_says_so() {
    let stop = CancellationToken::new();
    let configured = config("listen = \"127.0.0.1:0\"");
    let admin = Admin::start(&configured.sources, &stop).unwrap();
    let http = Http::with(admin.address(), configured.token());
    let live = http.get("/live").await;
    assert_eq!((live.status, live.body), (200, json!({ "live": true })));
    let ready = http.get("/ready").await;
    assert_eq!((ready.status, ready.error()), (503, "not ready: replication has not started yet"));
    assert_eq!(http.get("/api/v1/status").await.body["phase"], "starting");
    let put = http.put(REPLICATIONS, "{}").await;
    assert_eq!((put.status, put.error()), (503, "replication has not started yet"));
    admin.stop().await;
}

#[tokio::test]
async fn it_is_ready_once_every_wanted_stream_is_open() {
    let served = Served::start(calm()).await;
    assert_eq!(served.http.get("/ready").await.status, 200, "nothing is wanted");
    let put = served.put(r#"{"alpha": "0-1"}"#);
    let mut link = served.nodes.accept().await;
    let [first, second] = link.requests().await;
    let ready = served.http.get("/ready").await;
    let words = "not ready: bucket default, producer alpha, connection 0: 2 streams are being set \
                 up, the first: vb:0";
    assert_eq!((ready.status, ready.error()), (503, words));
    link.open(&first).await;
    link.open(&second).await;
    assert_eq!(put.await.unwrap().body, json!({ "open": 2, "revision": 2 }));
    let ready = served.http.get("/ready").await;
    assert_eq!((ready.status, ready.body), (200, json!({ "ready": true })));
    served.stop.cancel();
    assert_eq!(served.http.get("/ready").await.error(), "not ready: the sidecar is stopping");
    assert_eq!(served.http.get("/api/v1/status").await.body["phase"], "stopping");
}

#[tokio::test]
async fn a_stream_that_failed_keeps_it_from_being_ready_unless_so_few_are_enough() {
    for (percent, status, error) in [
        (100, 503, Some("not ready: 1 vBucket: beta: refused add-stream with NotMyVbucket (0x07)")),
        (51, 503, Some("not ready: 1 vBucket: beta: refused add-stream with NotMyVbucket (0x07)")),
        (50, 200, None),
    ] {
        let served = Served::with(calm(), &format!("ready_percent = {percent}")).await;
        let put = served.put(r#"{"alpha": "3-4"}"#);
        let mut link = served.nodes.accept().await;
        let [refused, opened] = link.requests().await;
        link.open(&opened).await;
        link.added(&refused, Status::NOT_MY_VBUCKET).await;
        assert_eq!(put.await.unwrap().status, 502);
        let ready = served.http.get("/ready").await;
        assert_eq!(ready.status, status, "{percent}: {ready:?}");
        assert!(error.is_none_or(|error| ready.error().starts_with(error)), "{ready:?}");
        let body = served.http.get("/api/v1/status").await.body;
        assert_eq!(body["buckets"][0]["failed"], 1, "{body:#}");
        assert_eq!(body["ready"], status == 200, "{body:#}");
        assert_eq!(body["not_ready"].as_array().unwrap().is_empty(), status == 200, "{body:#}");
    }
}

#[tokio::test]
async fn status_shows_the_whole_at_a_glance() {
    let served = Served::start(calm()).await;
    let _link = served.open([0, 2]).await;
    let status = served.http.get("/api/v1/status").await.body;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["uptime_ms"].is_u64(), "{status:#}");
    assert_eq!((&status["phase"], &status["ready"]), (&json!("running"), &json!(true)));
    assert_eq!(status["node"]["name"], "beta");
    assert_eq!(status["producers"][0]["name"], "alpha");
    assert!(status["producers"][0].get("silent_ms").is_some(), "{status:#}");
    let bucket = &status["buckets"][0];
    assert_eq!((&bucket["bucket"], &bucket["connections"]), (&json!("default"), &json!(1)));
    assert_eq!((&bucket["wanted"], &bucket["open"]), (&json!(2), &json!(2)));
    assert_eq!((&bucket["links"], &bucket["links_up"]), (&json!(1), &json!(1)));
    let lag = (&bucket["lag_seqnos_max"], &bucket["lag_unknown"]);
    assert_eq!(lag, (&json!(null), &json!(2)), "nobody was asked for seqnos: {status:#}");
    let alpha = json!({ "name": "alpha", "address": "127.0.0.1:11210", "durability": "synced" });
    assert_eq!(status["embedded"], json!([alpha]));
}

#[tokio::test]
async fn replications_show_every_stream_and_the_reason_of_its_last_error() {
    let served = Served::start(calm()).await;
    let mut link = served.open([0, 1, 2]).await;
    link.end(mcbp::VbId(1), Opaque(2_u32.swap_bytes()), StreamEndStatus::STATE_CHANGED).await;
    served.nodes.status_until(|status| status.links[0].open == 2).await;
    let body = served.http.get("/api/v1/replications").await.body;
    let bucket = &body["buckets"][0];
    assert_eq!(bucket["desired"], json!({ "alpha": "0-2" }), "{body:#}");
    let link = &bucket["links"][0];
    assert_eq!((&link["producer"], &link["phase"]), (&json!("alpha"), &json!("up")));
    let streams = link["streams"].as_array().unwrap();
    let phases: Vec<_> = streams.iter().map(|s| (&s["vbucket"], &s["phase"])).collect();
    let (open, waiting) = (json!("open"), json!("waiting"));
    assert_eq!(phases, [(&json!(0), &open), (&json!(1), &waiting), (&json!(2), &open)]);
    assert!(streams[0]["opaque"].is_u64() && streams[0]["last_error"].is_null(), "{body:#}");
    let error = &streams[1]["last_error"];
    assert_eq!(error["reason"], "stream-end", "{body:#}");
    assert!(error["status"].as_str().unwrap().contains("StateChanged"), "{body:#}");
    for field in ["seqno", "lag_seqnos", "lag_ms", "progress_ms", "passed_seqno"] {
        assert!(streams[0].get(field).is_some(), "{field} in {body:#}");
    }
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let served = Served::start(brisk()).await;
    let answer = served.http.get("/config").await;
    let body = &answer.body;
    assert_eq!(body["node"]["address"], "127.0.0.1:1");
    assert_eq!(body["producer"][0]["password"], "(redacted)");
    assert_eq!(body["bucket"][0]["replicate"], json!({ "alpha": "0-3" }));
    assert_eq!(body["limits"]["connect_ms"], 10_000, "{body:#}");
    assert!(!body.to_string().contains("secret of"), "{body:#}");
}
