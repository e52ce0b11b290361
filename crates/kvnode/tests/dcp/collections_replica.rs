//! Collections of a replica: what its producer sends, what it refuses, and what becomes of it when
//! it is promoted to a node with another manifest.

use bytes::BytesMut;
use mcbp::dcp::{MarkerBody, SnapshotMarker, SystemEvent as Body};
use mcbp::{FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbState};
use vbucket::collections::{Change, Collection, SystemEvent};

use crate::client::{Client, wait_for};
use crate::manifests::{get, manifest, set_manifest, store};
use crate::node::TestNode;
use crate::scripted::Scripted;

fn begin(uid: u64, id: u32) -> SystemEvent {
    let (name, max_ttl) = (format!("c{id:x}"), None);
    let collection =
        Collection { scope: 0, name, max_ttl, history: false, metered: false, flush_uid: 0 };
    SystemEvent { uid, change: Change::Begin { id, collection } }
}

fn end(uid: u64, id: u32) -> SystemEvent {
    SystemEvent { uid, change: Change::End { id, scope: 0, is_system: false } }
}

/// A producer of one vBucket, each change in a snapshot of its own.
struct Producer {
    proxy: Scripted,
    vb: u16,
    stream: Opaque,
    seqno: u64,
}

impl Producer {
    fn open(node: &TestNode, vb: u16) -> Self {
        let mut proxy = Scripted::open(node, &format!("replication:{vb}"));
        let (stream, start) = proxy.stream(vb);
        Self { proxy, vb, stream, seqno: start }
    }

    fn snapshot(&mut self) -> Seqno {
        self.seqno += 1;
        let at = Seqno(self.seqno);
        let marker = SnapshotMarker { start: at, end: at, flags: 1, body: MarkerBody::V1 };
        self.send(|vb, stream, out| marker.write(vb, stream, out));
        at
    }

    fn send(&mut self, write: impl FnOnce(VbId, Opaque, &mut BytesMut)) {
        let mut out = BytesMut::new();
        write(VbId(self.vb), self.stream, &mut out);
        self.proxy.0.send(&out);
    }

    fn event(&mut self, event: &SystemEvent) {
        let seqno = self.snapshot();
        self.send(|vb, stream, out| assert!(event.write(seqno, vb, stream, true, out)));
    }

    fn document(&mut self, collection: u8) {
        let seqno = self.snapshot();
        self.proxy.row(self.vb, self.stream, seqno.0, collection);
    }

    /// Waits until the node has everything.
    fn done(&self, node: &TestNode) {
        wait_for("all changes", || node.high_seqno(self.vb) == self.seqno);
    }
}

/// A replica with collection 8, and a document in it.
fn replica_with_8(node: &TestNode, vb: u16) -> Producer {
    let mut producer = Producer::open(node, vb);
    producer.event(&begin(1, 8));
    producer.document(8);
    producer.done(node);
    producer
}

#[test]
fn a_promoted_replica_shows_nothing_of_what_the_manifest_dropped() {
    let node = TestNode::start(VbState::Replica);
    let mut admin = node.client();
    set_manifest(&mut admin, &manifest(2, &[0, 9], &[]));
    let producers: Vec<_> = (0..8).map(|vb| replica_with_8(&node, vb)).collect();
    std::thread::scope(|scope| {
        for vb in 0..8 {
            let mut client = node.client();
            scope.spawn(move || {
                loop {
                    match get(&mut client, vb, b"\x08key-2") {
                        Status::NOT_MY_VBUCKET => {}
                        Status::UNKNOWN_COLLECTION => return,
                        status => panic!("{status} of {vb}"),
                    }
                }
            });
        }
        producers.into_iter().for_each(|producer| drop(producer.proxy));
        (0..8).for_each(|vb| admin.set_state(vb, VbState::Active));
    });
    // The end of the one collection and the beginning of the other.
    assert!((0..8).all(|vb| node.high_seqno(vb) == 4));
    assert!(store(&mut admin, 0, b"\x09a").is_success());
    assert_eq!(admin.stat("collections", "0x0:0x9:items"), "1");
    assert_eq!(admin.stat("collections-details 0", "vb_0:manifest:uid"), "2");
}

#[test]
fn a_promoted_replica_keeps_what_a_later_manifest_has() {
    let node = TestNode::start(VbState::Replica);
    let mut admin = node.client();
    let mut producer = replica_with_8(&node, 0);
    // One of two events of manifest 3, which this node does not know yet.
    producer.event(&begin(1, 9));
    producer.done(&node);
    drop(producer);
    set_manifest(&mut admin, &manifest(1, &[0, 8], &[]));
    admin.set_state(0, VbState::Active);
    assert_eq!(get(&mut admin, 0, b"\x08key-2"), Status::SUCCESS);
    assert_eq!(node.high_seqno(0), 3);
    set_manifest(&mut admin, &manifest(3, &[0, 9, 10], &[]));
    assert_eq!(get(&mut admin, 0, b"\x08key-2"), Status::UNKNOWN_COLLECTION);
    assert_eq!(node.high_seqno(0), 5, "the end of 8 and the beginning of a");
    assert!(store(&mut admin, 0, b"\x09a").is_success());
}

