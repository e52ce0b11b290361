//! `--once` with a cluster: it waits for the map, and what the map names is copied and compared.

use crate::common::{self, Config, DataNode};
use crate::{VBUCKETS, following, tell};

/// Runs to the end; returns the exit code and what was said.
async fn once(folder: &std::path::Path, config: &Config) -> (i32, String) {
    let mut run = common::run(folder, config, &["--once"]);
    (run.exit_code().await, run.out() + &run.log())
}

#[tokio::test]
async fn once_copies_what_the_map_names_and_fails_without_a_map() {
    let [folder, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let folder = folder.path();
    let (alpha, beta, copy) = tokio::join!(
        DataNode::start(folder, "alpha", "active", VBUCKETS),
        DataNode::start(folder, "beta", "active", VBUCKETS),
        DataNode::start(folder, "copy", "replica", VBUCKETS),
    );
    tell(&[&alpha, &beta], 1, [0, 0, 0, 0, 1, 1, 1, 1]).await;
    for node in [&alpha, &beta] {
        let mut documents = node.documents().await;
        for number in 0..50 {
            documents.set(&format!("doc-{number}"), "1").await;
        }
    }
    let address = format!("couchbase://{}", alpha.address());
    // The second time the map is known, and everything is there.
    for _ in 0..2 {
        let (code, said) = once(folder, &following(&copy, &address)).await;
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("Replicating 8 vBuckets from"), "{said}");
        assert_eq!(said.matches("Comparing 4 vBuckets").count(), 2, "{said}");
    }
    let nowhere = following(&copy, "couchbase://127.0.0.1:1").limits("once_idle_ms = 1000");
    let (code, said) = once(other.path(), &nowhere).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Nothing was replicated within 1s: the map of bucket default"), "{said}");
}
