//! The command of `--exec`: what it acknowledges is in the checkpoint, and nothing else.

use crate::common::{DataNode, Process, until};
use crate::runs::{checkpoint, command};

/// Acknowledges every second line.
const PAIRS: &str = "n=0; while read -r line && read -r line; do n=$((n+2)); echo $n; done";
/// Acknowledges every line.
const ALL: &str = "n=0; while read -r line; do n=$((n+1)); echo $n; done";

#[tokio::test]
async fn what_the_command_has_done_is_in_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let mut documents = node.documents().await;
    for number in 0..5 {
        documents.set(&format!("key-{number}"), "x").await;
    }
    let cases = [
        (ALL, 0, 5, ""),
        ("read -r line; read -r line; echo 2; exit 3", 1, 2, "has done 2 of 5 lines"),
        ("cat > /dev/null", 1, 0, "has done 0 of 5 lines"),
        ("read -r line; echo 9; cat > /dev/null", 1, 0, "acknowledged 9 lines of 5"),
        ("echo hello; cat > /dev/null", 1, 0, "hello, which is no number"),
    ];
    for (at, (exec, code, seqno, text)) in cases.into_iter().enumerate() {
        let path = folder.join(format!("checkpoint-{at}"));
        let file = path.to_str().unwrap();
        let arguments = ["--from", "start", "--until", "now", "--checkpoint", file, "--exec", exec];
        let mut tail = Process::start("tail", folder, &mut command(folder, &node, &arguments));
        assert_eq!(tail.exit_code().await, code, "{exec}: {}", tail.log());
        assert_eq!(checkpoint(&path)[&0], seqno, "{exec}");
        assert!(tail.log().contains(text), "{exec}: {}", tail.log());
    }
}

#[tokio::test]
async fn changes_that_a_filter_leaves_out_need_no_acknowledgement() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let mut documents = node.documents().await;
    let value = "x".repeat(1024 * 1024);
    // The command waits for another line before it acknowledges this one.
    documents.set("key-first", "x").await;
    // More than the window of flow control.
    for number in 0..12 {
        documents.set(&format!("other-{number}"), &value).await;
    }
    documents.set("key", "x").await;
    let path = folder.join("checkpoint");
    let file = path.to_str().unwrap();
    let what = ["--from", "start", "--until", "now", "--key", "key"];
    let arguments = [&what[..], &["--checkpoint", file, "--exec", PAIRS]].concat();
    let mut tail = Process::start("tail", folder, &mut command(folder, &node, &arguments));
    assert_eq!(tail.exit_code().await, 0, "{}", tail.log());
    assert_eq!(checkpoint(&path)[&0], 14);
}

#[tokio::test]
async fn a_large_value_after_small_ones_is_acknowledged_by_the_loop_of_the_docs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let mut documents = node.documents().await;
    // More than a pipe holds, so that the lines before it are done while it is being written.
    let large = "x".repeat(200 * 1024);
    for number in 0..3 {
        documents.set(&format!("small-{number}"), "x").await;
        documents.set(&format!("large-{number}"), &large).await;
    }
    let arguments = ["--from", "start", "--until", "now", "--exec", ALL];
    let mut tail = Process::start("tail", folder, &mut command(folder, &node, &arguments));
    assert_eq!(tail.exit_code().await, 0, "{}", tail.log());
}

#[tokio::test]
async fn a_command_that_ends_before_the_end_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    for (exec, how) in [("exit 3", "exit status: 3"), ("no-such-command", "127"), ("true", "0")] {
        // Nothing is to be delivered yet.
        let mut tail =
            Process::start("tail", folder, &mut command(folder, &node, &["--exec", exec]));
        assert_eq!(tail.exit_code().await, 1, "{exec}: {}", tail.log());
        let log = tail.log();
        assert!(log.contains(how) && log.contains("has done 0 lines"), "{exec}: {log}");
    }
    node.documents().await.set("key", "x").await;
    for exec in ["true", ""] {
        let arguments = ["--from", "start", "--until", "now", "--exec", exec];
        let mut tail = Process::start("tail", folder, &mut command(folder, &node, &arguments));
        assert_eq!(tail.exit_code().await, 1, "{exec:?}: {}", tail.log());
    }
}

/// Whether a process runs; one that has ended has no folder.
fn is_there(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/{id}/cwd")).is_dir()
}

/// The command says its process, and that of a child, and then neither reads nor ends.
const HANGS: &str = "sleep 1000 & echo $! > child; echo $$ > sh; exec >&-; wait";

#[tokio::test]
async fn a_second_signal_ends_a_command_that_hangs_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let mut hangs = command(folder, &node, &["--exec", HANGS]);
    let mut tail = hangs.current_dir(folder).spawn().unwrap();
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse::<u32>().ok()
    };
    let (child, shell) = until("it runs", async || read("child").zip(read("sh"))).await;
    assert!(is_there(child) && is_there(shell));
    // The signals that follow at once are the first one.
    let code = until("it ends", async || {
        let kill = format!("kill -INT {}", tail.id());
        let done = tail.try_wait().unwrap();
        if done.is_none() {
            std::process::Command::new("sh").args(["-c", &kill]).status().unwrap();
        }
        done
    })
    .await;
    assert_eq!(code.code(), Some(1));
    until("all is gone", async || (!is_there(child) && !is_there(shell)).then_some(())).await;
}

#[tokio::test]
async fn a_command_that_hangs_at_the_end_is_ended_in_time_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    node.documents().await.set("key", &"x".repeat(500_000)).await;
    let hangs = "sleep 1000 & echo $! > child; wait";
    let arguments = ["--from", "start", "--until", "now", "--exec", hangs];
    let mut hangs = command(folder, &node, &arguments);
    let mut tail = Process::start("tail", folder, hangs.current_dir(folder));
    // The ten seconds that the documents promise, and no way to make them fewer.
    assert_eq!(tail.exit_code().await, 1, "{}", tail.log());
    let log = tail.log();
    assert!(log.contains("was killed") && log.contains("has done 0 lines"), "{log}");
    let child = std::fs::read_to_string(folder.join("child")).unwrap();
    let child = child.trim().parse().unwrap();
    until("the child is gone", async || (!is_there(child)).then_some(())).await;
}
