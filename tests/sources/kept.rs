//! Changes at run time: kept over restarts, shown with who made them, dropped where the file wins.

use std::fs;

use serde_json::json;

use crate::api::Api;
use crate::common::{Cluster, Sidecar, until};

const MAP: &str = "/api/v1/buckets/default/replications";

#[tokio::test]
async fn changes_of_every_kind_outlive_a_kill_and_are_shown_as_drift() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    assert_eq!(api.desired().await["drift"], json!([]));
    let changes = [
        ("POST", "/api/v1/buckets/default/replications/remove", json!({ "alpha": "0-1" })),
        ("PUT", "/api/v1/buckets/default/connections", json!({ "connections": 2 })),
        ("POST", "/api/v1/buckets/default/pause", json!({ "vbuckets": "2-3" })),
        ("POST", "/api/v1/buckets/default/vbuckets/7/takeover", json!({ "from": "alpha" })),
    ];
    for (method, path, body) in changes {
        let (status, answer) = api.ask(method, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let left = json!({ "connections": 2, "replicate": { "alpha": "4-6" } });
    assert_eq!(api.in_force().await, left);
    cluster.sidecar.process.kill_9();
    cluster.sidecar.restart();
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "4-6" })).await;
    let desired = api.desired().await;
    assert_eq!(desired["in_force"], left);
    let source = json!({ "connections": 1, "replicate": { "alpha": "0-7" } });
    assert_eq!(desired["source"], source);
    let drift = desired["drift"].as_array().unwrap();
    let kinds: Vec<_> = drift.iter().map(|it| it["what"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["replicate", "connections", "pause", "takeover"]);
    assert!(drift[0]["by"].as_str().unwrap().starts_with("127.0.0.1:"), "{drift:?}");
    assert_eq!(drift[0]["source"], "alpha");
    assert_eq!(drift[3]["vbuckets"], "7");
    let status = api.get("/api/v1/status").await["buckets"][0].clone();
    assert_eq!((&status["drift"], &status["paused"]), (&json!(6), &json!(2)));
    assert_eq!(api.get("/config").await["bucket"][0]["replicate"], json!({ "alpha": "4-6" }));
    // What is paused goes on, what is discarded is as in the file; what is active here stays out.
    let (status, answer) = api.ask("POST", "/api/v1/buckets/default/resume", json!({})).await;
    assert_eq!((status, &answer["open"]), (200, &json!(5)), "{answer}");
    let (status, answer) = api.ask("POST", "/api/v1/desired/discard", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    api.settles(json!({ "alpha": "0-6" })).await;
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn the_file_wins_where_its_entry_changed_and_says_what_it_dropped() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let (status, _) = api.ask("PUT", MAP, json!({ "alpha": "0-3" })).await;
    assert_eq!(status, 200);
    cluster.sidecar.stop().await;
    let file = cluster.folder.path().join("proxy.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("alpha = \"0-7\"", "alpha = \"0-6\"")).unwrap();
    cluster.sidecar.restart();
    cluster.sidecar.process.logs(&["WARN", "run-time change dropped", "vbs=4-6"]).await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-6" })).await;
    let desired = api.desired().await;
    assert_eq!(desired["drift"], json!([]));
    assert_eq!(desired["dropped"][0]["why"], "source-changed");
    assert_eq!(desired["dropped"][0]["vbuckets"], "4-6");
    cluster.sidecar.stop().await;
}

/// After a move, the next start of `--once` waited 30 s for changes that cannot come.
#[tokio::test]
async fn a_start_after_a_takeover_waits_for_nothing() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let body = json!({ "from": "alpha", "vbuckets": "0-7" });
    let (status, answer) = api.ask("POST", "/api/v1/buckets/default/takeover", body).await;
    assert_eq!(status, 200, "{answer}");
    cluster.sidecar.stop().await;
    let text = fs::read_to_string(cluster.folder.path().join("proxy.toml")).unwrap();
    let config = crate::common::Config::text(text);
    let mut once = crate::common::run(cluster.folder.path(), &config, &["--once"]);
    assert_eq!(once.exit_code().await, 0, "{}", once.log());
    assert!(once.logged(&["ADD_STREAM"]).is_none());
    cluster.sidecar.restart();
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({})).await;
    assert_eq!(api.get("/ready").await["ready"], true);
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn two_callers_do_not_overwrite_each_other() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let revision = api.desired().await["revision"].as_u64().unwrap();
    let (status, answer) = api.ask_if("PUT", MAP, json!({ "alpha": "0-3" }), Some(revision)).await;
    assert_eq!((status, answer["revision"].as_u64()), (200, Some(revision + 1)), "{answer}");
    let (status, answer) = api.ask_if("PUT", MAP, json!({ "alpha": "4-7" }), Some(revision)).await;
    assert_eq!(status, 412, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("read again"), "{answer}");
    // Many at once, each on top of the present revision: exactly as many get through as revisions.
    let before = api.desired().await["revision"].as_u64().unwrap();
    let asked = (0..8).map(|vb| {
        let body = json!({ "alpha": vb.to_string() });
        api.ask_if("PUT", MAP, body, Some(before))
    });
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|(status, _)| *status == 412).count(), 7);
    assert_eq!(api.desired().await["revision"], before + 1);
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_close_and_changes_nothing() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let before = api.desired().await;
    let path = format!("{MAP}?dry_run=true");
    let (status, answer) = api.ask("PUT", &path, json!({ "alpha": "7" })).await;
    assert_eq!(status, 200, "{answer}");
    let expected = json!({
        "dry_run": true, "opens": {}, "closes": { "alpha": "0-6" }, "stays": { "alpha": "7" },
        "paused": null,
    });
    assert_eq!(answer, expected);
    let (status, answer) = api.ask("PUT", &format!("{MAP}?dry-run=1"), json!({})).await;
    assert_eq!(status, 400, "a typo is no change: {answer}");
    assert_eq!(api.desired().await, before);
    cluster.sidecar.stop().await;
}