/// Statuses of a real node: 17c.
#[test]
fn what_is_of_no_collection_is_refused_and_changes_nothing() {
    let node = TestNode::start(VbState::Replica);
    for collection in [9, 1, 7] {
        let mut producer = replica_with_8(&node, 0);
        producer.document(collection);
        let refusal = producer.proxy.refusal();
        assert_eq!(refusal.opcode(), Opcode::DCP_MUTATION, "{refusal:?}");
        assert!(!refusal.status().is_success(), "{refusal:?}");
        assert!(node.rows(0).iter().all(|row| matches!(row.key[0], 1 | 8)));
        drop(producer);
        node.client().set_state(0, VbState::Dead);
        let removed = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(0));
        node.client().ask(removed);
        node.client().set_state(0, VbState::Replica);
    }
}

#[test]
fn malformed_system_events_are_refused_and_change_nothing() {
    let node = TestNode::start(VbState::Replica);
    let plain = [0_u64.to_be_bytes().as_slice(), &[0, 0, 0, 0, 0, 0, 0, 9]].concat();
    let reserved = [0_u64.to_be_bytes().as_slice(), &[0, 0, 0, 0, 0, 0, 0, 7]].concat();
    for (vb, (event, version, key, value)) in [
        (0, 0, &b""[..], &plain[..]),
        (0, 0, b"c", &reserved),
        (0, 0, b"c", &plain[..15]),
        (0, 2, b"c", &[0xff; 40]),
        (0, 3, b"c", &plain),
        (6, 0, b"c", &plain),
        (2, 0, b"c", &plain),
        (0, 0, &[b'x'; 252][..], &plain),
    ]
    .into_iter()
    .enumerate()
    {
        let vb = u16::try_from(vb).unwrap();
        let mut producer = replica_with_8(&node, vb);
        let seqno = producer.snapshot();
        let body = Body { seqno, event, version };
        producer.send(|vb, stream, out| body.write(vb, stream, key, value, out));
        let refusal = producer.proxy.0.try_next();
        if let Some(refusal) = refusal {
            assert!(!refusal.is_request() && !refusal.status().is_success(), "{refusal:?}");
        }
        assert_eq!(node.high_seqno(vb), 2);
        assert_eq!(node.rows(vb).len(), 2);
    }
    let mut client: Client = node.client();
    assert_eq!(client.stat("collections-details 0", "vb_0:collections"), "2");
}

#[test]
fn a_document_after_the_end_of_its_collection_is_refused() {
    let node = TestNode::start(VbState::Replica);
    let mut producer = replica_with_8(&node, 0);
    producer.event(&end(2, 8));
    producer.done(&node);
    producer.document(8);
    let refusal = producer.proxy.refusal();
    assert!(!refusal.status().is_success(), "{refusal:?}");
    let rows = node.rows(0);
    assert_eq!((rows.len(), rows[0].seqno), (1, Seqno(3)));
    // It begins again: the document of before stays away.
    let mut producer = Producer::open(&node, 0);
    assert_eq!(producer.seqno, 3);
    producer.event(&begin(3, 8));
    producer.document(8);
    producer.done(&node);
    assert_eq!(node.rows(0).iter().map(|row| row.seqno.0).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn a_rollback_across_a_drop_brings_the_documents_back() {
    let mut node = TestNode::start(VbState::Replica);
    let mut producer = replica_with_8(&node, 0);
    producer.event(&end(2, 8));
    producer.event(&begin(3, 9));
    producer.document(9);
    producer.done(&node);
    // The next producer never had what comes after seqno 2.
    let Producer { mut proxy, vb, stream, .. } = producer;
    proxy.end(vb, stream);
    proxy.add(vb);
    let (stream, start) = proxy.request();
    assert_eq!(start, 5);
    let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::ROLLBACK);
    proxy.0.send(&answer.opaque(stream).value(&2_u64.to_be_bytes()).build());
    let (stream, start) = proxy.request();
    assert!(start <= 2, "{start}");
    proxy.accept(vb, stream);
    let mut producer = Producer { proxy, vb, stream, seqno: start };
    if start == 0 {
        producer.event(&begin(1, 8));
        producer.document(8);
    }
    producer.document(8);
    producer.done(&node);
    for _ in 0..2 {
        let rows = node.rows(0);
        assert_eq!(rows.iter().map(|row| row.seqno.0).collect::<Vec<_>>(), [1, 2, 3]);
        let mut client = node.client();
        assert_eq!(client.stat("collections-details 0", "vb_0:0x8:items"), "2");
        assert_eq!(client.stat("collections-details 0", "vb_0:collections"), "2");
        node.restart();
    }
}
