//! Scripts played without a socket: what is sent when, what is taken, and what is noted.

use std::collections::VecDeque;
use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Side, Status};

use super::player::{Next, Player};
use super::recording::{self, Conversation};
use super::script::{Act, Line, Part, Role, script};
use super::shape::Compare;
use super::{begun, machine};

fn recorded(name: &str) -> Conversation {
    let path = format!("{}/tests/data/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    recording::read(Cursor::new(std::fs::read(path).unwrap())).unwrap().conversations.remove(0)
}

/// A change of the frames on their way; none if it returns none.
type Change = dyn Fn(&Frame<'_>) -> Option<Bytes>;

fn same(frame: &Frame<'_>) -> Option<Bytes> {
    Some(FrameBuilder::from_frame(frame).build())
}

/// Plays both ends of one connection to each other. Returns what each end noted.
fn played(name: &str, side: Side, to_node: &Change, to_peer: &Change) -> [Vec<String>; 2] {
    played_out(&recorded(name), side, to_node, to_peer)
}

fn played_out(
    conversation: &Conversation,
    side: Side,
    to_node: &Change,
    to_peer: &Change,
) -> [Vec<String>; 2] {
    let player =
        |role, other| Player::new(script(conversation, side, role), Compare::Layout, other);
    let mut ends = [player(Role::Node, "peer"), player(Role::Peer, "node")];
    let mut queues = [VecDeque::new(), VecDeque::new()];
    loop {
        let mut moved = false;
        for (at, change) in [(0, to_peer), (1, to_node)] {
            while let Next::Send(bytes) | Next::Request(_, bytes) = ends[at].next() {
                queues[1 - at].extend(change(&Frame::parse(&bytes).unwrap()));
                moved = true;
            }
            while let Some(bytes) = queues[at].pop_front() {
                if let (Some(answer), _) = ends[at].received(&bytes) {
                    queues[1 - at].push_back(answer);
                }
                moved = true;
            }
        }
        if moved {
            continue;
        }
        // Nothing is sent here: that was done above.
        let waits = ends.each_mut().map(|end| matches!(end.next(), Next::Wait | Next::WaitForEnd));
        if waits == [false, false] {
            return ends.map(|end| end.differences);
        }
        for (end, waits) in ends.iter_mut().zip(waits) {
            if waits {
                end.give_up(Duration::from_secs(1));
            }
        }
    }
}

#[test]
fn every_conversation_played_to_itself_is_the_same() {
    let names = [
        "01-setup-four-vbuckets",
        "02-producer-has-no-vbucket",
        "03-rollback-to-zero",
        "04-rollback-partial",
        "06-disk-backfill-after-restart",
        "07-durable-writes",
        "08-stream-end-before-add-stream-answer",
        "20a-rollbacks-unrelated",
        "22-setup-7.6",
    ];
    for name in names {
        for side in [Side::Consumer, Side::Producer] {
            let noted = played(name, side, &same, &same);
            assert_eq!(noted, [vec![""; 0], vec![]], "{name}, {side}");
        }
    }
}

/// A recording is what somebody sends us: whatever is in it, replaying it ends.
#[test]
fn a_conversation_in_any_order_is_replayed_to_its_end() {
    let mut random = fastrand::Rng::with_seed(16);
    for name in ["08-stream-end-before-add-stream-answer", "20b-rollback-closed-and-added"] {
        for _ in 0..30 {
            let mut conversation = recorded(name);
            let length = conversation.steps.len();
            conversation.openings.clear();
            random.shuffle(&mut conversation.steps);
            conversation.steps.truncate(random.usize(..length));
            begun::complete(&mut conversation);
            let report = machine::feed(&conversation, &mut machine::Incomplete::new());
            let broken = report.differences.iter().find(|text| text.contains("is broken"));
            assert_eq!(broken, None);
            for side in [Side::Consumer, Side::Producer] {
                _ = played_out(&conversation, side, &same, &same);
            }
        }
    }
}

/// Opaques of requests are those of this run, and answers follow.
#[test]
fn opaques_are_mapped() {
    let conversation = recorded("03-rollback-to-zero");
    let lines = script(&conversation, Side::Consumer, Role::Peer);
    let mut player = Player::new(lines, Compare::Layout, "node");
    while !matches!(player.next(), Next::Wait) {}
    let own = conversation.steps.iter().find_map(|step| match &step.event {
        recording::Event::From(Side::Consumer, bytes, _) if bytes[1] == 0x53 => Some(bytes.clone()),
        _ => None,
    });
    let own = own.unwrap();
    let other = FrameBuilder::from_frame(&Frame::parse(&own).unwrap()).opaque(Opaque(77)).build();
    assert_eq!(player.received(&other), (None, true));
    let Next::Send(answer) = player.next() else { panic!("no answer") };
    let answer = Frame::parse(&answer).unwrap();
    assert_eq!((answer.opcode(), answer.header.opaque), (Opcode::DCP_STREAM_REQ, Opaque(77)));
    assert_eq!(answer.header.status(), Status::ROLLBACK);
}

#[test]
fn another_status_is_told_once_and_ends_its_vbucket_alone() {
    let refuse = |frame: &Frame<'_>| {
        let is_first = frame.opcode() == Opcode::DCP_STREAM_REQ
            && !frame.header.is_request()
            && frame.header.opaque == Opaque(0x0100_0000);
        if is_first {
            let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::NOT_MY_VBUCKET);
            return Some(answer.opaque(frame.header.opaque).build());
        }
        same(frame)
    };
    let [of_producer, of_consumer] =
        played("01-setup-four-vbuckets", Side::Producer, &same, &refuse);
    assert_eq!(of_producer, [""; 0]);
    let wanted = "DCP_STREAM_REQ_RESPONSE Success (0x00) of vb:0 was recorded; the node sent \
                  DCP_STREAM_REQ_RESPONSE NotMyVbucket (0x07) of vb:0";
    assert!(of_consumer.len() == 1 && of_consumer[0].ends_with(wanted), "{of_consumer:#?}");
}

