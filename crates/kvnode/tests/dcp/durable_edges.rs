//! Durable writes where something else happens at the same time: a collection is dropped, a commit
//! fails, a stream leaves rows out.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use mcbp::dcp::{
    Abort, Commit, MarkerBody, Mutation, Open, Prepare, SnapshotMarker, Target, marker_flags,
    open_flags,
};
use mcbp::{Datatype, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbState};

use vbucket::Kind;

use crate::client::{Client, wait_for};
use crate::durable::{Held, durable_set, framing, get, pair, send_set, set_state, status};
use crate::node::TestNode;
use crate::scripted::Scripted;

/// How many prepares of vBucket 0 the machine knows.
fn prepared(node: &TestNode) -> String {
    prepared_in(node, 0)
}

fn prepared_in(node: &TestNode, vb: u16) -> String {
    let name = format!("vb_{vb}:num_prepared_sync_writes");
    node.client().stat(&format!("vbucket-details {vb}"), &name)
}

/// Sends the rows of one snapshot from disk.
fn from_disk(link: &mut Scripted, stream: Opaque, end: u64, rows: impl FnOnce(&mut BytesMut)) {
    let (start, end) = (Seqno(0), Seqno(end));
    let flags = marker_flags::DISK;
    let mut out = BytesMut::new();
    SnapshotMarker { start, end, flags, body: MarkerBody::V1 }.write(VbId(0), stream, &mut out);
    rows(&mut out);
    link.0.send(&out);
}

fn write_prepare(stream: Opaque, seqno: u64, out: &mut BytesMut) {
    let to = Target { vb: VbId(0), opaque: stream, cas: seqno, datatype: Datatype::RAW };
    write_prepare_of(to, b"\0k", seqno, out);
}

fn write_prepare_of(to: Target, key: &[u8], seqno: u64, out: &mut BytesMut) {
    let prepare = Prepare {
        seqno: Seqno(seqno),
        rev: 1,
        flags: 0,
        expiry: 0,
        lock_time: 0,
        nru: 4,
        deleted: false,
        level: 1,
    };
    prepare.write(to, key, b"v", out);
}

