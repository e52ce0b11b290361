//! Whatever is asked of the map has a clear answer, and changes nothing where it is wrong.

use serde_json::{Value, json};

use crate::api::Api;
use crate::common::Cluster;

#[tokio::test]
async fn wrong_changes_are_refused_by_name() {
    let mut cluster = Cluster::start().await;
    let api = Api::of(&cluster.sidecar).await;
    api.settles(json!({ "alpha": "0-7" })).await;
    let before = api.desired().await;
    let of = |path: &str| format!("/api/v1/buckets/default/{path}");
    let rows: [(&str, String, Value, u16, &str); 14] = [
        ("PUT", "/api/v1/buckets/other/replications".to_owned(), json!({}), 404, "\"other\""),
        ("POST", of("replications/remove"), json!({ "alpha": "9" }), 400, "vb:9"),
        ("POST", of("replications/remove"), json!({ "gamma": "0" }), 400, "\"gamma\""),
        ("PATCH", of("replications"), json!({ "alpha": "0-2000" }), 400, "give 0 to 1023"),
        ("PUT", of("replications?dry_run=maybe"), json!({}), 400, "dry_run=true"),
        ("POST", of("pause"), json!({ "producer": "gamma" }), 400, "\"gamma\""),
        ("POST", of("pause"), json!({ "vbuckets": "" }), 400, "empty"),
        ("POST", of("pause"), json!({ "vbucket": "0" }), 400, "vbucket"),
        ("POST", of("restart"), json!({}), 400, "give producer"),
        ("POST", of("restart"), json!({ "producer": "alpha", "vbuckets": "0" }), 400, "give"),
        ("POST", of("restart"), json!({ "vbuckets": "900" }), 404, "900"),
        ("PUT", of("connections"), json!({ "connections": 65 }), 400, "1 to 64"),
        ("POST", "/api/v1/desired/discard".to_owned(), json!({ "bucket": "x" }), 404, "\"x\""),
        ("PUT", of("replications"), json!({ "alpha": "1,".repeat(40_000) }), 413, "65536"),
    ];
    for (method, path, body, expected, words) in rows {
        let (status, answer) = api.ask(method, &path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{method} {path}: {answer}");
    }
    assert_eq!(api.desired().await, before);
    cluster.sidecar.stop().await;
}
