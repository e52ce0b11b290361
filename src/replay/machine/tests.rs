//! Conversations of real nodes fed to the machine: what it decides, and what is noted of it.

use std::io::Cursor;

use super::*;
use crate::replay::{begun, recording};

fn recorded(name: &str) -> Vec<Conversation> {
    let path = format!("{}/tests/data/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(path).unwrap();
    recording::read(Cursor::new(text)).unwrap().conversations
}

fn fed(name: &str) -> Report {
    feed(&recorded(name)[0], &mut Incomplete::new())
}

fn says(report: &Report, text: &str) -> bool {
    report.rows.iter().any(|row| row.text.contains(text))
}

#[test]
fn the_hang_is_answered_as_soon_as_the_end_passes() {
    let report = fed("08-stream-end-before-add-stream-answer");
    let answer = "answers #1: vb:0 opened; vb:1: producer ended the stream with StateChanged (2)";
    assert!(says(&report, answer), "{:#?}", report.rows);
    assert_eq!(report.end, ["the link is idle", "vb:0: open"]);
}

#[test]
fn a_refusal_and_an_end_are_reported_and_nothing_differs() {
    let report = fed("02-producer-has-no-vbucket");
    assert_eq!(report.differences, [""; 0]);
    assert!(says(&report, "vb:10 opened; vb:11: producer refused add-stream with NotMyVbucket"));
    assert!(says(&report, "reports: vb:10: producer ended the stream with StateChanged (2)"));
}

#[test]
fn what_this_machine_adds_to_a_takeover_is_a_difference() {
    let report = fed("05-takeover");
    assert!(says(&report, "command: take vb:30 over"));
    assert!(says(&report, "answers #1: vb:30 taken over"));
    let [barrier, active] = &report.differences[..] else { panic!("{:?}", report.differences) };
    assert!(barrier.contains("DCP_NOOP is sent to the consumer"), "{barrier}");
    assert!(active.contains("vb:30 active is sent to the consumer"), "{active}");
}

#[test]
fn a_recording_that_begins_in_the_middle_is_completed() {
    let mut steps = Vec::new();
    let mut conversation = recorded("07-durable-writes").remove(0);
    steps.append(&mut conversation.steps);
    // The recording began after the stream was opened.
    let opened = |step: &Step| {
        let recording::Event::From(Side::Consumer, bytes, _) = &step.event else { return false };
        Frame::parse(bytes).unwrap().opcode() == Opcode::DCP_ADD_STREAM
    };
    let at = steps.iter().position(opened).unwrap();
    let mut rest = Conversation { steps: steps.split_off(at + 1), ..Conversation::default() };
    assert_eq!(begun::complete(&mut rest), [VbId(50)].into());
    let report = feed(&rest, &mut Incomplete::new());
    assert_eq!(report.differences, [""; 0]);
    assert_eq!(report.end, ["the link is idle", "vb:50: open"]);
}

#[test]
fn a_deadline_that_passes_in_the_recording_passes_for_the_machine() {
    let mut conversation = recorded("03-rollback-to-zero").remove(0);
    // The producer's answer never comes, and a few minutes later there is one more NOOP.
    conversation.steps.retain(|step| match &step.event {
        recording::Event::From(_, bytes, _) => {
            let frame = Frame::parse(bytes).unwrap();
            frame.header.is_request() || frame.opcode() == Opcode::DCP_CONTROL
        }
        _ => true,
    });
    conversation.steps.last_mut().unwrap().t += Duration::from_secs(200);
    let report = feed(&conversation, &mut Incomplete::new());
    assert!(says(&report, "did not finish add-stream in time"), "{:#?}", report.rows);
}

#[test]
fn what_a_link_left_incomplete_is_rolled_back_by_the_next() {
    let conversations = recorded("19-snappy-only-at-producer");
    let mut incomplete = Incomplete::new();
    assert!(conversations.len() > 2);
    let first = feed(&conversations[0], &mut incomplete);
    assert!(says(&first, "vb:0: the copy is complete up to seqno"), "{:#?}", first.rows);
    assert_eq!(incomplete.keys().collect::<Vec<_>>(), [&VbId(0)]);
    let second = feed(&conversations[1], &mut incomplete);
    assert!(says(&second, "sends to the consumer: DCP_STREAM_REQ_RESPONSE Rollback"));
}
