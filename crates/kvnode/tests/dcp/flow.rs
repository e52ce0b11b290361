//! Flow control of a producer.

use std::time::Duration;

use mcbp::dcp::control_key;
use mcbp::{Status, VbState, flow};

use crate::client::Client;
use crate::node::TestNode;

const QUIET: Duration = Duration::from_millis(150);

/// Reads until nothing more comes; gives the charged bytes and the largest frame of them.
fn read_until_silent(dcp: &mut Client) -> (usize, usize) {
    let (mut charged, mut largest) = (0, 0);
    while !dcp.is_silent(QUIET) {
        let charge = flow::charge(&dcp.next().frame().header);
        charged += charge;
        largest = largest.max(charge);
    }
    (charged, largest)
}

fn windowed(node: &TestNode, window: &str) -> Client {
    let mut dcp = node.client().produce("windowed");
    assert_eq!(dcp.control(control_key::CONNECTION_BUFFER_SIZE, window), Status::SUCCESS);
    dcp
}

#[test]
fn a_full_window_stops_the_producer_until_bytes_are_acknowledged() {
    let mut node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    (0..40).for_each(|n| writer.set(0, &format!("key-{n}"), &[b'x'; 400]));
    for restarted in [false, true] {
        if restarted {
            node.restart();
        }
        let mut dcp = windowed(&node, "3000");
        dcp.stream(0, 1);
        let (charged, largest) = read_until_silent(&mut dcp);
        assert!(charged >= 3000 && charged < 3000 + largest, "{charged} of 3000");
        dcp.acknowledge(charged as u32);
        let (more, _) = read_until_silent(&mut dcp);
        assert!((3000..3000 + largest).contains(&more), "{more} of 3000");
        assert_eq!(dcp.control(control_key::CONNECTION_BUFFER_SIZE, "0"), Status::SUCCESS);
        let (rest, _) = read_until_silent(&mut dcp);
        assert!(charged + more + rest > 40 * 400, "0 turns flow control off");
    }
}

#[test]
fn mb_24089_a_document_larger_than_window_and_chunk_gets_through() {
    let mut node = TestNode::start(VbState::Active);
    node.client().set(0, "large", &vec![b'x'; 1024 * 1024]);
    for restarted in [false, true] {
        if restarted {
            node.restart();
        }
        let mut dcp = windowed(&node, "100");
        dcp.stream(0, 1);
        assert_eq!(dcp.changes(1), [1]);
    }
}

#[test]
fn a_consumer_that_does_not_read_delays_no_other() {
    let node = TestNode::start_with(VbState::Active, |o| o.log_bytes_max = 64 * 1024);
    let mut writer = node.client();
    let mut idle = node.client().produce("idle");
    idle.stream(0, 1);
    // More than the buffers of both sockets hold.
    (0..200).for_each(|n| writer.set(0, &format!("key-{n}"), &[b'x'; 128 * 1024]));
    let mut busy = node.client().produce("busy");
    busy.stream(0, 1);
    assert_eq!(busy.changes(200), (1..=200).collect::<Vec<_>>());
    assert_eq!(idle.changes(200), (1..=200).collect::<Vec<_>>(), "late, but all of it");
}
