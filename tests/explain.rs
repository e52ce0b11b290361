//! `dcp-proxy explain` against real nodes and real sidecars: one sentence for each situation, and
//! what it foretells comes true.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{Cluster, Config, DataNode, Process, Sidecar, nodes, run, until};
use mcbp::{VbId, VbState};
use serde_json::Value;

/// The vBucket of most tests.
const VB: VbId = VbId(3);

/// What the program printed.
struct Story {
    code: i32,
    json: Value,
}

impl Story {
    async fn of(mut process: Process) -> Self {
        let code = process.exit_code().await;
        let out = process.out();
        let json =
            serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out} {}", process.log()));
        Self { code, json }
    }

    /// Asks the sidecar of a cluster, and its nodes.
    async fn told(sidecar: &Sidecar, vb: VbId) -> Self {
        let vb = vb.0.to_string();
        Self::of(sidecar.ask(&["explain", &vb, "--json", "--timeout", "1"]).await).await
    }

    /// Asks where no sidecar runs.
    async fn alone(folder: &Path, config: &Config) -> Self {
        let config = Config::text(config.as_str().replace("127.0.0.1:0", "127.0.0.1:1"));
        Self::of(run(folder, &config, &["explain", "default/3", "--json", "--timeout", "1"])).await
    }

    fn sentence(&self) -> &str {
        self.json["sentence"].as_str().unwrap()
    }

    /// Fails unless the story is of this kind, and its sentence begins like this.
    #[track_caller]
    fn expect(&self, code: i32, kind: &str, sentence: &str) {
        assert_eq!((&self.json["kind"], self.code), (&Value::from(kind), code), "{:#}", self.json);
        assert!(self.sentence().starts_with(sentence), "{}", self.sentence());
        assert_eq!(self.json["healthy"], code == 0);
    }

    /// What a node says.
    fn copy(&self, node: &str) -> &Value {
        let nodes = self.json["nodes"].as_array().unwrap();
        &nodes.iter().find(|it| it["node"] == node).unwrap()["copy"]
    }
}

async fn set(node: &DataNode, state: VbState) {
    node.client().await.set_vbucket(VB, state).await.unwrap();
}

/// Writes `count` documents to the vBucket.
async fn write(node: &DataNode, prefix: &str, count: usize) {
    let mut documents = node.documents().await;
    let keys = (0..).map(|number| format!("{prefix}-{number}"));
    let of_vb: Vec<_> = keys.filter(|key| documents.vb(key) == VB).take(count).collect();
    for key in of_vb {
        documents.set(&key, "value").await;
    }
}

fn config(alpha: &DataNode, beta: &DataNode) -> Config {
    Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7")
}

#[tokio::test]
async fn a_healthy_vbucket_is_in_step_and_both_nodes_are_shown() {
    let cluster = Cluster::start().await;
    write(&cluster.alpha, "key", 5).await;
    cluster.converge().await;
    // The sidecar looks at intervals.
    let story = until("it is in step", async || {
        let story = Story::told(&cluster.sidecar, VB).await;
        (story.code == 0).then_some(story)
    })
    .await;
    story.expect(0, "in-step", "Replicating: in step with alpha at seqno 5; ");
    for node in ["alpha", "beta"] {
        let copy = story.copy(node);
        assert_eq!((&copy["high_seqno"], &copy["documents"]), (&5.into(), &5.into()), "{copy:#}");
        assert_eq!(copy["streams"].as_array().unwrap().len(), 1, "{copy:#}");
        assert_eq!(copy["unread"].as_array().unwrap().len(), 0, "{copy:#}");
    }
    assert_eq!(story.copy("alpha")["failover_log"], story.copy("beta")["failover_log"]);
    assert_eq!(story.json["history"]["request"], "accepted");
    let mut text = cluster.sidecar.ask(&["explain", "default", "3"]).await;
    assert_eq!(text.exit_code().await, 0);
    let out = text.out();
    assert_eq!(out.lines().next().unwrap(), story.sentence());
    assert!(!out.contains('\u{1b}') && out.contains("link phase"), "{out}");
}

