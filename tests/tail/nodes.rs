//! Lines of real nodes, over restarts and rollbacks, from and until everywhere.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{DataNode, Process, until};
use crate::runs::{checkpoint, command, lines, parsed};

fn shown(lines: &[Value]) -> Vec<(String, Value)> {
    let change = |line: &Value| {
        let what = line.get("op").or_else(|| line.get("event")).unwrap();
        let value = line.get("value").cloned().unwrap_or_default();
        (format!("{} {}", what.as_str().unwrap(), line["key"].as_str().unwrap_or("-")), value)
    };
    lines.iter().map(change).collect()
}

fn line(what: &str, value: Value) -> (String, Value) {
    (what.to_owned(), value)
}

#[tokio::test]
async fn from_and_until_bound_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let mut documents = node.documents().await;
    documents.set("user:1", "one").await;
    documents.set("other", "two").await;
    documents.delete("other").await;
    let all = lines(folder, &node, &["--from", "start", "--until", "now"]).await;
    let expected = [line("mutation user:1", json!("one")), line("deletion other", Value::Null)];
    assert_eq!(shown(&all), expected);
    let users = ["--from", "start", "--until", "0=1", "--key", "user:", "--keys-only"];
    assert_eq!(shown(&lines(folder, &node, &users).await), [line("mutation user:1", Value::Null)]);
    assert_eq!(lines(folder, &node, &["--until", "now"]).await, [] as [Value; 0], "from now");

    let path = folder.join("checkpoint");
    let file = path.to_str().unwrap();
    let from_checkpoint = ["--until", "now", "--checkpoint", file];
    assert_eq!(lines(folder, &node, &from_checkpoint).await, [] as [Value; 0]);
    documents.set("user:2", "three").await;
    let new = lines(folder, &node, &from_checkpoint).await;
    assert_eq!(shown(&new), [line("mutation user:2", json!("three"))]);
    let again = ["--until", file, "--from", "start", "--raw", "--snapshots"];
    let raw = lines(folder, &node, &again).await;
    assert_eq!((raw.len(), &raw[2]["value_base64"]), (3, &json!("dGhyZWU=")));
    assert_eq!(raw[2]["snapshot"], json!([0, 4]), "{}", raw[2]);

    let mut other = command(folder, &node, &["--checkpoint", file, "--key", "user:"]);
    let mut other = Process::start("other", folder, &mut other);
    assert_eq!(other.exit_code().await, 2);
    assert!(other.log().contains("with another filter"), "{}", other.log());
}

#[tokio::test]
async fn a_node_that_restarts_is_told_and_nothing_is_shown_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut node = DataNode::start(folder, "alpha", "active", 4).await;
    node.documents().await.set("a", "one").await;
    let mut tail = command(folder, &node, &["--from", "start"]);
    let mut tail = Process::start("tail", folder, &mut tail);
    has(&tail, "\"key\":\"a\"").await;
    node.process.kill_9();
    has(&tail, "node-lost").await;
    node.restart().await;
    node.documents().await.set("b", "two").await;
    has(&tail, "\"key\":\"b\"").await;
    tail.signal("INT");
    assert_eq!(tail.exit_code().await, 0);
    let expected = [
        line("mutation a", json!("one")),
        line("node-lost -", Value::Null),
        line("node-back -", Value::Null),
        line("mutation b", json!("two")),
    ];
    assert_eq!(shown(&parsed(&tail.out())), expected);
}

#[tokio::test]
async fn a_checkpoint_has_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let (path, link) = (folder.join("checkpoint"), folder.join("link"));
    let first = ["--from", "start", "--checkpoint", path.to_str().unwrap()];
    let mut first = Process::start("first", folder, &mut command(folder, &node, &first));
    until("the checkpoint", async || path.exists().then_some(())).await;
    std::os::unix::fs::symlink("checkpoint", &link).unwrap();
    let second = ["--until", "now", "--checkpoint", link.to_str().unwrap()];
    let mut refused = Process::start("second", folder, &mut command(folder, &node, &second));
    assert_eq!(refused.exit_code().await, 1);
    let text = format!("it is in use by process {}: end that one", first.id());
    assert!(refused.log().contains(&text), "{}", refused.log());
    first.kill_9();
    assert_eq!(lines(folder, &node, &second).await, [] as [Value; 0], "the lock went with it");
}

