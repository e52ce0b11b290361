//! The configuration is read again: only what changed is touched, and a bad file changes nothing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::api::Api;
use crate::common::{Cluster, DataNode, Writers, until};

/// Replaces a text in the configuration file, which must be there.
fn edit(folder: &Path, from: &str, to: &str) {
    let file = folder.join("proxy.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    fs::write(&file, text.replace(from, to)).unwrap();
}

/// A `[[producer]]` of a running node.
fn producer(node: &DataNode) -> String {
    let endpoint = node.endpoint();
    format!(
        "[[producer]]\nname = {:?}\naddress = {:?}\nusername = {:?}\npassword = {:?}\n",
        endpoint.name,
        endpoint.address,
        endpoint.username,
        endpoint.password.expose()
    )
}

async fn reload(api: &Api) -> Value {
    let (status, answer) = api.ask("POST", "/reload", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// By vBucket: the opaque of its stream, which is another one after each ADD_STREAM.
async fn opaques(api: &Api) -> Vec<(u64, Value)> {
    let replications = api.get("/api/v1/replications").await;
    let links = replications["buckets"][0]["links"].as_array().unwrap().clone();
    let streams = links.iter().flat_map(|link| link["streams"].as_array().unwrap().clone());
    let mut all: Vec<_> =
        streams.map(|it| (it["vbucket"].as_u64().unwrap(), it["opaque"].clone())).collect();
    all.sort_by_key(|(vb, _)| *vb);
    all
}

#[tokio::test]
async fn a_reload_under_load_touches_only_what_changed() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let writers = Writers::start(&[&cluster.alpha]);
    writers.acknowledge(200).await;
    let before = opaques(&api).await;
    for (from, to, open) in [("0-7", "0-5", "0-5"), ("0-5", "0-7", "0-7")] {
        edit(cluster.folder.path(), from, to);
        reload(&api).await;
        api.settles(json!({ "alpha": open })).await;
        writers.acknowledge(100).await;
    }
    let after = opaques(&api).await;
    assert_eq!(before[..6], after[..6], "streams that stay are the same ones");
    assert_ne!(before[6..], after[6..], "those that were closed are new");
    let link = api.get("/api/v1/replications").await["buckets"][0]["links"][0].clone();
    assert_eq!(link["bytes"], link["bytes_total"], "the link was never opened again");
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn a_bad_file_leaves_all_as_it_was_and_says_so_everywhere() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let before = (api.get("/config").await, opaques(&api).await);
    edit(cluster.folder.path(), "alpha = \"0-7\"", "gamma = \"0-7\"");
    let (status, answer) = api.ask("POST", "/reload", json!({})).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer["problems"][0].as_str().unwrap().contains("gamma"), "{answer}");
    cluster.sidecar.process.logs(&["ERROR", "configuration not reloaded", "gamma"]).await;
    let last = api.get("/api/v1/status").await["config"]["last_reload"].clone();
    assert_eq!(last["ok"], false, "{last}");
    assert!(last["error"].as_str().unwrap().contains("gamma"), "{last}");
    let metrics = api.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("dcp_proxy_config_last_reload_successful 0\n"));
    assert_eq!((api.get("/config").await, opaques(&api).await), before);
    // The next good one is taken.
    edit(cluster.folder.path(), "gamma = \"0-7\"", "alpha = \"0-6\"");
    reload(&api).await;
    api.settles(json!({ "alpha": "0-6" })).await;
    let metrics = api.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("dcp_proxy_config_last_reload_successful 1\n"));
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn producers_and_buckets_come_and_go() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let gamma = DataNode::start(cluster.folder.path(), "gamma", "active", 8).await;
    let text = fs::read_to_string(cluster.folder.path().join("proxy.toml")).unwrap();
    edit(cluster.folder.path(), "[[bucket]]", &format!("{}[[bucket]]", producer(&gamma)));
    edit(cluster.folder.path(), "alpha = \"0-7\"", "alpha = \"0-3\", gamma = \"4-7\"");
    let other = "[[bucket]]\nname = \"other\"\nreplicate = { gamma = \"0\" }\n[admin]";
    edit(cluster.folder.path(), "[admin]", other);
    reload(&api).await;
    api.settles(json!({ "alpha": "0-3", "gamma": "4-7" })).await;
    // The nodes have no such bucket, which harms that bucket only.
    until("the new bucket fails by name", async || {
        let replications = api.get("/api/v1/replications").await;
        let other = replications["buckets"][1].clone();
        (other["bucket"] == "other" && !other["links"][0]["last_error"].is_null()).then_some(())
    })
    .await;
    // An overlay for a producer that then leaves the file.
    let path = "/api/v1/buckets/default/replications";
    let (status, answer) = api.ask("PATCH", path, json!({ "gamma": "3" })).await;
    assert_eq!(status, 200, "{answer}");
    fs::write(cluster.folder.path().join("proxy.toml"), &text).unwrap();
    reload(&api).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    assert_eq!(api.get("/api/v1/desired").await["buckets"].as_array().unwrap().len(), 1);
    let (status, answer) = api.ask("PATCH", path, json!({ "gamma": "3" })).await;
    assert_eq!(status, 400, "{answer}");
    until("the links to gamma are gone", async || {
        let replications = api.get("/api/v1/replications").await;
        let buckets = replications["buckets"].as_array().unwrap().clone();
        let links = buckets[0]["links"].as_array().unwrap().clone();
        let quiet = links.iter().all(|it| it["producer"] == "alpha" || it["phase"] == "stopped");
        (buckets.len() == 1 && quiet).then_some(())
    })
    .await;
    cluster.sidecar.stop().await;
}

