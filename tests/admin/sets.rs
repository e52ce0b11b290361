//! Takeovers and moves of sets: over HTTP between played nodes, and on the command line.

use mcbp::{Opcode, Status, VbId, VbState};
use serde_json::{Value, json};

use crate::Served;
use crate::common::{Cluster, Documents, same_documents, until};
use crate::nodes::{Link, brisk, calm};

const TAKEOVER: &str = "/api/v1/buckets/default/takeover";

/// Plays the next takeover on a link; returns its vBucket.
async fn take_over(link: &mut Link) -> u16 {
    let stream = link.request().await;
    link.open(&stream).await;
    for state in [VbState::Pending, VbState::Active] {
        link.take_state(&stream, state).await;
    }
    stream.vb.0
}

fn vbuckets(list: &Value) -> Vec<&Value> {
    list.as_array().unwrap().iter().map(|one| &one["vbucket"]).collect()
}

#[tokio::test]
async fn a_set_is_answered_when_each_of_it_is_and_failures_stand_beside_what_moved() {
    let served = Served::start(brisk()).await;
    let http = served.http.clone();
    let body = r#"{"from": "alpha", "vbuckets": "1-3"}"#;
    let set = tokio::spawn(async move { http.post(TAKEOVER, body).await });
    let mut link = served.nodes.accept().await;
    assert_eq!(take_over(&mut link).await, 1);
    let add = link.consumer.expect(Opcode::DCP_ADD_STREAM).await;
    link.consumer.answer(&add, Status::NOT_MY_VBUCKET).await;
    // Both nodes are asked for their states, and close the connection.
    drop(tokio::join!(served.nodes.alpha.accept_raw(), served.nodes.beta.accept_raw()));
    assert_eq!(take_over(&mut link).await, 3);
    let answer = set.await.unwrap();
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(
        answer.error().starts_with("1 of 3 vBuckets were not moved, the first: bucket default")
    );
    assert_eq!(vbuckets(&answer.body["moved"]), [&json!(1), &json!(3)]);
    assert_eq!(vbuckets(&answer.body["errors"]), [&json!(2)]);
    assert_eq!(answer.body["errors"][0]["reason"], "refused");
}

#[tokio::test]
async fn a_set_goes_on_when_its_caller_leaves() {
    let served = Served::start(calm()).await;
    let body = r#"{"from": "alpha", "vbuckets": "4,5"}"#;
    let caller = served.http.send("POST", TAKEOVER, &[], body).await;
    let mut link = served.nodes.accept().await;
    let stream = link.request().await;
    drop(caller);
    // The answer to a later request shows that the server has noticed the disconnect.
    assert_eq!(served.http.get("/live").await.status, 200);
    let again = r#"{"from": "alpha"}"#;
    let again = served.http.post("/api/v1/buckets/default/vbuckets/5/takeover", again).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert!(again.error().starts_with("vb:5 is already being moved from alpha"), "{again:?}");
    link.open(&stream).await;
    for state in [VbState::Pending, VbState::Active] {
        link.take_state(&stream, state).await;
    }
    assert_eq!(take_over(&mut link).await, 5);
    served.nodes.status_until(|status| status.moves.is_empty()).await;
}

