//! Frames that real data nodes sent: each parses, and is written back to the same bytes, both from
//! its parts and from its decoded DCP body.
//!
//! Captures 09 to 18 are those of clients: they hold opcodes that DCP has no use for, and requests
//! that are malformed on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::dcp::{decode_failover_log, decode_rollback};
use mcbp::{Frame, FrameBuilder, Opcode, Status, check};

/// The ends of a link and what is between them.
const NODES: [&str; 3] = ["consumer", "producer", "proxy"];

/// One line of a capture: its place, and the bytes of the frame.
struct Line {
    at: String,
    /// Whether one data node sends this frame to another.
    is_of_nodes: bool,
    to: String,
    bytes: Vec<u8>,
}

fn captures() -> Vec<Vec<Line>> {
    let captures = recordings::captures().into_iter();
    let lines = |recordings::Capture { name, lines }| {
        let is_of_clients = ("09".."19").contains(&name.as_str());
        let line = |line: recordings::Line| Line {
            is_of_nodes: !is_of_clients
                && [&line.from, &line.to].iter().all(|end| NODES.contains(&end.as_str())),
            at: format!("{name} frame {} {}", line.number, line.what),
            to: line.to,
            bytes: line.bytes,
        };
        lines.into_iter().map(line).collect()
    };
    captures.map(lines).collect()
}

#[test]
fn every_frame_is_written_back_from_its_parts() {
    for line in captures().iter().flatten() {
        check::frame(&line.bytes);
        let frame = Frame::parse(&line.bytes).unwrap();
        assert_eq!(FrameBuilder::from_frame(&frame).build(), line.bytes, "{}", line.at);
        if line.is_of_nodes {
            let has_status = || frame.header.status().name().is_some();
            assert!(frame.header.opcode.name().is_some(), "{}", line.at);
            assert!(frame.header.is_request() || has_status(), "{}", line.at);
        }
    }
}

#[test]
fn every_dcp_body_is_written_back_from_its_fields() {
    let mut rewritten = 0;
    for line in captures().iter().flatten() {
        let frame = Frame::parse(&line.bytes).unwrap();
        let again = check::rewrite(&frame);
        assert!(again.is_ok() || !line.is_of_nodes, "{}: {again:?}", line.at);
        if let Ok(Some(again)) = again
            && line.is_of_nodes
        {
            assert_eq!(again, line.bytes, "{}", line.at);
            rewritten += 1;
        }
    }
    println!("{rewritten} DCP bodies written back");
}

#[test]
fn answers_to_stream_req_hold_a_failover_log_or_a_seqno() {
    for line in captures().iter().flatten() {
        let frame = Frame::parse(&line.bytes).unwrap();
        if frame.header.is_request() || frame.opcode() != Opcode::DCP_STREAM_REQ {
            continue;
        }
        match frame.header.status() {
            Status::SUCCESS => {
                let log = decode_failover_log(&frame).unwrap();
                assert!(
                    !log.is_empty() && log.iter().all(|entry| entry.uuid.0 != 0),
                    "{}",
                    line.at
                );
            }
            Status::ROLLBACK => assert!(decode_rollback(&frame).is_ok(), "{}", line.at),
            // A refusal holds neither; with an error text it may by chance be as long as a log.
            _ => assert!(!line.is_of_nodes || decode_failover_log(&frame).is_err(), "{}", line.at),
        }
    }
}

/// What one side received, as one stream: the same frames wherever a read ends.
#[test]
fn every_capture_scans_alike_at_every_split_point() {
    for capture in captures() {
        for side in ["consumer", "producer"] {
            let received: Vec<&Line> = capture.iter().filter(|line| line.to == side).collect();
            let stream: Vec<u8> = received.iter().flat_map(|line| line.bytes.clone()).collect();
            let (found, _) = check::frames(&[stream.len()], &stream);
            assert_eq!(
                found.len(),
                received.len(),
                "{side} in {:?}",
                received.first().map(|l| &l.at)
            );
            // Every seventh byte: all phases of the headers, in a second and not in a minute.
            for cut in (0..=stream.len()).step_by(7) {
                check::split(&stream, cut);
            }
        }
    }
}
