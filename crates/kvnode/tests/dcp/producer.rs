//! What a producer streams, from memory and from disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcbp::dcp::{StreamReq, control_key, marker_flags, open_flags, stream_flags};
use mcbp::{Datatype, FrameBuilder, Opcode, Seqno, Status, VbId, VbState};

use crate::client::from_zero;
use crate::node::TestNode;

#[test]
fn streams_from_memory_and_goes_on_with_what_is_written() {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    (0..3).for_each(|n| writer.set(0, &format!("key-{n}"), b"value"));
    let mut dcp = node.client().produce("memory");
    dcp.stream(0, 7);
    let marker = dcp.next().marker();
    let first = marker_flags::MEMORY | marker_flags::CHECKPOINT;
    assert_eq!((marker.start.0, marker.end.0, marker.flags), (0, 3, first));
    assert_eq!(dcp.changes(3), [1, 2, 3]);
    writer.set(0, "key-3", b"more");
    let marker = dcp.next().marker();
    assert_eq!((marker.start.0, marker.end.0, marker.flags), (4, 4, marker_flags::MEMORY));
    let change = dcp.next();
    assert_eq!((change.opaque(), change.vb(), change.seqno()), (7, 0, 4));
    assert_eq!((change.frame().key, change.frame().value), (&b"\0key-3"[..], &b"more"[..]));
}

#[test]
fn a_snapshot_holds_a_key_once() {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    (0..5).for_each(|n| writer.set(0, "same", format!("{n}").as_bytes()));
    writer.set(0, "other", b"1");
    let mut dcp = node.client().produce("dedupe");
    dcp.stream(0, 1);
    let marker = dcp.next().marker();
    assert_eq!(marker.end, Seqno(6));
    assert_eq!(dcp.changes(2), [5, 6]);
}

#[test]
fn streams_from_disk_after_a_restart_and_then_from_memory() {
    const COUNT: usize = 3_000;
    let mut node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    (0..COUNT).for_each(|n| writer.set(0, &format!("key-{n}"), &[b'x'; 200]));
    drop(writer);
    node.restart();
    let mut dcp = node.client().produce("disk");
    assert_eq!(dcp.control(control_key::MAX_MARKER_VERSION, "2.2"), Status::SUCCESS);
    dcp.stream(0, 1);
    let marker = dcp.next();
    let disk = marker_flags::DISK | marker_flags::CHECKPOINT;
    let range = marker.marker();
    assert_eq!((range.start.0, range.end.0, range.flags), (0, COUNT as u64, disk));
    assert_eq!(marker.frame().extras, [2], "version 2.2");
    assert_eq!(dcp.changes(COUNT), (1..=COUNT as u64).collect::<Vec<_>>());
    node.client().set(0, "live", b"x");
    let range = dcp.next().marker();
    assert_eq!(range.start.0, COUNT as u64 + 1);
    assert_eq!(range.flags, marker_flags::MEMORY | marker_flags::CHECKPOINT);
    assert_eq!(dcp.changes(1), [COUNT as u64 + 1]);
}

#[test]
fn mb_16684_no_gap_and_no_repeat_between_disk_and_memory_under_writes() {
    const COUNT: u64 = 4_000;
    // So little memory that the stream must read the disk again and again.
    let node = TestNode::start_with(VbState::Active, |o| o.log_bytes_max = 4 * 1024);
    let mut writer = node.client();
    let mut dcp = node.client().produce("under writes");
    writer.set(0, "first", b"x");
    dcp.stream(0, 1);
    let done = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            (2..=COUNT).for_each(|n| writer.set(0, &format!("key-{n}"), &[b'x'; 64]));
            done.store(true, Ordering::SeqCst);
        }
    });
    assert_eq!(dcp.changes(COUNT as usize), (1..=COUNT).collect::<Vec<_>>());
    writing.join().unwrap();
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn every_change_lies_in_the_snapshot_before_it() {
    let node = TestNode::start_with(VbState::Active, |o| o.log_bytes_max = 16 * 1024);
    let mut writer = node.client();
    (0..500).for_each(|n| writer.set(0, &format!("key-{}", n % 50), &[b'x'; 100]));
    let mut dcp = node.client().produce("snapshots");
    dcp.stream(0, 1);
    let (mut range, mut last) = ((0, 0), 0);
    while last < 500 {
        let packet = dcp.next();
        if packet.is_change() {
            assert!(packet.seqno() > last && packet.seqno() <= range.1, "{packet:?} in {range:?}");
            last = packet.seqno();
        } else {
            assert_eq!(last, range.1, "the snapshot before is whole");
            range = (packet.marker().start.0, packet.marker().end.0);
        }
    }
}

#[test]
fn deletions_carry_their_time_only_where_it_was_asked_for() {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    writer.set(0, "gone", b"x");
    writer.delete(0, "gone");
    let mut with = node.client().produce("with times");
    with.stream(0, 1);
    with.next();
    let deletion = with.next();
    assert_eq!((deletion.opcode(), deletion.frame().extras.len()), (Opcode::DCP_DELETION, 21));
    let mut without = node.plain_client();
    assert_eq!(without.open("without", open_flags::PRODUCER, ""), Status::SUCCESS);
    without.stream(0, 1);
    without.next();
    let deletion = without.next();
    assert_eq!((deletion.frame().key, deletion.frame().extras.len()), (&b"gone"[..], 18));
}