#[tokio::test]
async fn a_wrong_set_is_refused_and_moves_nothing() {
    let served = Served::start(calm()).await;
    let table = [
        (r#"{"from": "alpha", "vbuckets": ""}"#, "vbuckets: an empty part: give vbuckets like"),
        (r#"{"from": "alpha", "vbuckets": "1-"}"#, "vbuckets: \"1-\" is not a vbucket or a range"),
        (r#"{"from": "alpha", "vbuckets": "0-1024"}"#, "vbuckets: vbucket 1024 is out of range"),
        (r#"{"from": "alpha", "vbuckets": "1,0-2"}"#, "vbuckets: vbucket 1 is named twice"),
        (r#"{"from": "alpha", "vbuckets": "9-7"}"#, "vbuckets: range 9-7 is reversed"),
        (r#"{"from": "alpha", "vbuckets": 7}"#, "invalid body: wrong type"),
        (r#"{"from": "alpha"}"#, "invalid body: \"vbuckets\" is missing"),
        (r#"{"vbuckets": "1"}"#, "invalid body: \"from\" is missing"),
        (r#"{"from": "gamma", "vbuckets": "1"}"#, "unknown producer \"gamma\": give one of alpha"),
    ];
    for how in ["takeover", "move"] {
        for (body, want) in table {
            let answer = served.http.post(&format!("/api/v1/buckets/default/{how}"), body).await;
            assert_eq!(answer.status, 400, "{how} {body}: {answer:?}");
            assert!(answer.error().starts_with(want), "{how} {body}: {answer:?}");
        }
        let body = r#"{"from": "alpha", "vbuckets": "1"}"#;
        let answer = served.http.post(&format!("/api/v1/buckets/other/{how}"), body).await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    let body = served.http.get("/api/v1/replications").await.body;
    assert_eq!(body["buckets"][0]["moves"], json!([]));
}

/// Writes some documents of each kind, and returns them.
async fn write(documents: &mut Documents, count: usize) {
    for number in 0..count {
        documents.set(&format!("key-{number}"), &"x".repeat(number)).await;
    }
    for number in (0..count).step_by(5) {
        documents.delete(&format!("key-{number}")).await;
    }
    documents.set_for("lives-on", "value", 3600).await;
}

#[tokio::test]
async fn a_set_is_taken_over_with_every_document_and_the_rest_stays_replicated() {
    let cluster = Cluster::start().await;
    let mut documents = cluster.alpha.documents().await;
    write(&mut documents, 200).await;
    cluster.converge().await;
    let run = async |arguments: &[&str]| {
        let mut process = cluster.sidecar.ask(arguments).await;
        (process.exit_code().await, process.out(), process.log())
    };
    let (code, out, log) = run(&["takeover", "default", "0-2,5", "--from", "alpha"]).await;
    assert_eq!((code, log.as_str()), (0, ""), "{out}");
    let line = "default: 4 vBuckets are active here, dead at alpha, in ";
    assert!(out.starts_with(line) && out.ends_with(": 0-2,5\n"), "{out}");
    let moves = ["move", "default", "6,7", "--from", "alpha", "--json"];
    let (code, out, _) = run(&moves).await;
    let body: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, vbuckets(&body["moved"])), (0, vec![&json!(6), &json!(7)]));
    let ours = [0, 1, 2, 5, 6, 7];
    for vb in 0..8 {
        let are = (cluster.alpha.state(VbId(vb)).await, cluster.beta.state(VbId(vb)).await);
        let want = if ours.contains(&vb) {
            (VbState::Dead, VbState::Active)
        } else {
            (VbState::Active, VbState::Replica)
        };
        assert_eq!(are, want, "vb:{vb}");
    }
    same_documents(&cluster.alpha.endpoint(), &cluster.beta.endpoint(), (0..8).map(VbId)).await;
    let theirs = (0..).map(|number| format!("more-{number}"));
    let theirs = theirs.filter(|key| !ours.contains(&documents.vb(key).0)).take(20);
    for key in theirs.collect::<Vec<_>>() {
        documents.set(&key, "value").await;
    }
    same_documents(&cluster.alpha.endpoint(), &cluster.beta.endpoint(), [VbId(3), VbId(4)]).await;
}

#[tokio::test]
async fn a_set_that_fails_in_part_says_what_moved_and_lists_each_failure() {
    let cluster = Cluster::start().await;
    write(&mut cluster.alpha.documents().await, 100).await;
    cluster.converge().await;
    // Both consumer and producer are active already: no interrupted takeover explains that.
    cluster.beta.client().await.set_vbucket(VbId(3), VbState::Active).await.unwrap();
    let arguments = ["takeover", "default", "2-4", "--from", "alpha"];
    let mut process = cluster.sidecar.ask(&arguments).await;
    assert_eq!(process.exit_code().await, 1);
    let log = process.log();
    let lines: Vec<_> = log.lines().collect();
    assert!(
        lines[0].starts_with("default: 2 vBuckets are active here, dead at alpha, in "),
        "{log}"
    );
    assert!(lines[0].ends_with(": 2,4") && lines[1] == "1 vBucket failed:", "{log}");
    // The consumer refuses it, unless it has reported its state before.
    let reasons = ["refused", "active-here"].map(|reason| format!("3  alpha     {reason}"));
    let row = lines[3].trim_start();
    assert!(reasons.iter().any(|reason| row.starts_with(reason)), "{log}");
    same_documents(&cluster.alpha.endpoint(), &cluster.beta.endpoint(), [2, 4].map(VbId)).await;
    let json = cluster.sidecar.ask(&["takeover", "default", "3,4", "--from", "alpha", "--json"]);
    let mut process = json.await;
    assert_eq!(process.exit_code().await, 1);
    let body: Value = serde_json::from_str(&process.out()).unwrap();
    assert_eq!(vbuckets(&body["moved"]), [&json!(4)], "it is ours already");
    assert_eq!(vbuckets(&body["errors"]), [&json!(3)]);
}

#[tokio::test]
async fn a_stop_answers_a_set_that_waits() {
    let served = Served::start(calm()).await;
    let http = served.http.clone();
    let body = r#"{"from": "alpha", "vbuckets": "0-63"}"#;
    let set = tokio::spawn(async move { http.post(TAKEOVER, body).await });
    let mut link = served.nodes.accept().await;
    let _stuck = link.request().await;
    let waiting = async || {
        let status = served.http.get("/api/v1/status").await.body;
        (status["buckets"][0]["moving"] == 64).then_some(())
    };
    until("all wait", waiting).await;
    let handle = served.nodes.handle.clone();
    let down = tokio::spawn(async move { handle.shutdown(crate::nodes::PATIENCE).await });
    let answer = set.await.unwrap();
    assert_eq!((answer.status, vbuckets(&answer.body["errors"]).len()), (502, 64), "{answer:?}");
    assert_eq!(answer.body["errors"][63]["reason"], "stopping");
    link.consumer.hang_up();
    assert!(down.await.unwrap(), "in time");
}
