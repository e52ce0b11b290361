//! A failing conversation is captured by the sidecar itself, after the fact and as it happens, and
//! fails in the same way when it is replayed.

use std::path::Path;

use mcbp::{Status, StreamEndStatus, VbId};

use super::common::{Config, DataNode, FakeNode, FakeProducer, Sidecar, until};
use super::{WAIT_S, start};

/// What a sidecar says of each vBucket that failed.
const FAILURES: [&str; 2] = [
    "vb:1: producer refused add-stream with NotMyVbucket (0x07)",
    "vb:3: producer ended the stream with StateChanged (2)",
];

/// Plays a producer that has lost two of three vBuckets. Returns the connection, which stays open.
async fn fail(alpha: &mut FakeNode, from: u64) -> FakeProducer {
    let mut producer = FakeProducer(alpha.dcp().await);
    let [good, gone, hanging] =
        [producer.request().await, producer.request().await, producer.request().await];
    assert_eq!([good.vb, gone.vb, hanging.vb], [VbId(0), VbId(1), VbId(3)]);
    producer.accept(&good).await;
    producer.marker(&good, from).await;
    producer.change(&good, from + 1).await;
    producer.change(&good, from + 2).await;
    producer.refuse(&gone, Status::NOT_MY_VBUCKET).await;
    producer.accept(&hanging).await;
    producer.end(&hanging, StreamEndStatus::STATE_CHANGED).await;
    producer
}

/// Replays against the rules, and a recording with its handshake against a sidecar too: both fail
/// as the captured one did.
async fn fails_again(folder: &Path, file: &Path, remark: &str, against: &[&[&str]]) {
    for against in against {
        let mut replay = start(folder, file, against);
        let code = replay.exit_code().await;
        let (out, log) = (replay.out(), replay.log());
        assert_eq!(code, 0, "{against:?}: {out}{log}");
        assert!(FAILURES.iter().all(|failure| out.contains(failure)), "{against:?}: {out}");
        assert!(log.contains("link replication:alpha->"), "{against:?}: {log}");
        assert!(log.contains(remark), "{against:?}: {log}");
    }
}

/// With `REPLAY_CAPTURE` naming a folder, both files are kept there.
#[tokio::test]
async fn a_captured_failure_is_replayed_and_fails_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let beta = DataNode::start(folder, "beta", "replica", 8).await;
    let mut alpha = FakeNode::start("alpha").await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint, "0,1,3");
    // What fails is not tried again before the end.
    let slow = config.as_str().replace("retry_ms_min = 20", "retry_ms_min = 60000");
    let slow = Config::text(slow.replace("retry_ms_max = 200", "retry_ms_max = 60000"));
    let mut sidecar = Sidecar::start(folder, &slow);

    let first = fail(&mut alpha, 0).await;
    for failure in FAILURES {
        sidecar.process.logs(&["WARN", failure]).await;
    }
    let [last, live] = ["last", "live"].map(|name| folder.join(format!("{name}.jsonl")));
    let text = |file: &Path| std::fs::read_to_string(file).unwrap_or_default();
    let path = |file: &Path| file.to_str().unwrap().to_owned();
    let mut after = sidecar.ask(&["capture", "default/alpha", &path(&last), "--last"]).await;
    assert_eq!(after.exit_code().await, 0, "{}", after.log());

    let arguments = ["capture", "default/alpha", &path(&live), "--seconds", "600"];
    let mut capture = sidecar.ask(&arguments).await;
    until("both captures have begun", async || {
        (sidecar.process.log().matches("capture begins").count() == 2).then_some(())
    })
    .await;
    // It waits for streams that do not open again.
    let _restart = sidecar.ask(&["restart", "default", "--producer", "alpha"]).await;
    let second = fail(&mut alpha, 2).await;
    until("the failure is captured", async || {
        let text = text(&live);
        let is_over = text.matches("DCP_ADD_STREAM_RESPONSE").count() >= 3;
        (is_over && text.contains("DCP_STREAM_END vb:3")).then_some(())
    })
    .await;
    capture.signal("INT");
    assert_eq!(capture.exit_code().await, 0, "{}", capture.log());
    sidecar.stop().await;
    drop((first, second));
    if let Some(kept) = std::env::var_os("REPLAY_CAPTURE") {
        for file in [&last, &live] {
            std::fs::copy(file, Path::new(&kept).join(file.file_name().unwrap())).unwrap();
        }
    }

    assert!(!text(&last).contains("DCP_MUTATION"), "of the past, data is not kept");
    assert!(text(&last).contains("\"END\""), "the sidecar has ended it");
    let machine: &[&str] = &["--against", "machine"];
    let sidecar: &[&str] = &["--against", "sidecar", "--wait", WAIT_S];
    fails_again(folder, &last, "only control frames are in the file", &[machine]).await;
    fails_again(folder, &live, "frames of an earlier connection", &[machine, sidecar]).await;
}
