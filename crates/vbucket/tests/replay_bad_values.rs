//! A capture in which a scripted producer feeds a real consumer one bad message a stream: ours must
//! answer each with the same status, but for the differences that are listed here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;

use consumer_bench::Bench;
use mcbp::{Frame, Opaque, Opcode, Status, VbId};
use recordings::{Line, capture};

/// What ours answers otherwise, by the note of the capture, and why.
const OTHERWISE: &[(&str, Option<Status>, &str)] = &[
    ("xattr: pair without NUL", None, "attributes are not looked into, as with clients"),
    ("xattr: pair length 0", None, "the same"),
    ("xattr: value no JSON", None, "the same"),
    ("xattr: key twice", None, "the same"),
    ("deletion, extras of 18 (no delete time)", None, "older producers send it"),
    ("marker twice the same", None, "harmless; a real node closes"),
    ("commit of nothing prepared", Some(Status::NOT_SUPPORTED), "durable writes are not stored"),
    ("abort of nothing prepared", Some(Status::NOT_SUPPORTED), "the same"),
    ("prepare, level 0", Some(Status::NOT_SUPPORTED), "the same"),
    ("prepare, level 1", Some(Status::NOT_SUPPORTED), "the same"),
    ("seqno advanced", None, "a real node takes it only without durable writes"),
    ("oso snapshot", None, "taken; a real node knows none"),
    ("system event v0 create, flatbuffers agreed", None, "the frame says its version"),
    ("stream end, unknown reason 77", None, "an end is an end; a real node closes"),
];

/// What one stream of the capture gets, and how the real consumer answers it.
struct Stream<'a> {
    vb: VbId,
    stream: Opaque,
    frames: Vec<&'a [u8]>,
    note: String,
    answers: Vec<Status>,
}

fn streams(lines: &[Line]) -> Vec<Stream<'_>> {
    let mut streams: Vec<Stream<'_>> = Vec::new();
    for line in lines {
        let frame = Frame::parse(&line.bytes).unwrap();
        let (header, opcode) = (frame.header, frame.opcode());
        let set_up = [
            Opcode::DCP_ADD_STREAM,
            Opcode::DCP_STREAM_REQ,
            Opcode::DCP_CONTROL,
            Opcode::GET_ERROR_MAP,
        ];
        match (line.from.as_str(), header.is_request()) {
            ("consumer", true) if opcode == Opcode::DCP_STREAM_REQ => streams.push(Stream {
                vb: header.vbucket(),
                stream: header.opaque,
                frames: Vec::new(),
                note: String::new(),
                answers: Vec::new(),
            }),
            _ if set_up.contains(&opcode) || !(0x51..0x70).contains(&opcode.0) => {}
            ("consumer", false) => {
                if let Some(stream) = streams.last_mut() {
                    stream.answers.push(header.status());
                }
            }
            ("producer", true) => {
                if let Some(stream) = streams.iter_mut().rfind(|s| s.vb == header.vbucket()) {
                    stream.frames.push(&line.bytes);
                    stream.note.clone_from(&line.note);
                }
            }
            _ => {}
        }
    }
    streams
}

#[test]
fn bad_messages_are_answered_as_a_real_consumer_does() {
    let lines = capture("17c-consumer-bad-values");
    let mut seen = Vec::new();
    for Stream { vb, stream, frames, note, answers } in streams(&lines) {
        let mut bench = Bench::with_collections();
        bench.node.put(vb.0, 0, &[(1, 0)]);
        let ours = bench.open(vb.0);
        bench.sent.clear();
        for bytes in frames {
            let mut bytes = bytes.to_vec();
            if bytes[12..16] == stream.0.to_be_bytes() {
                bytes[12..16].copy_from_slice(&ours.0.to_be_bytes());
            }
            bench.feed(&bytes);
        }
        let statuses: Vec<_> = bench
            .sent
            .iter()
            .map(|bytes| Frame::parse(bytes).unwrap().header)
            .filter(|header| !header.is_request())
            .map(|header| header.status())
            .collect();
        let otherwise = OTHERWISE.iter().find(|(text, ..)| *text == note);
        let expected = match otherwise {
            Some((text, status, _)) => {
                seen.push(*text);
                status.iter().copied().collect()
            }
            None => answers,
        };
        assert_eq!(statuses, expected, "{vb}: {note}");
        assert!(!bench.closed, "{vb}: {note}");
    }
    assert_eq!(seen.len(), OTHERWISE.len(), "each difference is met: {seen:?}");
}