#[test]
fn a_frame_that_never_comes_is_given_up_and_named() {
    let drop_ends = |frame: &Frame<'_>| {
        if frame.opcode() == Opcode::DCP_STREAM_END { None } else { same(frame) }
    };
    let [_, of_peer] = played("02-producer-has-no-vbucket", Side::Producer, &same, &drop_ends);
    let wanted =
        "frame 73: DCP_STREAM_END vb:10 StateChanged was recorded; it did not come within 1s";
    assert_eq!(of_peer, [wanted]);
}

#[test]
fn options_delay_nothing_and_get_their_recorded_answer_whenever_they_are_asked_for() {
    let conversation = recorded("03-rollback-to-zero");
    let lines = script(&conversation, Side::Consumer, Role::Peer);
    let mut player = Player::new(lines, Compare::Layout, "node");
    while !matches!(player.next(), Next::Wait) {}
    let sent = |opcode: Opcode, key: &[u8]| {
        let found = conversation.steps.iter().find_map(|step| match &step.event {
            recording::Event::From(Side::Consumer, bytes, _) => {
                let frame = Frame::parse(bytes).unwrap();
                (frame.opcode() == opcode && frame.key == key).then(|| bytes.clone())
            }
            _ => None,
        });
        found.unwrap()
    };
    // Not one option was asked for, and the stream is answered all the same.
    player.received(&sent(Opcode::DCP_STREAM_REQ, b""));
    assert!(matches!(player.next(), Next::Send(_)));
    // The recorded producer does not have this option.
    let (answer, _) = player.received(&sent(Opcode::DCP_CONTROL, b"change_streams"));
    let answer = answer.unwrap();
    assert_eq!(Frame::parse(&answer).unwrap().header.status(), Status::NOT_SUPPORTED);
    while !matches!(player.next(), Next::Wait) {}
    player.give_up(Duration::from_secs(1));
    let is_option = |text: &String| text.contains("DCP_CONTROL") || text.contains("GET_ERROR_MAP");
    let options = player.differences.iter().filter(|text| is_option(text)).count();
    assert_eq!(options, 14, "{:#?}", player.differences);
    assert!(!player.differences.iter().any(|text| text.contains("change_streams")));
}

