//! What real nodes sent, replayed by a scripted producer.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::dcp::change_seqno;
use mcbp::{Frame, Opcode, StreamEndStatus, VbId};
use relay::testing::CREDENTIALS;

use crate::common::{FakeNode, FakeProducer, Process};
use crate::runs::{at, parsed};

/// The frames of each vBucket that a capture has, without what a later stream sent again.
fn streams(lines: &[recordings::Line]) -> BTreeMap<VbId, (u64, Vec<Vec<u8>>)> {
    let mut streams: BTreeMap<VbId, (u64, Vec<Vec<u8>>)> = BTreeMap::new();
    for line in lines {
        let Ok(frame) = Frame::parse(&line.bytes) else { continue };
        if !frame.header.is_request() || !line.from.contains("producer") {
            continue;
        }
        let (last, frames) = streams.entry(frame.header.vbucket()).or_default();
        match change_seqno(&frame) {
            Some(seqno) if seqno.0 > *last => *last = seqno.0,
            None if frame.opcode() == Opcode::DCP_SNAPSHOT_MARKER => {}
            _ => continue,
        }
        frames.push(line.bytes.clone());
    }
    streams.retain(|_, (last, _)| *last > 0);
    streams
}

#[tokio::test]
async fn what_real_nodes_sent_is_shown_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), CREDENTIALS.1).unwrap();
    let (mut played, mut ops) = (0, BTreeSet::new());
    for capture in recordings::captures() {
        let streams = streams(&capture.lines);
        // Values that consumers refuse are made by hand, some of them without a collection.
        if streams.is_empty() || capture.name == "17c-consumer-bad-values" {
            continue;
        }
        let end: Vec<_> =
            streams.iter().map(|(vb, (last, _))| format!("{}={last}", vb.0)).collect();
        let mut node = FakeNode::start("recorded").await;
        let mut command =
            at(&node.endpoint.address, &["--from", "start", "--until", &end.join(",")]);
        command.args(["--username", CREDENTIALS.0, "--password-file"]);
        command.arg(folder.path().join("password"));
        let mut tail = Process::start(&capture.name, folder.path(), &mut command);
        let mut producer = FakeProducer(node.dcp().await);
        for _ in &streams {
            let request = producer.request().await;
            producer.accept(&request).await;
            for frame in &streams[&request.vb].1 {
                let mut frame = frame.clone();
                frame[12..16].copy_from_slice(&request.opaque.0.to_be_bytes());
                producer.0.send_raw(&frame).await;
            }
            producer.end(&request, StreamEndStatus::OK).await;
        }
        assert_eq!(tail.exit_code().await, 0, "{}: {}", capture.name, tail.log());
        let mut shown: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for line in parsed(&tail.out()) {
            ops.insert(line["op"].as_str().unwrap().to_owned());
            let seqno = line["seqno"].as_u64().unwrap();
            shown.entry(line["vb"].as_u64().unwrap()).or_default().push(seqno);
        }
        let seqnos = |frames: &[Vec<u8>]| -> Vec<u64> {
            let seqno = |frame: &Vec<u8>| Some(change_seqno(&Frame::parse(frame).ok()?)?.0);
            frames.iter().filter_map(seqno).collect()
        };
        let sent: BTreeMap<u64, Vec<u64>> =
            streams.iter().map(|(vb, (_, frames))| (u64::from(vb.0), seqnos(frames))).collect();
        assert_eq!(shown, sent, "{}", capture.name);
        played += 1;
    }
    assert!(played >= 20, "{played} captures were played");
    let durable = ["commit", "prepare", "system-event"];
    assert!(durable.iter().all(|op| ops.contains(*op)), "{ops:?}");
}