#[test]
fn to_latest_and_disk_only_end_with_ok() {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    (0..4).for_each(|n| writer.set(0, &format!("key-{n}"), b"x"));
    let mut dcp = node.client().produce("finite");
    for flags in [stream_flags::TO_LATEST, stream_flags::DISK_ONLY] {
        let answer = dcp.request(0, flags, StreamReq { flags, ..from_zero() });
        assert_eq!(answer.status(), Status::SUCCESS);
        assert_eq!(dcp.changes(4), [1, 2, 3, 4]);
        let end = dcp.next();
        assert_eq!((end.end(), end.opaque()), (0, flags));
    }
    let empty = StreamReq { flags: stream_flags::TO_LATEST, ..from_zero() };
    assert_eq!(dcp.request(1, 9, empty).status(), Status::SUCCESS);
    assert_eq!(dcp.next().end(), 0);
    let until_two = StreamReq { end: Seqno(2), ..from_zero() };
    assert_eq!(dcp.request(0, 10, until_two).status(), Status::SUCCESS);
    // The whole snapshot that the end lies in.
    assert_eq!(dcp.changes(4), [1, 2, 3, 4]);
    assert_eq!(dcp.next().end(), 0);
}

#[test]
fn a_stream_of_the_disk_alone_is_the_whole_snapshot_though_writes_came_after_its_request() {
    // More than may read the disk at a time, so that the last one waits.
    const STREAMS: u16 = 9;
    let node = TestNode::start_with(VbState::Active, |o| o.vbuckets = STREAMS);
    let mut writer = node.client();
    for vb in 0..STREAMS {
        (0..4).for_each(|n| writer.set(vb, &format!("key-{n}"), &[b'x'; 200]));
    }
    let mut dcp = node.client().produce("whole");
    assert_eq!(dcp.control(control_key::CONNECTION_BUFFER_SIZE, "100"), Status::SUCCESS);
    for vb in 0..STREAMS {
        let flags = stream_flags::DISK_ONLY;
        let answer = dcp.request(vb, u32::from(vb) + 1, StreamReq { flags, ..from_zero() });
        assert_eq!(answer.status(), Status::SUCCESS);
    }
    let last = STREAMS - 1;
    writer.set(last, "key-0", b"again");
    writer.set(last, "key-9", b"new");
    assert_eq!(dcp.control(control_key::CONNECTION_BUFFER_SIZE, "0"), Status::SUCCESS);
    let (mut marker, mut seqnos, mut ended) = (None, Vec::new(), 0);
    while ended < STREAMS {
        let packet = dcp.next();
        match packet.opcode() {
            Opcode::DCP_STREAM_END => ended += 1,
            _ if packet.vb() != last => {}
            Opcode::DCP_SNAPSHOT_MARKER => marker = Some(packet.marker().end),
            _ => seqnos.push(packet.seqno()),
        }
    }
    assert_eq!((marker, seqnos), (Some(Seqno(6)), vec![2, 3, 4, 5, 6]));
}

#[test]
fn many_streams_share_one_connection() {
    const STREAMS: u16 = 256;
    const PER_VBUCKET: u64 = 5;
    let mut node = TestNode::start_with(VbState::Active, |o| o.vbuckets = STREAMS);
    let mut writer = node.client();
    for vb in 0..STREAMS {
        (0..PER_VBUCKET).for_each(|n| writer.set(vb, &format!("key-{n}"), b"value"));
    }
    drop(writer);
    node.restart();
    let mut dcp = node.client().produce("many");
    (0..STREAMS).for_each(|vb| dcp.stream(vb, u32::from(vb) + 1));
    let mut left = u64::from(STREAMS) * PER_VBUCKET;
    let mut last = vec![0; usize::from(STREAMS)];
    while left > 0 {
        let packet = dcp.next();
        if packet.is_change() {
            let last = &mut last[usize::from(packet.vb())];
            assert_eq!(packet.seqno(), *last + 1);
            assert_eq!(packet.opaque(), u32::from(packet.vb()) + 1);
            *last += 1;
            left -= 1;
        }
    }
}

#[test]
fn a_deletion_carries_the_attributes_of_the_system() {
    let mut node = TestNode::start(VbState::Active);
    let (system, user) = (b"\0\0\0\x06_s\x0012\0", b"\0\0\0\x04u\x001\0");
    let attributes = |pairs: &[&[u8]]| {
        let pairs = pairs.concat();
        [&(pairs.len() as u32).to_be_bytes(), pairs.as_slice()].concat()
    };
    let value = [attributes(&[user, system]), b"body".to_vec()].concat();
    let mut writer = node.client();
    // Flags, expiry, rev 1, CAS 1.
    let extras = [&[0; 15][..], &[1], &[0; 7], &[1]].concat();
    let set = FrameBuilder::request(Opcode::SET_WITH_META).vbucket(VbId(0)).key(b"\0key");
    let set = set.extras(&extras);
    writer.ask(set.value(&value).datatype(Datatype::XATTR));
    writer.delete(0, "key");
    drop(writer);
    for restarted in [false, true] {
        if restarted {
            node.restart();
        }
        let mut dcp = node.client().produce("reader");
        dcp.stream(0, 1);
        let frames = std::iter::from_fn(|| dcp.try_next());
        let deletion = frames.into_iter().find(|packet| packet.opcode() == Opcode::DCP_DELETION);
        let deletion = deletion.expect("it is streamed");
        let frame = deletion.frame();
        assert_eq!(frame.header.datatype, Datatype::XATTR);
        assert_eq!(frame.value, attributes(&[system]));
    }
}
