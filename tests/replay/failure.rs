//! A conversation that fails is recorded, and fails in the same way when it is replayed.

use mcbp::{Status, StreamEndStatus, VbId};

use super::common::{Config, DataNode, FakeNode, FakeProducer, Sidecar};
use super::recorder::Recorder;
use super::{WAIT_S, ended, start};

/// What the sidecar says of each vBucket that failed.
const FAILURES: [&str; 2] = [
    "vb:1: producer refused add-stream with NotMyVbucket (0x07)",
    "vb:3: producer ended the stream with StateChanged (2)",
];

/// MB-53445 and a producer that has lost a vBucket. With `REPLAY_RECORDING` naming a file, the
/// recording is kept there.
#[tokio::test]
async fn mb_53445_recorded_and_replayed_fails_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
    let mut alpha = FakeNode::start("alpha").await;
    let recorder = Recorder::new();
    let consumer = recorder.tap("consumer", &beta.endpoint()).await;
    let producer = recorder.tap("producer", &alpha.endpoint).await;
    let config = Config::new(&consumer, &producer, "0,1,3");
    // What fails is not tried again before the end.
    let slow = config.as_str().replace("retry_ms_min = 20", "retry_ms_min = 60000");
    let slow = Config::text(slow.replace("retry_ms_max = 200", "retry_ms_max = 60000"));
    let mut sidecar = Sidecar::start(folder.path(), &slow);

    let mut producer = FakeProducer(alpha.dcp().await);
    let [good, gone, hanging] =
        [producer.request().await, producer.request().await, producer.request().await];
    assert_eq!([good.vb, gone.vb, hanging.vb], [VbId(0), VbId(1), VbId(3)]);
    producer.accept(&good).await;
    producer.marker(&good, 0).await;
    producer.change(&good, 1).await;
    producer.change(&good, 2).await;
    producer.refuse(&gone, Status::NOT_MY_VBUCKET).await;
    producer.accept(&hanging).await;
    producer.end(&hanging, StreamEndStatus::STATE_CHANGED).await;
    sidecar.process.logs(&["WARN", FAILURES[0]]).await;
    sidecar.process.logs(&["WARN", FAILURES[1]]).await;
    let recording = recorder.text();
    sidecar.stop().await;

    let file = folder.path().join("recording.jsonl");
    std::fs::write(&file, &recording).unwrap();
    if let Some(kept) = std::env::var_os("REPLAY_RECORDING") {
        std::fs::write(kept, &recording).unwrap();
    }
    let (code, out) = ended(start(folder.path(), &file, &["--against", "machine"])).await;
    assert_eq!(code, 0, "{out}");
    assert!(FAILURES.iter().all(|failure| out.contains(failure)), "{out}");
    assert!(out.contains("the link is idle; vb:0: open"), "{out}");

    let arguments = ["--against", "sidecar", "--wait", WAIT_S];
    let (code, out) = ended(start(folder.path(), &file, &arguments)).await;
    assert_eq!(code, 0, "{out}");
    assert!(FAILURES.iter().all(|failure| out.contains(failure)), "{out}");

    // Without the end, the sidecar has nothing to report: the recording shows what is missing.
    let text = String::from_utf8(recording).unwrap();
    let changed = text.replace("DCP_STREAM_END vb:3", "removed");
    let without: Vec<&str> = changed.lines().filter(|line| !line.contains("removed")).collect();
    std::fs::write(&file, without.join("\n")).unwrap();
    let (_, out) = ended(start(folder.path(), &file, &["--against", "machine"])).await;
    assert!(out.contains(FAILURES[0]) && !out.contains(FAILURES[1]), "{out}");
}
