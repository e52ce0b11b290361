//! Recordings of links between real nodes against the rules of a link and against a sidecar.

use std::fmt::Write as _;
use std::path::Path;

use super::{WAIT_S, ended, is_known, start, wire};

/// Every recording of a link. The relay that recorded them was another program: it asked for
/// streams that were open, and passed on what a consumer had refused. Those are differences.
const LINKS: [&str; 19] = [
    "01-setup-four-vbuckets",
    "02-producer-has-no-vbucket",
    "03-rollback-to-zero",
    "04-rollback-partial",
    "05-takeover",
    "06-disk-backfill-after-restart",
    "07-durable-writes",
    "08-stream-end-before-add-stream-answer",
    "19-snappy-only-at-producer",
    "19b-snappy-many-and-agreed",
    "19c-snappy-disk-and-durable",
    "20a-rollbacks-unrelated",
    "20b-rollback-closed-and-added",
    "20c-rollback-closed-old-request-held",
    "20d-rollback-closed-only",
    "20e-rollback-from-disk",
    "21a-consumer-active-then-replica",
    "22-setup-7.6",
    "22b-setup-7.6-producer-8.0-consumer",
];

/// Those in which the relay did nothing but set up streams, as a sidecar does by itself.
const SET_UPS: [&str; 6] = [
    "02-producer-has-no-vbucket",
    "03-rollback-to-zero",
    "04-rollback-partial",
    "06-disk-backfill-after-restart",
    "07-durable-writes",
    "08-stream-end-before-add-stream-answer",
];

fn known(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay").join(file)
}

#[tokio::test]
async fn every_recording_of_a_link_has_its_known_result_against_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut found = String::new();
    for name in LINKS {
        let replay = start(folder.path(), &wire(name), &["--against", "machine"]);
        let (code, out) = ended(replay).await;
        _ = writeln!(found, "== {name}: exit code {code}");
        // Other lines have the number of a frame in front.
        for line in out.lines().filter(|line| !line.starts_with(' ') || line.contains(" answers #"))
        {
            let line = line.find("answers #").map_or(line, |at| &line[at..]);
            _ = writeln!(found, "{line}");
        }
    }
    is_known(&known("machine.txt"), &found);
}

#[tokio::test]
async fn a_sidecar_between_recorded_nodes_does_what_the_relay_did() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--against", "sidecar", "--wait", WAIT_S];
    let replays = SET_UPS.map(|name| (name, start(folder.path(), &wire(name), &arguments)));
    let mut found = String::new();
    for (name, replay) in replays {
        let (code, out) = ended(replay).await;
        _ = writeln!(found, "== {name}: exit code {code}");
        // What it logs has names of its own run in it.
        for line in out.lines().filter(|line| !line.starts_with("sidecar: ")) {
            _ = writeln!(found, "{line}");
        }
    }
    is_known(&known("sidecar.txt"), &found);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = std::fs::read_to_string(wire("02-producer-has-no-vbucket")).unwrap();
    let first = good.lines().next().unwrap();
    let half = file("half.jsonl", &format!("{first}\n{}\n", &first[..50]));
    let table = [
        (file("none.jsonl", ""), "machine", "has no frame between `proxy` and"),
        (folder.path().join("absent.jsonl"), "machine", "absent.jsonl: No such file"),
        (half, "machine", "half.jsonl: line 2: not a line of a recording"),
        (wire("10b-sdk-key-value"), "machine", "it is no recording of a link"),
        (wire("05-takeover"), "sidecar", "vb:30 is a takeover"),
        (wire("01-setup-four-vbuckets"), "node", "say with --as consumer or --as producer"),
    ];
    for (file, against, wanted) in table {
        let mut replay = start(folder.path(), &file, &["--against", against]);
        assert_eq!(replay.exit_code().await, 2, "{wanted}");
        assert!(replay.log().contains(wanted), "{wanted}: {}", replay.log());
    }
    let to_consumer = ["--against", "node", "--as", "consumer", "--node", "127.0.0.1:1"];
    let mut replay = start(folder.path(), &wire("01-setup-four-vbuckets"), &to_consumer);
    assert_eq!(replay.exit_code().await, 2);
    assert!(replay.log().contains("give --yes"), "{}", replay.log());
}
