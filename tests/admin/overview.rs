//! What the dashboard and `top` read: the overview, the history, and one vBucket.

use ::events::{Event, Kind, Level};
use dcp_proxy::vb_state::VbState;
use mcbp::{Status, VbId};
use serde_json::{Value, json};

use crate::common::until;
use crate::nodes::calm;
use crate::{Served, config};

/// The overview, once it is as it should be.
async fn overview(served: &Served, is_so: impl Fn(&Value) -> bool) -> Value {
    until("the overview shows it", async || {
        let answer = served.http.get("/api/v1/overview").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        is_so(&answer.body).then_some(answer.body)
    })
    .await
}

fn states(overview: &Value) -> String {
    // A reading may be from before there were buckets.
    overview["buckets"][0]["states"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_overview_shows_buckets_links_and_the_state_of_each_vbucket() {
    let served = Served::start(calm()).await;
    let idle = overview(&served, |it| it["buckets"][0]["bucket"] == "default").await;
    assert_eq!(states(&idle), ".".repeat(1024));
    assert_eq!(idle["token"], json!({ "kind": "session", "accepted": false }));
    let _link = served.open([0, 1, 2, 3]).await;
    let shown = overview(&served, |it| states(it).starts_with("oooo.")).await;
    assert_eq!(shown["headline"], "everything is replicated", "{shown:#}");
    assert_eq!((&shown["problems"], &shown["ready"]), (&json!([]), &json!(true)));
    assert_eq!(
        (&shown["phase"], &shown["buckets"][0]["vbuckets"]),
        (&json!("running"), &json!(1024))
    );
    assert_eq!(
        (&shown["buckets"][0]["wanted"], &shown["buckets"][0]["open"]),
        (&json!(4), &json!(4))
    );
    let link = &shown["links"][0];
    assert_eq!(
        (&link["producer"], &link["phase"], &link["open"]),
        (&json!("alpha"), &json!("up"), &json!(4))
    );
    assert_eq!(link["name"], "replication:alpha->beta:default");
    let node = &shown["embedded"][0];
    assert_eq!((&node["name"], &node["durability"]), (&json!("alpha"), &json!("synced")));
    assert_eq!(node["documents"], Value::Null, "what is not known is not 0");
    let newest = served.http.ask("GET", "/api/v1/events?follow=false", &json_only(), "").await;
    assert_eq!(newest.body["next"].as_str().unwrap().split('-').next(), {
        shown["events_newest"].as_str().unwrap().split('-').next()
    });
}

fn json_only() -> [(&'static str, &'static str); 1] {
    [("Accept", "application/json")]
}

#[tokio::test]
async fn the_legend_is_the_table_of_the_states() {
    let served = Served::start(calm()).await;
    let answer = served.http.get("/api/v1/overview?legend=true").await;
    let legend = answer.body["legend"].as_array().unwrap();
    assert_eq!(legend.len(), VbState::ALL.len());
    for (entry, state) in legend.iter().zip(VbState::ALL) {
        assert_eq!(entry["char"], state.char().to_string());
        assert_eq!(entry["word"], state.word());
    }
    assert_eq!(served.http.get("/api/v1/overview").await.body.get("legend"), None);
    for (query, said) in [
        ("/api/v1/overview?legend=1", "a value is neither true nor false: give legend=true"),
        ("/api/v1/overview?x=1", "unknown field \"x\": give legend=true"),
        ("/api/v1/history?points=0", "points=0 is out of range: give points=1 to points=720"),
        ("/api/v1/history?points=721", "points=721 is out of range"),
        ("/api/v1/history?points=x", "give points=1 to points=720"),
    ] {
        let answer = served.http.get(query).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.error().contains(said), "{query}: {}", answer.error());
    }
}

#[tokio::test]
async fn a_stream_that_fails_is_the_headline_with_what_to_do() {
    let served = Served::start(calm()).await;
    let answer = served.put(r#"{"alpha": "7"}"#);
    let mut link = served.nodes.accept().await;
    let [stream] = link.requests().await;
    link.added(&stream, Status::NOT_MY_VBUCKET).await;
    assert_eq!(answer.await.unwrap().status, 502);
    let shown = overview(&served, |it| it["problems"][0]["id"] == "stream-waiting").await;
    let problem = &shown["problems"][0];
    assert_eq!(problem["severity"], "error");
    assert_eq!((&problem["bucket"], &problem["vbuckets"]), (&json!("default"), &json!("7")));
    assert_eq!(shown["headline"], problem["what"]);
    assert!(problem["since"].as_str().unwrap().ends_with('Z'), "{problem}");
    assert!(problem["remedy"].as_str().unwrap().contains("dcp-proxy streams --failed default"));
    assert_eq!(&states(&shown)[7..8], "w");

    // Replication of this test tells nobody what happens.
    let event = Event::new(Level::Warn, Kind::StreamFailed, "stream failed");
    let event = event.of_bucket("default").of_vbuckets("7".parse().unwrap());
    served.configured.sources.events().push(event);
    let one = served.http.get("/api/v1/buckets/default/vbuckets/7").await.body;
    assert_eq!((&one["state"], &one["char"]), (&json!("waiting"), &json!("w")));
    assert_eq!((&one["producer"], &one["connection"]), (&json!("alpha"), &json!(0)));
    assert!(one["stream"]["last_error"]["detail"].is_string(), "{one:#}");
    let events = one["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["kind"] == "stream-failed"), "{one:#}");
    assert!(events.iter().all(|event| event["vbuckets"] == "7"), "{one:#}");
    let of_it = served.http.ask("GET", "/api/v1/events?vbucket=7", &json_only(), "").await;
    assert_eq!(of_it.body["events"].as_array().unwrap().len(), events.len());
    let of_other = served.http.ask("GET", "/api/v1/events?vbucket=8", &json_only(), "").await;
    assert_eq!(of_other.body["events"], json!([]));
    let wrong = served.http.get("/api/v1/events?vbucket=1024").await;
    assert_eq!((wrong.status, wrong.error()), (400, "invalid vBucket \"1024\": give 0 to 1023"));
}

#[tokio::test]
async fn one_vbucket_that_nothing_is_known_of_says_so() {
    let served = Served::start(calm()).await;
    let one = served.http.get("/api/v1/buckets/default/vbuckets/9").await;
    assert_eq!(one.status, 200, "{one:?}");
    let one = one.body;
    assert_eq!((&one["state"], &one["char"]), (&json!("not wanted"), &json!(".")));
    for unknown in ["link", "connection", "stream", "move"] {
        assert_eq!(one[unknown], Value::Null, "{unknown}");
    }
    assert_eq!((&one["paused"], &one["events"]), (&json!(false), &json!([])));
    let missing = served.http.get("/api/v1/buckets/nobody/vbuckets/9").await;
    assert_eq!(missing.status, 404, "{missing:?}");
}

#[tokio::test]
async fn what_is_paused_is_shown_and_a_notice() {
    let served = Served::start(calm()).await;
    let mut link = served.open([0, 1, 2, 3]).await;
    let pause = served.http.clone();
    let asked = tokio::spawn(async move {
        pause.post("/api/v1/buckets/default/pause", r#"{"vbuckets": "1"}"#).await
    });
    link.closes(VbId(1)).await;
    assert_eq!(asked.await.unwrap().status, 200);
    let shown = overview(&served, |it| states(it).starts_with("opoo.")).await;
    assert_eq!(shown["problems"][0]["id"], "paused", "{shown:#}");
    assert_eq!(shown["problems"][0]["severity"], "notice");
    assert_eq!(shown["headline"], "1 vBucket of default is paused: it gets no changes");
    assert_eq!(shown["drift"][0]["bucket"], "default");
    let one = served.http.get("/api/v1/buckets/default/vbuckets/1").await.body;
    assert_eq!((&one["paused"], &one["char"]), (&json!(true), &json!("p")));
}

#[tokio::test]
async fn the_history_has_a_sample_of_each_link_with_what_is_not_known_as_null() {
    let served = Served::start(calm()).await;
    let _link = served.open([0]).await;
    let shown = until("a sample is taken", async || {
        let answer = served.http.get("/api/v1/history?points=5").await;
        assert_eq!((answer.status, &answer.body["interval_ms"]), (200, &json!(5000)));
        (answer.body["links"][0]["bucket"] == "default").then_some(answer.body)
    })
    .await;
    assert!(shown["at"].as_str().unwrap().ends_with('Z'), "{shown:#}");
    assert_eq!(shown["left_out"], json!([]));
    let samples = &shown["links"][0]["samples"];
    assert_eq!(samples["bytes_per_s"][0], Value::Null, "one reading says nothing: {shown:#}");
    let lengths = ["bytes_per_s", "frames_per_s", "lag_ms"];
    let lengths = lengths.map(|column| samples[column].as_array().unwrap().len());
    assert!(lengths[0] >= 1 && lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
}

#[tokio::test]
async fn before_replication_has_started_that_is_the_headline() {
    let configured = config("listen = \"127.0.0.1:0\"");
    let stop = tokio_util::sync::CancellationToken::new();
    let admin = dcp_proxy::admin::Admin::start(&configured.sources, &stop).unwrap();
    let http = crate::Http::to(admin.address());
    let shown = http.get("/api/v1/overview").await.body;
    assert_eq!(
        (&shown["phase"], &shown["problems"][0]["id"]),
        (&json!("starting"), &json!("starting"))
    );
    assert!(shown["headline"].as_str().unwrap().starts_with("replication has not started yet"));
    assert_eq!((&shown["buckets"], &shown["links"]), (&json!([]), &json!([])));
    let history = http.get("/api/v1/history").await.body;
    assert_eq!(history["links"], json!([]));
    admin.stop().await;
}
