//! Disks that cannot be read.

use std::sync::atomic::Ordering;

use mcbp::VbState;

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
    // The connection and the vBucket are as good as before.
    node.faults.scan_fails_after.store(0, Ordering::Relaxed);
    dcp.stream(1, 2);
    assert_eq!(dcp.changes(10).len(), 10);
    dcp.stream(0, 3);
    assert_eq!(dcp.changes(10).len(), 10);
}