async fn has(tail: &Process, text: &str) {
    until(text, async || tail.out().contains(text).then_some(())).await;
}

/// Replaces a folder by a copy of another one.
pub(crate) fn copy(from: &Path, to: &Path) {
    _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_rollback_is_shown_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut node = DataNode::start(folder, "alpha", "active", 1).await;
    node.documents().await.set("kept", "one").await;
    // After a kill each start begins a branch, of the copy another one.
    node.process.kill_9();
    copy(&node.data(), &folder.join("before"));
    node.restart().await;
    let path = folder.join("checkpoint");
    let arguments = ["--checkpoint", path.to_str().unwrap(), "--until", "now"];
    let from_start = [&arguments[..], &["--from", "start"]].concat();
    assert_eq!(lines(folder, &node, &from_start).await.len(), 1);
    node.documents().await.set("lost", "two").await;
    assert_eq!(lines(folder, &node, &arguments).await.len(), 1);
    node.process.kill_9();
    copy(&folder.join("before"), &node.data());
    node.restart().await;
    node.documents().await.set("new", "three").await;
    node.documents().await.set("newer", "four").await;
    let after = lines(folder, &node, &arguments).await;
    let rollback = json!({"event": "rollback", "vb": 0, "from": 2, "to": 1});
    assert_eq!(after[0], rollback, "{after:?}");
    let expected = [line("mutation new", json!("three")), line("mutation newer", json!("four"))];
    assert_eq!(shown(&after[1..]), expected);
}

#[tokio::test]
async fn from_start_keeps_the_vbuckets_of_a_checkpoint_that_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 2).await;
    let mut documents = node.documents().await;
    for number in 0..20 {
        documents.set(&format!("key-{number}"), "x").await;
    }
    let path = folder.join("checkpoint");
    let file = path.to_str().unwrap();
    let all = ["--from", "start", "--until", "now", "--checkpoint", file];
    assert_eq!(lines(folder, &node, &all).await.len(), 20);
    let before = checkpoint(&path);
    assert!(before.len() == 2 && before.values().all(|seqno| *seqno > 0), "{before:?}");
    let one = ["--from", "start", "--until", "now", "--vb", "0", "--checkpoint", file];
    assert_eq!(lines(folder, &node, &one).await.len() as u64, before[&0], "all of it again");
    assert_eq!(checkpoint(&path), before);
    // Of another bucket, the same file is refused and stays.
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("\"bucket\":\"default\"", "\"bucket\":\"other\"");
    std::fs::write(&path, &text).unwrap();
    for arguments in [vec!["--from", "start", "--checkpoint", file], vec!["--until", file]] {
        let mut tail = Process::start("tail", folder, &mut command(folder, &node, &arguments));
        assert_eq!(tail.exit_code().await, 2, "{arguments:?}: {}", tail.log());
        assert!(tail.log().contains("of bucket other, not of default"), "{}", tail.log());
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn half_a_line_of_an_earlier_run_is_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    node.documents().await.set("key", "x").await;
    let path = folder.join("all.jsonl");
    std::fs::write(&path, "{\"vb\":0,\"se").unwrap();
    let out = std::fs::File::options().append(true).open(&path).unwrap();
    let mut all = command(folder, &node, &["--from", "start", "--until", "now"]);
    assert!(all.stdout(out).status().unwrap().success());
    let text = std::fs::read_to_string(&path).unwrap();
    let (half, whole) = text.split_once('\n').unwrap();
    assert_eq!(half, "{\"vb\":0,\"se");
    assert_eq!(shown(&parsed(whole)), [line("mutation key", json!("x"))]);
}
