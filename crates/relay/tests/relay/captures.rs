//! What real data nodes sent to each other passes the pump byte for byte, minus what is withheld.

use crate::support::{Rule, concat, pump, split, withheld};
use bytes::Bytes;
use recordings::Capture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn frames(capture: &Capture, from: &str) -> Vec<Bytes> {
    let sent = capture.lines.iter().filter(|line| line.from == from);
    sent.map(|line| Bytes::copy_from_slice(&line.bytes)).collect()
}

#[tokio::test]
async fn captured_frames_pass_unchanged() {
    let mut seen = 0;
    for capture in recordings::captures() {
        for (from, size) in ["producer", "consumer"].into_iter().zip([25, 1000]) {
            let frames = frames(&capture, from);
            let (mut source, reader) = duplex(size);
            let (writer, mut sink) = duplex(size);
            let (pump, _injector) = pump(reader, writer, Rule::default());
            let all = concat(&frames);
            let feeding = async move { source.write_all(&all).await.unwrap() };
            let mut out = Vec::new();
            let (_, error, read) = tokio::join!(feeding, pump.run(), sink.read_to_end(&mut out));
            read.unwrap();
            let want: Vec<_> = frames.iter().filter(|f| !withheld(f)).cloned().collect();
            assert_eq!(split(&out), want, "{} from {from}: {error}", capture.name);
            seen += want.len();
        }
    }
    assert!(seen > 300, "only {seen} frames were replayed");
}
