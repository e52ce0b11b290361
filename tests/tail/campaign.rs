//! `tail` is killed at random points, in many rounds, while the node is written to, restarts, and
//! loses what it had: no change is missing, and those of a vBucket are in order.
//!
//! `TAIL_KILL_ROUNDS` is the number of rounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{DataNode, Process, until};
use crate::nodes::copy;
use crate::runs::{Reader, checkpoint, command, parsed};

/// Rounds without the variable: few, for the default run of all tests.
const ROUNDS: u64 = 6;
/// Keys that are written again and again.
const KEYS: u64 = 40;
const VBUCKETS: u16 = 4;

fn rounds() -> u64 {
    let text = std::env::var("TAIL_KILL_ROUNDS").ok();
    text.map_or(ROUNDS, |text| text.parse().expect("TAIL_KILL_ROUNDS is a number"))
}

/// Writes and deletes some documents.
async fn write(node: &DataNode, count: u64, number: &mut u64) {
    let mut documents = node.documents().await;
    for _ in 0..count {
        *number += 1;
        let key = format!("key-{}", fastrand::u64(..KEYS));
        if number.is_multiple_of(7) {
            // There may be no such document.
            _ = documents.try_delete(&key).await;
        } else {
            documents.set(&key, &format!("value {number}")).await;
        }
    }
}

/// One run, which is killed after so many more changes, or at the end of what there is.
async fn killed_run(folder: &Path, node: &mut DataNode, reader: &mut Reader, number: &mut u64) {
    let path = folder.join("checkpoint");
    reader.resume(&checkpoint(&path));
    let file = path.to_str().unwrap();
    let mut arguments = vec!["--checkpoint", file, "--snapshots"];
    if !path.exists() {
        arguments.extend(["--from", "start"]);
    }
    let mut tail = Process::start("tail", folder, &mut command(folder, node, &arguments));
    write(node, fastrand::u64(1..60), number).await;
    // A node that is killed before its first connection ends `tail`, and there is no checkpoint.
    until("a checkpoint", async || path.exists().then_some(())).await;
    if fastrand::u8(..4) == 0 {
        // The connection is lost within the run.
        node.process.kill_9();
        node.restart().await;
        write(node, 10, number).await;
    }
    // So many lines may never come.
    let (lines, latest) = (fastrand::usize(..60), Duration::from_millis(fastrand::u64(..2000)));
    let began = Instant::now();
    until("a moment to kill it", async || {
        (began.elapsed() > latest || tail.out().lines().count() >= lines).then_some(())
    })
    .await;
    tail.kill_9();
    reader.read(&parsed(&tail.out()));
}

#[tokio::test]
async fn no_change_is_missing_whenever_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut node = DataNode::start(folder, "alpha", "active", VBUCKETS).await;
    let (mut reader, mut number, mut rollbacks) = (Reader::default(), 0, 0);
    let path = folder.join("checkpoint");
    for round in 0..rounds() {
        // Every third time the node loses what it had after this moment.
        let loses = round % 3 == 2;
        if loses {
            // After a kill each start begins a branch, of the copy another one.
            node.process.kill_9();
            copy(&node.data(), &folder.join("before"));
            node.restart().await;
        }
        killed_run(folder, &mut node, &mut reader, &mut number).await;
        if loses {
            node.process.kill_9();
            copy(&folder.join("before"), &node.data());
            node.restart().await;
        }
        reader.resume(&checkpoint(&path));
        let arguments = ["--checkpoint", path.to_str().unwrap(), "--until", "now"];
        let mut tail = Process::start("tail", folder, &mut command(folder, &node, &arguments));
        assert_eq!(tail.exit_code().await, 0, "round {round}: {}", tail.log());
        rollbacks += reader.read(&parsed(&tail.out()));
        assert_eq!(reader.documents(), documents(&node).await, "round {round}");
    }
    assert!(rollbacks > 0 || rounds() < 50, "no rollback in {} rounds", rounds());
}

/// The documents of the node.
async fn documents(node: &DataNode) -> BTreeMap<String, String> {
    let mut documents = node.documents().await;
    let mut found = BTreeMap::new();
    for key in (0..KEYS).map(|key| format!("key-{key}")) {
        if let Some(value) = documents.get(&key).await {
            found.insert(key, value);
        }
    }
    found
}