/// The default collection and these.
fn manifest(uid: u8, collections: &str) -> String {
    let default = r#"{"name":"_default","uid":"0"}"#;
    let all = format!(r#"{{"name":"_default","uid":"0","collections":[{default}{collections}]}}"#);
    format!(r#"{{"uid":"{uid}","scopes":[{all}]}}"#)
}

fn set_manifest(node: &TestNode, uid: u8, collections: &str) {
    let text = manifest(uid, collections);
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    node.client().ask(request.value(text.as_bytes()));
}

/// Sends a durable SET in the collection 8.
fn send_set_in_8(client: &mut Client, opaque: u32, value: &[u8], ms: u16) {
    let request = FrameBuilder::request(Opcode::SET).opaque(Opaque(opaque)).extras(&[0; 8]);
    let key = format!("\x08key {opaque}");
    let request = request.key(key.as_bytes()).value(value);
    client.send(&request.framing(&framing(1, ms)).build());
}

/// A stream from disk has only the newest of two aborts of a document, and the replica has the
/// prepare of the first one.
#[test]
fn an_abort_ends_an_earlier_prepare_whose_own_abort_the_stream_left_out() {
    let node = TestNode::start(VbState::Replica);
    let mut link = Scripted::open(&node, "aborts");
    let (stream, _) = link.stream(0);
    from_disk(&mut link, stream, 1, |out| write_prepare(stream, 1, out));
    wait_for("the prepare", || prepared(&node) == "1");
    from_disk(&mut link, stream, 4, |out| {
        let abort = Abort { prepared: Seqno(3), aborted: Seqno(4) };
        abort.write(VbId(0), stream, b"\0k", out);
    });
    wait_for("the abort", || node.high_seqno(0) == 4);
    assert_eq!(prepared(&node), "0");
    // Nothing of it comes back once a commit has failed.
    set_state(&node, 0, VbState::Active, r#"[["beta"]]"#);
    let mut client = node.client();
    node.faults.commits_fail.store(true, Ordering::Relaxed);
    assert_ne!(status(&mut client, Opcode::SET, "other", &[0; 8], "x"), Status::SUCCESS);
    node.faults.commits_fail.store(false, Ordering::Relaxed);
    wait_for("a write", || durable_set(&mut client, "k", "new", 1) == Status::SUCCESS);
}

/// The end of the collection is queued, and not on disk yet, when the write could be committed.
#[test]
fn no_write_of_a_collection_is_completed_after_its_end() {
    let (active, replica) = pair();
    let held = Held::default();
    held.acknowledgements.store(true, Ordering::Relaxed);
    let relay = held.link(&active, &replica, ("ended", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    set_manifest(&active, 1, r#",{"name":"c","uid":"8"}"#);
    let mut client = active.client();
    send_set_in_8(&mut client, 3, b"v", 60_000);
    wait_for("the prepare", || replica.high_seqno(0) == 2);
    let before = active.faults.commits.load(Ordering::Relaxed);
    active.faults.commits_wait.store(true, Ordering::Relaxed);
    let mut admin = active.client();
    let text = manifest(2, "");
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    admin.send(&request.value(text.as_bytes()).build());
    let commits = || active.faults.commits.load(Ordering::Relaxed);
    wait_for("the commit of the end", || commits() > before);
    acknowledge(&active, 2);
    active.faults.commits_wait.store(false, Ordering::Relaxed);
    assert_eq!(client.answer_to(3).status(), Status::SYNC_WRITE_AMBIGUOUS);
    active.client().set(0, "after", b"x");
    wait_for("the replica", || replica.high_seqno(0) == active.high_seqno(0));
    assert_eq!(active.high_seqno(0), 4);
}

/// Another connection of the replica, which acknowledges.
fn acknowledge(active: &TestNode, prepared: u64) {
    let mut dcp = active.client().produce("acknowledges");
    for (key, value) in [("enable_sync_writes", "true"), ("consumer_name", "beta")] {
        assert_eq!(dcp.control(key, value), Status::SUCCESS);
    }
    dcp.stream(0, 7);
    while dcp.next().opcode() != Opcode::DCP_PREPARE {}
    let extras = prepared.to_be_bytes();
    let acknowledgement = FrameBuilder::request(Opcode::DCP_SEQNO_ACK).extras(&extras);
    dcp.send(&acknowledgement.opaque(Opaque(7)).build());
    // Answered after the acknowledgement has been taken.
    assert_eq!(dcp.control("enable_noop", "true"), Status::SUCCESS);
}

/// An active copy with a durable write of "k" that waits for its replica, and its client.
fn waiting_write(deadline_ms: u16) -> (TestNode, Client) {
    let active = TestNode::start(VbState::Active);
    set_state(&active, 0, VbState::Active, r#"[["alpha","beta"]]"#);
    let mut client = active.client();
    send_set(&mut client, 1, "k", "new", &framing(1, deadline_ms));
    wait_for("the prepare", || active.high_seqno(0) == 1);
    (active, client)
}

#[test]
fn a_decided_write_is_answered_at_once_and_readers_wait_for_its_row() {
    let (active, mut client) = waiting_write(10_000);
    active.faults.commits_wait.store(true, Ordering::Relaxed);
    acknowledge(&active, 1);
    assert_eq!(client.answer_to(1).status(), Status::SUCCESS);
    let mut reader = active.client();
    let request = FrameBuilder::request(Opcode::GET).key(b"\0k").opaque(Opaque(9));
    reader.send(&request.build());
    assert!(reader.is_silent(Duration::from_millis(50)));
    active.faults.commits_wait.store(false, Ordering::Relaxed);
    assert_eq!(reader.answer_to(9).frame().value, b"new");
}

/// Readers are told to come again, also after its deadline, until it can be stored.
#[test]
fn a_decided_write_whose_row_cannot_be_stored_is_neither_given_up_nor_hidden() {
    let (active, mut client) = waiting_write(3_000);
    let deadline = Instant::now() + Duration::from_millis(3_100);
    active.faults.commits_fail.store(true, Ordering::Relaxed);
    acknowledge(&active, 1);
    assert_eq!(client.answer_to(1).status(), Status::SUCCESS);
    let mut reader = active.client();
    let mut is_told = || {
        let status = get(&mut reader, "k").0;
        let hides = [Status::SUCCESS, Status::KEY_ENOENT].contains(&status);
        assert!(!hides, "{status}");
        status == Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS
    };
    wait_for("readers to be told", &mut is_told);
    wait_for("readers to be told after the deadline", || is_told() && Instant::now() > deadline);
    active.faults.commits_fail.store(false, Ordering::Relaxed);
    wait_for("the write", || get(&mut client, "k") == (Status::SUCCESS, b"new".to_vec()));
}

/// The memory of prepares that go with their collection can be used again.
#[test]
fn the_memory_of_prepares_of_a_collection_is_free_after_its_end() {
    let active = TestNode::start_with(VbState::Active, |options| options.log_bytes_max = 64 << 10);
    set_state(&active, 0, VbState::Active, r#"[["alpha","beta"]]"#);
    set_state(&active, 1, VbState::Active, r#"[["alpha"]]"#);
    set_manifest(&active, 1, r#",{"name":"c","uid":"8"}"#);
    let mut clients: Vec<_> = (0..2).map(|_| active.client()).collect();
    for (opaque, client) in (1..).zip(&mut clients) {
        send_set_in_8(client, opaque, &[b'v'; 14 << 10], 60_000);
    }
    wait_for("the prepares", || prepared(&active) == "2");
    let mut client = active.client();
    let mut set = |vb| {
        let request = FrameBuilder::request(Opcode::SET).vbucket(VbId(vb)).extras(&[0; 8]);
        let framing = framing(1, 1000);
        client.try_ask(request.key(b"\0k").value(&[b'v'; 8 << 10]).framing(&framing)).status()
    };
    assert_eq!(set(1), Status::ETMPFAIL);
    set_manifest(&active, 2, "");
    for (opaque, client) in (1..).zip(&mut clients) {
        assert_eq!(client.answer_to(opaque).status(), Status::SYNC_WRITE_AMBIGUOUS);
    }
    assert_eq!(set(1), Status::SUCCESS);
}

/// Nobody waits for the replicas of a node that stops, and its clients are told.
#[test]
fn a_stop_answers_the_durable_writes_that_wait() {
    let (mut active, _replica) = pair();
    let unordered = Client::connect(active.handle().address(), &[0x06, 0x12, 0x0a, 0x0b, 0x0e]);
    let mut clients = [active.client(), active.client(), unordered];
    for (opaque, client) in (1..).zip(&mut clients) {
        send_set(client, opaque, &format!("key {opaque}"), "v", &framing(1, 60_000));
    }
    wait_for("the prepares", || active.high_seqno(0) == 3);
    let began = Instant::now();
    active.restart();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for (opaque, client) in (1..).zip(&mut clients) {
        assert_eq!(client.answer_to(opaque).status(), Status::SYNC_WRITE_AMBIGUOUS);
    }
    assert_eq!(prepared(&active), "3");
}

/// A document may be larger than everything that may wait: it waits alone.
#[test]
fn a_document_that_is_larger_than_what_may_wait_is_written_durably() {
    let active = TestNode::start_with(VbState::Active, |options| options.log_bytes_max = 64 << 10);
    set_state(&active, 0, VbState::Active, r#"[["alpha"]]"#);
    let value = "v".repeat(100 << 10);
    assert_eq!(durable_set(&mut active.client(), "large", &value, 1), Status::SUCCESS);
}

/// The pager looks again at a document that it could not expire.
#[test]
fn an_overdue_document_expires_after_its_durable_write_was_given_up() {
    let active = TestNode::start_with(VbState::Active, |options| {
        options.expiry_pager_interval = Duration::from_millis(20);
    });
    set_state(&active, 0, VbState::Active, r#"[["alpha","beta"]]"#);
    let mut client = active.client();
    let runs = |client: &mut Client| client.stat("", "ep_num_expiry_pager_runs").parse().unwrap();
    assert_eq!(
        status(&mut client, Opcode::SET, "k", &[0, 0, 0, 0, 0, 0, 0, 1], "v"),
        Status::SUCCESS
    );
    let mut writer = active.client();
    send_set(&mut writer, 5, "k", "w", &framing(1, 3000));
    wait_for("the prepare", || active.high_seqno(0) == 2);
    let expired = |row: &vbucket::Row| matches!(row.kind, Kind::Expired { .. });
    wait_for("a run after the expiry", || {
        let kind = active.rows(0)[0].kind;
        matches!(kind, Kind::Document { expiry, .. } if expiry < unix_now())
    });
    let before: u64 = runs(&mut client);
    wait_for("two runs", || runs(&mut client) > before + 1);
    assert_eq!(writer.answer_to(5).status(), Status::SYNC_WRITE_AMBIGUOUS);
    wait_for("the expiration", || active.rows(0).iter().any(expired));
}

fn unix_now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32
}

/// It is answered before DCP begins.
#[test]
fn a_durable_write_that_waits_is_answered_although_its_connection_opens_dcp() {
    let (active, _replica) = pair();
    let features = [0x06, 0x12, 0x0a, 0x0b, 0x0e];
    let mut client = Client::connect(active.handle().address(), &features);
    send_set(&mut client, 900, "k", "v", &framing(1, 300));
    let open = Open { flags: open_flags::REPLICATION_PRODUCER, name: b"late", value: b"" };
    client.send(&open.build(Opaque(901)));
    assert_eq!(client.answer_to(900).status(), Status::SYNC_WRITE_AMBIGUOUS);
    assert_eq!(client.answer_to(901).status(), Status::SUCCESS);
}

/// Each vBucket keeps the names of the nodes that acknowledge.
#[test]
fn a_consumer_name_has_a_bounded_length() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = node.client().produce("names");
    assert_eq!(dcp.control("consumer_name", &"n".repeat(1025)), Status::EINVAL);
    assert_eq!(dcp.control("consumer_name", &"n".repeat(1024)), Status::SUCCESS);
}

/// A source of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_889);
        (self.0 >> 33) % bound
    }
}

/// What a producer sends of one vBucket.
struct History {
    vb: u16,
    stream: Opaque,
    seqno: u64,
    /// The prepares of two documents.
    waiting: [Option<u64>; 2],
}

impl History {
    /// A snapshot of some rows.
    fn snapshot(&mut self, random: &mut Random) -> BytesMut {
        let (mut out, rows) = (BytesMut::new(), 1 + random.below(4));
        let (start, end) = (Seqno(self.seqno + 1), Seqno(self.seqno + rows));
        let flags = if random.below(2) == 0 { marker_flags::DISK } else { marker_flags::MEMORY };
        let marker = SnapshotMarker { start, end, flags, body: MarkerBody::V1 };
        marker.write(VbId(self.vb), self.stream, &mut out);
        (0..rows).for_each(|_| self.row(random, &mut out));
        out
    }

    fn row(&mut self, random: &mut Random, out: &mut BytesMut) {
        self.seqno += 1;
        let seqno = Seqno(self.seqno);
        let which = random.below(2) as usize;
        let (key, waiting) = ([b"\0a", b"\0b"][which], self.waiting[which].take());
        let (vb, opaque) = (VbId(self.vb), self.stream);
        let to = Target { vb, opaque, cas: seqno.0, datatype: Datatype::RAW };
        match (random.below(4), waiting) {
            (0, Some(prepared)) => {
                let commit = Commit { prepared: Seqno(prepared), committed: seqno };
                commit.write(vb, opaque, key, out);
            }
            (1, _) if seqno.0 > 1 => {
                let prepared = Seqno(1 + random.below(seqno.0 - 1));
                Abort { prepared, aborted: seqno }.write(vb, opaque, key, out);
            }
            (2, _) => {
                let change = Mutation { seqno, rev: 1, flags: 0, expiry: 0, lock_time: 0, nru: 4 };
                change.write(to, key, b"plain", out);
            }
            _ => {
                self.waiting[which] = Some(seqno.0);
                write_prepare_of(to, key, seqno.0, out);
            }
        }
    }

    fn check(&self, node: &TestNode) {
        let vb = self.vb;
        wait_for("every row", || node.high_seqno(vb) == self.seqno);
        let is_prepare = |row: &&vbucket::Row| matches!(row.kind, Kind::Prepared { .. });
        let on_disk = node.rows(vb).iter().filter(is_prepare).count();
        let count = self.waiting.iter().flatten().count();
        assert_eq!((prepared_in(node, vb), on_disk), (count.to_string(), count), "vb:{vb}");
    }
}

/// Whatever a producer sends of durable writes, in whatever batches: what the machine waits for is
/// what is prepared on disk, and a promoted copy completes it.
#[test]
fn what_a_replica_waits_for_is_what_is_prepared_on_its_disk() {
    let mut node = TestNode::start(VbState::Replica);
    let mut link = Scripted::open(&node, "random");
    let mut random = Random(12_345);
    let mut histories = Vec::new();
    for vb in 0..8 {
        let (stream, _) = link.stream(vb);
        let mut history = History { vb, stream, seqno: 0, waiting: [None; 2] };
        (0..40).for_each(|_| link.0.send(&history.snapshot(&mut random)));
        histories.push(history);
    }
    histories.iter().for_each(|history| history.check(&node));
    drop(link);
    node.restart();
    histories.iter().for_each(|history| history.check(&node));
    for History { vb, .. } in histories {
        set_state(&node, vb, VbState::Active, r#"[["beta"]]"#);
        wait_for("the commits", || prepared_in(&node, vb) == "0");
    }
}
