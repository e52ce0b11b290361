//! A pipe that is not read, one that is closed, and signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::common::{DataNode, Process, until};
use crate::runs::{checkpoint, command, lines, parsed};

/// The bound on the memory of `tail`, whatever comes.
const RSS_KIB_MAX: u64 = 64 * 1024;

/// A line of /proc/PID/status, in KiB. None of a process that has ended: the file of a zombie has
/// no memory in it.
fn memory_kib(id: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap())
}

#[tokio::test]
async fn a_pipe_that_is_not_read_holds_the_node_back_and_then_everything_comes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 2).await;
    let mut documents = node.documents().await;
    let large = "x".repeat(19 * 1024 * 1024);
    for number in 0..6 {
        documents.set(&format!("large-{number}"), &large).await;
    }
    for number in 0..24 {
        documents.set(&format!("small-{number}"), &large[..1024 * 1024]).await;
    }
    let mut command = command(folder, &node, &["--from", "start", "--until", "now"]);
    let mut tail = command.stdout(Stdio::piped()).spawn().unwrap();
    let (id, mut last, mut same) = (tail.id(), 0, 0);
    until("the node is held back", async || {
        let now = memory_kib(id, "VmRSS").unwrap();
        same = if now == last && now > 24 * 1024 { same + 1 } else { 0 };
        last = now;
        (same > 20).then_some(())
    })
    .await;
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    let (lines, peak) = tokio::task::spawn_blocking(move || {
        let (mut lines, mut line, mut peak) = (0, Vec::new(), 0);
        while out.read_until(b'\n', &mut line).unwrap() > 0 {
            // The last lines may be read from the pipe when the process is gone.
            (lines, peak) = (lines + 1, memory_kib(id, "VmHWM").unwrap_or(peak));
            assert!(line.ends_with(b"\"}\n"), "a line is cut off");
            line.clear();
        }
        (lines, peak)
    })
    .await
    .unwrap();
    assert!(tail.wait().unwrap().success());
    assert_eq!(lines, 30);
    assert!(peak > 0 && peak < RSS_KIB_MAX, "{peak} KiB");
}

#[tokio::test]
async fn a_closed_pipe_ends_it_with_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    node.documents().await.set("a", "1").await;
    let path = folder.join("checkpoint");
    let arguments = ["--from", "start", "--checkpoint", path.to_str().unwrap()];
    let mut tail = command(folder, &node, &arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("\"key\":\"a\""), "{line}");
    drop(out);
    let code = until("it ends without another change", async || tail.try_wait().unwrap()).await;
    assert!(code.success());
    assert_eq!(checkpoint(&path)[&0], 1);
}

#[tokio::test]
async fn a_signal_ends_it_with_the_checkpoint_also_while_the_pipe_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let mut documents = node.documents().await;
    for number in 0..200 {
        documents.set(&format!("key-{number}"), &"x".repeat(10_000)).await;
    }
    for signal in ["INT", "TERM"] {
        let path = folder.join(signal);
        let arguments = ["--from", "start", "--checkpoint", path.to_str().unwrap()];
        let mut tail = command(folder, &node, &arguments).stdout(Stdio::piped()).spawn().unwrap();
        until("a checkpoint", async || path.exists().then_some(())).await;
        let mut out = tail.stdout.take().unwrap();
        let mut first = [0; 100];
        out.read_exact(&mut first).unwrap();
        let kill = format!("kill -{signal} {}", tail.id());
        let killed = std::process::Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(killed.success());
        let code = until("it ends", async || tail.try_wait().unwrap()).await;
        assert!(code.success(), "{code}");
        let mut rest = Vec::new();
        out.read_to_end(&mut rest).unwrap();
        let text = [&first[..], &rest].concat();
        let shown = parsed(std::str::from_utf8(&text).unwrap());
        let last = shown.last().and_then(|line| line["seqno"].as_u64()).unwrap_or_default();
        let taken = checkpoint(&path)[&0];
        assert!(taken <= last, "{taken} were taken of {last}");
        let arguments = ["--checkpoint", path.to_str().unwrap(), "--until", "now"];
        let again = lines(folder, &node, &arguments).await;
        let seqnos: Vec<_> = again.iter().map(|line| line["seqno"].as_u64().unwrap()).collect();
        assert_eq!(seqnos, (taken + 1..=200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn wrong_input_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = DataNode::start(folder, "alpha", "active", 1).await;
    let junk = folder.join("junk");
    std::fs::write(&junk, "junk").unwrap();
    let junk = junk.to_str().unwrap();
    let cases: [(&[&str], &str, i32); 11] = [
        (&["--checkpoint", junk, "--from", "start"], "it is no checkpoint", 2),
        (&["--checkpoint", junk, "--from", "now"], "it is no checkpoint", 2),
        (&["--vb", "0-1", "--until", "0=1"], "--vb has vb:1, which --until does not name", 2),
        (&["--until", "5000=1"], "vbucket 5000: a bucket has fewer than 1024", 2),
        (&["--collection", "8"], "taken as the name _default.8", 2),
        (&["--until", "junk"], "give now, seqnos like 0=1200,1=1100, or a file", 2),
        (&["--until", "0=x"], "is not a vBucket and a seqno", 2),
        (&["--checkpoint", junk], "it is no checkpoint", 2),
        (&["--from", "checkpoint"], "needs --checkpoint FILE", 2),
        (&["--collection", "0x8"], "whether the node has this collection, 0x8", 1),
        (&["--checkpoint", "/nowhere/file"], "/nowhere/file", 1),
    ];
    for (arguments, text, code) in cases {
        let mut command = command(folder, &node, arguments);
        let mut tail = Process::start("tail", folder, &mut command);
        assert_eq!(tail.exit_code().await, code, "{arguments:?}: {}", tail.log());
        assert!(tail.log().contains(text), "{arguments:?}: {}", tail.log());
        assert_eq!(tail.out(), "", "{arguments:?}");
    }
    assert_eq!(std::fs::read_to_string(junk).unwrap(), "junk", "the file is as it was");
}