/// The move goes on to its end with the producer that it began with.
#[tokio::test]
async fn a_reload_that_removes_the_producer_of_a_running_move_is_answered_at_once() {
    let mut cluster = Cluster::start().await;
    let gamma = DataNode::start(cluster.folder.path(), "gamma", "active", 8).await;
    edit(cluster.folder.path(), "[[bucket]]", &format!("{}[[bucket]]", producer(&gamma)));
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    reload(&api).await;
    gamma.process.signal("STOP");
    let path = "/api/v1/buckets/default/vbuckets/7/takeover";
    let moving = api.ask("POST", path, json!({ "from": "gamma" }));
    let rest = async {
        until("the move has begun", async || {
            let replications = api.get("/api/v1/replications").await;
            let moves = replications["buckets"][0]["moves"].as_array().unwrap().clone();
            (!moves.is_empty()).then_some(())
        })
        .await;
        edit(cluster.folder.path(), &producer(&gamma), "");
        reload(&api).await;
        let again = "/api/v1/buckets/default/vbuckets/6/takeover";
        let (status, answer) = api.ask("POST", again, json!({ "from": "gamma" })).await;
        assert_eq!(status, 400, "{answer}");
        gamma.process.signal("CONT");
    };
    let ((status, answer), ()) = tokio::join!(moving, rest);
    assert_eq!(status, 200, "{answer}");
    api.settles(json!({ "alpha": "0-6" })).await;
    cluster.sidecar.stop().await;
}

#[tokio::test]
async fn a_thousand_reloads_are_flat_in_memory_and_descriptors() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let read = async |name: &str| {
        let page = api.get("/metrics").await;
        let lines: Vec<_> = page.as_str().unwrap().lines().map(str::to_owned).collect();
        let line = lines.into_iter().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    let turn = async |count: usize| {
        for _ in 0..count {
            edit(cluster.folder.path(), "retry_ms_min", "#retry_ms_min");
            reload(&api).await;
            edit(cluster.folder.path(), "#retry_ms_min", "retry_ms_min");
            reload(&api).await;
        }
        (read("process_open_fds").await, read("process_resident_memory_bytes").await)
    };
    let (fds, memory) = turn(100).await;
    let (fds_after, memory_after) = turn(400).await;
    assert!(fds_after <= fds + 4.0, "{fds} descriptors, then {fds_after}");
    let more = (memory_after - memory) / 1024.0 / 1024.0;
    assert!(more < 4.0, "{more} MiB more after 800 reloads");
    api.settles(json!({ "alpha": "0-7" })).await;
    cluster.sidecar.stop().await;
}

/// It may be half written, and valid all the same.
#[tokio::test]
async fn a_file_that_has_lost_its_map_is_followed_on_request_only() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    edit(cluster.folder.path(), "replicate = { alpha = \"0-7\" }\n", "");
    cluster.sidecar.process.logs(&["ERROR", "not reloaded", "dcp-proxy reload"]).await;
    assert_eq!(api.replicated().await, json!({ "alpha": "0-7" }));
    reload(&api).await;
    api.settles(json!({})).await;
    cluster.sidecar.stop().await;
}