#[tokio::test]
async fn histories_that_part_are_told_and_rolled_back_as_foretold() {
    let mut cluster = Cluster::start().await;
    write(&cluster.alpha, "before", 4).await;
    cluster.converge().await;
    // Alpha goes back to what it was, as from a backup, and is promoted.
    cluster.sidecar.stop().await;
    cluster.alpha.stop().await;
    let backup = cluster.folder.path().join("backup");
    copy(&cluster.alpha.data(), &backup);
    cluster.alpha.restart().await;
    cluster.sidecar.restart();
    write(&cluster.alpha, "lost", 2).await;
    cluster.converge().await;
    cluster.sidecar.stop().await;
    cluster.alpha.stop().await;
    fs::remove_dir_all(cluster.alpha.data()).unwrap();
    copy(&backup, &cluster.alpha.data());
    cluster.alpha.restart().await;
    for state in [VbState::Replica, VbState::Active] {
        set(&cluster.alpha, state).await;
    }
    write(&cluster.alpha, "after", 1).await;

    let config = config(&cluster.alpha, &cluster.beta);
    let folder = tempfile::tempdir().unwrap();
    let story = Story::alone(folder.path(), &config).await;
    let sentence = "Our copy has 2 changes (seqno 5 to 6) that alpha never had; the next stream \
                    request is answered with ROLLBACK to 4, and they are dropped.";
    story.expect(1, "parted", sentence);
    let history = &story.json["history"];
    assert_eq!((&history["common_seqno"], &history["dropped_rows"]), (&4.into(), &2.into()));
    let keys: Vec<_> =
        history["dropped_keys"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.starts_with("\"lost-")), "{keys:?}");

    cluster.sidecar.restart();
    cluster.converge().await;
    let seqnos = cluster.beta.client().await.get_all_vb_seqnos().await.unwrap();
    let seqno = seqnos.iter().find(|(vb, _)| *vb == VB).map(|(_, seqno)| seqno.0);
    assert_eq!(seqno, Some(5), "4 in common, and the new one");
}

#[tokio::test]
async fn a_replica_that_was_written_to_is_told_with_what_is_dropped() {
    let mut cluster = Cluster::start().await;
    write(&cluster.alpha, "key", 3).await;
    cluster.converge().await;
    cluster.sidecar.stop().await;
    set(&cluster.beta, VbState::Active).await;
    write(&cluster.beta, "intruder", 2).await;
    set(&cluster.beta, VbState::Replica).await;
    let folder = tempfile::tempdir().unwrap();
    let story = Story::alone(folder.path(), &config(&cluster.alpha, &cluster.beta)).await;
    story.expect(1, "parted", "Our copy has 2 changes (seqno 4 to 5) that alpha never had; ");
    let history = &story.json["history"];
    let rows = ["rollback_to", "dropped_rows", "lost_rows"].map(|key| &history[key]);
    assert_eq!(rows, [&Value::from(0), &Value::from(5), &Value::from(2)], "{history:#}");
    // Those that alpha sends again are not lost.
    let keys: Vec<_> =
        history["dropped_keys"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.starts_with("\"intruder-")), "{keys:?}");
}

#[tokio::test]
async fn two_active_copies_are_told_before_anything_else() {
    let cluster = Cluster::start().await;
    set(&cluster.beta, VbState::Active).await;
    let story = Story::told(&cluster.sidecar, VB).await;
    story.expect(1, "two-active", "vBucket 3 is active at beta and at alpha; ");
}

#[tokio::test]
async fn a_vbucket_that_was_taken_over_is_active_here_and_healthy() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let arguments = ["takeover", "default", "3", "--from", "alpha"];
    let mut takeover = cluster.sidecar.ask(&arguments).await;
    assert_eq!(takeover.exit_code().await, 0, "{}", takeover.log());
    // The sidecar looks at intervals.
    let story = until("it is active here", async || {
        let story = Story::told(&cluster.sidecar, VB).await;
        (story.code == 0).then_some(story)
    })
    .await;
    story.expect(0, "active-here", "It is active at beta and not wanted from anywhere; ");
    assert!(story.json["wanted_from"].is_null(), "{:#}", story.json);
}

#[tokio::test]
async fn a_paused_vbucket_and_one_that_is_not_wanted_are_as_somebody_wants_them() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-3");
    let sidecar = Sidecar::start(folder.path(), &config);
    let mut pause = sidecar.ask(&["pause", "default", "3"]).await;
    assert_eq!(pause.exit_code().await, 0, "{}", pause.log());
    let story = Story::told(&sidecar, VB).await;
    story.expect(0, "paused", "Somebody has paused it, so nothing is replicated; ");
    let verify = ["verify", "default", "--vb", "3", "--in-sidecar"];
    let mut verify = sidecar.ask(&verify).await;
    assert_eq!(verify.exit_code().await, 2, "{}", verify.out());
    let why = "vBuckets 3 of bucket default are paused, not compared: dcp-proxy resume";
    assert!(verify.log().contains(why), "{}", verify.log());
    let story = Story::told(&sidecar, VbId(5)).await;
    story.expect(0, "not-wanted", "It is not wanted from any producer, so nothing is replicated; ");
    assert!(story.sentence().contains("dcp-proxy replicate default alpha=5"));
}

