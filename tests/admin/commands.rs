//! The commands, with every answer, success and failure.

use mcbp::{Opcode, Status, StreamEndStatus};
use serde_json::json;

use crate::nodes::{brisk, calm};
use crate::{REPLICATIONS, Served};

#[tokio::test]
async fn a_desired_map_is_answered_when_every_stream_is_set_up() {
    let served = Served::start(calm()).await;
    let put = served.put(r#"{"alpha": "0,2"}"#);
    let mut link = served.nodes.accept().await;
    let [first, second] = link.requests().await;
    link.open(&first).await;
    assert!(!put.is_finished());
    link.open(&second).await;
    let answer = put.await.unwrap();
    assert_eq!((answer.status, answer.body), (200, json!({ "open": 2, "revision": 2 })));
}

#[tokio::test]
async fn every_vbucket_that_failed_is_listed_with_its_reason() {
    let served = Served::start(calm()).await;
    let put = served.put(r#"{"alpha": "0-2"}"#);
    let mut link = served.nodes.accept().await;
    let [refused, ended, good] = link.requests().await;
    link.added(&refused, Status::NOT_MY_VBUCKET).await;
    link.accept(&ended).await;
    link.end(ended.vb, ended.opaque, StreamEndStatus::STATE_CHANGED).await;
    link.open(&good).await;
    let answer = put.await.unwrap();
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.error().starts_with("2 vBuckets failed, the first: "), "{}", answer.error());
    let errors = answer.body["errors"].as_array().unwrap();
    let fields = ["bucket", "producer", "vbucket", "reason", "status", "detail", "retry"];
    for error in errors {
        let keys: Vec<_> = error.as_object().unwrap().keys().collect();
        assert!(fields.iter().all(|field| keys.contains(&&(*field).to_owned())), "{error:#}");
        assert_eq!((&error["bucket"], &error["producer"]), (&json!("default"), &json!("alpha")));
    }
    let short: Vec<_> = errors.iter().map(|e| (&e["vbucket"], &e["reason"])).collect();
    let (refused, end) = (json!("refused"), json!("stream-end"));
    assert_eq!(short, [(&json!(0), &refused), (&json!(1), &end)], "{errors:#?}");
}

#[tokio::test]
async fn a_wrong_map_is_refused_with_what_would_do_and_changes_nothing() {
    let served = Served::start(calm()).await;
    let table = [
        ("", "the body is empty: give a JSON object"),
        ("{", "invalid body: it ends too early, at line 1 column 1: give a whole JSON object"),
        (r#"["alpha"]"#, "invalid body: give a JSON object, which is in braces"),
        (
            r#"{"alpha": 5}"#,
            "invalid body: wrong type: the number `5`, expected a text in quotes at \
             line 1 column 11",
        ),
        (
            r#"{"alpha": "0", "alpha": "1"}"#,
            "invalid body: duplicate key \"alpha\" at line 1 column 28",
        ),
        (
            r#"{"alpha": "0-x"}"#,
            "producer \"alpha\": \"0-x\" is not a vbucket or a range: give vbuckets like 0-511,600",
        ),
        (r#"{"alpha": ""}"#, "producer \"alpha\": an empty part: give vbuckets like 0-511,600"),
        (
            r#"{"alpha": "0-1024"}"#,
            "producer \"alpha\": vbucket 1024 is out of range: give 0 to 1023",
        ),
        (r#"{"alpha": "4,2-5"}"#, "producer \"alpha\": vbucket 4 is named twice"),
        (r#"{"gamma": "0"}"#, "unknown producer \"gamma\": give one of alpha"),
    ];
    for (body, want) in table {
        let answer = served.http.put(REPLICATIONS, body).await;
        assert_eq!((answer.status, answer.error()), (400, want), "{body}");
    }
    let unknown = served.http.put("/api/v1/buckets/a%2Fb/replications", "{}").await;
    assert_eq!(
        (unknown.status, unknown.error()),
        (404, "unknown bucket \"a/b\": give one of default")
    );
    let body = served.http.get("/api/v1/replications").await.body;
    assert_eq!(body["buckets"][0]["desired"], json!({}));
}

#[tokio::test]
async fn maps_are_served_in_turn_and_the_last_one_stays() {
    let served = Served::start(calm()).await;
    let first = served.put(r#"{"alpha": "0"}"#);
    let mut link = served.nodes.accept().await;
    let stream = link.request().await;
    // The first one runs: the second waits for it.
    let second = served.put(r#"{"alpha": "0,1"}"#);
    link.open(&stream).await;
    assert_eq!(first.await.unwrap().body, json!({ "open": 1, "revision": 2 }));
    let stream = link.request().await;
    assert_eq!(stream.vb.0, 1, "what is open stays");
    link.open(&stream).await;
    assert_eq!(second.await.unwrap().body, json!({ "open": 2, "revision": 3 }));
}

#[tokio::test]
async fn a_patch_adds_vbuckets_and_keeps_all_others() {
    let served = Served::start(calm()).await;
    let mut link = served.open([0, 1]).await;
    let http = served.http.clone();
    let patch = r#"{"alpha": "1,5"}"#;
    let patch = tokio::spawn(async move { http.ask("PATCH", REPLICATIONS, &[], patch).await });
    let stream = link.request().await;
    assert_eq!(stream.vb.0, 5, "what is open stays");
    link.open(&stream).await;
    assert_eq!(patch.await.unwrap().body, json!({ "open": 3, "revision": 3 }));
    let body = served.http.get("/api/v1/replications").await.body;
    assert_eq!(body["buckets"][0]["desired"], json!({ "alpha": "0-1,5" }));
    let unknown = served.http.ask("PATCH", REPLICATIONS, &[], r#"{"gamma": "1"}"#).await;
    assert_eq!(
        (unknown.status, unknown.error()),
        (400, "unknown producer \"gamma\": give one of alpha")
    );
}

#[tokio::test]
async fn one_vbucket_is_changed_and_the_others_stay() {
    let served = Served::start(calm()).await;
    let mut link = served.open([0, 1]).await;
    let (path, http) = ("/api/v1/buckets/default/vbuckets/5/replication", served.http.clone());
    let put = tokio::spawn(async move { http.put(path, r#"{"from": "alpha"}"#).await });
    let stream = link.request().await;
    assert_eq!(stream.vb.0, 5);
    link.open(&stream).await;
    assert_eq!(put.await.unwrap().body, json!({ "open": 3, "revision": 3 }));
    let (path, http) = ("/api/v1/buckets/default/vbuckets/0/replication", served.http.clone());
    let delete = tokio::spawn(async move { http.ask("DELETE", path, &[], "").await });
    for node in [&mut link.consumer, &mut link.producer] {
        let close = node.expect(Opcode::DCP_CLOSE_STREAM).await;
        node.answer(&close, Status::SUCCESS).await;
    }
    assert_eq!(delete.await.unwrap().body, json!({ "open": 2, "revision": 4 }));
    let body = served.http.get("/api/v1/replications").await.body;
    assert_eq!(body["buckets"][0]["desired"], json!({ "alpha": "1,5" }));
}

#[tokio::test]
async fn the_number_of_connections_is_checked_and_kept() {
    let served = Served::start(calm()).await;
    let path = "/api/v1/buckets/default/connections";
    for (body, want) in [
        (r#"{"connections": 0}"#, "0 connections for each producer: give 1 to 64"),
        (r#"{"connections": 65}"#, "65 connections for each producer: give 1 to 64"),
    ] {
        let answer = served.http.put(path, body).await;
        assert_eq!((answer.status, answer.error()), (400, want));
    }
    assert_eq!(
        served.http.put(path, r#"{"connections": 4}"#).await.body,
        json!({ "open": 0, "revision": 2 })
    );
    let body = served.http.get("/api/v1/replications").await.body;
    assert_eq!(body["buckets"][0]["connections"], 4);
}

#[tokio::test]
async fn too_many_commands_are_refused_and_reading_goes_on() {
    let served = Served::start(calm()).await;
    let first = served.put(r#"{"alpha": "0"}"#);
    let mut link = served.nodes.accept().await;
    let stream = link.request().await;
    // Sixteen may wait; only the one that is refused is answered before the stream is open.
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let http = served.http.clone();
        others.spawn(async move { http.put(REPLICATIONS, r#"{"alpha": "0"}"#).await });
    }
    let refused = others.join_next().await.unwrap().unwrap();
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.error().ends_with("try again later"), "{}", refused.error());
    assert_eq!(served.http.get("/api/v1/replications").await.status, 200);
    link.open(&stream).await;
    let answers = others.join_all().await;
    assert_eq!(answers.len(), 15);
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_command_goes_on_when_its_caller_leaves() {
    let served = Served::start(calm()).await;
    let caller = served.http.send("PUT", REPLICATIONS, &[], r#"{"alpha": "0,1"}"#).await;
    let mut link = served.nodes.accept().await;
    let [first, second] = link.requests().await;
    link.open(&first).await;
    drop(caller);
    // The answer to a later request shows that the server has noticed the disconnect.
    assert_eq!(served.http.get("/live").await.status, 200);
    link.open(&second).await;
    let status = served.nodes.status_until(|status| status.links[0].open == 2).await;
    assert_eq!(status.links[0].wanted, 2);
}

#[tokio::test]
async fn a_takeover_that_fails_says_why() {
    let served = Served::start(brisk()).await;
    let path = "/api/v1/buckets/default/vbuckets/5/takeover";
    let http = served.http.clone();
    let takeover = tokio::spawn(async move { http.post(path, r#"{"from": "alpha"}"#).await });
    let mut link = served.nodes.accept().await;
    let add = link.consumer.expect(Opcode::DCP_ADD_STREAM).await;
    link.consumer.answer(&add, Status::NOT_MY_VBUCKET).await;
    // Both nodes are asked for their states, and close the connection.
    drop(tokio::join!(served.nodes.alpha.accept_raw(), served.nodes.beta.accept_raw()));
    let answer = takeover.await.unwrap();
    assert_eq!(answer.status, 502, "{answer:?}");
    let error = &answer.body["errors"][0];
    assert_eq!((&error["vbucket"], &error["reason"]), (&json!(5), &json!("refused")), "{error:#}");
}

#[tokio::test]
async fn a_wrong_takeover_or_move_is_refused() {
    let served = Served::start(calm()).await;
    let table = [
        (
            "default",
            "1024",
            r#"{"from": "alpha"}"#,
            400,
            "invalid vBucket \"1024\": give 0 to 1023",
        ),
        ("default", "x", r#"{"from": "alpha"}"#, 400, "invalid vBucket \"x\": give 0 to 1023"),
        (
            "default",
            "1",
            r#"{"from": "gamma"}"#,
            400,
            "unknown producer \"gamma\": give one of alpha",
        ),
        ("default", "1", "{}", 400, "invalid body: \"from\" is missing at line 1 column 2"),
        (
            "other",
            "1",
            r#"{"from": "alpha"}"#,
            404,
            "unknown bucket \"other\": give one of default",
        ),
    ];
    for (bucket, vb, body, status, want) in table {
        for how in ["takeover", "move"] {
            let path = format!("/api/v1/buckets/{bucket}/vbuckets/{vb}/{how}");
            let answer = served.http.post(&path, body).await;
            assert_eq!((answer.status, answer.error()), (status, want), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn a_shutdown_is_answered_and_then_nothing_is_begun_any_more() {
    let served = Served::start(calm()).await;
    let answer = served.http.post("/shutdown", "").await;
    assert_eq!((answer.status, answer.body), (202, json!({ "stopping": true })));
    assert!(served.stop.is_cancelled());
    assert!(served.nodes.handle.shutdown(crate::nodes::PATIENCE).await);
    let late = served.http.put(REPLICATIONS, "{}").await;
    assert_eq!((late.status, late.error()), (503, "replication is being stopped"));
    served.admin.stop().await;
}

#[tokio::test]
async fn a_command_that_waits_is_answered_when_replication_stops() {
    let served = Served::start(calm()).await;
    let put = served.put(r#"{"alpha": "0"}"#);
    let mut link = served.nodes.accept().await;
    let _stuck = link.request().await;
    let handle = served.nodes.handle.clone();
    let down = tokio::spawn(async move { handle.shutdown(crate::nodes::PATIENCE).await });
    let answer = put.await.unwrap();
    assert_eq!((answer.status, answer.error()), (503, "replication is being stopped"));
    link.consumer.hang_up();
    assert!(down.await.unwrap(), "in time");
}

#[tokio::test]
async fn the_log_level_can_be_changed() {
    let served = Served::start(calm()).await;
    let before = served.http.get("/log-level").await.body;
    let put = served.http.put("/log-level", r#"{"level": "debug"}"#).await;
    assert_eq!((put.status, &put.body["level"]), (200, &json!("debug")));
    let filters = r#"{"filters": {"relay::pump": "trace", "kvnode": "warn"}}"#;
    let put = served.http.put("/log-level", filters).await;
    let all = json!({
        "level": "debug", "filters": { "kvnode": "warn", "relay::pump": "trace" },
        "configured": before["configured"], "rust_log": null,
    });
    assert_eq!((put.status, put.body), (200, all.clone()));
    assert_eq!(served.http.get("/log-level").await.body, all);
    let wrong = served.http.put("/log-level", r#"{"filters": {"rellay": "trace"}}"#).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.error().contains("give one of dcp_proxy, dcp_actors, relay"), "{wrong:?}");
    let wrong = served.http.put("/log-level", r#"{"level": "loud"}"#).await;
    let words = "unknown log level \"loud\": give off, error, warn, info, debug or trace";
    assert_eq!((wrong.status, wrong.error()), (400, words));
    assert_eq!(served.http.put("/log-level", r#"{"reset": true}"#).await.body, before);
    // Nothing changes.
    assert_eq!(served.http.put("/log-level", r#"{"reset": true}"#).await.body, before);
    let path = "/api/v1/events?kind=log-level";
    let events = served.http.ask("GET", path, &[("Accept", "application/json")], "").await.body;
    assert_eq!(events["events"].as_array().unwrap().len(), 3, "{events}");
}