#[test]
fn what_nobody_recorded_is_told_and_answered() {
    let conversation = recorded("03-rollback-to-zero");
    let lines = script(&conversation, Side::Producer, Role::Node);
    let mut player = Player::new(lines, Compare::Layout, "sidecar");
    _ = player.next();
    let request =
        FrameBuilder::request(Opcode::DCP_CONTROL).opaque(Opaque(9)).key(b"new").value(b"1");
    let (answer, is_progress) = player.received(&request.build());
    assert!(!is_progress);
    let answer = answer.unwrap();
    assert_eq!(Frame::parse(&answer).unwrap().header.opaque, Opaque(9));
    assert_eq!(
        player.differences,
        ["the sidecar sent DCP_CONTROL new; no such frame was recorded"]
    );
}

/// What `capture --last` kept lacks the answers to options.
#[test]
fn the_answer_to_an_option_that_is_not_compared_is_no_difference() {
    let request = FrameBuilder::request(Opcode::DCP_CONTROL).opaque(Opaque(7));
    let bytes = request.key(b"connection_buffer_size").value(b"100000").build();
    let part = Part { bytes, vb: None, is_accepted: false };
    let lines = vec![Line { n: 1, act: Act::Send(part) }];
    let mut player = Player::new(lines, Compare::Layout, "sidecar");
    assert!(matches!(player.next(), Next::Send(_)));
    let answer = |opaque, status| {
        let answer = FrameBuilder::response(Opcode::DCP_CONTROL, status);
        answer.opaque(Opaque(opaque)).build()
    };
    player.received(&answer(7, Status::EINVAL));
    assert_eq!(player.differences.len(), 1, "a refusal is told: {:?}", player.differences);
    player.received(&answer(7, Status::SUCCESS));
    assert_eq!(player.differences.len(), 1, "{:?}", player.differences);
    player.received(&answer(7, Status::SUCCESS));
    assert_eq!(player.differences.len(), 2, "once: {:?}", player.differences);
}

#[test]
fn an_end_before_the_script_is_over_names_what_is_missing() {
    let lines = script(&recorded("03-rollback-to-zero"), Side::Consumer, Role::Peer);
    let mut player = Player::new(lines, Compare::Layout, "node");
    while !matches!(player.next(), Next::Wait) {}
    player.closed();
    assert_eq!(player.next(), Next::Done);
    let [text] = &player.differences[..] else { panic!("{:?}", player.differences) };
    assert!(text.starts_with("the node closed the connection before frame "), "{text}");
}

/// A capture over a restart begins with what the link before still said.
#[test]
fn the_tail_of_an_earlier_connection_is_left_out_and_counted() {
    let path = format!("{}/tests/data/wire/03-rollback-to-zero.jsonl", env!("CARGO_MANIFEST_DIR"));
    let whole = std::fs::read_to_string(path).unwrap();
    let alone = recording::read(Cursor::new(&whole)).unwrap();
    assert_eq!(alone.tail, 0);
    let closes = concat!(
        r#"{"n": 1, "t": 0.0, "from": "proxy", "to": "consumer", "what": "DCP_CLOSE_STREAM vb:20""#,
        r#", "hex": "805200000000001400000000000000630000000000000000"}"#
    );
    let tailed = recording::read(Cursor::new(format!("{closes}\n{whole}"))).unwrap();
    assert_eq!((tailed.tail, tailed.conversations.len()), (1, alone.conversations.len()));
    assert_eq!(tailed.conversations[0].steps.len(), alone.conversations[0].steps.len());
    // Without an opening, it is all there is.
    let only = recording::read(Cursor::new(closes)).unwrap();
    assert_eq!((only.tail, only.conversations.len()), (0, 1));
}