#[tokio::test]
async fn a_frozen_producer_and_one_that_is_gone_do_not_keep_the_rest_from_being_shown() {
    let mut cluster = Cluster::start().await;
    write(&cluster.alpha, "key", 2).await;
    cluster.converge().await;
    cluster.alpha.process.signal("STOP");
    let story = Story::told(&cluster.sidecar, VB).await;
    story.expect(1, "producer-silent", "alpha does not answer as it should");
    let of_vb = &story.json["sidecar"]["vbucket"];
    let is_unresponsive = of_vb["state"] == "unresponsive";
    assert_eq!(story.sentence().contains(" since "), is_unresponsive, "{:#}", story.json);
    assert_eq!(story.copy("beta")["high_seqno"], 2);
    cluster.alpha.process.signal("CONT");
    cluster.alpha.stop().await;
    let story = until("the next try is told", async || {
        let story = Story::told(&cluster.sidecar, VB).await;
        story.sentence().contains("the sidecar tries again").then_some(story)
    })
    .await;
    story.expect(1, "producer-silent", "alpha does not answer as it should");
    assert_eq!(story.copy("beta")["state"], "replica");
    assert!(story.json["history"].is_null(), "it is unknown");
}

#[tokio::test]
async fn without_a_sidecar_the_nodes_are_compared_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    write(&alpha, "key", 2).await;
    let story = Story::alone(folder.path(), &config(&alpha, &beta)).await;
    let sentence = "No sidecar runs, so nothing is replicated; start it: a stream request would be \
                    accepted, and up to 2 changes come.";
    story.expect(1, "no-sidecar", sentence);
    let json = &story.json;
    assert_eq!(
        (&json["wanted_from"], &json["sidecar"]["answer"]),
        (&"alpha".into(), &"not-running".into())
    );
}

#[tokio::test]
async fn with_a_cluster_the_producer_is_the_node_of_its_map() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    write(&alpha, "a", 10).await;
    let address = alpha.address().to_string();
    let config =
        Config::following(&beta.endpoint(), &format!("address = \"couchbase://{address}\""));
    let mut sidecar = Sidecar::start(folder.path(), &config);
    until("it is in step", async || {
        let story = Story::told(&sidecar, VB).await;
        (story.code == 0 && story.copy(&address)["state"] == "active").then_some(())
    })
    .await;
    sidecar.stop().await;
    let story = Story::alone(folder.path(), &config).await;
    assert_eq!(story.copy(&address)["state"], "active", "{:#}", story.json);
}

#[tokio::test]
async fn a_wrong_address_of_the_sidecar_is_not_taken_for_a_stopped_one() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let folder = tempfile::tempdir().unwrap();
    let story = until("both nodes list the stream", async || {
        let config = config(&cluster.alpha, &cluster.beta);
        let story = Story::alone(folder.path(), &config).await;
        (story.json["kind"] == "sidecar-unknown").then_some(story)
    })
    .await;
    story.expect(1, "sidecar-unknown", "Another sidecar replicates it than the one that was asked");
    let sidecar = &story.json["sidecar"];
    assert_eq!((&sidecar["answer"], &sidecar["vbucket"]), (&"elsewhere".into(), &Value::Null));
}

#[tokio::test]
async fn nodes_inside_the_sidecar_are_asked_too() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(folder.path(), &Config::demonstration(8, 50));
    let story = until("it replicates", async || {
        let story = Story::told(&sidecar, VB).await;
        (story.code == 0).then_some(story)
    })
    .await;
    assert!(story.sentence().starts_with("Replicating: "), "{}", story.sentence());
    assert_eq!(
        (&story.copy("beta")["state"], &story.copy("alpha")["state"]),
        (&"replica".into(), &"active".into())
    );
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_says_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let closed = "[node]\nname = \"beta\"\naddress = \"127.0.0.1:1\"\nusername = \"u\"\n\
                  password = \"p\"\n[[producer]]\nname = \"alpha\"\naddress = \"127.0.0.1:1\"\n\
                  username = \"u\"\npassword = \"p\"\n[[bucket]]\nname = \"default\"\n\
                  replicate = { alpha = \"0-7\" }\n";
    for (arguments, want) in [
        (&["explain", "1024"][..], "\"1024\" is no vBucket: give a number from 0 to 1023"),
        (&["explain", "no/3"], "the configuration has no bucket \"no\": it has default"),
        (&["explain", "3", "--admin", "nowhere"], "invalid --admin \"nowhere\""),
        (&["explain"], "required"),
    ] {
        let mut process = run(folder.path(), &Config::text(closed), arguments);
        assert_eq!(process.exit_code().await, 2, "{arguments:?}");
        assert!(process.log().contains(want), "{arguments:?}: {}", process.log());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
