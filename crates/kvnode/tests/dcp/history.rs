//! Change streams: every version of documents whose history is kept, from memory and from disk, by
//! a client and by a replica, and what a client gets that asks for no history.

use mcbp::dcp::{StreamReq, marker_flags};
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbState};
use store::Retention;

use crate::client::{Client, Packet, from_zero, wait_for};
use crate::durable::{framing, send_collection_set, set_state};
use crate::link::wait_until_same;
use crate::manifests::set_manifest;
use crate::node::TestNode;
use crate::relay::Relay;

const RETENTION: Retention = Retention { bytes: 1 << 30, seconds: 0 };

/// What the markers of a snapshot of the change history have, from memory and from disk.
const FROM_MEMORY: u32 = marker_flags::MEMORY | marker_flags::HISTORY;
const FROM_DISK: u32 = marker_flags::DISK | marker_flags::CHECKPOINT;
const HISTORY_FROM_DISK: u32 =
    FROM_DISK | marker_flags::HISTORY | marker_flags::MAY_CONTAIN_DUPLICATES;

/// Stores a document under a key with the id of its collection.
#[track_caller]
fn set(client: &mut Client, key: &str, value: &str) {
    let request = FrameBuilder::request(Opcode::SET).extras(&[0; 8]);
    client.ask(request.key(key.as_bytes()).value(value.as_bytes()));
}

fn start(state: VbState, retention: Retention) -> TestNode {
    TestNode::start_with(state, |options| options.retention = retention)
}

/// Collection 8 with history, 9 without.
fn with_collections(node: &TestNode) -> Client {
    let mut client = node.client();
    turn_history(&mut client, 1, true);
    client
}

