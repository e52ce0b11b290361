//! Disks that cannot be read.

use std::sync::atomic::Ordering;

use mcbp::{Opcode, VbState};

use crate::node::TestNode;

#[test]
fn mb_47790_a_failed_scan_ends_the_stream_with_backfill_fail() {
    let mut node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    for vb in 0..2 {
        (0..10).for_each(|n| writer.set(vb, &format!("key-{n}"), b"x"));
    }
    drop(writer);
    node.restart();
    node.faults.scan_fails_after.store(3, Ordering::Relaxed);
    let mut dcp = node.client().produce("failing");
    dcp.stream(0, 1);
    dcp.next().marker();
    assert_eq!(dcp.changes(3), [1, 2, 3], "what was read is sent");
    let end = dcp.next();
    assert_eq!((end.end(), end.vb()), (5, 0));
    assert_eq!(node.client().stat("", "ep_data_read_failed"), "1");
    // The connection and the vBucket still work.
    node.faults.scan_fails_after.store(0, Ordering::Relaxed);
    dcp.stream(1, 2);
    assert_eq!(dcp.changes(10).len(), 10);
    dcp.stream(0, 3);
    assert_eq!(dcp.changes(10).len(), 10);
}

#[test]
fn mb_27489_a_scan_that_cannot_be_opened_ends_the_stream_with_backfill_fail() {
    let mut node = TestNode::start(VbState::Active);
    (0..2).for_each(|vb| node.client().set(vb, "key", b"x"));
    node.restart();
    node.faults.open_fails.store(true, Ordering::Relaxed);
    let mut dcp = node.client().produce("failing");
    dcp.stream(0, 1);
    let end = dcp.next();
    assert_eq!((end.end(), end.vb()), (5, 0));
    assert_eq!(node.client().stat("", "ep_data_read_failed"), "1");
    node.faults.open_fails.store(false, Ordering::Relaxed);
    dcp.stream(1, 2);
    assert_eq!(dcp.changes(1), [1]);
}

#[test]
fn mb_53198_a_cancelled_scan_is_no_failure() {
    let mut node = TestNode::start(VbState::Active);
    (0..10).for_each(|n| node.client().set(0, &format!("key-{n}"), b"x"));
    node.restart();
    node.faults.scan_fails_after.store(3, Ordering::Relaxed);
    node.faults.scan_is_cancelled.store(true, Ordering::Relaxed);
    let mut dcp = node.client().produce("cancelled");
    dcp.stream(0, 1);
    let end = std::iter::from_fn(|| dcp.try_next()).find(|p| p.opcode() == Opcode::DCP_STREAM_END);
    assert_eq!(end.expect("the stream ends").end(), 2, "state changed");
    assert_eq!(node.client().stat("", "ep_data_read_failed"), "0");
}