/// A second process with the same folder.
#[tokio::test]
async fn a_state_in_use_or_damaged_stops_the_start_with_a_remedy() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let (status, _) = api.ask("PUT", MAP, json!({ "alpha": "0-3" })).await;
    assert_eq!(status, 200);
    let folder = cluster.folder.path();
    let text = fs::read_to_string(folder.join("proxy.toml")).unwrap();
    let config = crate::common::Config::text(text);
    let mut second = crate::common::run(folder, &config, &[]);
    assert_eq!(second.exit_code().await, 1);
    second.logs(&["in use by process ", "[state] directory"]).await;
    cluster.sidecar.stop().await;
    fs::write(folder.join("proxy.state/desired.json"), "{\"version\":1").unwrap();
    let mut third = Sidecar::start(folder, &config);
    assert_eq!(third.process.exit_code().await, 1);
    third.process.logs(&["desired.json is damaged", "delete it to start"]).await;
}

/// What was dropped is a part of the state, too, and has to be read back.
#[tokio::test]
async fn what_was_dropped_does_not_stop_the_next_start() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let connections = "/api/v1/buckets/default/connections";
    let (status, _) = api.ask("PUT", connections, json!({ "connections": 2 })).await;
    assert_eq!(status, 200);
    let file = cluster.folder.path().join("proxy.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("alpha = \"0-7\"", "alpha = \"0-6\"")).unwrap();
    let (status, answer) = api.ask("POST", "/reload", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(api.desired().await["dropped"][0]["connections"], 2);
    cluster.sidecar.process.kill_9();
    cluster.sidecar.restart();
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-6" })).await;
    let (status, _) = api.ask("PUT", connections, json!({ "connections": 2 })).await;
    assert_eq!(status, 200);
    for (method, path) in [("POST", "/api/v1/desired/discard?dry_run=true"), ("POST", "/reload?a")]
    {
        assert_eq!(api.ask(method, path, json!({})).await.0, 400, "it takes no query");
    }
    let (status, answer) = api.ask("POST", "/api/v1/desired/discard", json!({})).await;
    assert_eq!((status, &answer["buckets"][0]["dropped"]), (200, &json!([])), "asked for");
    cluster.sidecar.process.kill_9();
    cluster.sidecar.restart();
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-6" })).await;
    cluster.sidecar.stop().await;
}

/// A change that was accepted before a takeover ended may still name its vBuckets.
#[tokio::test]
async fn what_runs_is_what_is_in_force_after_takeovers_and_a_queued_change() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let body = json!({ "from": "alpha", "vbuckets": "3-7" });
    let takeover = api.ask("POST", "/api/v1/buckets/default/takeover", body);
    let change = api.ask("PUT", MAP, json!({ "alpha": "1-7" }));
    let ((status, answer), _) = tokio::join!(takeover, change);
    assert_eq!(status, 200, "{answer}");
    until("both are the same", async || {
        let wanted = api.in_force().await["replicate"].clone();
        (api.replicated().await == wanted).then_some(())
    })
    .await;
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_refuses_changes_and_no_reload() {
    let mut cluster = Cluster::start().await;
    Api::of(&cluster.sidecar).await.settles(json!({ "alpha": "0-7" })).await;
    cluster.sidecar.stop().await;
    let folder = cluster.folder.path().to_owned();
    fs::remove_dir_all(folder.join("proxy.state")).unwrap();
    fs::write(folder.join("proxy.state"), "in the way").unwrap();
    // There is no folder for a session either.
    let file = folder.join("proxy.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[admin]\n", "[admin]\ntoken = \"configured\"\n")).unwrap();
    cluster.sidecar.restart();
    cluster.sidecar.process.logs(&["WARN", "cannot be kept", "proxy.state"]).await;
    let api = Api::of(&cluster.sidecar).await.with_token("configured");
    api.settles(json!({ "alpha": "0-7" })).await;
    let takeover = "/api/v1/buckets/default/vbuckets/7/takeover";
    for (method, path, body) in
        [("PUT", MAP, json!({ "alpha": "0" })), ("POST", takeover, json!({ "from": "alpha" }))]
    {
        let (status, answer) = api.ask(method, path, body).await;
        assert_eq!(status, 500, "{path}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("in the place"), "{answer}");
    }
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("alpha = \"0-7\"", "alpha = \"0-6\"")).unwrap();
    let (status, answer) = api.ask("POST", "/reload", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    api.settles(json!({ "alpha": "0-6" })).await;
    let config = api.get("/api/v1/status").await["config"].clone();
    assert!(config["state_error"].as_str().unwrap().contains("proxy.state"), "{config}");
    fs::remove_file(folder.join("proxy.state")).unwrap();
    let (status, answer) = api.ask("PUT", MAP, json!({ "alpha": "0" })).await;
    assert_eq!(status, 200, "{answer}");
    until("the state is written", async || {
        api.get("/api/v1/status").await["config"]["state_error"].is_null().then_some(())
    })
    .await;
    cluster.sidecar.stop().await;
}