/// Sets the manifest `uid`, with history for collection 8 or without.
fn turn_history(client: &mut Client, uid: u32, history: bool) {
    let (default, c9) = (r#"{"name":"_default","uid":"0"}"#, r#"{"name":"c9","uid":"9"}"#);
    let all = format!(r#"{default},{{"name":"c8","uid":"8","history":{history}}},{c9}"#);
    let scope = format!(r#"{{"name":"_default","uid":"0","collections":[{all}]}}"#);
    set_manifest(client, &format!(r#"{{"uid":"{uid}","scopes":[{scope}]}}"#));
}

/// Two documents of each collection, three times, and a deletion.
fn write(client: &mut Client) {
    for value in ["one", "two", "three"] {
        for key in ["\x08a", "\x08b", "\x09a", "\x09b"] {
            set(client, key, value);
        }
    }
    client.ask(FrameBuilder::request(Opcode::DELETE).key(b"\x08a"));
}

fn produce(node: &TestNode, name: &str, changes: bool) -> Client {
    let mut client = node.client().produce(name);
    if changes {
        assert_eq!(client.control("change_streams", "false"), Status::EINVAL);
        assert_eq!(client.control("change_streams", "true"), Status::SUCCESS);
    }
    client
}

/// A marker, or a change of a document: its seqno, its key, and whether a marker came in between.
#[derive(Default, Debug)]
struct Got {
    /// Start, end and flags of each, and how many changes had come before it.
    markers: Vec<(u64, u64, u32, usize)>,
    changes: Vec<(u64, Vec<u8>)>,
}

impl Got {
    fn take(&mut self, packet: &Packet) {
        match packet.opcode() {
            Opcode::DCP_SNAPSHOT_MARKER => {
                let marker = packet.marker();
                let (start, end) = (marker.start.0, marker.end.0);
                self.markers.push((start, end, marker.flags, self.changes.len()));
            }
            Opcode::DCP_MUTATION | Opcode::DCP_DELETION => {
                self.changes.push((packet.seqno(), packet.frame().key.to_vec()));
            }
            _ => {}
        }
    }

    fn seqnos_of(&self, collection: u8) -> Vec<u64> {
        let of = self.changes.iter().filter(|(_, key)| key[0] == collection);
        of.map(|(seqno, _)| *seqno).collect()
    }

    fn flags(&self) -> Vec<u32> {
        self.markers.iter().map(|(_, _, flags, _)| *flags).collect()
    }
}

/// Everything after `after` that a consumer gets of vBucket 0.
fn everything(node: &TestNode, changes: bool, after: u64) -> Got {
    let mut client = produce(node, &format!("all-{changes}-{after}"), changes);
    let (start, end) = (Seqno(after), Seqno(node.high_seqno(0)));
    let uuid = if after == 0 { mcbp::VbUuid(0) } else { node.view(0).uuid() };
    let request =
        StreamReq { start, end, uuid, snapshot_start: start, snapshot_end: start, ..from_zero() };
    assert_eq!(client.request(0, 7, request).status(), Status::SUCCESS);
    let mut got = Got::default();
    loop {
        let packet = client.next();
        if packet.opcode() == Opcode::DCP_STREAM_END {
            return got;
        }
        got.take(&packet);
    }
}

// The two events have the first seqnos; then each value has four.
const ALL_OF_8: [u64; 7] = [3, 4, 7, 8, 11, 12, 15];
const NEWEST_OF_8: [u64; 2] = [12, 15];
const NEWEST_OF_9: [u64; 2] = [13, 14];

#[test]
fn a_change_stream_has_every_version_from_memory_and_from_disk() {
    let mut node = start(VbState::Active, RETENTION);
    write(&mut with_collections(&node));

    let got = everything(&node, true, 0);
    assert_eq!(got.seqnos_of(8), ALL_OF_8, "{got:?}");
    assert!(got.flags().iter().all(|flags| flags & FROM_MEMORY == FROM_MEMORY), "{got:?}");
    // No snapshot from memory has a key twice.
    let ends = got.markers.iter().skip(1).map(|(.., at)| *at).chain([got.changes.len()]);
    for ((.., begin), end) in got.markers.iter().zip(ends) {
        let mut keys: Vec<_> = got.changes[*begin..end].iter().map(|(_, key)| key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), end - begin, "{got:?}");
    }

    node.restart();
    let got = everything(&node, true, 0);
    assert_eq!(got.markers, [(0, 15, HISTORY_FROM_DISK, 0)]);
    assert_eq!((got.seqnos_of(8), got.seqnos_of(9)), (ALL_OF_8.into(), NEWEST_OF_9.into()));
    let got = everything(&node, true, 8);
    assert_eq!(got.seqnos_of(8), ALL_OF_8[4..]);
    let got = everything(&node, false, 0);
    assert_eq!(got.markers, [(0, 15, FROM_DISK, 0)]);
    assert_eq!((got.seqnos_of(8), got.seqnos_of(9)), (NEWEST_OF_8.into(), NEWEST_OF_9.into()));
}

#[test]
fn what_came_before_the_history_is_a_part_of_its_own() {
    let mut node = start(VbState::Active, Retention::default());
    let mut client = with_collections(&node);
    set(&mut client, "\x08old", "1");
    set(&mut client, "\x08old", "2");
    let got = everything(&node, true, 0);
    assert!(got.flags().iter().all(|flags| flags & marker_flags::HISTORY == 0), "{got:?}");
    drop(client);
    node.restart_with(|options| options.retention = RETENTION);
    let mut client = node.client();
    set(&mut client, "\x08new", "1");
    set(&mut client, "\x08new", "2");
    set(&mut client, "\x08old", "3");
    node.restart();
    let got = everything(&node, true, 0);
    // The newest row of "old" is in the history, and no other one is left: only the events are
    // before, which make the first part.
    assert_eq!(got.markers, [(0, 7, FROM_DISK, 0), (0, 7, HISTORY_FROM_DISK, 0)]);
    assert_eq!(got.seqnos_of(8), [5, 6, 7]);
    // The first part may have nothing; a stream that begins within the history has none.
    let got = everything(&node, true, 3);
    assert_eq!(got.markers, [(3, 7, FROM_DISK, 0), (3, 7, HISTORY_FROM_DISK, 0)]);
    let got = everything(&node, true, 4);
    assert_eq!(got.markers, [(4, 7, HISTORY_FROM_DISK, 0)]);
    assert_eq!(node.client().stat("diskinfo detail", "vb_0:history_start_seqno"), "5");
}

#[test]
fn a_replica_keeps_the_history_that_its_producer_has() {
    let mut producer = start(VbState::Active, Retention::default());
    set(&mut with_collections(&producer), "\x08old", "1");
    producer.restart_with(|options| options.retention = RETENTION);
    write(&mut producer.client());
    // The replica gets all of that from disk.
    producer.restart();
    let mut consumer = start(VbState::Replica, RETENTION);
    let relay = Relay::between(&producer, &consumer, "history");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    let mut writer = producer.client();
    set(&mut writer, "\x08a", "live");
    set(&mut writer, "\x08a", "live");
    wait_until_same(&producer, &consumer, 0);
    drop(relay);
    consumer.restart();
    producer.restart();
    let (theirs, ours) = (everything(&producer, true, 0), everything(&consumer, true, 0));
    assert_eq!(theirs.changes, ours.changes);
    assert_eq!(theirs.markers, ours.markers);
    assert_eq!(ours.seqnos_of(8).len(), 10);
    // A replica that keeps no history has what others have.
    let plain = start(VbState::Replica, Retention::default());
    let relay = Relay::between(&producer, &plain, "plain");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &plain, 0);
}

#[test]
fn a_dropped_collection_takes_its_history_with_it() {
    let mut node = start(VbState::Active, RETENTION);
    let mut client = with_collections(&node);
    write(&mut client);
    let bytes = |client: &mut Client| client.stat("diskinfo detail", "vb_0:history_disk_size");
    assert_ne!(bytes(&mut client), "0");
    let scope = r#"{"name":"_default","uid":"0","collections":[{"name":"c9","uid":"9"}]}"#;
    set_manifest(&mut client, &format!(r#"{{"uid":"2","scopes":[{scope}]}}"#));
    node.restart();
    let got = everything(&node, true, 0);
    assert_eq!((got.seqnos_of(8), got.seqnos_of(9)), (vec![], NEWEST_OF_9.into()));
    let mut client = node.client();
    // What is left is the beginning of the collection.
    wait_for("the space", || bytes(&mut client).parse::<u64>().unwrap() < 200);
}

#[test]
fn durable_writes_are_in_the_history_as_the_changes_that_they_make() {
    let mut node = start(VbState::Active, RETENTION);
    let mut client = with_collections(&node);
    set_state(&node, 0, VbState::Active, r#"[["alpha"]]"#);
    for opaque in 1..=3 {
        send_collection_set(&mut client, opaque, 8, &framing(1, 10_000));
        assert_eq!(client.answer_to(opaque).status(), Status::SUCCESS);
    }
    node.restart();
    let got = everything(&node, true, 0);
    // Each has its prepare before it.
    assert_eq!(got.seqnos_of(8), [4, 6, 8]);
}

/// A replica gets it as history, and then has it.
#[test]
fn what_was_written_before_history_was_turned_off_stays() {
    let mut producer = start(VbState::Active, RETENTION);
    let mut client = with_collections(&producer);
    ["1", "2", "3"].iter().for_each(|value| set(&mut client, "\x08a", value));
    turn_history(&mut client, 2, false);
    let mut consumer = start(VbState::Replica, RETENTION);
    let relay = Relay::between(&producer, &consumer, "history");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    assert_eq!(everything(&producer, true, 0).seqnos_of(8), [3, 4, 5]);
    drop(relay);
    consumer.restart();
    producer.restart();
    let (theirs, ours) = (everything(&producer, true, 0), everything(&consumer, true, 0));
    assert_eq!(theirs.seqnos_of(8), [3, 4, 5]);
    assert_eq!((theirs.markers, theirs.changes), (ours.markers, ours.changes));
}

#[test]
fn no_version_is_missing_after_history_was_off_and_on_again() {
    let mut node = start(VbState::Active, RETENTION);
    let mut client = with_collections(&node);
    // 3, 4 and 5 with history, 7 replaces 5 without, 9 and 10 with history again.
    ["1", "2", "3"].iter().for_each(|value| set(&mut client, "\x08a", value));
    turn_history(&mut client, 2, false);
    set(&mut client, "\x08a", "4");
    turn_history(&mut client, 3, true);
    ["5", "6"].iter().for_each(|value| set(&mut client, "\x08a", value));
    node.restart();
    assert_eq!(everything(&node, true, 0).seqnos_of(8), [3, 4, 5, 7, 9, 10]);
}
