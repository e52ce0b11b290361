//! What real data nodes said to each other passes the pump byte for byte, minus what is withheld.

use std::path::Path;

use crate::support::{Rule, concat, pump, split, withheld};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn frames(path: &Path, from: &str) -> Vec<Bytes> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    // A line without a frame tells that the connection was closed.
    let sent = lines.filter(|line| line["from"] == from && line["hex"].is_string());
    let hex = sent.map(|line| line["hex"].to_string());
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.map(|hex| hex.trim_matches('"').as_bytes().chunks(2).map(byte).collect()).collect()
}

#[tokio::test]
async fn captured_frames_pass_unchanged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/wire");
    if !folder.is_dir() {
        println!("skipped: the captures are not here");
        return;
    }
    let mut seen = 0;
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for (from, size) in ["producer", "consumer"].into_iter().zip([25, 1000]) {
            let frames = frames(&path, from);
            let (mut source, reader) = duplex(size);
            let (writer, mut sink) = duplex(size);
            let (pump, _injector) = pump(reader, writer, Rule::default());
            let all = concat(&frames);
            let feeding = async move { source.write_all(&all).await.unwrap() };
            let mut out = Vec::new();
            let (_, error, read) = tokio::join!(feeding, pump.run(), sink.read_to_end(&mut out));
            read.unwrap();
            let want: Vec<_> = frames.iter().filter(|f| !withheld(f)).cloned().collect();
            assert_eq!(split(&out), want, "{} from {from}: {error}", path.display());
            seen += want.len();
        }
    }
    assert!(seen > 300, "only {seen} frames were replayed");
}
